#include "bw_kernels.h"

void bw_dense_run(const bw_dense *layer, const int8_t input[], int8_t output[]) {
    const int8_t *weights = layer->weights;
    for (uint32_t row = 0; row < layer->outputs; ++row) {
        const int32_t sum = bw_dot(weights, input, layer->input_zero, layer->inputs) + layer->bias[row];
        const bw_scale scale = layer->scales[layer->scale_count > 1 ? row : 0];
        const int32_t value = bw_requantize(sum, scale) + layer->output_zero;
        output[row] = (int8_t)bw_clamp(value, layer->activation_min, layer->activation_max);
        weights += layer->inputs;
    }
}
