/* parts IMAGE: what this build of the core says to a model: the statuses of opening it, of its known answer, of a
 * recognizer for samples of its own rate and of one for samples a quarter slower. After a refusal no more is asked. */
#include <stdio.h>
#include <stdlib.h>

#include "bitwave.h"

static void *block(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        exit(2);
    }
    return memory;
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        exit(2);
    }
    *size = (size_t)ftell(file);
    uint8_t *bytes = block(*size);
    rewind(file);
    if (fread(bytes, 1, *size, file) != *size) {
        exit(2);
    }
    fclose(file);
    return bytes;
}

int main(int count, char *words[]) {
    size_t size;
    bw_model *model = block(sizeof *model);
    bw_recognizer *recognizer = block(sizeof *recognizer);
    uint8_t *image = read_file(count == 2 ? words[1] : "", &size);
    bw_status status = bw_model_open(model, image, size);
    printf("%d", (int)status);
    if (status == BW_OK) {
        const size_t network_size = bw_network_arena_size(model, 1);
        const size_t recognizer_size = bw_recognizer_arena_size(model);
        void *arena = block(network_size);
        printf(" %d", (int)bw_self_test(model, arena, network_size));
        free(arena);
        arena = block(recognizer_size);
        status = bw_recognizer_init(recognizer, model, model->rate_mhz, arena, recognizer_size);
        printf(" %d", (int)status);
        status = bw_recognizer_init(recognizer, model, model->rate_mhz / 4u * 3u, arena, recognizer_size);
        printf(" %d", (int)status);
        free(arena);
    }
    printf("\n");
    free(image);
    free(recognizer);
    free(model);
    return 0;
}
