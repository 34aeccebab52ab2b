#include "bw_reader.h"

#include <string.h>

const void *bw_read_array(bw_reader *reader, uint32_t count, uint32_t width) {
    const uint32_t size = (count * width + BW_ALIGNMENT - 1u) & ~(BW_ALIGNMENT - 1u);
    if (reader->failed || size > reader->size - reader->at) {
        reader->failed = 1;
        return NULL;
    }
    const void *array = reader->image + reader->at;
    reader->at += size;
    return array;
}

void bw_read_members(bw_reader *reader, void *members, uint32_t size) {
    if (reader->failed || size > reader->size - reader->at) {
        reader->failed = 1;
        memset(members, 0, size);
        return;
    }
    memcpy(members, reader->image + reader->at, size);
    reader->at += size;
}

uint8_t bw_read_u8(bw_reader *reader) {
    uint8_t value;
    bw_read_members(reader, &value, sizeof value);
    return value;
}

uint16_t bw_read_u16(bw_reader *reader) {
    uint16_t value;
    bw_read_members(reader, &value, sizeof value);
    return value;
}

uint32_t bw_read_u32(bw_reader *reader) {
    uint32_t value;
    bw_read_members(reader, &value, sizeof value);
    return value;
}
