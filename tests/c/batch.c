/* batch IMAGE SEED: windows of all counts and several lengths, many at once and one by one, under sanitizers: every
 * score and state must be the same. Every block has exactly the size that was asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../firmware/host/bw_batch.h"

static uint32_t random_state;

static uint32_t random_below(uint32_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "batch: %s\n", what);
        exit(1);
    }
}

static void *block(size_t size) {
    void *memory = malloc(size);
    must(memory != NULL, "out of memory");
    return memory;
}

typedef struct states {
    int8_t *hidden[BW_MAX_LAYERS];
    int16_t *cell[BW_MAX_LAYERS];
} states;

static states blocks_for(const bw_model *model, size_t count, uint32_t steps) {
    states found = {{NULL}, {NULL}};
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        const size_t values = count * bw_model_layer_steps(model, layer, steps) * model->lstm[layer].hidden;
        found.hidden[layer] = block(values);
        found.cell[layer] = block(values * sizeof(int16_t));
    }
    return found;
}

static void release(const bw_model *model, const states *of) {
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        free(of->hidden[layer]);
        free(of->cell[layer]);
    }
}

/* count windows of so many steps, both ways */
static void compare(const bw_model *model, const bw_batch *batch, size_t count, uint32_t steps) {
    const size_t size = count * steps * model->channels, arena_size = bw_network_arena_size(model, 1);
    int8_t *windows = block(size), *wanted = block(count * model->classes), *scores = block(count * model->classes);
    void *arena = block(arena_size), *batch_arena = block(bw_batch_arena_size(batch));
    for (size_t i = 0; i < size; ++i) {
        const uint32_t kind = random_below(4); /* a quarter each of the two extremes */
        windows[i] = (int8_t)(kind == 0 ? INT8_MIN : kind == 1 ? INT8_MAX : (int32_t)random_below(256) - 128);
    }
    const states one = blocks_for(model, count, steps), many = blocks_for(model, count, steps);
    const bw_batch_trace trace = {many.hidden, many.cell};
    const size_t room = bw_batch_arena_size(batch);
    must(bw_batch_classify(batch, batch_arena, room, windows, count, steps, scores, &trace) == BW_OK, "many at once");
    for (size_t i = 0; i < count; ++i) {
        bw_trace own = {{NULL}, {NULL}};
        for (uint32_t layer = 0; layer < model->layers; ++layer) {
            const size_t values = (size_t)bw_model_layer_steps(model, layer, steps) * model->lstm[layer].hidden;
            own.hidden[layer] = one.hidden[layer] + i * values;
            own.cell[layer] = one.cell[layer] + i * values;
        }
        must(bw_network_classify(model, arena, arena_size, windows + i * steps * model->channels, steps,
                                 wanted + i * model->classes, &own) == BW_OK, "one by one");
    }
    must(memcmp(scores, wanted, count * model->classes) == 0, "other scores");
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        const size_t values = count * bw_model_layer_steps(model, layer, steps) * model->lstm[layer].hidden;
        must(memcmp(one.hidden[layer], many.hidden[layer], values) == 0, "other hidden states");
        must(memcmp(one.cell[layer], many.cell[layer], values * sizeof(int16_t)) == 0, "other cell states");
    }
    memset(scores, 0, count * model->classes);
    must(bw_batch_classify(batch, batch_arena, room, windows, count, steps, scores, NULL) == BW_OK, "without a trace");
    must(memcmp(scores, wanted, count * model->classes) == 0, "other scores without a trace");
    must(bw_batch_classify(batch, batch_arena, room, windows, BW_BATCH + 1, steps, scores, NULL) == BW_BAD_ARGUMENT,
         "too many");
    must(bw_batch_classify(batch, batch_arena, 8, windows, count, steps, scores, NULL) == BW_ARENA_SMALL, "no memory");
    release(model, &one);
    release(model, &many);
    free(windows);
    free(wanted);
    free(scores);
    free(arena);
    free(batch_arena);
}

int main(int count, char *words[]) {
    must(count == 3, "usage: batch IMAGE SEED");
    FILE *file = fopen(words[1], "rb");
    must(file != NULL && fseek(file, 0, SEEK_END) == 0, "cannot read the image");
    const size_t size = (size_t)ftell(file);
    uint8_t *image = block(size);
    bw_model *model = block(sizeof *model);
    rewind(file);
    must(fread(image, 1, size, file) == size, "cannot read the image");
    fclose(file);
    random_state = 2u * (uint32_t)atoi(words[2]) + 1u;
    must(bw_model_open(model, image, size) == BW_OK, "the image does not open");
    void *memory = block(bw_batch_size(model));
    const bw_batch *batch = bw_batch_prepare(model, memory);
    for (size_t windows = 1; windows <= BW_BATCH; ++windows) {
        compare(model, batch, windows, model->window - (uint32_t)(windows % 3u));
    }
    free(memory);
    free(model);
    free(image);
    return 0;
}
