/* Whole windows, each from a reset; and the known answer that an image carries. */
#include <string.h>

#include "bw_kernels.h"
#include "bw_parts.h"

/* After the sample with the number `sample`, from 0. */
static void record(const bw_network *network, const bw_trace *trace, uint32_t sample) {
    const bw_model *model = network->model;
    for (uint32_t layer = 0; layer < bw_layers(model); ++layer) {
        if (!bw_network_stepped(network, 0, layer)) {
            continue;
        }
        const size_t units = model->lstm[layer].hidden;
        const size_t step = bw_model_layer_steps(model, layer, sample + 1u) - 1u;
        if (trace->hidden[layer] != NULL) {
            memcpy(trace->hidden[layer] + step * units, bw_network_hidden(network, 0, layer), units);
        }
        if (trace->cell[layer] != NULL) {
            memcpy(trace->cell[layer] + step * units, bw_network_cell(network, 0, layer), units * sizeof(int16_t));
        }
    }
}

int bw_steps_fit(const bw_model *model, uint32_t steps) {
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        if (steps < model->branch[i].kernel) {
            return 0;
        }
    }
    return steps <= bw_model_most_steps(model);
}

bw_status bw_network_classify(const bw_model *model, void *arena, size_t size, const int8_t window[], uint32_t steps,
                              int8_t scores[], const bw_trace *trace) {
    bw_network network;
    const bw_status status = bw_network_init(&network, model, 1, arena, size);
    if (status != BW_OK) {
        return status;
    }
    if (!bw_steps_fit(model, steps)) {
        return BW_BAD_ARGUMENT;
    }
    for (uint32_t step = 0; step < steps; ++step) {
        bw_network_step(&network, window + (size_t)step * model->channels, 1);
        if (trace != NULL) {
            record(&network, trace, step);
        }
    }
    bw_network_scores(&network, 0, scores);
    return BW_OK;
}

bw_status bw_self_test(const bw_model *model, void *arena, size_t size) {
    int8_t scores[BW_MAX_WIDTH];
    bw_network network;
    bw_status status = bw_network_init(&network, model, 1, arena, size);
    if (status != BW_OK) {
        return status;
    }
    for (uint32_t step = 0; step < model->answer_steps; ++step) {
        bw_network_step(&network, model->answer_input + (size_t)step * model->channels, 1);
    }
    bw_network_scores(&network, 0, scores);
    status = memcmp(scores, model->answer_scores, model->classes) == 0 ? BW_OK : BW_SELF_TEST_FAILED;
    const int8_t *wanted = model->answer_hidden;
    for (uint32_t layer = 0; layer < bw_layers(model); ++layer) {
        const size_t units = model->lstm[layer].hidden;
        if (memcmp(bw_network_hidden(&network, 0, layer), wanted, units) != 0) {
            status = BW_SELF_TEST_FAILED;
        }
        wanted += units;
    }
    return status;
}
