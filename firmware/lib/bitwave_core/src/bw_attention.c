/* Attention over the steps of a window: the score of each comes with it; softmax and weighted sum at the end.
 *
 * The softmax needs the largest score before its first weight, and rounds each: so all states are kept until then. */
#include <string.h>

#include "bw_kernels.h"

void bw_attention_push(const bw_branch *branch, uint32_t units, uint32_t step, const int8_t hidden[], int8_t states[],
                       int8_t scores[]) {
    memcpy(states + (size_t)step * units, hidden, units);
    bw_dense_run(&branch->score, hidden, &scores[step]);
}

void bw_attention_run(const bw_branch *branch, const bw_lstm *layer, uint32_t steps, const int8_t states[],
                      const int8_t scores[], int8_t weights[], int8_t vector[]) {
    const uint32_t units = layer->hidden;
    memcpy(weights, scores, steps);
    bw_softmax_run(&branch->attention, weights, steps);
    for (uint32_t unit = 0; unit < units; ++unit) {
        const int8_t *state = states + unit;
        int32_t sum = 0;
        for (uint32_t step = 0; step < steps; ++step, state += units) {
            sum += (weights[step] - INT8_MIN) * (*state - layer->hidden_zero); /* weights have the zero point -128 */
        }
        vector[unit] = bw_sat8(bw_requantize(sum, branch->pool_scale) + branch->pool_zero);
    }
}
