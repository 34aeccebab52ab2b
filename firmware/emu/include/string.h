/* What a freestanding build of the core may use of the C library; defined in bw_string.c. */
#ifndef BW_EMU_STRING_H
#define BW_EMU_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

#endif
