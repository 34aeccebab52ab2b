#include <string.h>

#include "bw_kernels.h"
#include "bw_packed.h"

static size_t aligned(size_t size) { return (size + BW_ALIGNMENT - 1u) & ~(size_t)(BW_ALIGNMENT - 1u); }

/* The kernels work on whole quads of units. */
static size_t padded(uint32_t units) { return (units + 3u) & ~3u; }

/* Steps of a branch in a whole window: what its pooling may have to keep. */
static uint32_t window_steps(const bw_model *model, const bw_branch *branch) {
    return bw_branch_steps(branch, model->window);
}

static const bw_lstm *last_layer(const bw_model *model, const bw_branch *branch) {
    return &model->lstm[branch->first_layer + branch->layers - 1u];
}

/* The size of a lane's state; where `network` is given, what begins where in it. */
static size_t lay_out_lane(const bw_model *model, bw_network *network) {
    size_t at = sizeof(uint32_t); /* samples */
    for (uint32_t i = 0; i < model->layers; ++i) {
        if (network != NULL) {
            network->layer_at[i] = (uint32_t)at;
        }
        at += padded(model->lstm[i].hidden) * (sizeof(int16_t) + sizeof(int8_t));
    }
    for (uint32_t i = 0; i < model->branches; ++i) {
        const bw_branch *branch = &model->branch[i];
        if (network != NULL) {
            network->pool_at[i] = (uint32_t)at;
        }
        at += bw_pool_size(branch, last_layer(model, branch)->hidden, model->window);
    }
    return at;
}

static size_t biases_size(const bw_lstm *layer) {
    return layer->packed ? BW_GATES * BW_GROUP * layer->recurrent.groups * sizeof(int32_t) : 0;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t widest_dense(const bw_model *model) {
    size_t widest = 0;
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        widest = larger(widest, model->dense[i].outputs);
    }
    return widest;
}

/* What the head needs: the joined vector, and behind it two dense layers' outputs or an attention's weights. */
static size_t head_size(const bw_model *model) {
    size_t steps = 0;
    for (uint32_t i = 0; i < model->branches; ++i) {
        if (model->branch[i].pool == BW_POOL_ATTENTION) {
            steps = larger(steps, window_steps(model, &model->branch[i]));
        }
    }
    return aligned(model->dense[0].inputs + larger(2 * widest_dense(model), steps));
}

/* For the widest LSTM layer's records; the head has its values there too. */
static size_t records_size(const bw_model *model) {
    size_t groups = 0;
    for (uint32_t i = 0; i < model->layers; ++i) {
        groups = larger(groups, model->lstm[i].recurrent.groups);
    }
    return larger(groups * BW_GROUP * BW_RECORD * sizeof(int16_t), head_size(model));
}

/* Of the widest first LSTM layer's input. */
static size_t input_size(const bw_model *model) {
    size_t widest = 0;
    for (uint32_t i = 0; i < model->branches; ++i) {
        const bw_branch *branch = &model->branch[i];
        widest = larger(widest, branch->has_conv ? branch->conv.outputs : branch->channels);
    }
    return aligned(widest);
}

static size_t window_size(const bw_branch *branch) { return branch->has_conv ? aligned(branch->conv.inputs) : 0; }

size_t bw_network_arena_size(const bw_model *model, uint32_t lanes) {
    size_t size = lanes * lay_out_lane(model, NULL) + records_size(model) + input_size(model);
    for (uint32_t i = 0; i < model->layers; ++i) {
        size += biases_size(&model->lstm[i]);
    }
    for (uint32_t i = 0; i < model->branches; ++i) {
        size += window_size(&model->branch[i]);
    }
    return size;
}

