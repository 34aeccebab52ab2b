/* The sketch: recognises gestures and streams the motion sensor over USB and Bluetooth at once.
 *
 * Three threads. The sampler's, the most urgent, asks the sensor and does nothing else. The loop is the main thread: it
 * feeds samples to the core and serves USB, and never waits for a host. Bluetooth, whose library may, comes last. */
#include <Arduino.h>
#include <mbed.h>

#include "ble_link.h"
#include "board.h"
#include "sampler.h"
#include "usb_link.h"

namespace {

enum : uint32_t { NEW_SAMPLES = 1, SAMPLER_STACK = 4096, BLE_STACK = 8192 };

constexpr uint32_t IDLE_MS = 20;
constexpr uint32_t OPEN_MS = 4; /* how long a command over USB may wait */
constexpr uint32_t BUSY_MS = 1;
constexpr uint32_t LAST_WORDS_MS = 100;
constexpr uint32_t STACKS_US = 1000000;

/* Checking a model that came over Bluetooth takes one such view, and about 1.6 KB below and above it. */
static_assert(BLE_STACK >= sizeof(bw_model) + 4096, "a larger view of a model wants a larger stack");

SampleQueue samples;
Sampler sampler(samples);
UsbLink usb;
rtos::EventFlags wake;
rtos::Thread sampler_thread(osPriorityHigh, SAMPLER_STACK, nullptr, "sampler");
rtos::Thread ble_thread(osPriorityBelowNormal, BLE_STACK, nullptr, "ble");
uint32_t wait_ms = BUSY_MS;
uint32_t stacks_us = 0;

void sample_for_ever() {
    for (;;) {
        const uint32_t pause_ms = sampler.step();
        wake.set(NEW_SAMPLES);
        if (pause_ms > 0) {
            delay(pause_ms);
        }
    }
}

/* The thread that comes closest to the end of its stack. */
void note_stacks() {
    const rtos::Thread *const threads[] = {&sampler_thread, &ble_thread};
    uint32_t used = 0;
    uint32_t size = 1;
    for (const rtos::Thread *thread : threads) {
        const uint32_t thread_used = thread->max_stack();
        const uint32_t thread_size = thread->stack_size();
        if (thread_size > 0 && thread_used * size >= used * thread_size) {
            used = thread_used;
            size = thread_size;
        }
    }
    board.note_stack(used, size);
}

void enter_bootloader() {
    for (uint32_t ms = 0; ms < LAST_WORDS_MS; ++ms) {
        (void)usb.run(); /* the answer to the command */
        delay(1);
    }
    _ontouch1200bps_();
}

} // namespace

void setup() {
    board.begin();
    sampler_thread.start(mbed::callback(sample_for_ever));
    ble_thread.start(mbed::callback(ble_run));
}

void loop() {
    (void)wake.wait_any(NEW_SAMPLES, wait_ms);
    const uint32_t start_us = static_cast<uint32_t>(micros());
    const bool behind = board.run(samples, sampler.report(), start_us);
    const bool more = usb.run();
    wait_ms = more ? BUSY_MS : usb.open() ? OPEN_MS : IDLE_MS;
    if (board.wants_bootloader()) {
        enter_bootloader();
    }
    board.note_loop(static_cast<uint32_t>(micros()) - start_us);
    if (behind) {
        wake.set(NEW_SAMPLES);
        delay(1); /* Bluetooth's thread would starve */
    }
    if (start_us - stacks_us >= STACKS_US) {
        stacks_us = start_us;
        note_stacks();
    }
}
