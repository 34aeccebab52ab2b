/* What Python needs beside bitwave.h: sizes of objects, facts of a model, and loops over windows and samples. */
#include "bitwave.h"

#include "bw_batch.h"
#include "bw_nor.h"

#if defined(_WIN32)
#define BW_EXPORT __declspec(dllexport)
#else
#define BW_EXPORT __attribute__((visibility("default")))
#endif

typedef struct bw_host_shape {
    uint32_t window;
    uint32_t hop;
    uint32_t channels;
    uint32_t classes;
    uint32_t layers;
    uint32_t lanes;
    uint32_t hidden[BW_MAX_LAYERS];
    uint32_t kernel[BW_MAX_LAYERS]; /* samples under one step of the layer */
    uint32_t stride[BW_MAX_LAYERS]; /* samples between two */
    uint32_t network_bytes;    /* arena of one lane */
    uint32_t recognizer_bytes; /* arena of all lanes, 0: network only */
    uint32_t app_bytes;
} bw_host_shape;

typedef struct bw_host_result {
    uint32_t sample;
    uint8_t kind;
    uint8_t label;
    uint8_t score;
    uint8_t reserved;
    int8_t scores[BW_MAX_LABELS];
} bw_host_result;

BW_EXPORT size_t bw_host_model_size(void);
BW_EXPORT size_t bw_host_recognizer_size(void);
BW_EXPORT size_t bw_host_app_size(void);
BW_EXPORT const char *bw_host_status_text(int status);
BW_EXPORT int bw_host_open(bw_model *model, const void *image, size_t size);
BW_EXPORT void bw_host_describe(const bw_model *model, bw_host_shape *shape);
BW_EXPORT int bw_host_self_test(const bw_model *model, void *arena, size_t size);
BW_EXPORT size_t bw_host_batch_size(const bw_model *model);
BW_EXPORT const bw_batch *bw_host_batch_prepare(const bw_model *model, void *memory);
BW_EXPORT size_t bw_host_batch_arena_size(const bw_batch *batch);
BW_EXPORT int bw_host_classify(const bw_model *model, void *arena, size_t size, const int8_t *windows, size_t count,
                               uint32_t steps, int8_t *scores, int8_t *const hidden[], int16_t *const cell[]);
BW_EXPORT int bw_host_classify_batches(const bw_batch *batch, const bw_model *model, void *arena, size_t size,
                                       const int8_t *windows, size_t count, uint32_t steps, int8_t *scores,
                                       int8_t *const hidden[], int16_t *const cell[]);
BW_EXPORT size_t bw_host_batch_size(const bw_model *model) { return bw_batch_size(model); }

const bw_batch *bw_host_batch_prepare(const bw_model *model, void *memory) { return bw_batch_prepare(model, memory); }

size_t bw_host_batch_arena_size(const bw_batch *batch) { return bw_batch_arena_size(batch); }

/* The same, BW_BATCH windows at a time. */
int bw_host_classify_batches(const bw_batch *batch, const bw_model *model, void *arena, size_t size,
                             const int8_t *windows, size_t count, uint32_t steps, int8_t *scores,
                             int8_t *const hidden[], int16_t *const cell[]) {
    for (size_t i = 0; i < count; i += BW_BATCH) {
        int8_t *hidden_at[BW_MAX_LAYERS] = {NULL};
        int16_t *cell_at[BW_MAX_LAYERS] = {NULL};
        const bw_batch_trace trace = {hidden_at, cell_at};
        const int traced = hidden != NULL && cell != NULL;
        for (uint32_t layer = 0; traced && layer < model->layers; ++layer) {
            const size_t values = (size_t)bw_model_layer_steps(model, layer, steps) * model->lstm[layer].hidden;
            hidden_at[layer] = hidden[layer] + i * values;
            cell_at[layer] = cell[layer] + i * values;
        }
        const size_t some = count - i < BW_BATCH ? count - i : BW_BATCH;
        const bw_status status =
            bw_batch_classify(batch, arena, size, windows + i * steps * model->channels, some, steps,
                              scores + i * model->classes, traced ? &trace : NULL);
        if (status != BW_OK) {
            return (int)status;
        }
    }
    return BW_OK;
}

