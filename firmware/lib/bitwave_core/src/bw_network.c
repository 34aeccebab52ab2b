#include <string.h>

#include "bw_kernels.h"

static size_t aligned(size_t size) { return (size + BW_ALIGNMENT - 1u) & ~(size_t)(BW_ALIGNMENT - 1u); }

static size_t state_size(const bw_model *model) {
    size_t units = 0;
    for (uint32_t i = 0; i < model->layers; ++i) {
        units += model->lstm[i].hidden;
    }
    return aligned(units * (sizeof(int16_t) + sizeof(int8_t)));
}

static size_t widest_lstm(const bw_model *model) {
    const size_t first = model->lstm[0].hidden;
    const size_t second = model->lstm[1].hidden; /* 0 without a second layer */
    return first > second ? first : second;
}

static size_t widest_layer(const bw_model *model) {
    size_t widest = widest_lstm(model);
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        widest = model->dense[i].outputs > widest ? model->dense[i].outputs : widest;
    }
    return widest;
}

static size_t projection_size(const bw_model *model) { return widest_lstm(model) * BW_GATES * sizeof(int16_t); }

size_t bw_network_arena_size(const bw_model *model, uint32_t lanes) {
    return lanes * state_size(model) + projection_size(model) + aligned(2 * widest_layer(model));
}

bw_status bw_network_init(bw_network *network, const bw_model *model, uint32_t lanes, void *arena, size_t size) {
    if (lanes < 1 || lanes > BW_MAX_LANES) {
        return BW_BAD_ARGUMENT;
    }
    if (size < bw_network_arena_size(model, lanes) || (uintptr_t)arena % BW_ALIGNMENT != 0) {
        return BW_ARENA_SMALL;
    }
    network->model = model;
    network->lanes = lanes;
    network->lane_size = state_size(model);
    network->states = arena;
    void *projection = network->states + lanes * network->lane_size;
    network->projection = projection;
    network->scratch = (int8_t *)projection + projection_size(model);
    for (uint32_t lane = 0; lane < lanes; ++lane) {
        bw_network_reset(network, lane);
    }
    return BW_OK;
}

static int16_t *cell_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    void *state = network->states + lane * network->lane_size;
    int16_t *cell = state;
    return layer == 0 ? cell : cell + network->model->lstm[0].hidden;
}

static int8_t *hidden_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    const bw_model *model = network->model;
    const uint32_t last = model->layers - 1u;
    int8_t *hidden = (int8_t *)(cell_of(network, lane, last) + model->lstm[last].hidden);
    return layer == 0 ? hidden : hidden + model->lstm[0].hidden;
}

const int8_t *bw_network_hidden(const bw_network *network, uint32_t lane, uint32_t layer) {
    return hidden_of(network, lane, layer);
}

const int16_t *bw_network_cell(const bw_network *network, uint32_t lane, uint32_t layer) {
    return cell_of(network, lane, layer);
}

void bw_network_reset(bw_network *network, uint32_t lane) {
    for (uint32_t i = 0; i < network->model->layers; ++i) {
        const bw_lstm *layer = &network->model->lstm[i];
        memset(cell_of(network, lane, i), 0, layer->hidden * sizeof(int16_t));
        memset(hidden_of(network, lane, i), layer->hidden_zero, layer->hidden);
    }
}

void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask) {
    const bw_model *model = network->model;
    bw_lstm_project(&model->lstm[0], sample, network->projection);
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((lane_mask >> lane & 1u) != 0) {
            bw_lstm_update(&model->lstm[0], network->projection, hidden_of(network, lane, 0), cell_of(network, lane, 0),
                           network->scratch);
        }
    }
    if (model->layers == 1) {
        return;
    }
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((lane_mask >> lane & 1u) != 0) {
            bw_lstm_project(&model->lstm[1], hidden_of(network, lane, 0), network->projection);
            bw_lstm_update(&model->lstm[1], network->projection, hidden_of(network, lane, 1), cell_of(network, lane, 1),
                           network->scratch);
        }
    }
}

void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]) {
    const bw_model *model = network->model;
    int8_t *const buffers[2] = {network->scratch, network->scratch + widest_layer(model)};
    const int8_t *values = hidden_of(network, lane, model->layers - 1u);
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        bw_dense_run(&model->dense[i], values, buffers[i % 2]);
        values = buffers[i % 2];
    }
    memcpy(scores, values, model->classes);
    if (model->has_softmax) {
        bw_softmax_run(&model->softmax, scores, model->classes);
    }
}

static void record(const bw_network *network, const bw_trace *trace, uint32_t step) {
    for (uint32_t layer = 0; layer < network->model->layers; ++layer) {
        const size_t units = network->model->lstm[layer].hidden;
        if (trace->hidden[layer] != NULL) {
            memcpy(trace->hidden[layer] + step * units, hidden_of(network, 0, layer), units);
        }
        if (trace->cell[layer] != NULL) {
            memcpy(trace->cell[layer] + step * units, cell_of(network, 0, layer), units * sizeof(int16_t));
        }
    }
}

bw_status bw_network_classify(const bw_model *model, void *arena, size_t size, const int8_t window[], uint32_t steps,
                              int8_t scores[], const bw_trace *trace) {
    bw_network network;
    const bw_status status = bw_network_init(&network, model, 1, arena, size);
    if (status != BW_OK) {
        return status;
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
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        const size_t units = model->lstm[layer].hidden;
        if (memcmp(hidden_of(&network, 0, layer), wanted, units) != 0) {
            status = BW_SELF_TEST_FAILED;
        }
        wanted += units;
    }
    return status;
}
