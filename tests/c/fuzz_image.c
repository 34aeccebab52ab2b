/* Changed images with a mended size and CRC: refused, or run without harm in blocks of exactly the size they ask
 * for. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { HEADER = 56, SAMPLES = 50, ARENA_LIMIT = 1 << 20 };

static void recognise(const bw_model *model, uint32_t noise) {
    const size_t size = bw_recognizer_arena_size(model);
    void *arena = fuzz_block(size);
    int16_t *sample = fuzz_block(model->channels * sizeof *sample);
    const uint32_t sensor = (uint32_t)((uint64_t)model->rate_mhz * (50u + noise % 101u) / 100u);
    bw_recognizer recognizer;
    const bw_status status = bw_recognizer_init(&recognizer, model, sensor, arena, size);
    if (status != BW_OK && status != BW_RATE_MISMATCH) {
        fuzz_fail("the recognizer does not start", status);
    }
    for (uint32_t i = 0; status == BW_OK && i < SAMPLES; ++i) {
        bw_event event;
        for (uint32_t c = 0; i % 20u < 3u && c < model->channels; ++c) { /* then rest, for a gate's sake */
            noise = noise * 1664525u + 1013904223u;
            sample[c] = (int16_t)((int)(noise >> 16) - 32768);
        }
        bw_recognizer_push(&recognizer, sample, &event);
        if (event.kind != BW_EVENT_NONE && event.label >= model->classes) {
            fuzz_fail("an event of no class", event.label);
        }
    }
    free(sample);
    free(arena);
}

static void run(const bw_model *model, uint32_t noise) {
    const size_t size = bw_network_arena_size(model, 1);
    void *arena = fuzz_block(size);
    const bw_status status = bw_self_test(model, arena, size);
    if (status != BW_OK && status != BW_SELF_TEST_FAILED) {
        fuzz_fail("the known answer cannot be computed", status);
    }
    free(arena);
    for (uint32_t i = 0; i <= model->classes; ++i) {
        size_t length;
        const char *label = bw_model_label(model, i, &length);
        for (size_t k = 0; k < length; ++k) {
            noise = noise * 31u + (uint8_t)label[k];
        }
    }
    if (model->hop > 0 && bw_recognizer_arena_size(model) < ARENA_LIMIT) {
        recognise(model, noise);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bw_model model;
    uint8_t *image = fuzz_block(size);
    memcpy(image, data, size);
    bw_status status = bw_model_open(&model, image, size);
    if (status != BW_OK && size >= HEADER) { /* nearly always */
        for (int i = 0; i < 4; ++i) {
            image[8 + i] = (uint8_t)(size >> (8 * i));
        }
        fuzz_fix_crc(image, size);
        status = bw_model_open(&model, image, size);
    }
    if (status == BW_OK) {
        run(&model, (uint32_t)(image[HEADER] | image[size / 2] << 8 | image[size - 1] << 16));
    }
    free(image);
    return 0;
}

size_t fuzz_seed(uint32_t index, uint8_t out[], size_t capacity) {
    size_t size;
    const uint8_t *image = fuzz_image(&size);
    if (index > 0 || size > capacity) {
        return 0;
    }
    memcpy(out, image, size);
    return size;
}
