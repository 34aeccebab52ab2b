/* From what a lane has seen to the class scores. */
#include <string.h>

#include "bw_lanes.h"

static size_t widest_dense(const bw_model *model) {
    size_t widest = 0;
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        widest = model->dense[i].outputs > widest ? model->dense[i].outputs : widest;
    }
    return widest;
}

/* The branches' vectors, one after the other. */
static void join(const bw_network *network, uint8_t *lane, int8_t joined[], int8_t scratch[]) {
    const bw_model *model = network->model;
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        const bw_branch *branch = &model->branch[i];
        const uint32_t last = bw_last_layer(branch);
        const bw_lstm *lstm = &model->lstm[last];
        const int8_t *hidden = bw_hidden_of(network, lane, last);
        if (bw_pool_of(branch) == BW_POOL_LAST) {
            memcpy(joined, hidden, lstm->hidden);
        } else {
            bw_pool_run(branch, lstm, bw_branch_steps(branch, *bw_samples_of(lane)), bw_window_steps(model, branch),
                        bw_pooled_of(network, lane, i), scratch, joined);
        }
        joined += lstm->hidden;
    }
}

void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]) {
    const bw_model *model = network->model;
    int8_t *const joined = (int8_t *)network->records;
    int8_t *const scratch = joined + model->dense[0].inputs;
    int8_t *const buffers[2] = {scratch, scratch + widest_dense(model)};
    const int8_t *values = joined;
    join(network, bw_lane(network, lane), joined, scratch);
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        bw_dense_run(&model->dense[i], values, buffers[i % 2]);
        values = buffers[i % 2];
    }
    memcpy(scores, values, model->classes);
    if (model->has_softmax) {
        bw_softmax_run(&model->softmax, scores, model->classes);
    }
}
