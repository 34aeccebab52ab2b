/* What a fuzz target gives and gets. A target is driven by libFuzzer, or by the mutations of fuzz_driver.c. */
#ifndef BW_FUZZ_H
#define BW_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "bitwave.h"

/* Runs one input: ends the program where something is wrong. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs to start from; returns the size of one, or 0 where there are no more. */
size_t fuzz_seed(uint32_t index, uint8_t out[], size_t capacity);

/* The model image in the file that the environment variable BITWAVE_IMAGE names; read once. */
const uint8_t *fuzz_image(size_t *size);

/* A heap block of exactly `size` bytes, for the sanitizer to watch. */
void *fuzz_block(size_t size);

void fuzz_fail(const char *what, unsigned long number);

void fuzz_fix_crc(uint8_t image[], size_t size);

/* Takes the next byte of an input, 0 at its end. */
typedef struct fuzz_reader {
    const uint8_t *data;
    size_t size;
} fuzz_reader;

static inline uint8_t fuzz_u8(fuzz_reader *reader) {
    if (reader->size == 0) {
        return 0;
    }
    --reader->size;
    return *reader->data++;
}

static inline uint32_t fuzz_u16(fuzz_reader *reader) {
    const uint32_t low = fuzz_u8(reader);
    return low | (uint32_t)fuzz_u8(reader) << 8;
}

/* Up to `wanted` bytes of the input itself; returns how many. */
static inline size_t fuzz_bytes(fuzz_reader *reader, const uint8_t **bytes, size_t wanted) {
    const size_t taken = wanted < reader->size ? wanted : reader->size;
    *bytes = reader->data;
    reader->data += taken;
    reader->size -= taken;
    return taken;
}

#endif
