#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

void fuzz_fail(const char *what, unsigned long number) {
    fprintf(stderr, "fuzz: %s (%lu)\n", what, number);
    abort();
}

void *fuzz_block(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        fuzz_fail("out of memory", (unsigned long)size);
    }
    return memory;
}

void fuzz_fix_crc(uint8_t image[], size_t size) {
    const uint32_t crc = bw_crc32(bw_crc32(0, image, 12), image + 16, size - 16);
    for (int i = 0; i < 4; ++i) {
        image[12 + i] = (uint8_t)(crc >> (8 * i));
    }
}

const uint8_t *fuzz_image(size_t *size) {
    static uint8_t *image;
    static size_t image_size;
    if (image == NULL) {
        const char *path = getenv("BITWAVE_IMAGE");
        FILE *file = path == NULL ? NULL : fopen(path, "rb");
        if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
            fuzz_fail("BITWAVE_IMAGE names no file", 0);
        }
        image_size = (size_t)ftell(file);
        image = fuzz_block(image_size);
        rewind(file);
        if (fread(image, 1, image_size, file) != image_size) {
            fuzz_fail("cannot read the image", 0);
        }
        fclose(file);
    }
    *size = image_size;
    return image;
}
