/* Drives a fuzz target without libFuzzer, the same way each time: seeds, changed a few times over.
 *
 *   fuzz_TARGET FIRST COUNT    inputs FIRST .. FIRST + COUNT - 1; each depends on its number alone */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define CAPACITY 4096u
#define SEEDS 16u

static uint32_t state;

static uint32_t below(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % limit;
}

static uint8_t telling_byte(void) {
    static const uint8_t telling[] = {0x00, 0x01, 0x7F, 0x80, 0xFF, 0x04, 0x10, 0x20};
    return below(2) == 0 ? telling[below(sizeof telling)] : (uint8_t)below(256);
}

static size_t insert(uint8_t data[], size_t size, uint8_t value) {
    if (size < CAPACITY) {
        const size_t at = below((uint32_t)size + 1u);
        memmove(data + at + 1, data + at, size - at);
        data[at] = value;
        ++size;
    }
    return size;
}

static size_t cut(uint8_t data[], size_t size) {
    const size_t at = below((uint32_t)size);
    const size_t most = size - at < 16 ? size - at : 16;
    const size_t length = 1 + below((uint32_t)most);
    memmove(data + at, data + at + length, size - at - length);
    return size - length;
}

/* A stretch of the input once more, somewhere else. */
static size_t repeat(uint8_t data[], size_t size) {
    uint8_t stretch[64];
    const size_t from = below((uint32_t)size);
    const size_t most = size - from < sizeof stretch ? size - from : sizeof stretch;
    const size_t length = 1 + below((uint32_t)most);
    if (size + length > CAPACITY) {
        return size;
    }
    memcpy(stretch, data + from, length);
    const size_t to = below((uint32_t)size + 1u);
    memmove(data + to + length, data + to, size - to);
    memcpy(data + to, stretch, length);
    return size + length;
}

static size_t change(uint8_t data[], size_t size) {
    if (size == 0) {
        return insert(data, size, telling_byte());
    }
    switch (below(8)) {
    case 0:
        return cut(data, size);
    case 1:
        return repeat(data, size);
    case 2:
        return insert(data, size, telling_byte());
    case 3:
        data[below((uint32_t)size)] ^= (uint8_t)(1u << below(8));
        return size;
    case 4:
        data[below((uint32_t)size)] = (uint8_t)(data[below((uint32_t)size)] + 1u);
        return size;
    default:
        data[below((uint32_t)size)] = telling_byte();
        return size;
    }
}

int main(int count, char **words) {
    static uint8_t seeds[SEEDS][CAPACITY];
    static uint8_t data[CAPACITY];
    size_t sizes[SEEDS];
    uint32_t known = 0;
    if (count != 3) {
        return 2;
    }
    while (known < SEEDS && (sizes[known] = fuzz_seed(known, seeds[known], CAPACITY)) > 0) {
        ++known;
    }
    const uint32_t first = (uint32_t)strtoul(words[1], NULL, 10);
    const uint32_t inputs = (uint32_t)strtoul(words[2], NULL, 10);
    for (uint32_t input = 0; input < inputs; ++input) {
        state = (first + input + 1u) * 2654435761u | 1u;
        const uint32_t seed = below(known);
        size_t size = sizes[seed];
        memcpy(data, seeds[seed], size);
        for (uint32_t changes = below(12); changes > 0; --changes) {
            size = change(data, size);
        }
        uint8_t *exact = fuzz_block(size);
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    printf("%u inputs from %u seeds\n", inputs, known);
    return 0;
}
