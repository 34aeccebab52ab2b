/* Which parts of the core this build has: bitwave.h says how to leave some out. What asks here for a part that is not
 * there gets a constant, and the code behind it goes. */
#ifndef BW_PARTS_H
#define BW_PARTS_H

#include "bitwave.h"

#if defined(BW_NO_CONVOLUTION)
#define BW_CONVOLUTION 0
#else
#define BW_CONVOLUTION 1
#endif

#if defined(BW_NO_POOLING)
#define BW_POOLING 0
#else
#define BW_POOLING 1
#endif

#if defined(BW_NO_RESAMPLING)
#define BW_RESAMPLING 0
#else
#define BW_RESAMPLING 1
#endif

#if defined(BW_NO_GATE)
#define BW_GATE 0
#else
#define BW_GATE 1
#endif

#if defined(BW_NO_STATEFUL)
#define BW_STATEFUL 0
#else
#define BW_STATEFUL 1
#endif

static inline int bw_has_gate(const bw_model *model) { return BW_GATE && model->gate.still > 0; }

static inline int bw_is_stateful(const bw_model *model) { return BW_STATEFUL && model->stateful; }

static inline int bw_has_conv(const bw_branch *branch) { return BW_CONVOLUTION && branch->has_conv; }

static inline bw_pool bw_pool_of(const bw_branch *branch) {
    return BW_POOLING ? (bw_pool)branch->pool : BW_POOL_LAST;
}

static inline uint32_t bw_branches(const bw_model *model) { return BW_MAX_BRANCHES > 1 ? model->branches : 1u; }

static inline uint32_t bw_layers(const bw_model *model) { return BW_MAX_LAYERS > 1 ? model->layers : 1u; }

static inline uint32_t bw_first_layer(const bw_branch *branch) { return BW_MAX_LAYERS > 1 ? branch->first_layer : 0u; }

static inline int bw_is_stacked(const bw_branch *branch) { return BW_MAX_LAYERS > 1 && branch->layers > 1; }

/* The last layer of a branch, as an index into the model's. */
static inline uint32_t bw_last_layer(const bw_branch *branch) {
    return bw_first_layer(branch) + (bw_is_stacked(branch) ? 1u : 0u);
}

#endif