bw_status bw_network_init(bw_network *network, const bw_model *model, uint32_t lanes, void *arena, size_t size) {
    if (lanes < 1 || lanes > BW_MAX_LANES) {
        return BW_BAD_ARGUMENT;
    }
    if (size < bw_network_arena_size(model, lanes) || (uintptr_t)arena % BW_ALIGNMENT != 0) {
        return BW_ARENA_SMALL;
    }
    network->model = model;
    network->lanes = lanes;
    network->lane_size = lay_out_lane(model, network);
    network->states = arena;
    void *rest = network->states + lanes * network->lane_size;
    for (uint32_t i = 0; i < model->layers; ++i) {
        network->biases[i] = model->lstm[i].packed ? rest : NULL;
        rest = (uint8_t *)rest + biases_size(&model->lstm[i]);
        if (model->lstm[i].packed) {
            bw_packed_fold_all(&model->lstm[i].recurrent, network->biases[i]);
        }
    }
    network->records = rest;
    network->input = (int8_t *)rest + records_size(model);
    memset(network->input, 0, input_size(model));
    int8_t *window = network->input + input_size(model);
    for (uint32_t i = 0; i < model->branches; ++i) {
        const size_t window_bytes = window_size(&model->branch[i]);
        network->window[i] = window_bytes > 0 ? window : NULL;
        memset(window, 0, window_bytes);
        window += window_bytes;
    }
    memset(network->states, 0, lanes * network->lane_size);
    for (uint32_t lane = 0; lane < lanes; ++lane) {
        bw_network_reset(network, lane);
    }
    return BW_OK;
}

static void *in_lane(const bw_network *network, uint32_t lane, uint32_t at) {
    return network->states + lane * network->lane_size + at;
}

static uint32_t *samples_of(const bw_network *network, uint32_t lane) { return in_lane(network, lane, 0); }

static int16_t *cell_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    return in_lane(network, lane, network->layer_at[layer]);
}

/* The hidden state stands behind the cell. */
static int8_t *behind(int16_t *cell, const bw_lstm *lstm) { return (int8_t *)(cell + padded(lstm->hidden)); }

static int8_t *hidden_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    return behind(cell_of(network, lane, layer), &network->model->lstm[layer]);
}

const int8_t *bw_network_hidden(const bw_network *network, uint32_t lane, uint32_t layer) {
    return hidden_of(network, lane, layer);
}

const int16_t *bw_network_cell(const bw_network *network, uint32_t lane, uint32_t layer) {
    return cell_of(network, lane, layer);
}

int bw_network_stepped(const bw_network *network, uint32_t lane, uint32_t layer) {
    const uint32_t samples = *samples_of(network, lane);
    return samples > 0 && bw_model_layer_steps(network->model, layer, samples) >
                              bw_model_layer_steps(network->model, layer, samples - 1u);
}

void bw_network_reset(bw_network *network, uint32_t lane) {
    const bw_model *model = network->model;
    *samples_of(network, lane) = 0;
    for (uint32_t i = 0; i < model->branches; ++i) {
        const bw_branch *branch = &model->branch[i];
        bw_pool_reset(branch, last_layer(model, branch)->hidden, in_lane(network, lane, network->pool_at[i]));
    }
    for (uint32_t i = 0; i < model->layers; ++i) {
        const bw_lstm *layer = &model->lstm[i];
        memset(cell_of(network, lane, i), 0, layer->hidden * sizeof(int16_t));
        memset(hidden_of(network, lane, i), layer->hidden_zero, layer->hidden);
    }
}

/* One lane's step in a layer, whose input parts are in the records. */
static void update(bw_network *network, uint32_t layer, uint32_t lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int16_t *cell = cell_of(network, lane, layer);
    int8_t *hidden = behind(cell, lstm);
    bw_lstm_product(lstm, &lstm->recurrent, network->biases[layer], hidden,
                    network->records + BW_RECORD_EVEN);
    bw_lstm_activate(lstm, network->records + BW_RECORD_EVEN, cell, hidden);
}

#if BW_DSP_LANES > 1
static void update_both(bw_network *network, uint32_t layer, uint32_t even, uint32_t odd) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int16_t *cell[2] = {cell_of(network, even, layer), cell_of(network, odd, layer)};
    int8_t *hidden[2] = {behind(cell[0], lstm), behind(cell[1], lstm)};
    bw_dsp_product_lanes(&lstm->recurrent, network->biases[layer], hidden[0], hidden[1], network->records);
    bw_dsp_activate(network->records + BW_RECORD_EVEN, cell[0], hidden[0], &lstm->constants);
    bw_dsp_activate(network->records + BW_RECORD_INPUT, cell[1], hidden[1], &lstm->constants);
}
#endif

