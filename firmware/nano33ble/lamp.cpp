#include "lamp.h"

#include <Arduino.h>

namespace {

constexpr uint32_t FLASH_US = 300000;

/* The coloured ones light when low. */
void color(pin_size_t pin, bool on) { digitalWrite(pin, on ? LOW : HIGH); }

} // namespace

void Lamp::begin() {
    const pin_size_t pins[] = {LED_BUILTIN, LEDR, LEDG, LEDB};
    for (pin_size_t pin : pins) {
        pinMode(pin, OUTPUT);
        digitalWrite(pin, pin == LED_BUILTIN ? LOW : HIGH);
    }
}

void Lamp::testing(bool on) { color(LEDB, on); }

void Lamp::event(uint32_t now_us) {
    event_us_ = now_us;
    flashing_ = true;
}

void Lamp::show(uint32_t now_us, bool streams, bool fault) {
    flashing_ = flashing_ && now_us - event_us_ < FLASH_US;
    color(LEDG, flashing_);
    color(LEDR, fault);
    digitalWrite(LED_BUILTIN, streams ? HIGH : LOW);
}
