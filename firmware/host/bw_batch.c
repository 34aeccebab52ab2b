#include "bw_batch_model.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "../lib/bitwave_core/src/bw_lanes.h"

enum { PAIR = 2 * BW_BATCH /* a pair of columns' values, int16 [window][2] */ };

/* One call's states of a layer. Values are int16 less their zero point: [pair of columns][window][2]. */
typedef struct state {
    int16_t *input;
    int16_t *hidden[2]; /* the last step's and the next one's */
    int16_t *cell;      /* [unit][window] */
} state;

/* ---- one step of a layer ---------------------------------------------------------------------------------------- */

/* bw_requantize() of sums that bw_model_open() has bounded: the product that saturates cannot occur. */
static inline void requantize(int32_t values[BW_BATCH], bw_scale scale) {
    const int32_t left = scale.shift > 0 ? scale.shift : 0;
    const int32_t right = scale.shift > 0 ? 0 : -scale.shift;
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        const int64_t product = (int64_t)bw_shift_left(values[i], left) * scale.mantissa;
        values[i] = (int32_t)((product + ((int64_t)1 << 30)) >> 31);
    }
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        values[i] = bw_rounding_shift(values[i], right);
    }
}

/* Adds a pair of columns' products to the sums [window]. */
static inline void add_pair(int32_t sums[BW_BATCH], const int16_t weights[2], const int16_t values[PAIR]) {
#if defined(__SSE2__) /* compilers find vectors here, but not that both products of a sum are one instruction */
    int32_t both;
    memcpy(&both, weights, sizeof both);
    for (uint32_t i = 0; i < BW_BATCH; i += 4) {
        void *const at = sums + i;
        const __m128i products = _mm_madd_epi16(_mm_loadu_si128((const void *)(values + 2u * i)), _mm_set1_epi32(both));
        _mm_storeu_si128(at, _mm_add_epi32(_mm_loadu_si128(at), products));
    }
#else
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        sums[i] += weights[0] * values[2u * i] + weights[1] * values[2u * i + 1u];
    }
#endif
}

/* One row's part of a gate: [window] clamped Q3.12. */
static inline void row_parts(const bw_batch_matrix *matrix, uint32_t row, const int16_t *values, bw_scale scale,
                             int16_t parts[BW_BATCH]) {
    const int16_t *weights = matrix->weights + (size_t)row * matrix->pairs * 2u;
    int32_t sums[BW_BATCH];
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        sums[i] = matrix->bias[row];
    }
    for (uint32_t pair = 0; pair < matrix->pairs; ++pair, weights += 2, values += PAIR) {
        add_pair(sums, weights, values);
    }
    requantize(sums, scale);
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        parts[i] = bw_sat16(sums[i]);
    }
}

/* bw_requantize() of a product by a power of two: the mantissa 2^30 makes its first rounding floor((p + 1) / 2). */
static inline int32_t halve(int32_t product, int32_t shift) {
    return bw_sat16(bw_rounding_shift((product + 1) >> 1, shift));
}

/* A unit's cell and hidden state [window] from its gates. */
static inline void update(const bw_lstm *lstm, int16_t gates[BW_GATES][BW_BATCH], const int16_t *cell_tanh,
                          int16_t cell[BW_BATCH], int32_t hidden[BW_BATCH]) {
    const int32_t shift = 29 + lstm->cell_exponent;
    const int32_t clip = lstm->cell_clip > 0 ? lstm->cell_clip : 32768; /* 32768: no clamp but that to int16 */
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        const int32_t state = bw_sat16(halve(gates[1][i] * cell[i], 14) + halve(gates[0][i] * gates[2][i], shift));
        cell[i] = (int16_t)bw_clamp(state, -clip, clip);
    }
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        hidden[i] = cell_tanh[cell[i]] * gates[3][i];
    }
    requantize(hidden, *lstm->output_scale);
    for (uint32_t i = 0; i < BW_BATCH; ++i) {
        hidden[i] = bw_sat8(hidden[i] + lstm->hidden_zero);
    }
}

