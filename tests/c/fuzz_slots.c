/* Updates in any order, with the power cut anywhere and the flash torn: what is active is always a whole model that was
 * sent and passes its known answer, and the flash is never written against its rules. */
#include <stdlib.h>
#include <string.h>

#include "../../firmware/host/bw_nor.h"
#include "fuzz.h"

enum { DEEDS = 200, PAGE = 256, PAGES = 12, FLASH = BW_SLOTS * PAGE * PAGES, MODELS = 4 };

typedef struct world {
    bw_slots slots;
    bw_nor nor;
    uint8_t bytes[FLASH];
    uint8_t writes[FLASH / 4];
    uint8_t *images[MODELS]; /* the same model under several digests; the last does not give its known answer */
    size_t image_size;
    uint32_t sending;
} world;

static bw_status check(void *context, const bw_model *model) {
    uint32_t arena[512];
    (void)context;
    return bw_self_test(model, arena, sizeof arena);
}

static void must_be_valid(const world *w) {
    bw_model model;
    if (w->nor.breaches != 0) {
        fuzz_fail("the flash was written against its rules", w->nor.breaches);
    }
    if (w->slots.active == BW_BUILT_IN) {
        return;
    }
    const uint8_t *image = (const uint8_t *)w->nor.flash.slots[w->slots.active] + BW_SLOT_HEADER;
    uint32_t known = 0;
    for (uint32_t i = 0; i + 1 < MODELS; ++i) {
        known += memcmp(image, w->images[i], w->image_size) == 0;
    }
    if (known == 0 || bw_model_open(&model, image, w->image_size) != BW_OK || check(NULL, &model) != BW_OK) {
        fuzz_fail("the active model is none that was sent", w->slots.active);
    }
}

static void start(world *w, uint32_t cut_at, uint32_t tear) {
    bw_nor_init(&w->nor, w->bytes, w->writes, PAGE, PAGES);
    w->nor.cut_at = cut_at;
    w->nor.tear = tear;
    w->nor.random = cut_at * 2u + 1u;
    bw_slots_open(&w->slots, &w->nor.flash, check, NULL);
}

static bw_status begin(world *w, uint32_t which, uint8_t lie) {
    bw_update update;
    w->sending = which;
    update.size = (uint32_t)w->image_size + (lie == 1 ? 4u : 0u);
    update.crc = bw_crc32(0, w->images[which], w->image_size) ^ (lie == 2);
    memcpy(update.digest, w->images[which] + 16, BW_DIGEST);
    update.digest[0] ^= lie == 3;
    return bw_slots_begin(&w->slots, &update);
}

static bw_status write(world *w, uint32_t words, int junk) {
    uint8_t bytes[BW_UPDATE_CHUNK] = {0};
    const uint32_t at = w->slots.received;
    const uint32_t rest = at < w->image_size ? (uint32_t)w->image_size - at : 0u;
    const uint32_t size = 4u * words < rest ? 4u * words : rest;
    if (w->slots.receiving == BW_BUILT_IN) {
        return bw_slots_write(&w->slots, bytes, 0);
    }
    memcpy(bytes, w->images[w->sending] + at, size);
    bytes[0] ^= (uint8_t)junk;
    return bw_slots_write(&w->slots, bytes, size);
}

static bw_status act(world *w, fuzz_reader *reader) {
    const uint8_t deed = fuzz_u8(reader);
    bw_status status = BW_OK;
    uint32_t at;
    switch (deed & 7u) {
    case 0:
        return begin(w, deed >> 6, (deed >> 3) & 7u);
    case 1:
    case 2:
        return write(w, fuzz_u8(reader) % (BW_UPDATE_CHUNK / 4u + 1u), deed >> 5 == 7);
    case 3: /* all the rest at once */
        for (int i = 0; i < 20 && status == BW_OK && w->slots.received < w->slots.update.size; ++i) {
            status = write(w, BW_UPDATE_CHUNK / 4u, 0);
        }
        return status;
    case 4:
        return bw_slots_finish(&w->slots);
    case 5:
        if (deed >> 3 == 0) {
            bw_slots_abort(&w->slots);
            return BW_OK;
        }
        return bw_slots_rollback(&w->slots);
    case 6: /* a cut to come, or the power comes back */
        at = fuzz_u16(reader);
        start(w, at < 1500 ? at : UINT32_MAX, at % 3u);
        return BW_OK;
    default: /* bits fall in the flash while the power is off */
        at = fuzz_u16(reader) % FLASH;
        w->bytes[at] &= (uint8_t)~(1u << (deed >> 5));
        start(w, UINT32_MAX, 0);
        return BW_OK;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_reader reader = {data, size};
    world *w = fuzz_block(sizeof *w);
    const uint8_t *image = fuzz_image(&w->image_size);
    memset(w->bytes, 0xFF, sizeof w->bytes);
    memset(w->writes, 0, sizeof w->writes);
    for (uint32_t i = 0; i < MODELS; ++i) {
        w->images[i] = fuzz_block(w->image_size);
        memcpy(w->images[i], image, w->image_size);
        w->images[i][16] = (uint8_t)i;
        w->images[i][w->image_size - 4] ^= (uint8_t)(i + 1 == MODELS); /* a score of the known answer, or its padding */
        fuzz_fix_crc(w->images[i], w->image_size);
    }
    w->sending = 0;
    start(w, UINT32_MAX, 0);
    for (int deed = 0; deed < DEEDS && reader.size > 0; ++deed) {
        const bw_status status = act(w, &reader);
        must_be_valid(w);
        if (status == BW_FLASH_FAILED && !w->nor.off) {
            fuzz_fail("flash with power failed", (unsigned long)deed);
        }
    }
    start(w, UINT32_MAX, 0);
    must_be_valid(w);
    if (begin(w, 1, 0) != BW_OK) {
        fuzz_fail("no update can begin", 0);
    }
    while (w->slots.received < w->slots.update.size) {
        if (write(w, BW_UPDATE_CHUNK / 4u, 0) != BW_OK) {
            fuzz_fail("an update cannot be written", w->slots.received);
        }
    }
    if (bw_slots_finish(&w->slots) != BW_OK || w->slots.active == BW_BUILT_IN) {
        fuzz_fail("an update cannot be finished", 0);
    }
    must_be_valid(w);
    for (uint32_t i = 0; i < MODELS; ++i) {
        free(w->images[i]);
    }
    free(w);
    return 0;
}

size_t fuzz_seed(uint32_t index, uint8_t out[], size_t capacity) {
    static const uint8_t done[][12] = {
        {0x00, 0x03, 0x04, 0x40, 0x03, 0x04, 0x80, 0x03, 0x04, 0x0D, 0x0D, 0x0D},
        {0x00, 0x01, 30, 0x02, 99, 0x03, 0x04, 0x06, 100, 0, 0x40, 0x03},
        {0x00, 0x03, 0x04, 0x06, 30, 1, 0x40, 0x03, 0x04, 0x06, 255, 255},
        {0x00, 0x03, 0x04, 0x06, 0, 0, 0x0D, 0x06, 255, 255, 0x40, 0x03},
        {0xC0, 0x03, 0x04, 0x08, 0x03, 0x04, 0x10, 0x03, 0x04, 0x18, 0x03, 0x04},
        {0x00, 0x03, 0x04, 0x07, 40, 0, 0x27, 4, 0, 0x40, 0x03, 0x04},
    };
    if (index >= sizeof done / sizeof done[0] || capacity < sizeof done[0]) {
        return 0;
    }
    memcpy(out, done[index], sizeof done[0]);
    return sizeof done[0];
}
