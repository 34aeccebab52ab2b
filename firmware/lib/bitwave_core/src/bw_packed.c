#include "bw_packed.h"

#include <string.h>

#include "bw_kernels.h"
#include "bw_slopes.h"

enum { HALVES = 2 * BW_GROUP }; /* of a pair's or quad's words */

/* Halfwords of a group's pair, then of its quads. */
static const int16_t *group_of(const bw_matrix *matrix, uint32_t gate, uint32_t group) {
    const int16_t *halves = matrix->weights;
    return halves + (gate * matrix->groups + group) * (matrix->pairs + matrix->quads) * HALVES;
}

static uint32_t magnitude(int32_t value) { return (uint32_t)(value < 0 ? -value : value); }

bw_row bw_packed_row(const bw_matrix *matrix, uint32_t gate, uint32_t unit) {
    bw_row row = {0, 0, 0};
    const int16_t *halves = group_of(matrix, gate, unit / BW_GROUP) + 2 * (unit % BW_GROUP);
    for (uint32_t i = 0; i < 2 * (matrix->pairs + matrix->quads); ++i) {
        const int32_t half = halves[i / 2 * HALVES + i % 2];
        const int32_t even = i < 2 * matrix->pairs ? half : (int8_t)half;
        const int32_t odd = (half - even) >> 8;
        row.magnitude += magnitude(even) + magnitude(odd);
        row.sum += even + odd;
        row.odd += odd;
    }
    return row;
}

void bw_packed_fold_all(const bw_matrix *matrix, int32_t bias[]) {
    for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
        for (uint32_t unit = 0; unit < BW_GROUP * matrix->groups; ++unit) {
            *bias++ = (int32_t)bw_packed_fold(matrix, bw_packed_row(matrix, gate, unit));
        }
    }
}

#if !BW_DSP

/* What the vector's elements do to the halfwords of a quad: the whole halfwords times z, their low bytes times y. All
 * fit int16, which compilers know vectors for. */
typedef struct factors {
    int16_t z[2];
    int16_t y[2];
} factors;

static factors factors_of(const int8_t input[4]) {
    const int32_t z[2] = {input[1] - 127, input[3] - 127};
    const factors found = {{(int16_t)z[0], (int16_t)z[1]},
                           {(int16_t)(256 * input[0] - z[0]), (int16_t)(256 * input[2] - z[1])}};
    return found;
}

/* Adds the products of one pair or quad to eight sums. Modulo 2^32: only the whole sum has to fit. */
static inline void add_products(uint32_t sums[BW_GROUP], const int16_t halves[HALVES], int16_t lower, int16_t upper) {
    for (uint32_t i = 0; i < BW_GROUP; ++i) {
        sums[i] += (uint32_t)(halves[2 * i] * lower) + (uint32_t)(halves[2 * i + 1] * upper);
    }
}

static inline void add_quads(uint32_t sums[BW_GROUP], const int16_t halves[], uint32_t quads, const factors by[]) {
    for (uint32_t quad = 0; quad < quads; ++quad, halves += HALVES) {
        int16_t low_bytes[HALVES];
        for (uint32_t i = 0; i < HALVES; ++i) {
            low_bytes[i] = (int8_t)halves[i];
        }
        add_products(sums, halves, by[quad].z[0], by[quad].z[1]);
        add_products(sums, low_bytes, by[quad].y[0], by[quad].y[1]);
    }
}

/* A gate's requantization of eight sums that are scaled by 256. Sums shifted right by seven bits less their scale's
 * left shift are twice the value that the scale multiplies, so the upper word of the product is the first rounding. */
