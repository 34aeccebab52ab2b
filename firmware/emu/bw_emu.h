/* What the emulator's side calls, and where it finds bytes; every status is a bw_status. */
#ifndef BW_EMU_H
#define BW_EMU_H

#include <string.h>

#include "bitwave.h"

#define BW_EMU_FIRMWARE 0, 1, 0
#define BW_EMU_INPUT (1024u * 1024u)
#define BW_EMU_OUTPUT (2u * 1024u * 1024u)
#define BW_EMU_SLOT (64u * 1024u) /* bytes of a flash slot */
#define BW_EMU_PAGE 4096u

/* Filled in by bw_emu_open(). */
typedef struct bw_emu_sizes {
    uint32_t channels;
    uint32_t classes;
    uint32_t layers;
    uint32_t hidden[BW_MAX_LAYERS];
    uint32_t kernel[BW_MAX_LAYERS]; /* samples under one step of the layer */
    uint32_t stride[BW_MAX_LAYERS]; /* samples between two */
    uint32_t window; /* steps */
    uint32_t lanes;
    uint32_t recognizer_bytes; /* of its arena */
} bw_emu_sizes;

/* One window that ended while recognising. */
typedef struct bw_emu_result {
    uint32_t sample;
    uint8_t kind;
    uint8_t label;
    uint8_t score;
    uint8_t reserved;
    int8_t scores[BW_MAX_LABELS];
} bw_emu_result;

extern uint8_t bw_emu_image[], bw_emu_input[], bw_emu_output[], bw_emu_flash[][BW_EMU_SLOT];
extern bw_emu_sizes bw_emu_shape;
extern bw_network bw_emu_network;
extern bw_event bw_emu_event;

/* Opens the `size` bytes in bw_emu_image. */
uint32_t bw_emu_open(uint32_t size);
uint32_t bw_emu_self_test(void);

/* int8 [windows][steps][channels] in bw_emu_input -> in bw_emu_output, one after the other: the cells of each layer,
 * int16 [windows][steps of the layer][hidden]; the hidden states of each layer, int8, likewise; scores int8
 * [windows][classes]. */
uint32_t bw_emu_classify(uint32_t windows, uint32_t steps);

/* Sets bw_emu_network up, so that single steps can be called and counted. */
uint32_t bw_emu_network_start(uint32_t lanes);

/* Raw int16 [samples][channels] in bw_emu_input -> that many bw_emu_result in bw_emu_output. */
uint32_t bw_emu_recognizer_start(uint32_t sensor_mhz); /* 0: the model's rate */
uint32_t bw_emu_recognize(uint32_t samples);
uint32_t bw_emu_slept(void); /* samples since the start that found the network asleep */

/* The app: bytes and samples from bw_emu_input, bytes to bw_emu_output. A start keeps what bw_emu_flash holds. */
uint32_t bw_emu_app_start(uint32_t with_model, uint32_t rate_mhz);
void bw_emu_app_receive(uint32_t link, uint32_t size);
void bw_emu_app_sample(uint32_t time_us);
void bw_emu_app_tick(uint32_t time_us);
uint32_t bw_emu_app_transmit(uint32_t link, uint32_t capacity);
uint32_t bw_emu_app_awake(void); /* samples that were recognised and found the network awake */
void bw_emu_app_cycles(uint32_t cycles_per_step);
void bw_emu_app_counters(uint32_t lost_samples, uint32_t cycles_per_step, uint32_t longest_loop_us);

#endif
