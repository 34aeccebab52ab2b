/* The string.h functions that the core and the compilers call: a freestanding build has no C library. */
#include <stdint.h>
#include <string.h>

/* Words where both ends allow it; the compiler keeps single loads and stores, so any alignment works on a Cortex-M4. */
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((((uintptr_t)t | (uintptr_t)f) & 3u) == 0) {
        for (; size >= 4; size -= 4, t += 4, f += 4) {
            *(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
        }
    }
    while (size-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((uintptr_t)t <= (uintptr_t)f) {
        while (size-- > 0) {
            *t++ = *f++;
        }
    } else {
        while (size-- > 0) {
            t[size] = f[size];
        }
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *t = to;
    const uint32_t word = 0x01010101u * (uint8_t)value;
    for (; size > 0 && ((uintptr_t)t & 3u) != 0; --size) {
        *t++ = (uint8_t)value;
    }
    for (; size >= 4; size -= 4, t += 4) {
        *(uint32_t *)(void *)t = word;
    }
    while (size-- > 0) {
        *t++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *p = a, *q = b;
    for (; size > 0; --size, ++p, ++q) {
        if (*p != *q) {
            return *p - *q;
        }
    }
    return 0;
}

size_t strlen(const char *text)
{
    size_t size = 0;
    while (text[size] != '\0') {
        ++size;
    }
    return size;
}
