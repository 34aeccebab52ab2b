/* A model as prepared for bw_batch_classify(), and how its memory is dealt out; for the files that make it up. */
#ifndef BW_BATCH_MODEL_H
#define BW_BATCH_MODEL_H

#include "bw_batch.h"

/* One of a layer's matrices. Columns are padded to pairs: two int16 products are one step of an int32 sum. */
typedef struct bw_batch_matrix {
    uint32_t pairs;
    int16_t *weights; /* [4][hidden][pairs][2] */
    int32_t *bias;    /* [4][hidden] */
} bw_batch_matrix;

typedef struct bw_batch_layer {
    bw_batch_matrix input;
    bw_batch_matrix recurrent;
    const int16_t *cell_tanh; /* the table's entry for 0 */
} bw_batch_layer;

struct bw_batch {
    const bw_model *model;
    const int16_t *sigmoid; /* the table's entry for 0 */
    const int16_t *tanh;    /* the same, for gates */
    bw_batch_layer layer[BW_MAX_LAYERS];
};

/* Rounded up to a cache line. */
static inline size_t bw_line(size_t size) { return (size + 63u) & ~(size_t)63u; }

/* The next part of a block of memory; of NULL, only counted. */
typedef struct bw_block {
    uint8_t *memory;
    size_t size;
} bw_block;

static inline void *bw_take(bw_block *from, size_t size) {
    void *part = from->memory != NULL ? from->memory + from->size : NULL;
    from->size += bw_line(size);
    return part;
}

#endif
