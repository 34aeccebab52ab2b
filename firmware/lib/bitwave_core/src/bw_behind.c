/* What comes behind a branch's first layer: its second, whose input every lane has for itself, and pooling. */
#include "bw_lanes.h"

static void step_second(const bw_network *network, uint32_t layer, uint8_t *lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    bw_lstm_product(lstm, &lstm->input, lstm->bias, bw_hidden_of(network, lane, layer - 1u),
                    network->records + BW_RECORD_INPUT);
    bw_update_lane(network, layer, lane);
}

static void pool(const bw_network *network, uint32_t index, uint32_t last, uint8_t *lane) {
    const bw_model *model = network->model;
    const bw_branch *branch = &model->branch[index];
    bw_pool_push(branch, model->lstm[last].hidden, bw_branch_steps(branch, *bw_samples_of(lane)) - 1u,
                 bw_window_steps(model, branch), bw_hidden_of(network, lane, last), bw_pooled_of(network, lane, index));
}

void bw_step_behind(const bw_network *network, uint32_t index, uint32_t lane_mask) {
    const bw_branch *branch = &network->model->branch[index];
    const uint32_t last = bw_last_layer(branch);
    uint8_t *lane = network->states;
    for (; lane_mask != 0; lane_mask >>= 1, lane += network->lane_size) {
        if ((lane_mask & 1u) == 0) {
            continue;
        }
        if (bw_is_stacked(branch)) {
            step_second(network, last, lane);
        }
        if (bw_pool_of(branch) != BW_POOL_LAST) {
            pool(network, index, last, lane);
        }
    }
}