/* A branch's first layer: all lanes share the input parts, and by two the recurrent weights. */
static void step_first(bw_network *network, uint32_t layer, const int8_t input[], uint32_t lane_mask) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    bw_lstm_product(lstm, &lstm->input, lstm->bias, input, network->records + BW_RECORD_INPUT);
    uint32_t waiting = BW_MAX_LANES; /* a lane that looks for another */
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((lane_mask >> lane & 1u) == 0) {
            continue;
        }
#if BW_DSP_LANES > 1
        if (lstm->packed) {
            if (waiting == BW_MAX_LANES) {
                waiting = lane;
            } else {
                update_both(network, layer, waiting, lane);
                waiting = BW_MAX_LANES;
            }
            continue;
        }
#endif
        update(network, layer, lane);
    }
    if (waiting != BW_MAX_LANES) {
        update(network, layer, waiting);
    }
}

/* A branch's second layer, whose input every lane has for itself. */
static void step_second(bw_network *network, uint32_t layer, uint32_t lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    bw_lstm_product(lstm, &lstm->input, lstm->bias, hidden_of(network, lane, layer - 1u),
                    network->records + BW_RECORD_INPUT);
    update(network, layer, lane);
}

/* The lanes whose window's samples so far end where the branch makes a step. */
static uint32_t due_lanes(const bw_network *network, const bw_branch *branch, uint32_t lane_mask) {
    uint32_t due = 0;
    for (uint32_t lane = 0; branch->has_conv && lane < network->lanes; ++lane) {
        const uint32_t bit = (uint32_t)1 << lane;
        if ((lane_mask & bit) != 0 && bw_branch_is_due(branch, *samples_of(network, lane))) {
            due |= bit;
        }
    }
    return branch->has_conv ? due : lane_mask;
}

/* What the branch's first layer gets: the convolution's output, or the channels it sees. */
static const int8_t *branch_input(const bw_network *network, uint32_t index, const int8_t sample[]) {
    const bw_branch *branch = &network->model->branch[index];
    if (branch->has_conv) {
        bw_conv_run(branch, network->window[index], network->input);
    } else if (branch->channels != network->model->channels || branch->channels % 2u != 0) { /* kernels read pairs */
        memcpy(network->input, sample + branch->first_channel, branch->channels);
    } else {
        return sample;
    }
    return network->input;
}

static void step_branch(bw_network *network, uint32_t index, const int8_t sample[], uint32_t lane_mask) {
    const bw_model *model = network->model;
    const bw_branch *branch = &model->branch[index];
    if (branch->has_conv) {
        bw_conv_push(branch, sample + branch->first_channel, network->window[index]);
    }
    const uint32_t due = due_lanes(network, branch, lane_mask);
    if (due == 0) {
        return;
    }
    step_first(network, branch->first_layer, branch_input(network, index, sample), due);
    if (branch->layers == 1 && branch->pool == BW_POOL_LAST) {
        return;
    }
    const uint32_t last = branch->first_layer + branch->layers - 1u;
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((due >> lane & 1u) == 0) {
            continue;
        }
        if (branch->layers > 1) {
            step_second(network, last, lane);
        }
        bw_pool_push(branch, model->lstm[last].hidden, bw_branch_steps(branch, *samples_of(network, lane)) - 1u,
                     window_steps(model, branch), hidden_of(network, lane, last),
                     in_lane(network, lane, network->pool_at[index]));
    }
}

void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask) {
    const uint32_t most = bw_model_most_steps(network->model);
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((lane_mask >> lane & 1u) == 0) {
            continue;
        }
        if (*samples_of(network, lane) < most) {
            ++*samples_of(network, lane);
        } else { /* what the pooling keeps is full */
            lane_mask &= ~((uint32_t)1 << lane);
        }
    }
    for (uint32_t i = 0; i < network->model->branches; ++i) {
        step_branch(network, i, sample, lane_mask);
    }
}

