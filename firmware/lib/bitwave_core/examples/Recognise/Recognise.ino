/* The smallest use of the core: samples in, gestures out, the lamp blinks. Copy bitwave_model.h and bitwave_model.c,
 * from bitwave export, beside this file, and fill in read_sample(). The whole board, with links and updates, is in
 * firmware/nano33ble. */
#include <Arduino.h>
#include <bitwave.h>

#include "bitwave_model.h"

static bw_model model;
static bw_recognizer recognizer;
static uint32_t arena[BITWAVE_MODEL_RECOGNIZER_ARENA / 4];
static bool ready = false;

/* Six raw counts in the model's scale: 8192 per g, then 16.384 per degree/s; false while there is no new sample. */
static bool read_sample(int16_t counts[6]) {
    (void)counts;
    return false;
}

void setup() {
    pinMode(LED_BUILTIN, OUTPUT);
    ready = bw_model_open(&model, bitwave_model_image, BITWAVE_MODEL_SIZE) == BW_OK &&
            bw_self_test(&model, arena, sizeof arena) == BW_OK &&
            bw_recognizer_init(&recognizer, &model, BITWAVE_MODEL_RATE_MHZ, arena, sizeof arena) == BW_OK;
}

void loop() {
    int16_t counts[6];
    bw_event event;
    if (!ready || !read_sample(counts)) {
        delay(1);
        return;
    }
    bw_recognizer_push(&recognizer, counts, &event);
    digitalWrite(LED_BUILTIN, event.kind == BW_EVENT_GESTURE ? HIGH : LOW);
}
