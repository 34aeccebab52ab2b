/* Samples through the branches' layers, for all lanes together. */
#include <string.h>

#include "bw_lanes.h"

const int8_t *bw_network_hidden(const bw_network *network, uint32_t lane, uint32_t layer) {
    return bw_hidden_of(network, lane, layer);
}

const int16_t *bw_network_cell(const bw_network *network, uint32_t lane, uint32_t layer) {
    return bw_cell_of(network, lane, layer);
}

int bw_network_stepped(const bw_network *network, uint32_t lane, uint32_t layer) {
    const uint32_t samples = *bw_samples_of(network, lane);
    return samples > 0 && bw_model_layer_steps(network->model, layer, samples) >
                              bw_model_layer_steps(network->model, layer, samples - 1u);
}

/* One lane's step in a layer, whose input parts are in the records. */
static void update(bw_network *network, uint32_t layer, uint32_t lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int16_t *cell = bw_cell_of(network, lane, layer);
    int8_t *hidden = bw_behind(cell, lstm);
    bw_lstm_product(lstm, &lstm->recurrent, network->biases[layer], hidden,
                    network->records + BW_RECORD_EVEN);
    bw_lstm_activate(lstm, network->records + BW_RECORD_EVEN, cell, hidden);
}

#if BW_DSP_LANES > 1
static void update_both(bw_network *network, uint32_t layer, uint32_t even, uint32_t odd) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int16_t *cell[2] = {bw_cell_of(network, even, layer), bw_cell_of(network, odd, layer)};
    int8_t *hidden[2] = {bw_behind(cell[0], lstm), bw_behind(cell[1], lstm)};
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
    bw_lstm_product(lstm, &lstm->input, lstm->bias, bw_hidden_of(network, lane, layer - 1u),
                    network->records + BW_RECORD_INPUT);
    update(network, layer, lane);
}

/* The lanes whose window's samples so far end where the branch makes a step. */
static uint32_t due_lanes(const bw_network *network, const bw_branch *branch, uint32_t lane_mask) {
    uint32_t due = 0;
    for (uint32_t lane = 0; branch->has_conv && lane < network->lanes; ++lane) {
        const uint32_t bit = (uint32_t)1 << lane;
        if ((lane_mask & bit) != 0 && bw_branch_is_due(branch, *bw_samples_of(network, lane))) {
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
        bw_pool_push(branch, model->lstm[last].hidden, bw_branch_steps(branch, *bw_samples_of(network, lane)) - 1u,
                     bw_window_steps(model, branch), bw_hidden_of(network, lane, last),
                     bw_in_lane(network, lane, network->pool_at[index]));
    }
}

void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask) {
    const uint32_t most = bw_model_most_steps(network->model);
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((lane_mask >> lane & 1u) == 0) {
            continue;
        }
        if (*bw_samples_of(network, lane) < most) {
            ++*bw_samples_of(network, lane);
        } else { /* what the pooling keeps is full */
            lane_mask &= ~((uint32_t)1 << lane);
        }
    }
    for (uint32_t i = 0; i < network->model->branches; ++i) {
        step_branch(network, i, sample, lane_mask);
    }
}
