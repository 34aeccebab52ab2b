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
            bw_update_both(network, layer, even, lane);
            even = NULL;
        } else if (BW_DSP_LANES > 1 && lane_mask != 1u) {
            even = lane;
        } else {
            bw_update_lane(network, layer, lane);
        }
    }
}

static void step_branch(const bw_network *network, uint32_t index, const int8_t sample[], uint32_t lane_mask) {
    const bw_branch *branch = &network->model->branch[index];
    const int8_t *input = sample + branch->first_channel;
    if (bw_has_conv(branch)) {
        lane_mask = bw_convolve(network, index, input, lane_mask);
        if (lane_mask == 0) {
            return;
        }
        input = network->input;
    } else if (branch->channels != network->model->channels || branch->channels % 2u != 0) { /* kernels read pairs */
        memcpy(network->input, input, branch->channels);
        input = network->input;
    }
    step_first(network, bw_first_layer(branch), input, lane_mask);
    if (bw_is_stacked(branch) || bw_pool_of(branch) != BW_POOL_LAST) {
        bw_step_behind(network, index, lane_mask);
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
