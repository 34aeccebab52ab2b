/* Boots on QEMU's mps2-an386: replays the windows that QEMU's loader put into memory and prints all values in
 * hexadecimal through semihosting. Exit codes: 0 done, 1 refused (the last line says why), 3 fault. */
#include "bw_emu.h"
#include "bw_start.h"

/* The loader fills this in beside bw_emu_image and bw_emu_input. */
typedef struct bw_emu_request {
    uint32_t image_size;
    uint32_t windows;
    uint32_t steps;
    uint32_t output_size; /* bytes to print */
} bw_emu_request;

__attribute__((section(".bss.region.exchange"), used, aligned(4))) bw_emu_request bw_emu_asked;

int main(void);

static void print_hex(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char line[2 * 32 + 2];
    while (size > 0) {
        const size_t count = size < 32 ? size : 32;
        char *to = line;
        for (size_t i = 0; i < count; ++i) {
            *to++ = digits[bytes[i] >> 4];
            *to++ = digits[bytes[i] & 15];
        }
        *to++ = '\n';
        *to = '\0';
        bw_print(line);
        bytes += count;
        size -= count;
    }
}

static int refused(const char *what, uint32_t status)
{
    bw_print(what);
    bw_print(bw_status_text((bw_status)status));
    bw_print("\n");
    return 1;
}

int main(void)
{
    uint32_t status = bw_emu_open(bw_emu_asked.image_size);
    if (status != BW_OK) {
        return refused("open: ", status);
    }
    status = bw_emu_self_test();
    if (status != BW_OK) {
        return refused("self-test: ", status);
    }
    status = bw_emu_classify(bw_emu_asked.windows, bw_emu_asked.steps);
    if (status != BW_OK) {
        return refused("classify: ", status);
    }
    print_hex(bw_emu_output, bw_emu_asked.output_size);
    return 0;
}
