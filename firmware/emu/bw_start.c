/* Start-up of the emulated board: vector table, initialised data, FPU on, main. */
#include "bw_start.h"

#include <stdint.h>

extern uint32_t bw_data_start[], bw_data_end[], bw_data_load[], bw_bss_start[], bw_bss_end[], bw_stack_top[];

int main(void);
void bw_reset(void);
void bw_fault(void);

typedef union {
    void (*handler)(void);
    uint32_t *stack;
} bw_vector;

/* Stack top, reset, and the fourteen system exceptions; the board takes no interrupt. */
__attribute__((section(".vectors"), used)) static const bw_vector vectors[16] = {
    {.stack = bw_stack_top}, {.handler = bw_reset}, {.handler = bw_fault}, {.handler = bw_fault},
    {.handler = bw_fault},   {.handler = bw_fault}, {.handler = bw_fault}, {.handler = bw_fault},
    {.handler = bw_fault},   {.handler = bw_fault}, {.handler = bw_fault}, {.handler = bw_fault},
    {.handler = bw_fault},   {.handler = bw_fault}, {.handler = bw_fault}, {.handler = bw_fault},
};

/* One semihosting call: operation in r0, its argument or argument block in r1. */
static uint32_t semihost(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

#define SYS_WRITE0 0x04u
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u

void bw_print(const char *text)
{
    (void)semihost(SYS_WRITE0, text);
}

void bw_exit(int code)
{
    const uint32_t block[2] = {APPLICATION_EXIT, (uint32_t)code};
    for (;;) {
        (void)semihost(SYS_EXIT_EXTENDED, block);
    }
}

void bw_fault(void)
{
    bw_print("fault\n");
    bw_exit(3);
}

void bw_reset(void)
{
    volatile uint32_t *const cpacr = (volatile uint32_t *)0xE000ED88u;
    const uint32_t *from = bw_data_load;
    *cpacr |= 0xFu << 20; /* full access to CP10 and CP11: the hard-float ABI may use FP registers anywhere */
    for (uint32_t *to = bw_data_start; to != bw_data_end; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = bw_bss_start; to != bw_bss_end; ++to) {
        *to = 0;
    }
    bw_exit(main());
}