/* The branches' vectors, one after the other. */
static const int8_t *join(const bw_network *network, uint32_t lane, int8_t joined[], int8_t scratch[]) {
    const bw_model *model = network->model;
    int8_t *vector = joined;
    for (uint32_t i = 0; i < model->branches; ++i) {
        const bw_branch *branch = &model->branch[i];
        const bw_lstm *last = last_layer(model, branch);
        bw_pool_run(branch, last, bw_branch_steps(branch, *samples_of(network, lane)), window_steps(model, branch),
                    hidden_of(network, lane, branch->first_layer + branch->layers - 1u),
                    in_lane(network, lane, network->pool_at[i]), scratch, vector);
        vector += last->hidden;
    }
    return joined;
}

void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]) {
    const bw_model *model = network->model;
    int8_t *const joined = (int8_t *)network->records;
    int8_t *const scratch = joined + model->dense[0].inputs;
    int8_t *const buffers[2] = {scratch, scratch + widest_dense(model)};
    const int8_t *values = join(network, lane, joined, scratch);
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        bw_dense_run(&model->dense[i], values, buffers[i % 2]);
        values = buffers[i % 2];
    }
    memcpy(scores, values, model->classes);
    if (model->has_softmax) {
        bw_softmax_run(&model->softmax, scores, model->classes);
    }
}

static void record(const bw_network *network, const bw_trace *trace) {
    const bw_model *model = network->model;
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        if (!bw_network_stepped(network, 0, layer)) {
            continue;
        }
        const size_t units = model->lstm[layer].hidden;
        const size_t step = bw_model_layer_steps(model, layer, *samples_of(network, 0)) - 1u;
        if (trace->hidden[layer] != NULL) {
            memcpy(trace->hidden[layer] + step * units, hidden_of(network, 0, layer), units);
        }
        if (trace->cell[layer] != NULL) {
            memcpy(trace->cell[layer] + step * units, cell_of(network, 0, layer), units * sizeof(int16_t));
        }
    }
}

/* Whether every layer makes a step of so many samples, and no pooling gets more than it has room for. */
static int steps_fit(const bw_model *model, uint32_t steps) {
    for (uint32_t i = 0; i < model->branches; ++i) {
        if (steps < model->branch[i].kernel) {
            return 0;
        }
    }
    return steps <= bw_model_most_steps(model);
}

bw_status bw_network_classify(const bw_model *model, void *arena, size_t size, const int8_t window[], uint32_t steps,
                              int8_t scores[], const bw_trace *trace) {
    bw_network network;
    const bw_status status = bw_network_init(&network, model, 1, arena, size);
    if (status != BW_OK) {
        return status;
    }
    if (!steps_fit(model, steps)) {
        return BW_BAD_ARGUMENT;
    }
    for (uint32_t step = 0; step < steps; ++step) {
        bw_network_step(&network, window + (size_t)step * model->channels, 1);
        if (trace != NULL) {
            record(&network, trace);
        }
    }
    bw_network_scores(&network, 0, scores);
    return BW_OK;
}

bw_status bw_self_test(const bw_model *model, void *arena, size_t size) {
    int8_t scores[BW_MAX_WIDTH];
    bw_network network;
    bw_status status = bw_network_init(&network, model, 1, arena, size);
    if (status != BW_OK) {
        return status;
    }
    for (uint32_t step = 0; step < model->answer_steps; ++step) {
        bw_network_step(&network, model->answer_input + (size_t)step * model->channels, 1);
    }
    bw_network_scores(&network, 0, scores);
    status = memcmp(scores, model->answer_scores, model->classes) == 0 ? BW_OK : BW_SELF_TEST_FAILED;
    const int8_t *wanted = model->answer_hidden;
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        const size_t units = model->lstm[layer].hidden;
        if (memcmp(hidden_of(&network, 0, layer), wanted, units) != 0) {
            status = BW_SELF_TEST_FAILED;
        }
        wanted += units;
    }
    return status;
}
