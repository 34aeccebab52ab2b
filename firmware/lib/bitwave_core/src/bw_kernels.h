/* The kernels. The portable ones are the readable statement of what every faster one must compute. */
#ifndef BW_KERNELS_H
#define BW_KERNELS_H

#include "bw_dsp.h"
#include "bw_fixed.h"

/* Sum of weights[i] * (values[i] - zero). */
static inline int32_t bw_dot(const int8_t weights[], const int8_t values[], int32_t zero, uint32_t count) {
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; ++i) {
        sum += weights[i] * (values[i] - zero);
    }
    return sum;
}

/* Whether a packed layer's scales are such that the DSP kernels are exact: bw_prepare.c. */
int bw_scale_is_fast(bw_scale scale, uint32_t largest);
int bw_lstm_is_fast(const bw_lstm *layer);

/* Chooses the layer's kernels and prepares their constants; called once, when a model is opened. */
void bw_lstm_prepare(bw_lstm *layer);

/* One matrix' parts of all gates, clamped Q3.12: parts [unit][BW_RECORD], of which the first four are written.
 * bias is the layer's (input matrix) or the network's (recurrent matrix, NULL for plain weights); `input` is readable
 * up to the next multiple of two, hidden states up to the next multiple of four. */
void bw_lstm_product_any(const bw_lstm *layer, const bw_matrix *matrix, const int32_t bias[], const int8_t input[],
                         int16_t parts[]);

/* The cell state's scale is a power of two, so the table's input needs only a shift: 15 integer bits less 3. */
static inline int32_t bw_cell_tanh_shift(const bw_lstm *layer) { return layer->cell_exponent + 15 - 3; }

/* New cell [hidden] and hidden state [hidden] of one lane from parts [unit][BW_RECORD], of which eight are read. Both
 * arrays are padded to a multiple of four units, whose content is anybody's. */
void bw_lstm_activate_any(const bw_lstm *layer, const int16_t parts[], int16_t cell[], int8_t hidden[]);

#if BW_DSP
/* The contracts are those above, for a layer that bw_lstm_prepare() gave to BW_KERNEL_DSP. */
void bw_dsp_product(const bw_matrix *matrix, const int32_t bias[], const int8_t input[], int16_t parts[]);
void bw_dsp_activate(const int16_t parts[], int16_t cell[], int8_t hidden[], const bw_cell_constants *constants);
#endif
#if BW_DSP_LANES > 1
/* A matrix without pair: parts of the even lane to BW_RECORD_EVEN, of the odd lane to BW_RECORD_ODD. */
void bw_dsp_product_lanes(const bw_matrix *matrix, const int32_t bias[], const int8_t even[], const int8_t odd[],
                          int16_t parts[]);
#endif

static inline void bw_lstm_product(const bw_lstm *layer, const bw_matrix *matrix, const int32_t bias[],
                                   const int8_t input[], int16_t parts[]) {
#if BW_DSP
    if (layer->packed) {
        bw_dsp_product(matrix, bias, input, parts);
        return;
    }
#endif
    bw_lstm_product_any(layer, matrix, bias, input, parts);
}

static inline void bw_lstm_activate(const bw_lstm *layer, const int16_t parts[], int16_t cell[], int8_t hidden[]) {
#if BW_DSP
    if (layer->packed) {
        bw_dsp_activate(parts, cell, hidden, &layer->constants);
        return;
    }
#endif
    bw_lstm_activate_any(layer, parts, cell, hidden);
}

/* input [inputs] and output [outputs] must not overlap. */
void bw_dense_run(const bw_dense *layer, const int8_t input[], int8_t output[]);

/* Whether a branch's LSTM makes a step with the sample that makes `samples` of them. */
static inline int bw_branch_is_due(const bw_branch *branch, uint32_t samples) {
    return samples >= branch->kernel && (samples - branch->kernel) % branch->stride == 0;
}

/* Whether with so many samples every layer makes a step, and no pooling gets more than it has room for. */
int bw_steps_fit(const bw_model *model, uint32_t samples);

/* Its steps for so many samples. */
static inline uint32_t bw_branch_steps(const bw_branch *branch, uint32_t samples) {
    return samples < branch->kernel ? 0 : (samples - branch->kernel) / branch->stride + 1u;
}

/* The convolution's output [conv.outputs] for a full window. */
void bw_conv_run(const bw_branch *branch, const int8_t window[], int8_t output[]);

/* What a branch keeps per lane for its pooling, in bytes, for windows of so many samples; a multiple of
 * BW_ALIGNMENT. */
size_t bw_pool_size(const bw_branch *branch, uint32_t units, uint32_t samples);

/* Before a window's first step. */
void bw_pool_reset(const bw_branch *branch, uint32_t units, void *kept);

/* After the LSTM's step number `step` (from 0) of a window of at most `steps`: takes the hidden state [units] in. */
void bw_pool_push(const bw_branch *branch, uint32_t units, uint32_t step, uint32_t steps, const int8_t hidden[],
                  void *kept);

/* The vector [units] of `step` steps, if it is not the last hidden state; scratch holds as many bytes as steps. */
void bw_pool_run(const bw_branch *branch, const bw_lstm *layer, uint32_t step, uint32_t steps, const void *kept,
                 int8_t scratch[], int8_t vector[]);

/* BW_POOL_ATTENTION's part of them. scores [steps], states [steps][units]; weights [steps] is scratch. */
void bw_attention_push(const bw_branch *branch, uint32_t units, uint32_t step, const int8_t hidden[], int8_t states[],
                       int8_t scores[]);
void bw_attention_run(const bw_branch *branch, const bw_lstm *layer, uint32_t steps, const int8_t states[],
                      const int8_t scores[], int8_t weights[], int8_t vector[]);

/* In place; output scale 1/256, zero point -128. */
void bw_softmax_run(const bw_softmax *softmax, int8_t scores[], uint32_t count);

#endif
