#include "bw_packed.h"

#include "bw_kernels.h"

enum { HALVES = 2 * BW_GROUP }; /* of a pair's or quad's words */

/* What one block holds of a group of rows: halfwords of its pair, then of its quads. */
typedef struct block {
    const int16_t *halves;
    uint32_t pairs;
    uint32_t quads;
} block;

static block block_of(const bw_matrix *matrix, uint32_t index, uint32_t gate, uint32_t group) {
    const uint32_t first = matrix->pairs + matrix->quads;
    const uint32_t groups = gate * matrix->groups + group;
    const int16_t *halves = matrix->weights;
    if (index == 0) {
        const block found = {halves + groups * first * HALVES, matrix->pairs, matrix->quads};
        return found;
    }
    const uint32_t skipped = BW_GATES * matrix->groups * first + groups * matrix->more_quads;
    const block found = {halves + skipped * HALVES, 0, matrix->more_quads};
    return found;
}

static uint32_t magnitude(int32_t value) { return (uint32_t)(value < 0 ? -value : value); }

bw_row bw_packed_row(const bw_matrix *matrix, uint32_t gate, uint32_t unit) {
    bw_row row = {0, 0, 0};
    for (uint32_t index = 0; index < 2; ++index) {
        const block block = block_of(matrix, index, gate, unit / BW_GROUP);
        const int16_t *halves = block.halves + 2 * (unit % BW_GROUP);
        for (uint32_t i = 0; i < 2 * (block.pairs + block.quads); ++i) {
            const int32_t half = halves[i / 2 * HALVES + i % 2];
            const int32_t even = i < 2 * block.pairs ? half : (int8_t)half;
            const int32_t odd = (half - even) >> 8;
            row.magnitude += magnitude(even) + magnitude(odd);
            row.sum += even + odd;
            row.odd += odd;
        }
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

/* Adds the products of one pair or quad to eight sums: lower and upper halfword by a factor each. Modulo 2^32: only
 * the whole sum has to fit. */
static void add_halves(uint32_t sums[BW_GROUP], const int16_t halves[HALVES], int32_t lower, int32_t upper) {
    for (uint32_t i = 0; i < BW_GROUP; ++i) {
        sums[i] += (uint32_t)(halves[2 * i] * lower + halves[2 * i + 1] * upper);
    }
}

/* The same for the halfwords' low bytes. */
static void add_low_bytes(uint32_t sums[BW_GROUP], const int16_t halves[HALVES], int32_t lower, int32_t upper) {
    for (uint32_t i = 0; i < BW_GROUP; ++i) {
        sums[i] += (uint32_t)((int8_t)halves[2 * i] * lower + (int8_t)halves[2 * i + 1] * upper);
    }
}

static void add_block(uint32_t sums[BW_GROUP], block block, const int8_t input[]) {
    if (block.pairs != 0) {
        const int8_t *pair = input + 4 * block.quads;
        add_halves(sums, block.halves, 256 * pair[0], 256 * pair[1]);
        block.halves += HALVES;
    }
    for (uint32_t quad = 0; quad < block.quads; ++quad, input += 4, block.halves += HALVES) {
        const int32_t lower = input[1] - 127;
        const int32_t upper = input[3] - 127;
        add_halves(sums, block.halves, lower, upper);
        add_low_bytes(sums, block.halves, 256 * input[0] - lower, 256 * input[2] - upper);
    }
}

void bw_packed_product(const bw_matrix *matrix, const int32_t bias[], const int8_t input[], int16_t parts[]) {
    for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
        for (uint32_t group = 0; group < matrix->groups; ++group) {
            uint32_t sums[BW_GROUP];
            for (uint32_t i = 0; i < BW_GROUP; ++i) {
                sums[i] = (uint32_t)*bias++;
            }
            add_block(sums, block_of(matrix, 0, gate, group), input);
            add_block(sums, block_of(matrix, 1, gate, group), input + 4 * matrix->quads);
            for (uint32_t i = 0; i < BW_GROUP; ++i) {
                const int32_t sum = (int32_t)sums[i] >> 8;
                parts[(BW_GROUP * group + i) * BW_RECORD + gate] = bw_sat16(bw_requantize(sum, matrix->scales[gate]));
            }
        }
    }
}

#endif
