/* Any bytes into the decoder; any payload through both codecs. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* What a decoder makes of its frames must come through again unchanged. */
static void again(const bw_frame *frame) {
    uint8_t payload[BW_WIRE_PAYLOAD];
    uint8_t encoded[BW_WIRE_FRAME];
    bw_wire_decoder decoder;
    bw_frame got;
    const size_t size = BW_WIRE_HEADER + frame->body_size;
    int sound = 0;
    payload[0] = frame->type;
    payload[1] = (uint8_t)(frame->sequence & 0xFFu);
    payload[2] = (uint8_t)(frame->sequence >> 8);
    for (int i = 0; i < 4; ++i) {
        payload[3 + i] = (uint8_t)(frame->time_us >> (8 * i));
    }
    memcpy(payload + BW_WIRE_HEADER, frame->body, frame->body_size);
    const size_t length = bw_wire_encode(encoded, payload, size);
    bw_wire_reset(&decoder);
    for (size_t i = 0; i < length; ++i) {
        sound += bw_wire_receive(&decoder, encoded[i], &got);
    }
    if (sound != 1 || decoder.errors != 0 || got.type != frame->type || got.sequence != frame->sequence ||
        got.time_us != frame->time_us || got.body_size != frame->body_size ||
        memcmp(got.body, frame->body, frame->body_size) != 0) {
        fuzz_fail("a frame is another after a round trip", (unsigned long)size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bw_wire_decoder *decoder = fuzz_block(sizeof *decoder);
    bw_wire_reset(decoder);
    for (size_t i = 0; i < size; ++i) {
        bw_frame frame;
        if (bw_wire_receive(decoder, data[i], &frame)) {
            again(&frame);
        }
    }
    free(decoder);
    if (size > 7) {
        const size_t body = size - 7 < BW_WIRE_BODY ? size - 7 : BW_WIRE_BODY;
        const bw_frame frame = {data[0], (uint16_t)(data[1] | data[2] << 8), data[3], data + 7, body};
        again(&frame);
    }
    return 0;
}

size_t fuzz_seed(uint32_t index, uint8_t out[], size_t capacity) {
    static const uint8_t fill[] = {0x00, 0x01, 0xFF, 0x41};
    uint8_t payload[BW_WIRE_PAYLOAD];
    size_t size = 0;
    if (index >= 8 || capacity < 4 * BW_WIRE_FRAME) {
        return 0;
    }
    for (uint32_t frame = 0; frame < 3; ++frame) {
        const size_t length = BW_WIRE_HEADER + (index < 4 ? index * 9u : 250u + 50u * (index - 4u));
        memset(payload, fill[(index + frame) % 4], sizeof payload);
        size += bw_wire_encode(out + size, payload, length);
    }
    return size;
}
