/* Where a network's lanes keep what; only for the files that make up the network. */
#ifndef BW_LANES_H
#define BW_LANES_H

#include "bw_kernels.h"

/* The kernels work on whole quads of units. */
static inline size_t bw_padded(uint32_t units) { return (units + 3u) & ~3u; }

/* Steps of a branch in a whole window: what its pooling may have to keep. */
static inline uint32_t bw_window_steps(const bw_model *model, const bw_branch *branch) {
    return bw_branch_steps(branch, model->window);
}

static inline const bw_lstm *bw_last_layer(const bw_model *model, const bw_branch *branch) {
    return &model->lstm[branch->first_layer + branch->layers - 1u];
}

static inline void *bw_in_lane(const bw_network *network, uint32_t lane, uint32_t at) {
    return network->states + lane * network->lane_size + at;
}

static inline uint32_t *bw_samples_of(const bw_network *network, uint32_t lane) { return bw_in_lane(network, lane, 0); }

static inline int16_t *bw_cell_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    return bw_in_lane(network, lane, network->layer_at[layer]);
}

/* The hidden state stands behind the cell. */
static inline int8_t *bw_behind(int16_t *cell, const bw_lstm *lstm) { return (int8_t *)(cell + bw_padded(lstm->hidden)); }

static inline int8_t *bw_hidden_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    return bw_behind(bw_cell_of(network, lane, layer), &network->model->lstm[layer]);
}

#endif
