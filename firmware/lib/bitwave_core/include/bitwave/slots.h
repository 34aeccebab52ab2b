/* Models in flash, beside the built-in one. */
#ifndef BW_SLOTS_H
#define BW_SLOTS_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BW_SLOTS 2u
#define BW_BUILT_IN 0xFFu   /* in place of a slot's number: the model that the firmware was built with */
#define BW_SLOT_HEADER 32u  /* bytes before the image */
#define BW_DIGEST 8u        /* bytes of the .tflite's SHA-256 that name a model */

/* NOR flash that is mapped into memory; an erased word is all ones, and writing only clears bits. The core writes no
 * word more than twice without an erase between. Both functions return BW_OK or BW_FLASH_FAILED, when the flash has
 * finished. */
typedef struct bw_flash {
    void *context;
    const void *slots[BW_SLOTS]; /* where each slot can be read, BW_ALIGNMENT-aligned: models run from there */
    uint32_t page_size;          /* bytes that one erase clears */
    uint32_t slot_pages;         /* of each slot */
    bw_status (*erase)(void *context, uint32_t slot, uint32_t page);
    bw_status (*program)(void *context, uint32_t slot, uint32_t offset, const uint32_t words[], uint32_t count);
} bw_flash;

typedef enum bw_slot_state {
    BW_SLOT_EMPTY = 0,     /* or never finished */
    BW_SLOT_VALID = 1,
    BW_SLOT_REVOKED = 2,   /* rolled back */
    BW_SLOT_UNUSABLE = 3,  /* corrupt, of another version, or not for this board */
    BW_SLOT_RECEIVING = 4
} bw_slot_state;

/* What a model must pass beside bw_model_open(), e.g. its known answer. */
typedef bw_status (*bw_model_check)(void *context, const bw_model *model);

/* What an update is known by: the same again after a lost link goes on where it was. */
typedef struct bw_update {
    uint32_t size;  /* of the image, a multiple of four */
    uint32_t crc;   /* CRC-32 of the whole image */
    uint8_t digest[BW_DIGEST];
} bw_update;

typedef struct bw_slots {
    const bw_flash *flash;
    bw_model_check check;
    void *check_context;
    bw_model model; /* of the active slot */
    uint8_t states[BW_SLOTS]; /* bw_slot_state */
    uint32_t generations[BW_SLOTS]; /* newest is largest; 0: unknown */
    uint8_t active;    /* slot, or BW_BUILT_IN */
    uint8_t receiving; /* slot, or BW_BUILT_IN: no update */
    bw_update update;
    uint32_t received; /* bytes of the image */
    uint32_t erased;   /* bytes of the slot */
} bw_slots;

/* Finds the newest valid model: slots->active and slots->model; BW_BUILT_IN where there is none. */
void bw_slots_open(bw_slots *slots, const bw_flash *flash, bw_model_check check, void *context);

/* Largest image that fits, in bytes. */
uint32_t bw_slots_room(const bw_flash *flash);

/* Starts an update into the slot that is not active, or goes on with the same one: slots->received tells where. */
BW_MUST_CHECK bw_status bw_slots_begin(bw_slots *slots, const bw_update *update);

/* The next bytes of the image, a multiple of four: erases where a page begins. After BW_FLASH_FAILED the update is
 * over. */
BW_MUST_CHECK bw_status bw_slots_write(bw_slots *slots, const uint8_t bytes[], uint32_t size);

/* Verifies the whole image and makes it the active model, with one last word. A refused image ends the update. */
BW_MUST_CHECK bw_status bw_slots_finish(bw_slots *slots);

void bw_slots_abort(bw_slots *slots);

/* Gives up the active slot for the next older valid one, or for the built-in model; ends an update. */
BW_MUST_CHECK bw_status bw_slots_rollback(bw_slots *slots);

#ifdef __cplusplus
}
#endif

#endif