static void round_group(const uint32_t sums[BW_GROUP], bw_scale scale, int16_t *parts) {
    const int32_t drop = scale.shift > 0 ? 7 - scale.shift : 7;
    const int32_t right = scale.shift > 0 ? 0 : -scale.shift;
    const int32_t half = bw_shift_left(1, right) >> 1;
    const int32_t away = right > 0 ? 1 : 0; /* ties of the second rounding go away from zero */
    int32_t rounded[BW_GROUP];
    for (uint32_t i = 0; i < BW_GROUP; ++i) {
        const int64_t product = (int64_t)((int32_t)sums[i] >> drop) * scale.mantissa;
        rounded[i] = (int32_t)((product + ((int64_t)1 << 31)) >> 32);
    }
    for (uint32_t i = 0; i < BW_GROUP; ++i) {
        const int32_t tie = half + ((rounded[i] >> 31) & -away);
        rounded[i] = bw_clamp((rounded[i] + tie) >> right, INT16_MIN, INT16_MAX);
    }
    for (uint32_t i = 0; i < BW_GROUP; ++i) {
        parts[i * BW_RECORD] = (int16_t)rounded[i];
    }
}

void bw_packed_product(const bw_matrix *matrix, const int32_t bias[], const int8_t input[], int16_t parts[]) {
    factors by[BW_DSP_QUADS];
    const int8_t *pair = input + 4 * matrix->quads;
    for (uint32_t quad = 0; quad < matrix->quads; ++quad) {
        by[quad] = factors_of(input + 4 * quad);
    }
    for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
        for (uint32_t group = 0; group < matrix->groups; ++group, bias += BW_GROUP) {
            const int16_t *halves = group_of(matrix, gate, group);
            uint32_t sums[BW_GROUP];
            memcpy(sums, bias, sizeof sums);
            if (matrix->pairs != 0) {
                add_products(sums, halves, (int16_t)(256 * pair[0]), (int16_t)(256 * pair[1]));
                halves += HALVES;
            }
            add_quads(sums, halves, matrix->quads, by);
            round_group(sums, matrix->scales[gate], parts + BW_GROUP * group * BW_RECORD + gate);
        }
    }
}

/* 2^15 times the curve at `position`, whose low nine bits are the fraction, less 2^30, plus `constant`. */
static int32_t interpolate(int32_t position, int32_t constant) {
    const uint32_t entry = bw_slopes[BW_SLOPES_MIDDLE + (position >> 9)];
    const int32_t slope = (int32_t)(entry & 0xFFFFu);
    return (int16_t)(entry >> 16) * -32768 + 64 * slope * (position & 511) + constant;
}

static int32_t sign_of(int32_t value) { return value < 0 ? -1 : 0; }

static int32_t sigmoid(int32_t gate, int32_t constant) {
    const int32_t position = 3 * gate;
    return interpolate(position, constant + sign_of(position)) >> 16;
}

static int32_t tanh_at(int32_t position) { return interpolate(position, (1 << 14) + sign_of(position)) >> 15; }

void bw_packed_activate(const int16_t parts[], int16_t cell[], int8_t hidden[], const bw_cell_constants *constants) {
    const int32_t flat = BW_SLOPES_MIDDLE << 9; /* behind it the curve is flat */
    for (uint32_t unit = 0; unit < constants->units; ++unit, parts += BW_RECORD) {
        int32_t gates[BW_GATES];
        for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
            gates[gate] = bw_sat16(parts[gate] + parts[BW_GATES + gate]);
        }
        const int32_t candidate = tanh_at(bw_clamp(6 * gates[2], -flat, flat - 1));
        const int32_t added =
            sigmoid(gates[0], constants->sigmoid) * candidate + constants->added + 2 * sign_of(candidate);
        const int32_t before = cell[unit];
        const int32_t kept = sigmoid(gates[1], constants->sigmoid) * before + constants->kept + 2 * sign_of(before);
        const int32_t state = bw_sat16((added >> constants->added_shift) + (kept >> 15));
        cell[unit] = (int16_t)state;
        const int32_t position = (int32_t)(((int64_t)state * 65536 * constants->position + ((int64_t)1 << 31)) >> 32);
        const int32_t out = tanh_at(bw_clamp(2 * position, -flat, flat - 1)) * sigmoid(gates[3], constants->sigmoid);
        const int32_t rounded = (int32_t)(((int64_t)out * constants->output_multiplier + ((int64_t)1 << 30)) >> 31);
        hidden[unit] = bw_sat8((rounded + constants->output + sign_of(out)) >> constants->output_shift);
    }
}

#endif
