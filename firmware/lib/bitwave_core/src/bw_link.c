#include "bw_link.h"

#include "bw_body.h"

void bw_link_reset(bw_app_link *link) {
    memset(link, 0, sizeof *link);
    bw_wire_reset(&link->decoder);
}

static void queue_put(bw_app_link *link, const uint8_t bytes[], size_t size) {
    for (size_t i = 0; i < size; ++i) {
        link->queue[(link->queue_head + link->queue_used++) % BW_APP_QUEUE] = bytes[i];
    }
}

static uint8_t queue_take(bw_app_link *link) {
    const uint8_t byte = link->queue[link->queue_head];
    link->queue_head = (link->queue_head + 1u) % BW_APP_QUEUE;
    --link->queue_used;
    return byte;
}

static uint32_t queue_take_size(bw_app_link *link) {
    const uint32_t low = queue_take(link);
    return low | (uint32_t)queue_take(link) << 8;
}

static uint8_t queue_at(const bw_app_link *link, uint32_t offset) {
    return link->queue[(link->queue_head + offset) % BW_APP_QUEUE];
}

static uint32_t record_size(const bw_app_link *link, uint32_t offset) {
    return BW_RECORD_OVERHEAD + (queue_at(link, offset) | (uint32_t)queue_at(link, offset + 1u) << 8);
}

/* Where the oldest frame of a type waits; queue_used: nowhere. */
static uint32_t oldest_of(const bw_app_link *link, bw_frame_type type) {
    uint32_t offset = 0;
    while (offset < link->queue_used && queue_at(link, offset + BW_RECORD_OVERHEAD) != (uint8_t)type) {
        offset += record_size(link, offset);
    }
    return offset;
}

/* Streams give way before what is said only once: a slow link loses samples, then scores, before events and answers. */
static void drop_oldest(bw_app_link *link) {
    uint32_t offset = oldest_of(link, BW_FRAME_SAMPLES);
    offset = offset < link->queue_used ? offset : oldest_of(link, BW_FRAME_SCORES);
    offset = offset < link->queue_used ? offset : 0;
    const uint32_t size = record_size(link, offset);
    while (offset-- > 0) { /* what is older moves up over it */
        link->queue[(link->queue_head + offset + size) % BW_APP_QUEUE] = queue_at(link, offset);
    }
    link->queue_head = (link->queue_head + size) % BW_APP_QUEUE;
    link->queue_used -= size;
    ++link->dropped_frames;
}

void bw_link_send(bw_app_link *link, bw_frame_type type, uint32_t time_us, const uint8_t body[], size_t size) {
    uint8_t start[BW_RECORD_OVERHEAD + BW_WIRE_HEADER];
    bw_body record = {start, 0};
    while (sizeof start + size > BW_APP_QUEUE - link->queue_used) {
        drop_oldest(link);
    }
    bw_put_u16(&record, (uint32_t)(BW_WIRE_HEADER + size));
    bw_put_u8(&record, (uint32_t)type);
    bw_put_u16(&record, link->sequence++);
    bw_put_u32(&record, time_us);
    queue_put(link, start, sizeof start);
    queue_put(link, body, size);
}

/* Encodes the oldest waiting payload: from now on it is on its way and cannot be dropped. */
static void load_outgoing(bw_app_link *link) {
    uint8_t payload[BW_WIRE_PAYLOAD];
    const uint32_t size = queue_take_size(link);
    for (uint32_t i = 0; i < size; ++i) {
        payload[i] = queue_take(link);
    }
    link->outgoing_size = bw_wire_encode(link->outgoing, payload, size);
    link->outgoing_sent = 0;
}

size_t bw_link_transmit(bw_app_link *link, uint8_t out[], size_t capacity) {
    size_t written = 0;
    while (written < capacity) {
        if (link->outgoing_sent == link->outgoing_size) {
            if (link->queue_used == 0) {
                break;
            }
            load_outgoing(link);
        }
        const size_t waiting = link->outgoing_size - link->outgoing_sent;
        const size_t part = waiting < capacity - written ? waiting : capacity - written;
        memcpy(out + written, link->outgoing + link->outgoing_sent, part);
        link->outgoing_sent += part;
        written += part;
    }
    return written;
}
