#include <string.h>

#include "bw_activations.h"
#include "bw_kernels.h"

enum { GATE_INPUT, GATE_FORGET, GATE_CELL, GATE_OUTPUT };

/* forget gate Q0.15 times cell, to the cell's own scale: 2^-15 */
static const bw_scale forget_scale = {(int32_t)1 << 30, -14};

/* The cell state's scale is a power of two, so the table's input needs only a shift: 15 integer bits less 3. */
static int32_t cell_tanh_shift(const bw_lstm *layer) { return layer->cell_exponent + 15 - 3; }

/* input gate times cell gate, Q0.30, to the cell's scale: 2^-30 / 2^exponent */
static bw_scale candidate_scale(const bw_lstm *layer) {
    const bw_scale scale = {(int32_t)1 << 30, -29 - layer->cell_exponent};
    return scale;
}

void bw_lstm_project(const bw_lstm *layer, const int8_t input[], int16_t projection[]) {
    const int8_t *weights = layer->input_weights;
    const uint32_t rows = (uint32_t)layer->hidden * BW_GATES;
    for (uint32_t row = 0; row < rows; ++row) {
        const int32_t sum = bw_dot(weights, input, layer->input_zero, layer->inputs) + layer->bias[row];
        projection[row] = bw_sat16(bw_requantize(sum, layer->input_scales[row % BW_GATES]));
        weights += layer->inputs;
    }
}

void bw_lstm_update(const bw_lstm *layer, const int16_t projection[], int8_t hidden[], int16_t cell[],
                    int8_t scratch[]) {
    const int8_t *weights = layer->recurrent_weights;
    const uint32_t units = layer->hidden;
    for (uint32_t unit = 0; unit < units; ++unit) {
        int16_t gates[BW_GATES]; /* Q3.12 */
        for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
            const int32_t sum = bw_dot(weights, hidden, layer->hidden_zero, units);
            const int16_t recurrent = bw_sat16(bw_requantize(sum, layer->recurrent_scales[gate]));
            /* each part was clamped before the add, and the sum is clamped again: the reference order */
            gates[gate] = bw_sat16(projection[unit * BW_GATES + gate] + recurrent);
            weights += units;
        }
        const int32_t kept = bw_sigmoid(gates[GATE_FORGET]) * cell[unit];
        const int32_t added = bw_sigmoid(gates[GATE_INPUT]) * bw_tanh(gates[GATE_CELL], 0);
        int16_t state = bw_sat16(bw_sat16(bw_requantize(kept, forget_scale)) +
                                 bw_sat16(bw_requantize(added, candidate_scale(layer))));
        if (layer->cell_clip > 0) {
            state = (int16_t)bw_clamp(state, -layer->cell_clip, layer->cell_clip);
        }
        cell[unit] = state;
        const int32_t out = bw_tanh(state, cell_tanh_shift(layer)) * bw_sigmoid(gates[GATE_OUTPUT]);
        scratch[unit] = bw_sat8(bw_requantize(out, *layer->output_scale) + layer->hidden_zero);
    }
    memcpy(hidden, scratch, units); /* only now: every unit needs the old state of all */
}
