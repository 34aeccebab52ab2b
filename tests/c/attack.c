/* Attacks the core under sanitizers: every object lies in a heap block of exactly the size that the core asked for.
 *
 *   attack flips IMAGE               every byte changed, every length: all refused
 *   attack forge IMAGE SEED COUNT    changed images with a corrected CRC: refused, or run without harm
 *   attack talk IMAGE SEED COUNT     frames, damaged frames and noise into the app
 *   attack overflow IMAGE            an arena shorter than said: the address sanitizer must stop this
 *   attack sum                       a sum that bw_model_open() would have refused: the other sanitizer must stop this
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../firmware/lib/bitwave_core/src/bw_kernels.h"

static uint32_t random_state;

static uint32_t random_below(uint32_t limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % limit;
}

static void fail(const char *what, size_t where) {
    fprintf(stderr, "attack: %s at %zu\n", what, where);
    exit(1);
}

static void must(bw_status status, const char *what) {
    if (status != BW_OK) {
        fail(what, (size_t)status);
    }
}

/* A block of exactly `size` bytes; of size 0, one that must not be touched. */
static void *block(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        fail("out of memory", size);
    }
    return memory;
}

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fail("cannot read the image", 0);
    }
    *size = (size_t)ftell(file);
    uint8_t *bytes = block(*size);
    rewind(file);
    if (fread(bytes, 1, *size, file) != *size) {
        fail("cannot read the image", *size);
    }
    fclose(file);
    return bytes;
}

static void refuse(const uint8_t *image, size_t size, size_t where) {
    bw_model model;
    uint8_t *copy = block(size);
    memcpy(copy, image, size);
    if (bw_model_open(&model, copy, size) == BW_OK) {
        fail("a changed image was accepted", where);
    }
    free(copy);
}

static void flips(uint8_t *image, size_t size) {
    static const uint8_t masks[] = {0x01, 0x80, 0xFF};
    bw_model model;
    must(bw_model_open(&model, image, size), "the image is refused");
    for (size_t at = 0; at < size; ++at) {
        for (size_t i = 0; i < sizeof masks; ++i) {
            image[at] ^= masks[i];
            refuse(image, size, at);
            image[at] ^= masks[i];
        }
        refuse(image, at, at);
    }
}

/* So many that every layer makes a step, and not more than the window that pooling has room for. */
static uint32_t steps_for(const bw_model *model) {
    uint32_t steps = 5;
    for (uint32_t i = 0; i < model->branches; ++i) {
        steps = model->branch[i].kernel > steps ? model->branch[i].kernel : steps;
    }
    return steps < model->window ? steps : model->window;
}

static void exercise(const bw_model *model) {
    const size_t network_size = bw_network_arena_size(model, 1);
    const size_t recognizer_size = bw_recognizer_arena_size(model);
    void *network_arena = block(network_size);
    void *recognizer_arena = block(recognizer_size);
    const uint32_t steps = steps_for(model);
    int8_t *window = block((size_t)steps * model->channels);
    int8_t *scores = block(model->classes);
    int16_t *sample = block(model->channels * sizeof *sample);
    for (size_t i = 0; i < (size_t)steps * model->channels; ++i) {
        window[i] = (int8_t)((int)random_below(256) - 128);
    }
    must(bw_network_classify(model, network_arena, network_size, window, steps, scores, NULL), "classify");
    const bw_status known = bw_self_test(model, network_arena, network_size);
    if (known != BW_OK && known != BW_SELF_TEST_FAILED) {
        fail("self-test", (size_t)known);
    }
    if (model->hop > 0) {
        bw_recognizer recognizer;
        const uint32_t sensor = model->rate_mhz / 100u * (50u + random_below(101));
        const bw_status status = bw_recognizer_init(&recognizer, model, sensor, recognizer_arena, recognizer_size);
        if (status != BW_OK && status != BW_RATE_MISMATCH) {
            fail("recognizer", (size_t)status);
        }
        for (int i = 0; status == BW_OK && i < 50; ++i) {
            bw_event event;
            for (uint32_t c = 0; i % 20 < 3 && c < model->channels; ++c) { /* then rest, for a gate's sake */
                sample[c] = (int16_t)((int)random_below(65536) - 32768);
            }
            bw_recognizer_push(&recognizer, sample, &event);
        }
    }
    free(sample);
    free(scores);
    free(window);
    free(recognizer_arena);
    free(network_arena);
}

static void fix_crc(uint8_t *image, size_t size) {
    const uint32_t crc = bw_crc32(bw_crc32(0, image, 12), image + 16, size - 16);
    for (int i = 0; i < 4; ++i) {
        image[12 + i] = (uint8_t)(crc >> (8 * i));
    }
}

static void forge(const uint8_t *image, size_t size, uint32_t count) {
    uint32_t accepted = 0;
    for (uint32_t round = 0; round < count; ++round) {
        /* sometimes shorter, with the size field telling so */
        const size_t length = random_below(8) == 0 ? 56 + random_below((uint32_t)size - 55) : size;
        uint8_t *forged = block(length);
        bw_model model;
        memcpy(forged, image, length);
        for (int i = 0; i < 4; ++i) {
            forged[8 + i] = (uint8_t)(length >> (8 * i));
        }
        for (uint32_t change = random_below(4); change < 4; ++change) {
            /* most of the trouble is in the numbers at the start and in the few bytes after the weights */
            const uint32_t limit = random_below(2) == 0 && length > 200 ? 200 : (uint32_t)length;
            forged[random_below(limit)] = (uint8_t)random_below(256);
        }
        fix_crc(forged, length);
        if (bw_model_open(&model, forged, length) == BW_OK) {
            ++accepted;
            exercise(&model);
        }
        free(forged);
    }
    printf("%u of %u forged images ran\n", accepted, count);
}

