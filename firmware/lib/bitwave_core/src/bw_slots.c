/* Two model slots in NOR flash. A slot is a header and an image:
 *
 *   magic u32, generation u32, size u32, CRC-32 of the image u32, digest u8[8], CRC-32 of all before u32, unused u32
 *
 * An update erases the slot that is not active, page by page as its bytes come, so that the header goes first. The
 * header is written last, and its CRC as the very last word: until that word is whole the slot counts for nothing, so a
 * power cut at any moment leaves the other slot, or the built-in model. Of the valid slots the larger generation is
 * active. Rolling back clears that same word: no half of this, nor of an erase, can make the header whole again. */
#include <string.h>

#include "bitwave.h"

enum {
    MAGIC = 0x31535742, /* "BWS1" */
    HEADER_WORDS = BW_SLOT_HEADER / 4,
    CHECK_AT = 6,    /* word: CRC-32 of the words before */
    CHUNK_WORDS = 32 /* programmed at once */
};

static const uint8_t *slot_bytes(const bw_slots *slots, uint32_t slot) { return slots->flash->slots[slot]; }

/* The header's words, and what it says: never that a slot is valid unless they are whole. */
static bw_slot_state read_header(const bw_slots *slots, uint32_t slot, uint32_t words[HEADER_WORDS]) {
    memcpy(words, slot_bytes(slots, slot), BW_SLOT_HEADER);
    if (words[0] == MAGIC && words[CHECK_AT] == bw_crc32(0, words, CHECK_AT * sizeof words[0])) {
        return BW_SLOT_VALID;
    }
    return words[0] == MAGIC && words[CHECK_AT] == 0 ? BW_SLOT_REVOKED : BW_SLOT_EMPTY;
}

uint32_t bw_slots_room(const bw_flash *flash) {
    return flash == NULL ? 0u : flash->slot_pages * flash->page_size - BW_SLOT_HEADER;
}

/* Opens the image in a slot, whole and as announced, and lets it be checked. */
static bw_status open_image(const bw_slots *slots, uint32_t slot, const bw_update *update, bw_model *model) {
    const uint8_t *image = slot_bytes(slots, slot) + BW_SLOT_HEADER;
    if (update->size > bw_slots_room(slots->flash)) {
        return BW_IMAGE_SIZE;
    }
    if (bw_crc32(0, image, update->size) != update->crc) {
        return BW_IMAGE_CRC;
    }
    const bw_status status = bw_model_open(model, image, update->size);
    if (status != BW_OK) {
        return status;
    }
    if (memcmp(model->digest, update->digest, BW_DIGEST) != 0) {
        return BW_IMAGE_CRC;
    }
    return slots->check(slots->check_context, model);
}

/* What a slot holds after a start: its state and generation. */
static void look_at(bw_slots *slots, uint32_t slot) {
    uint32_t words[HEADER_WORDS];
    bw_update update;
    bw_model model;
    slots->generations[slot] = 0;
    slots->states[slot] = (uint8_t)read_header(slots, slot, words);
    if (slots->states[slot] != BW_SLOT_VALID) {
        return;
    }
    slots->generations[slot] = words[1];
    update.size = words[2];
    update.crc = words[3];
    memcpy(update.digest, words + 4, BW_DIGEST);
    if (open_image(slots, slot, &update, &model) != BW_OK) {
        slots->states[slot] = BW_SLOT_UNUSABLE;
    }
}

/* Makes the newest valid slot active. */
static void choose(bw_slots *slots) {
    slots->active = BW_BUILT_IN;
    for (uint8_t slot = 0; slot < BW_SLOTS; ++slot) {
        if (slots->states[slot] == BW_SLOT_VALID &&
            (slots->active == BW_BUILT_IN || slots->generations[slot] > slots->generations[slots->active])) {
            slots->active = slot;
        }
    }
    if (slots->active != BW_BUILT_IN) {
        uint32_t words[HEADER_WORDS];
        (void)read_header(slots, slots->active, words);
        if (bw_model_open(&slots->model, slot_bytes(slots, slots->active) + BW_SLOT_HEADER, words[2]) != BW_OK) {
            slots->states[slots->active] = BW_SLOT_UNUSABLE; /* was valid a moment ago: the flash is failing */
            slots->active = BW_BUILT_IN;
        }
    }
}

void bw_slots_open(bw_slots *slots, const bw_flash *flash, bw_model_check check, void *context) {
    memset(slots, 0, sizeof *slots);
    slots->flash = flash;
    slots->check = check;
    slots->check_context = context;
    slots->receiving = BW_BUILT_IN;
    slots->active = BW_BUILT_IN;
    if (flash != NULL) {
        for (uint32_t slot = 0; slot < BW_SLOTS; ++slot) {
            look_at(slots, slot);
        }
        choose(slots);
    }
}

/* The slot for an update: never the active one; of two, the one that is worth less. */
static uint8_t slot_to_fill(const bw_slots *slots) {
    if (slots->active != BW_BUILT_IN) {
        return (uint8_t)(1u - slots->active);
    }
    return slots->generations[0] > slots->generations[1];
}

static int same_update(const bw_update *a, const bw_update *b) {
    return a->size == b->size && a->crc == b->crc && memcmp(a->digest, b->digest, BW_DIGEST) == 0;
}