static void step_layer(const bw_batch *batch, uint32_t index, const state *at) {
    const bw_lstm *lstm = &batch->model->lstm[index];
    const bw_batch_layer *layer = &batch->layer[index];
    for (uint32_t unit = 0; unit < lstm->hidden; ++unit) {
        int16_t gates[BW_GATES][BW_BATCH];
        int32_t hidden[BW_BATCH];
        for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
            const uint32_t row = gate * lstm->hidden + unit;
            const int16_t *curve = gate == 2 ? batch->tanh : batch->sigmoid;
            int16_t parts[2][BW_BATCH];
            row_parts(&layer->input, row, at->input, lstm->input.scales[gate], parts[0]);
            row_parts(&layer->recurrent, row, at->hidden[0], lstm->recurrent.scales[gate], parts[1]);
            for (uint32_t i = 0; i < BW_BATCH; ++i) {
                gates[gate][i] = curve[bw_sat16(parts[0][i] + parts[1][i])];
            }
        }
        update(lstm, gates, layer->cell_tanh, at->cell + (size_t)unit * BW_BATCH, hidden);
        int16_t *next = at->hidden[1] + (size_t)(unit / 2u) * PAIR + unit % 2u;
        for (uint32_t i = 0; i < BW_BATCH; ++i) {
            next[2u * i] = (int16_t)(hidden[i] - lstm->hidden_zero);
        }
    }
}

/* ---- windows ---------------------------------------------------------------------------------------------------- */

static void put(int16_t *values, uint32_t column, size_t window, int32_t value) {
    values[(size_t)(column / 2u) * PAIR + 2u * window + column % 2u] = (int16_t)value;
}

static int8_t hidden_at(const bw_lstm *lstm, const state *at, uint32_t unit, size_t window) {
    return (int8_t)(at->hidden[0][(size_t)(unit / 2u) * PAIR + 2u * window + unit % 2u] + lstm->hidden_zero);
}

static void take_states(const bw_model *model, bw_block *from, state states[]) {
    for (uint32_t i = 0; i < model->layers; ++i) {
        const bw_lstm *lstm = &model->lstm[i];
        const size_t hidden = (lstm->hidden + 1u) / 2u * PAIR * sizeof(int16_t);
        states[i].input = bw_take(from, (lstm->inputs + 1u) / 2u * PAIR * sizeof(int16_t));
        states[i].hidden[0] = bw_take(from, hidden);
        states[i].hidden[1] = bw_take(from, hidden);
        states[i].cell = bw_take(from, lstm->hidden * BW_BATCH * sizeof(int16_t));
    }
}

size_t bw_batch_arena_size(const bw_batch *batch) {
    state unused[BW_MAX_LAYERS];
    bw_block counted = {NULL, bw_line(bw_network_arena_size(batch->model, BW_BATCH))};
    take_states(batch->model, &counted, unused);
    return counted.size;
}

/* A window's input of a branch's first layer at one step: channels, or what the convolution makes of some samples. */
static void load_input(const bw_model *model, const bw_branch *branch, const int8_t *sample, size_t window, state *to) {
    const bw_lstm *lstm = &model->lstm[branch->first_layer];
    int8_t convolved[BW_MAX_WIDTH];
    const int8_t *input = sample + branch->first_channel;
    if (branch->has_conv) {
        int8_t taps[BW_MAX_INPUTS];
        for (uint32_t tap = 0; tap < branch->kernel; ++tap, input += model->channels) {
            memcpy(taps + tap * (uint32_t)branch->channels, input, branch->channels);
        }
        bw_conv_run(branch, taps, convolved);
        input = convolved;
    }
    for (uint32_t i = 0; i < lstm->inputs; ++i) {
        put(to->input, i, window, input[i] - lstm->input.zero);
    }
}

