#include "bw_activations.h"
#include "bw_kernels.h"
#include "bw_packed.h"

enum { GATE_INPUT, GATE_FORGET, GATE_CELL, GATE_OUTPUT };

/* forget gate Q0.15 times cell, to the cell's own scale: 2^-15 */
static const bw_scale forget_scale = {(int32_t)1 << 30, -14};

/* input gate times cell gate, Q0.30, to the cell's scale: 2^-30 / 2^exponent */
static bw_scale candidate_scale(const bw_lstm *layer) {
    const bw_scale scale = {(int32_t)1 << 30, -29 - layer->cell_exponent};
    return scale;
}

static void plain_product(const bw_matrix *matrix, uint32_t units, const int32_t bias[], const int8_t input[],
                          int16_t parts[]) {
    const int8_t *weights = matrix->weights;
    for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
        for (uint32_t unit = 0; unit < units; ++unit, weights += matrix->columns) {
            const int32_t own = bias != NULL ? bias[gate * units + unit] : 0;
            const int32_t sum = bw_dot(weights, input, matrix->zero, matrix->columns) + own;
            parts[unit * BW_RECORD + gate] = bw_sat16(bw_requantize(sum, matrix->scales[gate]));
        }
    }
}

void bw_lstm_product_any(const bw_lstm *layer, const bw_matrix *matrix, const int32_t bias[], const int8_t input[],
                         int16_t parts[]) {
#if !BW_DSP
    if (layer->packed) {
        bw_packed_product(matrix, bias, input, parts);
        return;
    }
#endif
    plain_product(matrix, layer->hidden, bias, input, parts);
}

static void activate(const bw_lstm *layer, const int16_t parts[], int16_t *cell, int8_t *hidden) {
    int16_t gates[BW_GATES]; /* Q3.12 */
    for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
        /* each part was clamped before the add, and the sum is clamped again: the reference order */
        gates[gate] = bw_sat16(parts[gate] + parts[BW_GATES + gate]);
    }
    const int32_t kept = bw_sigmoid(gates[GATE_FORGET]) * *cell;
    const int32_t added = bw_sigmoid(gates[GATE_INPUT]) * bw_tanh(gates[GATE_CELL], 0);
    int16_t state = bw_sat16(bw_sat16(bw_requantize(kept, forget_scale)) +
                             bw_sat16(bw_requantize(added, candidate_scale(layer))));
    if (layer->cell_clip > 0) {
        state = (int16_t)bw_clamp(state, -layer->cell_clip, layer->cell_clip);
    }
    *cell = state;
    const int32_t out = bw_tanh(state, bw_cell_tanh_shift(layer)) * bw_sigmoid(gates[GATE_OUTPUT]);
    *hidden = bw_sat8(bw_requantize(out, *layer->output_scale) + layer->hidden_zero);
}

void bw_lstm_activate_any(const bw_lstm *layer, const int16_t parts[], int16_t cell[], int8_t hidden[]) {
#if !BW_DSP
    if (layer->packed) {
        bw_packed_activate(parts, cell, hidden, &layer->constants);
        return;
    }
#endif
    for (uint32_t unit = 0; unit < layer->hidden; ++unit) {
        activate(layer, parts + unit * BW_RECORD, &cell[unit], &hidden[unit]);
    }
}
