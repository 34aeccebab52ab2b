/* Packed weights: the layout that the Cortex-M4 kernels read, and that every build can.
 *
 * Per gate and group of eight units: one word per unit for the pair of columns, if there is one, then per quad of
 * columns one word per unit. A quad's word holds the weights of four columns in two halfwords, 256 w1 + w0 and 256 w3 +
 * w2; a pair's word two int16 weights. Columns and units behind the last are zero. A pair is there where one or two
 * columns of an input matrix remain behind the quads; elsewhere they take a quad.
 *
 * Sums are scaled by 256, and their biases are folded: 256 (b + 127 (w1 + w3 of every quad) - zero * (all weights)).
 * bw_dsp_product.S tells why. Which layers are packed: image.py, which knows what bw_prepare.c checks. */
#ifndef BW_PACKED_H
#define BW_PACKED_H

#include "bw_dsp.h"
#include "bw_fixed.h"

/* What the bounds and the biases need to know of one row. */
typedef struct bw_row {
    uint32_t magnitude; /* sum of |w| */
    int32_t sum;        /* of w */
    int32_t odd;        /* of the w1 and w3 of quads */
} bw_row;

bw_row bw_packed_row(const bw_matrix *matrix, uint32_t gate, uint32_t unit);

/* The folded bias of a row whose own bias is 0. Modulo 2^32, as the sums: only the whole sum has to fit. */
static inline uint32_t bw_packed_fold(const bw_matrix *matrix, bw_row row) {
    return 256u * (127u * (uint32_t)row.odd - (uint32_t)matrix->zero * (uint32_t)row.sum);
}

/* bias [4][8 * groups] of a matrix without biases of its own */
void bw_packed_fold_all(const bw_matrix *matrix, int32_t bias[]);

#if !BW_DSP
/* What bw_dsp_product() and bw_dsp_activate() compute, in C. */
void bw_packed_product(const bw_matrix *matrix, const int32_t bias[], const int8_t input[], int16_t parts[]);
void bw_packed_activate(const int16_t parts[], int16_t cell[], int8_t hidden[], const bw_cell_constants *constants);
#endif

#endif
