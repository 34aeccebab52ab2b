/* Prepares a model for bw_batch_classify(): weights of either layout as int16, and the curves as tables. */
#include "bw_batch_model.h"

#include "../lib/bitwave_core/src/bw_activations.h"
#include "../lib/bitwave_core/src/bw_kernels.h"
#include "../lib/bitwave_core/src/bw_packed.h"

enum {
    VALUES = 1 << 16,     /* entries of a table over all int16 */
    HALVES = 2 * BW_GROUP /* halfwords of a packed pair or quad: bw_packed.h */
};

static int16_t weight_of(const bw_lstm *lstm, const bw_matrix *matrix, uint32_t gate, uint32_t unit, uint32_t column) {
    if (!lstm->packed) {
        const int8_t *weights = matrix->weights;
        return weights[(gate * lstm->hidden + unit) * matrix->columns + column];
    }
    const int16_t *halves = matrix->weights;
    halves += (gate * matrix->groups + unit / BW_GROUP) * (matrix->pairs + matrix->quads) * HALVES;
    halves += 2u * (unit % BW_GROUP);
    if (column >= 4u * matrix->quads) {
        return halves[column - 4u * matrix->quads];
    }
    const int16_t half = halves[(matrix->pairs + column / 4u) * HALVES + column % 4u / 2u];
    return (int16_t)(column % 2u == 0 ? (int8_t)half : (half - (int8_t)half) >> 8);
}

/* A row's own bias; the recurrent matrix has none. */
static int32_t bias_of(const bw_lstm *lstm, uint32_t gate, uint32_t unit) {
    if (!lstm->packed) {
        return lstm->bias[gate * lstm->hidden + unit];
    }
    const uint32_t folded = (uint32_t)lstm->bias[gate * BW_GROUP * lstm->input.groups + unit];
    return (int32_t)(folded - bw_packed_fold(&lstm->input, bw_packed_row(&lstm->input, gate, unit))) / 256;
}

static void prepare_matrix(const bw_lstm *lstm, const bw_matrix *matrix, int has_bias, bw_block *from,
                           bw_batch_matrix *to) {
    const uint32_t rows = (uint32_t)BW_GATES * lstm->hidden;
    to->pairs = (matrix->columns + 1u) / 2u;
    to->weights = bw_take(from, (size_t)rows * to->pairs * 2u * sizeof(int16_t));
    to->bias = bw_take(from, rows * sizeof(int32_t));
    for (uint32_t row = 0; from->memory != NULL && row < rows; ++row) {
        int16_t *weights = to->weights + (size_t)row * to->pairs * 2u;
        weights[2u * to->pairs - 1u] = 0;
        for (uint32_t column = 0; column < matrix->columns; ++column) {
            weights[column] = weight_of(lstm, matrix, row / lstm->hidden, row % lstm->hidden, column);
        }
        to->bias[row] = has_bias ? bias_of(lstm, row / lstm->hidden, row % lstm->hidden) : 0;
    }
}

static const int16_t *take_tanh(bw_block *from, int32_t shift) {
    int16_t *middle = bw_take(from, VALUES * sizeof(int16_t));
    if (middle != NULL) {
        middle += VALUES / 2;
        for (int32_t value = INT16_MIN; value <= INT16_MAX; ++value) {
            middle[value] = bw_tanh((int16_t)value, shift);
        }
    }
    return middle;
}

static const int16_t *take_sigmoid(bw_block *from) {
    int16_t *middle = bw_take(from, VALUES * sizeof(int16_t));
    if (middle != NULL) {
        middle += VALUES / 2;
        for (int32_t value = INT16_MIN; value <= INT16_MAX; ++value) {
            middle[value] = bw_sigmoid((int16_t)value);
        }
    }
    return middle;
}

static size_t prepare(const bw_model *model, bw_batch *batch, bw_block from) {
    batch->model = model;
    batch->sigmoid = take_sigmoid(&from);
    batch->tanh = take_tanh(&from, 0);
    for (uint32_t i = 0; i < model->layers; ++i) {
        const bw_lstm *lstm = &model->lstm[i];
        prepare_matrix(lstm, &lstm->input, 1, &from, &batch->layer[i].input);
        prepare_matrix(lstm, &lstm->recurrent, 0, &from, &batch->layer[i].recurrent);
        batch->layer[i].cell_tanh = take_tanh(&from, bw_cell_tanh_shift(lstm));
    }
    return from.size;
}

size_t bw_batch_size(const bw_model *model) {
    bw_batch unused;
    const bw_block counted = {NULL, bw_line(sizeof(bw_batch))};
    return prepare(model, &unused, counted);
}

const bw_batch *bw_batch_prepare(const bw_model *model, void *memory) {
    const bw_block rest = {memory, bw_line(sizeof(bw_batch))};
    prepare(model, memory, rest);
    return memory;
}
