/* NOR flash in memory, for tests: it keeps the rules of the nRF52840's, and its power can be cut at any operation. */
#ifndef BW_NOR_H
#define BW_NOR_H

#include "bitwave.h"

#define BW_NOR_WRITES 2u /* of a word between two erases */

/* How the operation at which the power is cut ends. */
typedef enum bw_nor_tear {
    BW_NOR_NOTHING = 0, /* as if it had not begun */
    BW_NOR_ALL = 1,     /* finished, but the caller does not learn it */
    BW_NOR_TORN = 2     /* any part of its words and bits */
} bw_nor_tear;

typedef struct bw_nor {
    bw_flash flash;
    uint8_t *bytes;      /* [BW_SLOTS][slot_pages][page_size] */
    uint8_t *writes;     /* per word, since its page was erased */
    uint32_t operations; /* pages erased and words written since the start */
    uint32_t cut_at;     /* this operation is the last; UINT32_MAX: none */
    uint32_t tear;       /* bw_nor_tear */
    uint32_t random;     /* of BW_NOR_TORN; not 0 */
    uint32_t breaches;   /* of the rules: must stay 0 */
    uint32_t off;        /* the power is cut */
} bw_nor;

/* The memory stays as it is: `bytes` all ones and `writes` all zeros are a new flash. */
void bw_nor_init(bw_nor *nor, uint8_t bytes[], uint8_t writes[], uint32_t page_size, uint32_t slot_pages);

#endif
