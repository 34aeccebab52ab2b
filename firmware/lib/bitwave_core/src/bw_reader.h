/* A bounded cursor over a model image: reading past the end yields zeros and is remembered, never done. */
#ifndef BW_READER_H
#define BW_READER_H

#include "bitwave.h"

typedef struct bw_reader {
    const uint8_t *image; /* BW_ALIGNMENT-aligned */
    uint32_t size;
    uint32_t at;
    int failed;
} bw_reader;

/* `count` items of `width` bytes each, in place, then on to the next aligned byte; NULL if they are not all there. */
static inline const void *bw_read_array(bw_reader *reader, uint32_t count, uint32_t width) {
    const uint32_t size = (count * width + BW_ALIGNMENT - 1u) & ~(BW_ALIGNMENT - 1u);
    if (reader->failed || size > reader->size - reader->at) {
        reader->failed = 1;
        return NULL;
    }
    const void *array = reader->image + reader->at;
    reader->at += size;
    return array;
}

static inline uint32_t bw_read_number(bw_reader *reader, uint32_t width) {
    uint32_t value = 0;
    if (reader->failed || width > reader->size - reader->at) {
        reader->failed = 1;
        return 0;
    }
    for (uint32_t i = 0; i < width; ++i) {
        value |= (uint32_t)reader->image[reader->at + i] << (8 * i);
    }
    reader->at += width;
    return value;
}

static inline uint8_t bw_read_u8(bw_reader *reader) { return (uint8_t)bw_read_number(reader, 1); }
static inline int8_t bw_read_i8(bw_reader *reader) { return (int8_t)bw_read_number(reader, 1); }
static inline uint16_t bw_read_u16(bw_reader *reader) { return (uint16_t)bw_read_number(reader, 2); }
static inline uint32_t bw_read_u32(bw_reader *reader) { return bw_read_number(reader, 4); }
static inline int32_t bw_read_i32(bw_reader *reader) { return (int32_t)bw_read_number(reader, 4); }

#endif
