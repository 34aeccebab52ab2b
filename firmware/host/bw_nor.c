#include "bw_nor.h"

#include <string.h>

static uint32_t next_random(bw_nor *nor) {
    nor->random ^= nor->random << 13;
    nor->random ^= nor->random >> 17;
    nor->random ^= nor->random << 5;
    return nor->random;
}

/* Whether the coming operation is done as asked; where not, `*part` says whether any part of it is. */
static int has_power(bw_nor *nor, int *part) {
    const int last = !nor->off && nor->operations == nor->cut_at;
    *part = last && nor->tear == BW_NOR_TORN;
    if (nor->off || (last && nor->tear != BW_NOR_ALL)) {
        nor->off = 1;
        return 0;
    }
    nor->off = (uint32_t)last;
    ++nor->operations;
    return 1;
}

static uint8_t *place(bw_nor *nor, uint32_t slot, uint32_t offset) {
    return nor->bytes + slot * nor->flash.slot_pages * nor->flash.page_size + offset;
}

static bw_status nor_erase(void *context, uint32_t slot, uint32_t page) {
    bw_nor *nor = context;
    int part;
    if (slot >= BW_SLOTS || page >= nor->flash.slot_pages) {
        ++nor->breaches;
        return BW_FLASH_FAILED;
    }
    uint8_t *bytes = place(nor, slot, page * nor->flash.page_size);
    uint8_t *writes = nor->writes + (bytes - nor->bytes) / 4;
    if (has_power(nor, &part)) {
        memset(bytes, 0xFF, nor->flash.page_size);
        memset(writes, 0, nor->flash.page_size / 4);
    }
    for (uint32_t i = 0; part && i < nor->flash.page_size; i += 4) {
        const uint32_t kind = next_random(nor) % 4; /* a word is erased, half erased, or not yet */
        for (uint32_t k = i; kind < 3 && k < i + 4; ++k) {
            bytes[k] = kind < 2 ? 0xFF : (uint8_t)(bytes[k] | next_random(nor));
        }
    }
    return nor->off ? BW_FLASH_FAILED : BW_OK;
}

static void write_word(bw_nor *nor, uint8_t *bytes, uint32_t word) {
    uint32_t old;
    int part;
    memcpy(&old, bytes, sizeof old);
    const int has = has_power(nor, &part);
    if (!has && !part) {
        return;
    }
    uint8_t *writes = nor->writes + (bytes - nor->bytes) / 4;
    if ((word & ~old) != 0 || *writes >= BW_NOR_WRITES) {
        ++nor->breaches;
    }
    ++*writes;
    old &= part ? word | next_random(nor) : word;
    memcpy(bytes, &old, sizeof old);
}

static bw_status nor_program(void *context, uint32_t slot, uint32_t offset, const uint32_t words[], uint32_t count) {
    bw_nor *nor = context;
    const uint32_t size = nor->flash.slot_pages * nor->flash.page_size;
    if (slot >= BW_SLOTS || offset % 4 != 0 || offset > size || count > (size - offset) / 4) {
        ++nor->breaches;
        return BW_FLASH_FAILED;
    }
    for (uint32_t i = 0; i < count; ++i) {
        write_word(nor, place(nor, slot, offset + 4 * i), words[i]);
    }
    return nor->off ? BW_FLASH_FAILED : BW_OK;
}

void bw_nor_init(bw_nor *nor, uint8_t bytes[], uint8_t writes[], uint32_t page_size, uint32_t slot_pages) {
    memset(nor, 0, sizeof *nor);
    nor->bytes = bytes;
    nor->writes = writes;
    nor->cut_at = UINT32_MAX;
    nor->random = 1;
    nor->flash.context = nor;
    nor->flash.page_size = page_size;
    nor->flash.slot_pages = slot_pages;
    nor->flash.erase = nor_erase;
    nor->flash.program = nor_program;
    for (uint32_t slot = 0; slot < BW_SLOTS; ++slot) {
        nor->flash.slots[slot] = place(nor, slot, 0);
    }
}
