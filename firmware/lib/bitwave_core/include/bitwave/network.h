/* The network alone: int8 samples in, scores out. */
#ifndef BW_NETWORK_H
#define BW_NETWORK_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* States of one or more lanes, all fed with the same samples. */
typedef struct bw_network {
    const bw_model *model;
    uint32_t lanes;
    uint32_t most_samples; /* of a window: bw_model_most_steps() */
    size_t lane_size;
    /* [lanes]: samples u32 since the reset; per layer the cell int16 [hidden], then the hidden state int8 [hidden],
     * both padded; per branch int32 [hidden] sums of the steps, or int8 [steps][hidden] of all and [steps] scores */
    uint8_t *states;
    uint32_t layer_at[BW_MAX_LAYERS];  /* in a lane's state */
    uint32_t pool_at[BW_MAX_BRANCHES]; /* in a lane's state */
    int8_t *window[BW_MAX_BRANCHES];   /* [kernel][channels] the last samples, for all lanes; NULL: no convolution */
    int32_t *biases[BW_MAX_LAYERS]; /* of the recurrent matrices, packed and folded; NULL where plain */
    int16_t *records;               /* parts of the gates, see bw_dsp.h; between steps, scratch for the head */
    int8_t *input;                  /* of the first LSTM layer, padded */
} bw_network;

size_t bw_network_arena_size(const bw_model *model, uint32_t lanes);

/* `lanes` is 1 .. BW_MAX_LANES. All lanes start reset. */
BW_MUST_CHECK bw_status bw_network_init(bw_network *network, const bw_model *model, uint32_t lanes, void *arena,
                                        size_t size);

void bw_network_reset(bw_network *network, uint32_t lane);

/* Feeds one int8 sample [channels] to the lanes whose bit is set in `lane_mask`. Fastest if aligned to four bytes. From
 * its reset on, a lane must be fed with every sample until its window is full; samples beyond bw_model_most_steps() are
 * ignored. */
void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask);

const int8_t *bw_network_hidden(const bw_network *network, uint32_t lane, uint32_t layer);
const int16_t *bw_network_cell(const bw_network *network, uint32_t lane, uint32_t layer);

/* Whether a layer made a step with the lane's last sample: behind a convolution, not every sample makes one. */
int bw_network_stepped(const bw_network *network, uint32_t lane, uint32_t layer);

/* Runs pooling and head on what a lane has seen, at least one step of each layer: scores [classes]. */
void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]);

/* Where to put the states after every step; any pointer may be NULL. */
typedef struct bw_trace {
    int8_t *hidden[BW_MAX_LAYERS]; /* [bw_model_layer_steps()][hidden] */
    int16_t *cell[BW_MAX_LAYERS];  /* [bw_model_layer_steps()][hidden] */
} bw_trace;

/* One window [steps][channels] from a reset; arena as for one lane; `trace` may be NULL. BW_BAD_ARGUMENT for more steps
 * than bw_model_most_steps() or too few for one step of each layer. */
BW_MUST_CHECK bw_status bw_network_classify(const bw_model *model, void *arena, size_t size, const int8_t window[],
                                            uint32_t steps, int8_t scores[], const bw_trace *trace);

/* Computes the known answer that the image carries and compares all of it; arena as for one lane. */
BW_MUST_CHECK bw_status bw_self_test(const bw_model *model, void *arena, size_t size);

#ifdef __cplusplus
}
#endif

#endif
