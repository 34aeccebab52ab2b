#include <string.h>

#include "bitwave.h"

/* Writes COBS code bytes and the bytes between them; the delimiter is the caller's. */
typedef struct cobs_writer {
    uint8_t *frame;
    size_t code_at; /* where the running code byte goes */
    size_t at;
    int full; /* the last block took 254 bytes and stands for no zero */
} cobs_writer;

static void cobs_put(cobs_writer *writer, uint8_t byte) {
    if (writer->full) {
        writer->code_at = writer->at++;
        writer->full = 0;
    }
    if (byte != 0) {
        writer->frame[writer->at++] = byte;
    }
    writer->full = byte != 0 && writer->at - writer->code_at == 255;
    if (byte == 0 || writer->full) {
        writer->frame[writer->code_at] = (uint8_t)(writer->at - writer->code_at);
    }
    if (byte == 0) {
        writer->code_at = writer->at++;
    }
}

size_t bw_wire_encode(uint8_t frame[BW_WIRE_FRAME], const uint8_t payload[], size_t payload_size) {
    const uint16_t crc = bw_crc16(payload, payload_size);
    cobs_writer writer = {frame, 0, 1, 0};
    for (size_t i = 0; i < payload_size; ++i) {
        cobs_put(&writer, payload[i]);
    }
    cobs_put(&writer, (uint8_t)(crc & 0xFFu));
    cobs_put(&writer, (uint8_t)(crc >> 8));
    if (!writer.full) {
        frame[writer.code_at] = (uint8_t)(writer.at - writer.code_at);
    }
    frame[writer.at++] = 0;
    return writer.at;
}

/* COBS in place; returns the decoded size, or 0 where a code byte leads past the end. */
static size_t cobs_decode(uint8_t bytes[], size_t size) {
    size_t from = 0;
    size_t to = 0;
    while (from < size) {
        const size_t code = bytes[from++];
        if (code - 1u > size - from) {
            return 0;
        }
        memmove(bytes + to, bytes + from, code - 1u);
        to += code - 1u;
        from += code - 1u;
        if (code < 255 && from < size) {
            bytes[to++] = 0;
        }
    }
    return to;
}

void bw_wire_reset(bw_wire_decoder *decoder) {
    decoder->size = 0;
    decoder->overrun = 0;
    decoder->errors = 0;
}

static uint32_t load_number(const uint8_t bytes[], uint32_t width) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < width; ++i) {
        value |= (uint32_t)bytes[i] << (8 * i);
    }
    return value;
}

static int parse(bw_wire_decoder *decoder, bw_frame *frame) {
    const uint8_t *payload = decoder->buffer;
    const size_t size = cobs_decode(decoder->buffer, decoder->size);
    if (size < BW_WIRE_HEADER + 2u || size > BW_WIRE_PAYLOAD + 2u ||
        bw_crc16(payload, size - 2u) != load_number(payload + size - 2u, 2)) {
        return 0;
    }
    frame->type = payload[0];
    frame->sequence = (uint16_t)load_number(payload + 1, 2);
    frame->time_us = load_number(payload + 3, 4);
    frame->body = payload + BW_WIRE_HEADER;
    frame->body_size = size - 2u - BW_WIRE_HEADER;
    return 1;
}

int bw_wire_receive(bw_wire_decoder *decoder, uint8_t byte, bw_frame *frame) {
    if (byte != 0) {
        if (decoder->size < BW_WIRE_FRAME - 1u) {
            decoder->buffer[decoder->size++] = byte;
        } else {
            decoder->overrun = 1;
        }
        return 0;
    }
    /* two delimiters in a row are no error: a sender may open with one */
    const int empty = decoder->size == 0;
    const int sound = !empty && !decoder->overrun && parse(decoder, frame);
    decoder->errors += !empty && !sound ? 1u : 0u;
    decoder->size = 0;
    decoder->overrun = 0;
    return sound;
}