static size_t random_frame(uint8_t frame[BW_WIRE_FRAME], const bw_model *model) {
    uint8_t payload[BW_WIRE_PAYLOAD];
    size_t size = BW_WIRE_HEADER + random_below(12);
    for (size_t i = 0; i < sizeof payload; ++i) {
        payload[i] = (uint8_t)random_below(256);
    }
    payload[0] = (uint8_t)(0x40 + random_below(8));
    payload[BW_WIRE_HEADER] = (uint8_t)random_below(2);
    if (payload[0] == BW_COMMAND_STREAM || payload[0] == BW_COMMAND_RECOGNISE) {
        size = BW_WIRE_HEADER + 1;
    } else if (payload[0] == BW_COMMAND_PARITY && random_below(4) != 0) {
        memset(payload + BW_WIRE_HEADER, 0, 4);
        payload[BW_WIRE_HEADER + 2] = (uint8_t)random_below(20);
        payload[BW_WIRE_HEADER + 3] = (uint8_t)random_below(4);
        size = BW_WIRE_HEADER + 4 + (size_t)payload[BW_WIRE_HEADER + 2] * model->channels;
    } else if (random_below(2) == 0) {
        size = BW_WIRE_HEADER;
    }
    return bw_wire_encode(frame, payload, size < sizeof payload ? size : sizeof payload);
}

/* Whatever comes out must be sound frames. */
static void listen(bw_app *app, bw_wire_decoder decoders[BW_APP_LINKS], size_t capacity) {
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        uint8_t *out = block(capacity);
        const size_t size = bw_app_transmit(app, link, out, capacity);
        for (size_t i = 0; i < size; ++i) {
            bw_frame frame;
            (void)bw_wire_receive(&decoders[link], out[i], &frame);
        }
        if (decoders[link].errors != 0) {
            fail("the app sent something that is no frame", link);
        }
        free(out);
    }
}

static void talk(const uint8_t *image, size_t size, uint32_t count) {
    static bw_app app;
    static bw_wire_decoder decoders[BW_APP_LINKS];
    bw_model model;
    must(bw_model_open(&model, image, size), "the image is refused");
    const bw_board board = {0,
                            {1, 2, 3},
                            model.channels,
                            model.rate_mhz,
                            model.accel_milli_lsb_per_g,
                            model.gyro_milli_lsb_per_dps,
                            {BW_LINK_PHYSICAL, BW_LINK_REMOTE}};
    const size_t arena_size = bw_app_arena_size(&model);
    void *arena = block(arena_size);
    int16_t *sample = block(model.channels * sizeof *sample);
    must(bw_app_init(&app, &board, &model, NULL, arena, arena_size), "app");
    bw_wire_reset(&decoders[0]);
    bw_wire_reset(&decoders[1]);
    for (uint32_t round = 0; round < count; ++round) {
        uint8_t frame[BW_WIRE_FRAME];
        size_t length = random_frame(frame, &model);
        if (random_below(3) == 0) {
            frame[random_below((uint32_t)length)] = (uint8_t)random_below(256);
        }
        if (random_below(20) == 0) {
            length = 1 + random_below((uint32_t)length);
        }
        bw_app_receive(&app, random_below(BW_APP_LINKS + 1), frame, length);
        for (uint32_t c = 0; c < model.channels; ++c) {
            sample[c] = (int16_t)((int)random_below(65536) - 32768);
        }
        bw_app_sample(&app, round * (random_below(50) == 0 ? 90000u : 8403u), sample);
        if (random_below(3) == 0) {
            listen(&app, decoders, random_below(2) == 0 ? 20 : 244);
        }
    }
    printf("%u dropped, %u errors\n", app.links[0].dropped_frames, app.links[0].decoder.errors);
    free(sample);
    free(arena);
}

static void overflow(const uint8_t *image, size_t size) {
    bw_model model;
    bw_network network;
    must(bw_model_open(&model, image, size), "the image is refused");
    const size_t said = bw_network_arena_size(&model, 1);
    void *arena = block(said / 2);
    int8_t *sample = block(model.channels);
    memset(sample, 0, model.channels);
    must(bw_network_init(&network, &model, 1, arena, said), "network");
    bw_network_step(&network, sample, 1);
    free(sample);
    free(arena);
}

static void sum(void) {
    static const bw_scale scale = {1 << 30, 0};
    static const int8_t weight = 127;
    static const int32_t bias = INT32_MAX;
    const bw_dense layer = {1, 1, 0, 0, INT8_MIN, INT8_MAX, 1, &scale, &weight, &bias};
    const int8_t input = 127;
    int8_t output;
    bw_dense_run(&layer, &input, &output);
    printf("%d\n", output);
}

int main(int count, char **words) {
    size_t size = 0;
    if (count == 2 && strcmp(words[1], "sum") == 0) {
        sum();
        return 0;
    }
    if (count < 3) {
        return 2;
    }
    uint8_t *image = read_file(words[2], &size);
    random_state = count > 3 ? (uint32_t)strtoul(words[3], NULL, 10) : 1u;
    const uint32_t rounds = count > 4 ? (uint32_t)strtoul(words[4], NULL, 10) : 1u;
    if (strcmp(words[1], "flips") == 0) {
        flips(image, size);
    } else if (strcmp(words[1], "forge") == 0) {
        forge(image, size, rounds);
    } else if (strcmp(words[1], "talk") == 0) {
        talk(image, size, rounds);
    } else if (strcmp(words[1], "overflow") == 0) {
        overflow(image, size);
    } else {
        return 2;
    }
    free(image);
    return 0;
}
