/* A host that says anything over two links, while samples come, time passes and the flash fails: the app goes on, what
 * it sends is sound, and it answers. An input is a list of deeds: what, and its bytes. */
#include <stdlib.h>
#include <string.h>

#include "../../firmware/host/bw_nor.h"
#include "fuzz.h"

enum { DEEDS = 200, PAGE = 256, PAGES = 12, FLASH = BW_SLOTS * PAGE * PAGES, ROOM = 600 };

typedef struct world {
    bw_app app;
    bw_board board;
    bw_model model;
    bw_nor nor;
    bw_wire_decoder heard[BW_APP_LINKS];
    uint8_t bytes[FLASH];
    uint8_t writes[FLASH / 4];
    uint32_t statuses[BW_APP_LINKS];
    uint32_t time_us;
    uint32_t period_us; /* of the sensor */
    uint16_t sequence;
    void *arena;
    size_t arena_size;
} world;

/* Everything that waits; all of it must be frames. */
static void listen(world *w, uint32_t link, size_t capacity) {
    uint8_t out[ROOM];
    const size_t size = bw_app_transmit(&w->app, link, out, capacity);
    for (size_t i = 0; i < size; ++i) {
        bw_frame frame;
        if (bw_wire_receive(&w->heard[link], out[i], &frame)) {
            w->statuses[link] += frame.type == BW_FRAME_STATUS;
        }
    }
    if (w->heard[link].errors != 0) {
        fuzz_fail("the app sent what is no frame", link);
    }
}

/* A sound frame with these bytes for body, or what follows from the image for an update. */
static void command(world *w, fuzz_reader *reader, uint32_t link) {
    uint8_t payload[BW_WIRE_PAYLOAD] = {0};
    uint8_t frame[BW_WIRE_FRAME];
    const uint8_t *body;
    size_t image_size;
    const uint8_t *image = fuzz_image(&image_size);
    uint8_t *at = payload + BW_WIRE_HEADER;
    const uint8_t type = fuzz_u8(reader);
    size_t size = fuzz_u8(reader) % 128u;
    payload[0] = type;
    payload[1] = (uint8_t)w->sequence;
    ++w->sequence;
    if (type == BW_COMMAND_UPDATE_BEGIN && size > 0) {
        const uint32_t crc = bw_crc32(0, image, image_size);
        for (int i = 0; i < 4; ++i) {
            at[i] = (uint8_t)(image_size >> (8 * i));
            at[4 + i] = (uint8_t)(crc >> (8 * i));
        }
        memcpy(at + 8, image + 16, BW_DIGEST);
        at[15] ^= (uint8_t)(size == 77);
        size = 16;
    } else if (type == BW_COMMAND_UPDATE_CHUNK && size > 4) {
        const uint32_t jump = size < 100 ? 0u : (uint32_t)(4u * size);
        const uint32_t offset = w->app.slots.received + jump < image_size ? w->app.slots.received + jump : 0u;
        const size_t rest = image_size - offset;
        const size_t part = rest < 4 * size ? rest : 4 * size;
        at[0] = (uint8_t)(size & 1u);
        for (int i = 0; i < 4; ++i) {
            at[1 + i] = (uint8_t)(offset >> (8 * i));
        }
        memcpy(at + 5, image + offset, part < BW_UPDATE_CHUNK ? part : BW_UPDATE_CHUNK);
        size = 5 + (part < BW_UPDATE_CHUNK ? part : BW_UPDATE_CHUNK);
    } else {
        const size_t taken = fuzz_bytes(reader, &body, size);
        memcpy(at, body, taken);
        size = taken;
    }
    bw_app_receive(&w->app, link, frame, bw_wire_encode(frame, payload, BW_WIRE_HEADER + size));
}

static void start(world *w, uint32_t cut_at, uint32_t tear) {
    bw_nor_init(&w->nor, w->bytes, w->writes, PAGE, PAGES);
    w->nor.cut_at = cut_at;
    w->nor.tear = tear;
    w->nor.random = cut_at * 2u + 1u;
    if (bw_app_init(&w->app, &w->board, &w->model, &w->nor.flash, w->arena, w->arena_size) != BW_OK) {
        fuzz_fail("the app does not start", 0);
    }
    bw_wire_reset(&w->heard[0]);
    bw_wire_reset(&w->heard[1]);
}

