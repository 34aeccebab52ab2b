/* From the hidden states of a window's steps to one vector, taken in as they come. */
#include <string.h>

#include "bw_kernels.h"

static int32_t floor_log2(uint32_t value) {
    int32_t bits = 0;
    for (; value > 1; value >>= 1) {
        ++bits;
    }
    return bits;
}

/* The scale of a sum of `steps`, so that it becomes their mean: mantissa * 2^s / steps, with s = floor(log2(steps)) or
 * what keeps the shift in range. Divided in two parts, each of 32 bits: steps are at most 2^12. */
static bw_scale mean_scale(bw_scale scale, uint32_t steps) {
    const int32_t bits = floor_log2(steps) < 31 + scale.shift ? floor_log2(steps) : 31 + scale.shift;
    const uint32_t mantissa = (uint32_t)scale.mantissa;
    const uint32_t whole = (mantissa / steps) << bits;
    const uint32_t rest = ((mantissa % steps) << bits) / steps;
    const bw_scale result = {(int32_t)(whole + rest), scale.shift - bits};
    return result;
}

size_t bw_pool_size(const bw_branch *branch, uint32_t units, uint32_t samples) {
    const size_t steps = bw_branch_steps(branch, samples);
    const size_t size = branch->pool == BW_POOL_MEAN        ? units * sizeof(int32_t)
                        : branch->pool == BW_POOL_ATTENTION ? steps * (units + 1u)
                                                            : 0;
    return (size + BW_ALIGNMENT - 1u) & ~(size_t)(BW_ALIGNMENT - 1u);
}

void bw_pool_reset(const bw_branch *branch, uint32_t units, void *kept) {
    if (branch->pool == BW_POOL_MEAN) {
        memset(kept, 0, units * sizeof(int32_t));
    }
}

void bw_pool_push(const bw_branch *branch, uint32_t units, uint32_t step, uint32_t steps, const int8_t hidden[],
                  void *kept) {
    if (branch->pool == BW_POOL_MEAN) {
        int32_t *sums = kept;
        for (uint32_t i = 0; i < units; ++i) {
            sums[i] += hidden[i];
        }
    } else if (branch->pool == BW_POOL_ATTENTION) {
        int8_t *states = kept;
        bw_attention_push(branch, units, step, hidden, states, states + (size_t)steps * units);
    }
}

static void mean(const bw_branch *branch, const bw_lstm *layer, uint32_t steps, const int32_t sums[],
                 int8_t vector[]) {
    const bw_scale scale = mean_scale(branch->pool_scale, steps);
    const int32_t zeros = (int32_t)steps * layer->hidden_zero;
    for (uint32_t i = 0; i < layer->hidden; ++i) {
        vector[i] = bw_sat8(bw_requantize(sums[i] - zeros, scale) + branch->pool_zero);
    }
}

void bw_pool_run(const bw_branch *branch, const bw_lstm *layer, uint32_t step, uint32_t steps, const void *kept,
                 int8_t scratch[], int8_t vector[]) {
    if (branch->pool == BW_POOL_MEAN) {
        mean(branch, layer, step, kept, vector);
    } else {
        const int8_t *states = kept;
        bw_attention_run(branch, layer, step, states, states + (size_t)steps * layer->hidden, scratch, vector);
    }
}
