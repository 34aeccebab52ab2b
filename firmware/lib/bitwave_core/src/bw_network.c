#include <string.h>

#include "bw_kernels.h"
#include "bw_packed.h"

static size_t aligned(size_t size) { return (size + BW_ALIGNMENT - 1u) & ~(size_t)(BW_ALIGNMENT - 1u); }

/* The kernels work on whole quads of units. */
static size_t padded(uint32_t units) { return (units + 3u) & ~3u; }

static size_t state_size(const bw_model *model) {
    size_t units = 0;
    for (uint32_t i = 0; i < model->layers; ++i) {
        units += padded(model->lstm[i].hidden);
    }
    return units * (sizeof(int16_t) + sizeof(int8_t));
}

static size_t biases_size(const bw_lstm *layer) {
    return layer->packed ? BW_GATES * BW_GROUP * layer->recurrent.groups * sizeof(int32_t) : 0;
}

static size_t widest_layer(const bw_model *model) {
    size_t widest = 0;
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        widest = model->dense[i].outputs > widest ? model->dense[i].outputs : widest;
    }
    return widest;
}

/* For the widest LSTM layer's records; the head has its values there too. */
static size_t records_size(const bw_model *model) {
    const uint32_t first = model->lstm[0].recurrent.groups;
    const uint32_t second = model->lstm[1].recurrent.groups; /* 0 without a second layer */
    const size_t records = (first > second ? first : second) * BW_GROUP * BW_RECORD * sizeof(int16_t);
    const size_t head = aligned(2 * widest_layer(model));
    return records > head ? records : head;
}

/* For the widest layer's sums over its first 32 columns; 0 where no matrix is wider. */
static size_t sums_size(const bw_model *model) {
    size_t size = 0;
    for (uint32_t i = 0; i < model->layers; ++i) {
        const bw_lstm *layer = &model->lstm[i];
        if (layer->input.more_quads + layer->recurrent.more_quads > 0) {
            size = biases_size(layer) > size ? biases_size(layer) : size;
        }
    }
    return size;
}

size_t bw_network_arena_size(const bw_model *model, uint32_t lanes) {
    size_t size = lanes * state_size(model) + sums_size(model) + records_size(model) + aligned(model->channels);
    for (uint32_t i = 0; i < model->layers; ++i) {
        size += biases_size(&model->lstm[i]);
    }
    return size;
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
    void *rest = network->states + lanes * network->lane_size;
    for (uint32_t i = 0; i < model->layers; ++i) {
        network->biases[i] = model->lstm[i].packed ? rest : NULL;
        rest = (uint8_t *)rest + biases_size(&model->lstm[i]);
        if (model->lstm[i].packed) {
            bw_packed_fold_all(&model->lstm[i].recurrent, network->biases[i]);
        }
    }
    network->sums = rest;
    rest = (uint8_t *)rest + sums_size(model);
    network->records = rest;
    network->sample = (int8_t *)rest + records_size(model);
    memset(network->sample, 0, aligned(model->channels));
    memset(network->states, 0, lanes * network->lane_size);
    for (uint32_t lane = 0; lane < lanes; ++lane) {
        bw_network_reset(network, lane);
    }
    return BW_OK;
}

static int16_t *cell_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    const size_t before = layer == 0 ? 0 : padded(network->model->lstm[0].hidden) * (sizeof(int16_t) + sizeof(int8_t));
    void *state = network->states + lane * network->lane_size + before;
    return state;
}

/* The hidden state stands behind the cell. */
static int8_t *behind(int16_t *cell, const bw_lstm *lstm) { return (int8_t *)(cell + padded(lstm->hidden)); }

static int8_t *hidden_of(const bw_network *network, uint32_t lane, uint32_t layer) {
    return behind(cell_of(network, lane, layer), &network->model->lstm[layer]);
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

/* One lane's step in a layer, whose input parts are in the records. */
static void update(bw_network *network, uint32_t layer, uint32_t lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int16_t *cell = cell_of(network, lane, layer);
    int8_t *hidden = behind(cell, lstm);
    bw_lstm_product(lstm, &lstm->recurrent, network->biases[layer], hidden, network->sums,
                    network->records + BW_RECORD_EVEN);
    bw_lstm_activate(lstm, network->records + BW_RECORD_EVEN, cell, hidden);
}

#if BW_DSP_LANES > 1
static void update_both(bw_network *network, uint32_t even, uint32_t odd) {
    const bw_lstm *lstm = &network->model->lstm[0];
    int16_t *cell[2] = {cell_of(network, even, 0), cell_of(network, odd, 0)};
    int8_t *hidden[2] = {behind(cell[0], lstm), behind(cell[1], lstm)};
    bw_dsp_product_lanes(&lstm->recurrent, network->biases[0], hidden[0], hidden[1], network->records);
    bw_dsp_activate(network->records + BW_RECORD_EVEN, cell[0], hidden[0], &lstm->constants);
    bw_dsp_activate(network->records + BW_RECORD_INPUT, cell[1], hidden[1], &lstm->constants);
}
#endif

/* The first layer: all lanes share the input parts, and by two the recurrent weights. */
static void step_first(bw_network *network, const int8_t sample[], uint32_t lane_mask) {
    const bw_lstm *lstm = &network->model->lstm[0];
    bw_lstm_product(lstm, &lstm->input, lstm->bias, sample, network->sums, network->records + BW_RECORD_INPUT);
    uint32_t waiting = BW_MAX_LANES; /* a lane that looks for another */
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((lane_mask >> lane & 1u) == 0) {
            continue;
        }
#if BW_DSP_LANES > 1
        if (lstm->packed && lstm->recurrent.more_quads == 0) {
            if (waiting == BW_MAX_LANES) {
                waiting = lane;
            } else {
                update_both(network, waiting, lane);
                waiting = BW_MAX_LANES;
            }
            continue;
        }
#endif
        update(network, 0, lane);
    }
    if (waiting != BW_MAX_LANES) {
        update(network, 0, waiting);
    }
}

void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask) {
    const bw_model *model = network->model;
    if (model->channels % 2u != 0) { /* kernels read pairs */
        memcpy(network->sample, sample, model->channels);
        sample = network->sample;
    }
    step_first(network, sample, lane_mask);
    if (model->layers == 1) {
        return;
    }
    const bw_lstm *lstm = &model->lstm[1];
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if ((lane_mask >> lane & 1u) != 0) {
            bw_lstm_product(lstm, &lstm->input, lstm->bias, hidden_of(network, lane, 0), network->sums,
                            network->records + BW_RECORD_INPUT);
            update(network, 1, lane);
        }
    }
}

void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]) {
    const bw_model *model = network->model;
    int8_t *const scratch = (int8_t *)network->records;
    int8_t *const buffers[2] = {scratch, scratch + widest_layer(model)};
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
