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
static void join(const bw_network *network, uint32_t lane, int8_t joined[], int8_t scratch[]) {
    const bw_model *model = network->model;
    int8_t *vector = joined;
    for (uint32_t i = 0; i < model->branches; ++i) {
        const bw_branch *branch = &model->branch[i];
        const bw_lstm *last = bw_last_layer(model, branch);
        bw_pool_run(branch, last, bw_branch_steps(branch, *bw_samples_of(network, lane)), bw_window_steps(model, branch),
                    bw_hidden_of(network, lane, branch->first_layer + branch->layers - 1u),
                    bw_in_lane(network, lane, network->pool_at[i]), scratch, vector);
        vector += last->hidden;
    }
}

void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]) {
    const bw_model *model = network->model;
    int8_t *const joined = (int8_t *)network->records;
    int8_t *const scratch = joined + model->dense[0].inputs;
    int8_t *const buffers[2] = {scratch, scratch + widest_dense(model)};
    const int8_t *values = joined;
    join(network, lane, joined, scratch);
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        bw_dense_run(&model->dense[i], values, buffers[i % 2]);
        values = buffers[i % 2];
    }
    memcpy(scores, values, model->classes);
    if (model->has_softmax) {
        bw_softmax_run(&model->softmax, scores, model->classes);
    }
}