bw_status bw_slots_begin(bw_slots *slots, const bw_update *update) {
    if (slots->flash == NULL) {
        return BW_NO_SLOTS;
    }
    if (slots->receiving != BW_BUILT_IN && same_update(&slots->update, update)) {
        return BW_OK;
    }
    if (update->size == 0 || update->size % 4 != 0 || update->size > bw_slots_room(slots->flash)) {
        return BW_IMAGE_SIZE;
    }
    bw_slots_abort(slots);
    slots->receiving = slot_to_fill(slots);
    slots->update = *update;
    slots->received = 0;
    slots->erased = 0;
    return BW_OK;
}

/* Ends an update whose bytes are worth nothing. */
static bw_status fail(bw_slots *slots, bw_status status) {
    bw_slots_abort(slots);
    return status;
}

/* Erases, page by page, until the slot has room up to `end`. */
static bw_status make_room(bw_slots *slots, uint32_t end) {
    const bw_flash *flash = slots->flash;
    while (slots->erased < end) {
        slots->states[slots->receiving] = BW_SLOT_RECEIVING; /* what it held is gone from now on */
        const uint32_t page = slots->erased / flash->page_size;
        const bw_status status = flash->erase(flash->context, slots->receiving, page);
        if (status != BW_OK) {
            return status;
        }
        slots->erased += flash->page_size;
    }
    return BW_OK;
}

/* Writes words into the slot that receives, and reads them back. */
static bw_status put_words(const bw_slots *slots, uint32_t offset, const uint32_t words[], uint32_t count) {
    const bw_flash *flash = slots->flash;
    const bw_status status = flash->program(flash->context, slots->receiving, offset, words, count);
    if (status != BW_OK) {
        return status;
    }
    return memcmp(slot_bytes(slots, slots->receiving) + offset, words, count * sizeof words[0]) == 0 ? BW_OK
                                                                                                      : BW_FLASH_FAILED;
}

bw_status bw_slots_write(bw_slots *slots, const uint8_t bytes[], uint32_t size) {
    if (slots->receiving == BW_BUILT_IN) {
        return BW_BAD_STATE;
    }
    if (size % 4 != 0 || size > slots->update.size - slots->received) {
        return BW_BAD_ARGUMENT;
    }
    bw_status status = make_room(slots, BW_SLOT_HEADER + slots->received + size);
    for (uint32_t at = 0; at < size && status == BW_OK;) {
        uint32_t words[CHUNK_WORDS];
        const uint32_t part = size - at < sizeof words ? size - at : (uint32_t)sizeof words;
        memcpy(words, bytes + at, part);
        status = put_words(slots, BW_SLOT_HEADER + slots->received, words, part / 4u);
        slots->received += part;
        at += part;
    }
    return status == BW_OK ? BW_OK : fail(slots, status);
}

static bw_status write_header(bw_slots *slots, uint32_t generation) {
    uint32_t words[HEADER_WORDS] = {MAGIC, generation, slots->update.size, slots->update.crc};
    memcpy(words + 4, slots->update.digest, BW_DIGEST);
    words[CHECK_AT] = bw_crc32(0, words, CHECK_AT * sizeof words[0]);
    const bw_status status = put_words(slots, 0, words, CHECK_AT);
    /* the one word that makes the slot valid */
    return status == BW_OK ? put_words(slots, CHECK_AT * sizeof words[0], words + CHECK_AT, 1) : status;
}

bw_status bw_slots_finish(bw_slots *slots) {
    bw_model model;
    if (slots->receiving == BW_BUILT_IN || slots->received != slots->update.size) {
        return BW_BAD_STATE;
    }
    const uint8_t slot = slots->receiving;
    const uint32_t *generations = slots->generations;
    const uint32_t generation = (generations[0] > generations[1] ? generations[0] : generations[1]) + 1u;
    bw_status status = open_image(slots, slot, &slots->update, &model);
    if (status == BW_OK) {
        status = write_header(slots, generation);
    }
    if (status != BW_OK) {
        return fail(slots, status);
    }
    slots->receiving = BW_BUILT_IN;
    slots->states[slot] = BW_SLOT_VALID;
    slots->generations[slot] = generation;
    choose(slots);
    return slots->active == slot ? BW_OK : BW_FLASH_FAILED;
}

void bw_slots_abort(bw_slots *slots) {
    if (slots->receiving != BW_BUILT_IN) {
        if (slots->states[slots->receiving] == BW_SLOT_RECEIVING) {
            slots->states[slots->receiving] = BW_SLOT_EMPTY;
        }
        slots->receiving = BW_BUILT_IN;
    }
}

bw_status bw_slots_rollback(bw_slots *slots) {
    const uint32_t revoked = 0;
    if (slots->active == BW_BUILT_IN) {
        return slots->flash == NULL ? BW_NO_SLOTS : BW_NOTHING_OLDER;
    }
    bw_slots_abort(slots); /* it may be about to fill the very slot that becomes active */
    const bw_flash *flash = slots->flash;
    const bw_status status =
        flash->program(flash->context, slots->active, CHECK_AT * sizeof revoked, &revoked, 1);
    if (status != BW_OK) {
        return status;
    }
    slots->states[slots->active] = BW_SLOT_REVOKED;
    choose(slots);
    return BW_OK;
}