static void sample(world *w, fuzz_reader *reader) {
    int16_t counts[BW_MAX_CHANNELS];
    for (uint32_t i = 0; i < w->board.channels; ++i) {
        counts[i] = (int16_t)((int)fuzz_u8(reader) * 257 - 32768);
    }
    w->time_us += w->period_us;
    bw_app_sample(&w->app, w->time_us, counts);
}

/* A sample that takes nothing from the input. */
static void rest(world *w, int16_t count) {
    int16_t counts[BW_MAX_CHANNELS];
    for (uint32_t i = 0; i < w->board.channels; ++i) {
        counts[i] = count;
    }
    w->time_us += w->period_us;
    bw_app_sample(&w->app, w->time_us, counts);
}

static void act(world *w, fuzz_reader *reader) {
    const uint8_t deed = fuzz_u8(reader);
    const uint32_t link = deed >> 7;
    const uint8_t *bytes;
    size_t size;
    switch (deed & 15u) {
    case 0:
    case 1:
    case 2:
    case 3:
        command(w, reader, link);
        break;
    case 4:
        size = fuzz_bytes(reader, &bytes, fuzz_u8(reader));
        bw_app_receive(&w->app, link, bytes, size);
        break;
    case 5:
        w->time_us += fuzz_u16(reader) * 1000u;
        bw_app_tick(&w->app, w->time_us);
        break;
    case 6:
        bw_app_lost(&w->app, fuzz_u8(reader));
        break;
    case 7:
        bw_app_fault(&w->app, fuzz_u8(reader), "something");
        break;
    case 8:
        bw_app_allow_update(&w->app);
        break;
    case 9:
        w->board.rate_mhz = fuzz_u16(reader) * 4u;
        bw_app_board_changed(&w->app);
        break;
    case 15: /* the sensor's clock drifts, or breaks, and is measured */
        w->period_us = fuzz_u16(reader);
        for (size = 0; size < 2 * BW_RATE_STEPS + 1; ++size) {
            rest(w, (int16_t)size);
        }
        break;
    case 10: /* the power goes later, or comes back now */
        size = fuzz_u16(reader);
        start(w, size < 1000 ? (uint32_t)size : UINT32_MAX, (uint32_t)size % 3u);
        break;
    case 11:
    case 12:
        listen(w, link, 1u + fuzz_u8(reader));
        break;
    case 13: /* many, so that the queues overflow */
        for (size = fuzz_u8(reader); size > 0; --size) {
            sample(w, reader);
        }
        break;
    default:
        sample(w, reader);
        break;
    }
}