int bw_host_recognizer_start(bw_recognizer *recognizer, const bw_model *model, uint32_t sensor_mhz,
                                       void *arena, size_t size);
BW_EXPORT size_t bw_host_recognize(bw_recognizer *recognizer, const int16_t *samples, size_t count,
                                   bw_host_result *results, uint32_t *slept);
BW_EXPORT size_t bw_host_encode(uint8_t *frame, const uint8_t *payload, size_t payload_size);
BW_EXPORT size_t bw_host_flash_size(void);
BW_EXPORT void bw_host_flash_start(bw_nor *nor, uint8_t *bytes, uint8_t *writes, uint32_t page_size,
                                   uint32_t slot_pages, uint32_t cut_at, uint32_t tear, uint32_t seed);
BW_EXPORT void bw_host_flash_told(const bw_nor *nor, uint32_t told[3]);
BW_EXPORT int bw_host_app_start(bw_app *app, const bw_board *board, const bw_model *model, const bw_nor *nor,
                                void *arena, size_t size);
BW_EXPORT void bw_host_app_receive(bw_app *app, uint32_t link, const uint8_t *bytes, size_t size);
BW_EXPORT void bw_host_app_sample(bw_app *app, uint32_t time_us, const int16_t *sample);
BW_EXPORT void bw_host_app_tick(bw_app *app, uint32_t time_us);
BW_EXPORT void bw_host_app_fault(bw_app *app, uint8_t code, const char *text);
BW_EXPORT void bw_host_app_lost(bw_app *app, uint32_t samples);
BW_EXPORT void bw_host_app_allow_update(bw_app *app);
BW_EXPORT void bw_host_app_board_changed(bw_app *app);
BW_EXPORT int bw_host_app_wants_bootloader(const bw_app *app);
BW_EXPORT size_t bw_host_app_transmit(bw_app *app, uint32_t link, uint8_t *out, size_t capacity);

size_t bw_host_model_size(void) { return sizeof(bw_model); }

size_t bw_host_recognizer_size(void) { return sizeof(bw_recognizer); }

size_t bw_host_app_size(void) { return sizeof(bw_app); }

const char *bw_host_status_text(int status) { return bw_status_text((bw_status)status); }

int bw_host_open(bw_model *model, const void *image, size_t size) { return (int)bw_model_open(model, image, size); }

void bw_host_describe(const bw_model *model, bw_host_shape *shape) {
    shape->window = model->window;
    shape->hop = model->hop;
    shape->channels = model->channels;
    shape->classes = model->classes;
    shape->layers = model->layers;
    shape->lanes = model->lanes;
    for (uint32_t i = 0; i < model->branches; ++i) {
        const bw_branch *branch = &model->branch[i];
        for (uint32_t layer = branch->first_layer; layer < (uint32_t)branch->first_layer + branch->layers; ++layer) {
            shape->hidden[layer] = model->lstm[layer].hidden;
            shape->kernel[layer] = branch->kernel;
            shape->stride[layer] = branch->stride;
        }
    }
    shape->network_bytes = (uint32_t)bw_network_arena_size(model, 1);
    shape->recognizer_bytes = (uint32_t)bw_recognizer_arena_size(model);
    shape->app_bytes = (uint32_t)bw_app_arena_size(model);
}

int bw_host_self_test(const bw_model *model, void *arena, size_t size) { return (int)bw_self_test(model, arena, size); }

/* windows [count][steps][channels]; hidden and cell [count][steps of the layer][hidden] per layer, or NULL for none */
int bw_host_classify(const bw_model *model, void *arena, size_t size, const int8_t *windows, size_t count,
                     uint32_t steps, int8_t *scores, int8_t *const hidden[], int16_t *const cell[]) {
    for (size_t i = 0; i < count; ++i) {
        bw_trace trace = {{NULL}, {NULL}};
        for (uint32_t layer = 0; hidden != NULL && cell != NULL && layer < model->layers; ++layer) {
            const size_t values = (size_t)bw_model_layer_steps(model, layer, steps) * model->lstm[layer].hidden;
            trace.hidden[layer] = hidden[layer] + i * values;
            trace.cell[layer] = cell[layer] + i * values;
        }
        const bw_status status = bw_network_classify(model, arena, size, windows + i * steps * model->channels, steps,
                                                     scores + i * model->classes, &trace);
        if (status != BW_OK) {
            return (int)status;
        }
    }
    return BW_OK;
}

