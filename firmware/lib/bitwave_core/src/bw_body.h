/* Little-endian writer for the bodies of frames. The caller knows that all fits. */
#ifndef BW_BODY_H
#define BW_BODY_H

#include <string.h>

#include "bitwave.h"

typedef struct bw_body {
    uint8_t *bytes;
    size_t size;
} bw_body;

static inline void bw_put_u8(bw_body *body, uint32_t value) { body->bytes[body->size++] = (uint8_t)(value & 0xFFu); }

static inline void bw_put_u16(bw_body *body, uint32_t value) {
    bw_put_u8(body, value);
    bw_put_u8(body, value >> 8);
}

static inline void bw_put_u32(bw_body *body, uint32_t value) {
    bw_put_u16(body, value);
    bw_put_u16(body, value >> 16);
}

static inline void bw_put_bytes(bw_body *body, const void *bytes, size_t size) {
    memcpy(body->bytes + body->size, bytes, size);
    body->size += size;
}

/* length u8 and ASCII, cut at `limit` */
static inline void bw_put_text(bw_body *body, const char *text, size_t limit) {
    const size_t length = strlen(text);
    const size_t kept = length < limit ? length : limit;
    bw_put_u8(body, (uint32_t)kept);
    bw_put_bytes(body, text, kept);
}

#endif