/* Whatever was said before: a command on either link is answered. */
static void must_answer(world *w) {
    static const uint8_t empty[2] = {0, 0};
    uint8_t payload[BW_WIRE_HEADER] = {BW_COMMAND_INFO};
    uint8_t frame[BW_WIRE_FRAME];
    const size_t size = bw_wire_encode(frame, payload, sizeof payload);
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        for (int i = 0; i < 12; ++i) {
            listen(w, link, ROOM);
        }
        const uint32_t before = w->statuses[link];
        bw_app_receive(&w->app, link, empty, sizeof empty);
        bw_app_receive(&w->app, link, frame, size);
        for (int i = 0; i < 12; ++i) {
            listen(w, link, ROOM);
        }
        if (w->statuses[link] == before) {
            fuzz_fail("the app does not answer", link);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_reader reader = {data, size};
    size_t image_size;
    const uint8_t *image = fuzz_image(&image_size);
    world *w = fuzz_block(sizeof *w);
    memset(w, 0, sizeof *w);
    memset(w->bytes, 0xFF, sizeof w->bytes);
    if (bw_model_open(&w->model, image, image_size) != BW_OK) {
        fuzz_fail("the image is refused", 0);
    }
    const bw_board board = {0, {1, 2, 3}, w->model.channels, w->model.rate_mhz, w->model.accel_milli_lsb_per_g,
                            w->model.gyro_milli_lsb_per_dps, {BW_LINK_PHYSICAL, BW_LINK_REMOTE}};
    w->board = board;
    w->period_us = 8403;
    w->arena_size = bw_app_arena_size(&w->model);
    w->arena = fuzz_block(w->arena_size);
    start(w, UINT32_MAX, 0);
    for (int deed = 0; deed < DEEDS && reader.size > 0; ++deed) {
        act(w, &reader);
        if (w->nor.breaches != 0) {
            fuzz_fail("the flash was written against its rules", w->nor.breaches);
        }
    }
    must_answer(w);
    free(w->arena);
    free(w);
    return 0;
}

size_t fuzz_seed(uint32_t index, uint8_t out[], size_t capacity) {
    static const uint8_t said[][48] = {
        {0x00, BW_COMMAND_INFO, 0, 0x80, BW_COMMAND_COUNTERS, 0, 0x00, BW_COMMAND_SELF_TEST, 0, 0x0B, 255, 0x8B, 255},
        {0x00, BW_COMMAND_STREAM, 1, 1, 0x80, BW_COMMAND_RECOGNISE, 1, 1, 14, 1, 2, 3, 14, 4, 5, 6, 14, 7, 8, 9, 14, 1,
         1, 1, 14, 2, 2, 2, 14, 0, 0, 0, 11, 99, 139, 99, 6, 3, 14, 1, 2, 3},
        {0x00, BW_COMMAND_PARITY, 4 + 6, 0, 0, 2, 1, 1, 2, 3, 4, 5, 6, 0x00, BW_COMMAND_PARITY, 4 + 3, 2, 0, 1, 2, 1, 2,
         3, 11, 255},
        {0x00, BW_COMMAND_UPDATE_BEGIN, 16, 0x00, BW_COMMAND_UPDATE_CHUNK, 99, 0x00, BW_COMMAND_UPDATE_CHUNK, 99, 0x00,
         BW_COMMAND_UPDATE_CHUNK, 99, 0x00, BW_COMMAND_UPDATE_CHUNK, 99, 0x00, BW_COMMAND_UPDATE_FINISH, 0, 11, 255,
         0x00, BW_COMMAND_ROLLBACK, 0, 11, 255},
        {8, 0x80, BW_COMMAND_UPDATE_BEGIN, 16, 0x80, BW_COMMAND_UPDATE_CHUNK, 98, 0x80, BW_COMMAND_UPDATE_CHUNK, 98, 10,
         60, 0, 0x00, BW_COMMAND_UPDATE_BEGIN, 16, 0x00, BW_COMMAND_UPDATE_CHUNK, 9, 0x00, BW_COMMAND_UPDATE_ABORT, 0,
         11, 90},
        {0x00, BW_COMMAND_STREAM, 1, 1, 13, 255, 0x00, BW_COMMAND_INFO, 0, 13, 250, 11, 99, 13, 77, 0x00,
         BW_COMMAND_INFO, 0, 11, 255, 13, 200, 0x80, BW_COMMAND_STREAM, 1, 1, 13, 240, 11, 19, 0x8B, 20, 13, 100},
        {0x00, BW_COMMAND_ALLOW_UPDATE, 0, 0x00, BW_COMMAND_BOOTLOADER, 0, 0x80, BW_COMMAND_BOOTLOADER, 0, 5, 96, 234,
         9, 0, 100, 0x00, BW_COMMAND_RECOGNISE, 1, 1, 4, 5, 1, 2, 3, 0, 0, 7, 2},
        {0x00, BW_COMMAND_STREAM, 1, 1, 0x00, BW_COMMAND_RECOGNISE, 1, 1, 15, 0x10, 0x27, 11, 255, 15, 0x10, 0x2B, 11,
         255, 6, 1, 15, 0xE8, 0x03, 0x00, BW_COMMAND_RECOGNISE, 1, 1, 0x00, BW_COMMAND_INFO, 0, 11, 255, 15, 0x10, 0x27,
         0x80, BW_COMMAND_RECOGNISE, 1, 1, 15, 0, 0},
    };
    if (index >= sizeof said / sizeof said[0] || capacity < sizeof said[0]) {
        return 0;
    }
    memcpy(out, said[index], sizeof said[0]);
    return sizeof said[0];
}