int bw_host_recognizer_start(bw_recognizer *recognizer, const bw_model *model, uint32_t sensor_mhz, void *arena,
                             size_t size) {
    return (int)bw_recognizer_init(recognizer, model, sensor_mhz == 0 ? model->rate_mhz : sensor_mhz, arena, size);
}

/* samples [count][channels]; results has room for every window that ends: at most one per sample. `slept` becomes more
 * by the samples that found the network asleep. */
size_t bw_host_recognize(bw_recognizer *recognizer, const int16_t *samples, size_t count, bw_host_result *results,
                         uint32_t *slept) {
    const bw_model *model = recognizer->model;
    size_t found = 0;
    for (size_t i = 0; i < count; ++i) {
        bw_event event;
        bw_recognizer_push(recognizer, samples + i * model->channels, &event);
        *slept += recognizer->asleep;
        if (event.kind == BW_EVENT_NONE) {
            continue;
        }
        bw_host_result *result = &results[found++];
        result->sample = event.sample;
        result->kind = (uint8_t)event.kind;
        result->label = event.label;
        result->score = event.score;
        result->reserved = 0;
        for (uint32_t c = 0; c < BW_MAX_LABELS; ++c) {
            result->scores[c] = c < model->classes ? recognizer->scores[c] : 0;
        }
    }
    return found;
}

/* `frame` has room for BW_WIRE_FRAME bytes; 0 for a payload that is too short or too long */
size_t bw_host_encode(uint8_t *frame, const uint8_t *payload, size_t payload_size) {
    const int fits = payload_size >= BW_WIRE_HEADER && payload_size <= BW_WIRE_PAYLOAD;
    return fits ? bw_wire_encode(frame, payload, payload_size) : 0;
}

size_t bw_host_flash_size(void) { return sizeof(bw_nor); }

void bw_host_flash_start(bw_nor *nor, uint8_t *bytes, uint8_t *writes, uint32_t page_size, uint32_t slot_pages,
                         uint32_t cut_at, uint32_t tear, uint32_t seed) {
    bw_nor_init(nor, bytes, writes, page_size, slot_pages);
    nor->cut_at = cut_at;
    nor->tear = tear;
    nor->random = seed * 2u + 1u;
}

/* operations, breaches of the rules, power off */
void bw_host_flash_told(const bw_nor *nor, uint32_t told[3]) {
    told[0] = nor->operations;
    told[1] = nor->breaches;
    told[2] = nor->off;
}

int bw_host_app_start(bw_app *app, const bw_board *board, const bw_model *model, const bw_nor *nor, void *arena,
                      size_t size) {
    return (int)bw_app_init(app, board, model, nor != NULL ? &nor->flash : NULL, arena, size);
}

void bw_host_app_receive(bw_app *app, uint32_t link, const uint8_t *bytes, size_t size) {
    bw_app_receive(app, link, bytes, size);
}

void bw_host_app_sample(bw_app *app, uint32_t time_us, const int16_t *sample) { bw_app_sample(app, time_us, sample); }

void bw_host_app_tick(bw_app *app, uint32_t time_us) { bw_app_tick(app, time_us); }

void bw_host_app_fault(bw_app *app, uint8_t code, const char *text) { bw_app_fault(app, code, text); }

void bw_host_app_lost(bw_app *app, uint32_t samples) { bw_app_lost(app, samples); }

void bw_host_app_allow_update(bw_app *app) { bw_app_allow_update(app); }

void bw_host_app_board_changed(bw_app *app) { bw_app_board_changed(app); }

int bw_host_app_wants_bootloader(const bw_app *app) { return bw_app_wants_bootloader(app); }

size_t bw_host_app_transmit(bw_app *app, uint32_t link, uint8_t *out, size_t capacity) {
    return bw_app_transmit(app, link, out, capacity);
}