/* A window's states after a layer's step: to the trace, and to its lane, where pooling and head look for it. */
static void store(const bw_network *network, uint32_t layer, const state *at, size_t window, uint32_t step,
                  uint32_t layer_steps, const bw_batch_trace *trace) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int8_t *hidden = bw_hidden_of(network, bw_lane(network, (uint32_t)window), layer);
    for (uint32_t unit = 0; unit < lstm->hidden; ++unit) {
        hidden[unit] = hidden_at(lstm, at, unit, window);
    }
    if (trace == NULL) {
        return;
    }
    const size_t place = (window * layer_steps + step) * lstm->hidden;
    memcpy(trace->hidden[layer] + place, hidden, lstm->hidden);
    for (uint32_t unit = 0; unit < lstm->hidden; ++unit) {
        trace->cell[layer][place + unit] = at->cell[(size_t)unit * BW_BATCH + window];
    }
}

static void run_branch(const bw_batch *batch, const bw_network *network, uint32_t index, state states[],
                       const int8_t windows[], size_t count, uint32_t steps, const bw_batch_trace *trace) {
    const bw_model *model = batch->model;
    const bw_branch *branch = &model->branch[index];
    const uint32_t last = bw_last_layer(branch), layer_steps = bw_branch_steps(branch, steps);
    for (uint32_t step = 0; step < layer_steps; ++step) {
        for (size_t i = 0; i < count; ++i) {
            const size_t sample = i * steps + (size_t)step * branch->stride;
            load_input(model, branch, windows + sample * model->channels, i, &states[branch->first_layer]);
        }
        for (uint32_t layer = branch->first_layer; layer <= last; ++layer) {
            state *at = &states[layer];
            step_layer(batch, layer, at);
            int16_t *const old = at->hidden[0];
            at->hidden[0] = at->hidden[1];
            at->hidden[1] = old;
            for (size_t i = 0; i < count; ++i) {
                if (trace != NULL || branch->pool != BW_POOL_LAST || step + 1u == layer_steps) {
                    store(network, layer, at, i, step, layer_steps, trace);
                }
            }
            for (uint32_t unit = 0; layer < last && unit < model->lstm[layer].hidden; ++unit) {
                for (size_t i = 0; i < count; ++i) {
                    put(states[layer + 1u].input, unit, i,
                        hidden_at(&model->lstm[layer], at, unit, i) - model->lstm[layer + 1u].input.zero);
                }
            }
        }
        for (uint32_t i = 0; branch->pool != BW_POOL_LAST && i < count; ++i) {
            uint8_t *lane = bw_lane(network, i);
            bw_pool_push(branch, model->lstm[last].hidden, step, bw_window_steps(model, branch),
                         bw_hidden_of(network, lane, last), bw_pooled_of(network, lane, index));
        }
    }
}

bw_status bw_batch_classify(const bw_batch *batch, void *arena, size_t size, const int8_t windows[], size_t count,
                            uint32_t steps, int8_t scores[], const bw_batch_trace *trace) {
    const bw_model *model = batch->model;
    bw_network network;
    state states[BW_MAX_LAYERS];
    if (count > BW_BATCH || size < bw_batch_arena_size(batch)) {
        return count > BW_BATCH ? BW_BAD_ARGUMENT : BW_ARENA_SMALL;
    }
    const bw_status status = bw_network_init(&network, model, BW_BATCH, arena, size);
    if (status != BW_OK || !bw_steps_fit(model, steps)) {
        return status != BW_OK ? status : BW_BAD_ARGUMENT;
    }
    const size_t network_size = bw_line(bw_network_arena_size(model, BW_BATCH));
    bw_block rest = {arena, network_size};
    take_states(model, &rest, states);
    memset(rest.memory + network_size, 0, rest.size - network_size); /* a reset: hidden states are their zero point */
    for (uint32_t i = 0; i < model->branches; ++i) {
        run_branch(batch, &network, i, states, windows, count, steps, trace);
    }
    for (uint32_t i = 0; i < count; ++i) {
        *bw_samples_of(bw_lane(&network, i)) = steps;
        bw_network_scores(&network, i, scores + (size_t)i * model->classes);
    }
    return BW_OK;
}
