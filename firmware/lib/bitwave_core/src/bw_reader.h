/* A bounded cursor over a model image: reading past the end yields zeros and is remembered, never done. */
#ifndef BW_READER_H
#define BW_READER_H

#include "bitwave.h"

typedef struct bw_reader {
    const uint8_t *image; /* BW_ALIGNMENT-aligned */
    uint32_t size;
    uint32_t at;
    int failed;
    int left_out; /* failed because this build lacks what the model needs */
} bw_reader;

/* `count` items of `width` bytes each, in place, then on to the next aligned byte; NULL if they are not all there. */
const void *bw_read_array(bw_reader *reader, uint32_t count, uint32_t width);

/* Copies `size` bytes: the first members of a struct, where an image has the same in the same order. */
void bw_read_members(bw_reader *reader, void *members, uint32_t size);

uint8_t bw_read_u8(bw_reader *reader);
uint16_t bw_read_u16(bw_reader *reader);
uint32_t bw_read_u32(bw_reader *reader);

static inline int8_t bw_read_i8(bw_reader *reader) { return (int8_t)bw_read_u8(reader); }

#endif
