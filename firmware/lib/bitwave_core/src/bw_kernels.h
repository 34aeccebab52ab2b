/* The portable kernels: the readable statement of what every faster kernel must compute.
 *
 * Gate order is input, forget, cell, output.
 */
#ifndef BW_KERNELS_H
#define BW_KERNELS_H

#include "bw_fixed.h"

#define BW_GATES 4

/* Sum of weights[i] * (values[i] - zero). */
static inline int32_t bw_dot(const int8_t weights[], const int8_t values[], int32_t zero, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; ++i) {
        sum += weights[i] * (values[i] - zero);
    }
    return sum;
}

/* The part of the gates that depends on the sample alone: projection [hidden][4], Q3.12.
 * Lanes that are fed with the same sample share it. */
void bw_lstm_project(const bw_lstm *layer, const int8_t input[], int16_t projection[]);

/* One step of one lane: hidden [hidden] and cell [hidden] are replaced; scratch holds [hidden] bytes. */
void bw_lstm_update(const bw_lstm *layer, const int16_t projection[], int8_t hidden[], int16_t cell[],
                    int8_t scratch[]);

/* input [inputs] and output [outputs] must not overlap. */
void bw_dense_run(const bw_dense *layer, const int8_t input[], int8_t output[]);

/* In place; output scale 1/256, zero point -128. */
void bw_softmax_run(const bw_softmax *softmax, int8_t scores[], uint32_t count);

#endif
