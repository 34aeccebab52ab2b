/* Samples through the branches' layers, for all lanes together. */
#include <string.h>

#include "bw_lanes.h"

const int8_t *bw_network_hidden(const bw_network *network, uint32_t lane, uint32_t layer) {
    return bw_hidden_of(network, bw_lane(network, lane), layer);
}

const int16_t *bw_network_cell(const bw_network *network, uint32_t lane, uint32_t layer) {
    return bw_cell_of(network, bw_lane(network, lane), layer);
}

int bw_network_stepped(const bw_network *network, uint32_t lane, uint32_t layer) {
    const uint32_t samples = *bw_samples_of(bw_lane(network, lane));
    return samples > 0 && bw_model_layer_steps(network->model, layer, samples) >
                              bw_model_layer_steps(network->model, layer, samples - 1u);
}

/* One lane's step in a layer, whose input parts are in the records. */
static void update(const bw_network *network, uint32_t layer, uint8_t *lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int16_t *cell = bw_cell_of(network, lane, layer);
    int8_t *hidden = bw_behind(cell, lstm);
    bw_lstm_product(lstm, &lstm->recurrent, network->biases[layer], hidden, network->records + BW_RECORD_EVEN);
    bw_lstm_activate(lstm, network->records + BW_RECORD_EVEN, cell, hidden);
}

/* The same for two lanes, whose weights are then loaded once where the kernels can. */
static void update_both(const bw_network *network, uint32_t layer, uint8_t *even, uint8_t *odd) {
#if BW_DSP_LANES > 1
    const bw_lstm *lstm = &network->model->lstm[layer];
    if (lstm->packed) {
        int16_t *cell[2] = {bw_cell_of(network, even, layer), bw_cell_of(network, odd, layer)};
        int8_t *hidden[2] = {bw_behind(cell[0], lstm), bw_behind(cell[1], lstm)};
        bw_dsp_product_lanes(&lstm->recurrent, network->biases[layer], hidden[0], hidden[1], network->records);
        bw_dsp_activate(network->records + BW_RECORD_EVEN, cell[0], hidden[0], &lstm->constants);
        bw_dsp_activate(network->records + BW_RECORD_INPUT, cell[1], hidden[1], &lstm->constants);
        return;
    }
#endif
    update(network, layer, even);
    update(network, layer, odd);
}

/* A branch's first layer: all lanes share the input parts. */
static void step_first(const bw_network *network, uint32_t layer, const int8_t input[], uint32_t lane_mask) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    bw_lstm_product(lstm, &lstm->input, lstm->bias, input, network->records + BW_RECORD_INPUT);
    uint8_t *even = NULL; /* a lane that waits for the next */
    uint8_t *lane = network->states;
    for (; lane_mask != 0; lane_mask >>= 1, lane += network->lane_size) {
        if ((lane_mask & 1u) == 0) {
            continue;
        }
        if (even != NULL) {
            update_both(network, layer, even, lane);
            even = NULL;
        } else if (lane_mask != 1u) {
            even = lane;
        } else {
            update(network, layer, lane);
        }
    }
}

/* A branch's second layer, whose input every lane has for itself. */
static void step_second(const bw_network *network, uint32_t layer, uint8_t *lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    bw_lstm_product(lstm, &lstm->input, lstm->bias, bw_hidden_of(network, lane, layer - 1u),
                    network->records + BW_RECORD_INPUT);
    update(network, layer, lane);
}

/* Of these lanes, those whose window's samples so far end where the branch makes a step. */
static uint32_t due_lanes(const bw_network *network, const bw_branch *branch, uint32_t lane_mask) {
    uint32_t due = 0;
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if (bw_branch_is_due(branch, *bw_samples_of(bw_lane(network, lane)))) {
            due |= (uint32_t)1 << lane;
        }
    }
    return due & lane_mask;
}

static void step_branch(const bw_network *network, uint32_t index, const int8_t sample[], uint32_t lane_mask) {
    const bw_branch *branch = &network->model->branch[index];
    const int8_t *input = sample + branch->first_channel;
    if (bw_has_conv(branch)) {
        bw_conv_push(branch, input, network->window[index]);
        lane_mask = due_lanes(network, branch, lane_mask);
        if (lane_mask == 0) {
            return;
        }
        bw_conv_run(branch, network->window[index], network->input);
        input = network->input;
    } else if (branch->channels != network->model->channels || branch->channels % 2u != 0) { /* kernels read pairs */
        memcpy(network->input, input, branch->channels);
        input = network->input;
    }
    step_first(network, bw_first_layer(branch), input, lane_mask);
    if (!bw_is_stacked(branch) && bw_pool_of(branch) == BW_POOL_LAST) {
        return;
    }
    const uint32_t last = bw_last_layer(branch);
    uint8_t *lane = network->states;
    for (; lane_mask != 0; lane_mask >>= 1, lane += network->lane_size) {
        if ((lane_mask & 1u) == 0) {
            continue;
        }
        if (bw_is_stacked(branch)) {
            step_second(network, last, lane);
        }
        if (BW_POOLING) {
            bw_pool_push(branch, network->model->lstm[last].hidden, bw_branch_steps(branch, *bw_samples_of(lane)) - 1u,
                         bw_window_steps(network->model, branch), bw_hidden_of(network, lane, last),
                         bw_pooled_of(network, lane, index));
        }
    }
}

void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask) {
    uint32_t taking = 0;
    uint8_t *lane = network->states;
    for (uint32_t i = 0; i < network->lanes; ++i, lane += network->lane_size) {
        const uint32_t bit = lane_mask & (uint32_t)1 << i;
        if (bit != 0 && *bw_samples_of(lane) < network->most_samples) { /* what the pooling keeps is full then */
            ++*bw_samples_of(lane);
            taking |= bit;
        }
    }
    for (uint32_t i = 0; i < bw_branches(network->model); ++i) {
        step_branch(network, i, sample, taking);
    }
}
