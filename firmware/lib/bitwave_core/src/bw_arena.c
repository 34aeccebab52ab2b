/* A network's memory: how much, what lies where, and how it starts. */
#include <string.h>

#include "bw_lanes.h"
#include "bw_packed.h"

static size_t aligned(size_t size) { return (size + BW_ALIGNMENT - 1u) & ~(size_t)(BW_ALIGNMENT - 1u); }

/* The size of a lane's state; where `network` is given, what begins where in it. */
static size_t lay_out_lane(const bw_model *model, bw_network *network) {
    size_t at = sizeof(uint32_t); /* samples */
    for (uint32_t i = 0; i < bw_layers(model); ++i) {
        if (network != NULL) {
            network->layer_at[i] = (uint32_t)at;
        }
        at += bw_padded(model->lstm[i].hidden) * (sizeof(int16_t) + sizeof(int8_t));
    }
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        const bw_branch *branch = &model->branch[i];
        if (network != NULL) {
            network->pool_at[i] = (uint32_t)at;
        }
        at += BW_POOLING ? bw_pool_size(branch, model->lstm[bw_last_layer(branch)].hidden, model->window) : 0u;
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
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        if (bw_pool_of(&model->branch[i]) == BW_POOL_ATTENTION) {
            steps = larger(steps, bw_window_steps(model, &model->branch[i]));
        }
    }
    return aligned(model->dense[0].inputs + larger(2 * widest_dense(model), steps));
}

/* For the widest LSTM layer's records; the head has its values there too. */
static size_t records_size(const bw_model *model) {
    size_t groups = 0;
    for (uint32_t i = 0; i < bw_layers(model); ++i) {
        groups = larger(groups, model->lstm[i].recurrent.groups);
    }
    return larger(groups * BW_GROUP * BW_RECORD * sizeof(int16_t), head_size(model));
}

/* Of the widest first LSTM layer's input. */
static size_t input_size(const bw_model *model) {
    size_t widest = 0;
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        const bw_branch *branch = &model->branch[i];
        widest = larger(widest, bw_has_conv(branch) ? branch->conv.outputs : branch->channels);
    }
    return aligned(widest);
}

static size_t window_size(const bw_branch *branch) { return bw_has_conv(branch) ? aligned(branch->conv.inputs) : 0; }

size_t bw_network_arena_size(const bw_model *model, uint32_t lanes) {
    size_t size = lanes * lay_out_lane(model, NULL) + records_size(model) + input_size(model);
    for (uint32_t i = 0; i < bw_layers(model); ++i) {
        size += biases_size(&model->lstm[i]);
    }
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
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
    network->most_samples = bw_model_most_steps(model);
    network->lane_size = lay_out_lane(model, network);
    network->states = arena;
    void *rest = network->states + lanes * network->lane_size;
    for (uint32_t i = 0; i < bw_layers(model); ++i) {
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
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
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

void bw_network_reset(bw_network *network, uint32_t index) {
    const bw_model *model = network->model;
    uint8_t *lane = bw_lane(network, index);
    *bw_samples_of(lane) = 0;
    for (uint32_t i = 0; BW_POOLING && i < bw_branches(model); ++i) {
        const bw_branch *branch = &model->branch[i];
        bw_pool_reset(branch, model->lstm[bw_last_layer(branch)].hidden, bw_pooled_of(network, lane, i));
    }
    for (uint32_t i = 0; i < bw_layers(model); ++i) {
        const bw_lstm *layer = &model->lstm[i];
        memset(bw_cell_of(network, lane, i), 0, layer->hidden * sizeof(int16_t));
        memset(bw_hidden_of(network, lane, i), layer->hidden_zero, layer->hidden);
    }
}
