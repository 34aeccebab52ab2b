/* Where a network's lanes keep what; only for the files that make up the network. */
#ifndef BW_LANES_H
#define BW_LANES_H

#include "bw_kernels.h"
#include "bw_parts.h"

/* The kernels work on whole quads of units. */
static inline size_t bw_padded(uint32_t units) { return (units + 3u) & ~3u; }

/* Steps of a branch in a whole window: what its pooling may have to keep. */
static inline uint32_t bw_window_steps(const bw_model *model, const bw_branch *branch) {
    return bw_branch_steps(branch, model->window);
}

static inline uint8_t *bw_lane(const bw_network *network, uint32_t lane) {
    return network->states + lane * network->lane_size;
}

/* A lane begins with the number of its samples. */
static inline uint32_t *bw_samples_of(uint8_t *lane) { return (uint32_t *)(void *)lane; }

static inline void *bw_pooled_of(const bw_network *network, uint8_t *lane, uint32_t branch) {
    return lane + network->pool_at[branch];
}

static inline int16_t *bw_cell_of(const bw_network *network, uint8_t *lane, uint32_t layer) {
    return (int16_t *)(void *)(lane + network->layer_at[layer]);
}

/* The hidden state stands behind the cell. */
static inline int8_t *bw_behind(int16_t *cell, const bw_lstm *lstm) {
    return (int8_t *)(cell + bw_padded(lstm->hidden));
}

static inline int8_t *bw_hidden_of(const bw_network *network, uint8_t *lane, uint32_t layer) {
    return bw_behind(bw_cell_of(network, lane, layer), &network->model->lstm[layer]);
}

/* One lane's step in a layer, whose input parts are in the records. */
void bw_update_lane(const bw_network *network, uint32_t layer, uint8_t *lane);

/* The same for two lanes, whose weights are then loaded once where the kernels can. */
void bw_update_both(const bw_network *network, uint32_t layer, uint8_t *even, uint8_t *odd);

/* A branch's convolution takes the channels that it sees of a sample; where there are lanes for whose windows it makes
 * a step now, they are returned, and what it puts out is the network's input. */
uint32_t bw_convolve(const bw_network *network, uint32_t index, const int8_t sample[], uint32_t lane_mask);

/* The rest of a step, for lanes whose first layer has made theirs; for a branch that has more than that layer. */
void bw_step_behind(const bw_network *network, uint32_t index, uint32_t lane_mask);

#endif
