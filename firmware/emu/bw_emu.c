/* The core's operations on fixed memory, for a caller that has only registers: the emulator calls these functions one
 * by one, and main() the same for QEMU. */
#include "bw_emu.h"

#define IMAGE_SIZE (512u * 1024u)
#define ARENA_SIZE (48u * 1024u)

__attribute__((section(".bss.region.model"), used, aligned(4))) uint8_t bw_emu_image[IMAGE_SIZE];
__attribute__((section(".bss.region.exchange"), used, aligned(4))) uint8_t bw_emu_input[BW_EMU_INPUT];
__attribute__((section(".bss.region.exchange"), used, aligned(4))) uint8_t bw_emu_output[BW_EMU_OUTPUT];
/* The app's flash slots: where the host keeps them beyond one run of the machine. */
__attribute__((section(".bss.region.exchange"), used, aligned(4))) uint8_t bw_emu_flash[BW_SLOTS][BW_EMU_SLOT];
bw_emu_sizes bw_emu_shape;

/* One arena for windows and the recognizer, which are never in use together, and one for the app. */
static uint32_t arena[ARENA_SIZE / sizeof(uint32_t)];
static uint32_t app_arena[ARENA_SIZE / sizeof(uint32_t)];
static bw_model model;
static bw_recognizer recognizer;
static uint32_t slept; /* samples since the recognizer's start */
static bw_app app;
static bw_board board = {0, {BW_EMU_FIRMWARE}, 6, 119000, 8192000, 16384, {BW_LINK_PHYSICAL, BW_LINK_REMOTE}};

/* These are read by the emulator by name, where it counts what single calls cost. */
bw_network bw_emu_network;
bw_event bw_emu_event;

uint32_t bw_emu_open(uint32_t size)
{
    const bw_status status = bw_model_open(&model, bw_emu_image, size);
    memset(&bw_emu_shape, 0, sizeof bw_emu_shape);
    if (status == BW_OK) {
        bw_emu_shape.channels = model.channels;
        bw_emu_shape.classes = model.classes;
        bw_emu_shape.layers = model.layers;
        for (uint32_t i = 0; i < model.branches; ++i) {
            const bw_branch *branch = &model.branch[i];
            const uint32_t end = (uint32_t)branch->first_layer + branch->layers;
            for (uint32_t layer = branch->first_layer; layer < end; ++layer) {
                bw_emu_shape.hidden[layer] = model.lstm[layer].hidden;
                bw_emu_shape.kernel[layer] = branch->kernel;
                bw_emu_shape.stride[layer] = branch->stride;
            }
        }
        bw_emu_shape.window = model.window;
        bw_emu_shape.lanes = model.lanes;
        bw_emu_shape.recognizer_bytes = (uint32_t)bw_recognizer_arena_size(&model);
    }
    return (uint32_t)status;
}

uint32_t bw_emu_self_test(void)
{
    return (uint32_t)bw_self_test(&model, arena, sizeof arena);
}

/* Puts the values of one kind after those of all windows before it. */
static uint8_t *place(uint8_t **next, size_t windows, size_t size)
{
    uint8_t *const here = *next;
    *next += windows * size;
    return here;
}

static size_t values_of(uint32_t layer, uint32_t steps)
{
    return (size_t)bw_model_layer_steps(&model, layer, steps) * model.lstm[layer].hidden;
}

uint32_t bw_emu_classify(uint32_t windows, uint32_t steps)
{
    uint8_t *next = bw_emu_output;
    uint8_t *cell[BW_MAX_LAYERS], *hidden[BW_MAX_LAYERS], *scores;
    for (uint32_t layer = 0; layer < model.layers; ++layer) {
        cell[layer] = place(&next, windows, 2 * values_of(layer, steps));
    }
    for (uint32_t layer = 0; layer < model.layers; ++layer) {
        hidden[layer] = place(&next, windows, values_of(layer, steps));
    }
    scores = place(&next, windows, model.classes);
    if (next > bw_emu_output + sizeof bw_emu_output) {
        return (uint32_t)BW_BAD_ARGUMENT;
    }
    for (uint32_t window = 0; window < windows; ++window) {
        bw_trace trace;
        bw_status status;
        memset(&trace, 0, sizeof trace);
        for (uint32_t layer = 0; layer < model.layers; ++layer) {
            const size_t values = values_of(layer, steps);
            trace.cell[layer] = (int16_t *)(void *)cell[layer] + window * values;
            trace.hidden[layer] = (int8_t *)hidden[layer] + window * values;
        }
        status = bw_network_classify(&model, arena, sizeof arena,
                                     (const int8_t *)bw_emu_input + (size_t)window * steps * model.channels, steps,
                                     (int8_t *)scores + (size_t)window * model.classes, &trace);
        if (status != BW_OK) {
            return (uint32_t)status;
        }
    }
    return (uint32_t)BW_OK;
}

uint32_t bw_emu_network_start(uint32_t lanes)
{
    return (uint32_t)bw_network_init(&bw_emu_network, &model, lanes, arena, sizeof arena);
}

uint32_t bw_emu_recognizer_start(uint32_t sensor_mhz)
{
    slept = 0;
    return (uint32_t)bw_recognizer_init(&recognizer, &model, sensor_mhz == 0 ? model.rate_mhz : sensor_mhz, arena,
                                        sizeof arena);
}

uint32_t bw_emu_recognize(uint32_t samples)
{
    bw_emu_result *result = (bw_emu_result *)(void *)bw_emu_output;
    const int16_t *sample = (const int16_t *)(const void *)bw_emu_input;
    uint32_t found = 0;
    for (; samples > 0; --samples, sample += model.channels) {
        bw_recognizer_push(&recognizer, sample, &bw_emu_event);
        slept += recognizer.asleep;
        if (bw_emu_event.kind == BW_EVENT_NONE) {
            continue;
        }
        result->sample = bw_emu_event.sample;
        result->kind = (uint8_t)bw_emu_event.kind;
        result->label = bw_emu_event.label;
        result->score = bw_emu_event.score;
        result->reserved = 0;
        memset(result->scores, 0, sizeof result->scores);
        memcpy(result->scores, recognizer.scores, model.classes);
        ++result;
        ++found;
    }
    return found;
}

uint32_t bw_emu_slept(void)
{
    return slept;
}

static bw_status erase(void *context, uint32_t slot, uint32_t page)
{
    (void)context;
    memset(bw_emu_flash[slot] + page * BW_EMU_PAGE, 0xFF, BW_EMU_PAGE);
    return BW_OK;
}

/* Clears bits and sets none, as NOR flash does. */
static bw_status program(void *context, uint32_t slot, uint32_t offset, const uint32_t words[], uint32_t count)
{
    const uint8_t *bytes = (const uint8_t *)words;
    (void)context;
    for (uint32_t i = 0; i < 4u * count; ++i) {
        bw_emu_flash[slot][offset + i] &= bytes[i];
    }
    return BW_OK;
}

uint32_t bw_emu_app_start(uint32_t with_model, uint32_t rate_mhz)
{
    static const bw_flash flash = {
        NULL, {bw_emu_flash[0], bw_emu_flash[1]}, BW_EMU_PAGE, BW_EMU_SLOT / BW_EMU_PAGE, erase, program};
    board.rate_mhz = rate_mhz;
    return (uint32_t)bw_app_init(&app, &board, with_model ? &model : NULL, &flash, app_arena, sizeof app_arena);
}

void bw_emu_app_receive(uint32_t link, uint32_t size)
{
    bw_app_receive(&app, link, bw_emu_input, size);
}

void bw_emu_app_sample(uint32_t time_us)
{
    bw_app_sample(&app, time_us, (const int16_t *)(const void *)bw_emu_input);
}

void bw_emu_app_tick(uint32_t time_us)
{
    bw_app_tick(&app, time_us);
}

uint32_t bw_emu_app_transmit(uint32_t link, uint32_t capacity)
{
    return (uint32_t)bw_app_transmit(&app, link, bw_emu_output, capacity);
}

uint32_t bw_emu_app_awake(void)
{
    return app.recognised - app.slept;
}

void bw_emu_app_cycles(uint32_t cycles_per_step)
{
    app.counters.cycles_per_step = cycles_per_step;
}

void bw_emu_app_counters(uint32_t lost_samples, uint32_t cycles_per_step, uint32_t longest_loop_us)
{
    app.counters.lost_samples = lost_samples;
    app.counters.cycles_per_step = cycles_per_step;
    app.counters.longest_loop_us = longest_loop_us;
}
