/* What the tests call. A world is used by one process at a time and for one power-up: the next is a fresh copy of the
 * library with the flash of the last. */
#include <Arduino.h>

#include <algorithm>
#include <cstring>

#include "../../../firmware/nano33ble/config.h"
#include "radio.h"
#include "scheduler.h"
#include "world.h"

void map_flash();
extern uint32_t stub_program_end;

namespace {

constexpr int MAIN_PRIORITY = 24; /* osPriorityNormal */
constexpr size_t USB_RING = 256;
constexpr size_t FLASH_SIZE = config::FLASH_END - config::SLOTS_START;

size_t drain(std::vector<uint8_t> &from, uint8_t *out, size_t capacity) {
    const size_t size = from.size() < capacity ? from.size() : capacity;
    std::copy(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(size), out);
    from.erase(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(size));
    return size;
}

} // namespace

extern "C" {

struct WorldFacts {
    uint64_t now_us;
    uint64_t samples_made;
    uint64_t samples_taken;
    uint64_t first_taken;
    uint64_t bus_bytes;
    uint64_t slow_bytes;
    uint64_t bus_us;
    uint64_t usb_packets;
    uint64_t notifications;
    uint64_t radio_dropped;
    uint64_t flash_operations;
    uint64_t erases;
    uint32_t dead;
    uint32_t in_bootloader;
    uint32_t advertises;
    uint32_t lamps; /* bits: yellow, red, green, blue */
};

/* revision: 0 no sensor, 1, 2; `flash` NULL: erased. */
void world_power_on(int revision, const uint8_t *flash, uint64_t boot_us, uint32_t program_end) {
    map_flash();
    if (flash != nullptr) {
        std::memcpy(world.flash, flash, FLASH_SIZE);
    }
    world.boot_us = boot_us;
    world.chip = revision == 1 ? make_lsm9ds1() : revision == 2 ? make_bmi270() : nullptr;
    world.period_us = revision == 2 ? 1e6 / 99.84 : 1e6 / 119;
    stub_program_end = program_end;
    scheduler::start(MAIN_PRIORITY, [] {
        setup();
        for (;;) {
            loop();
        }
    });
}

void world_script(const int16_t *samples, size_t count) {
    world.samples.resize(count);
    std::memcpy(world.samples.data(), samples, count * sizeof world.samples[0]);
}

void world_sensor(int health, int fifo_works) {
    world.health = static_cast<Health>(health);
    world.fifo_works = fifo_works != 0;
}

/* The chip's clock drifts: samples per second from now on. */
void world_rate(double hz) {
    world.rated_made = samples_until_now();
    world.rated_us = scheduler::now_us();
    world.period_us = 1e6 / hz;
}

void world_recognition_us(uint64_t us) { world.recognition_us = us; }

void world_run(uint64_t us) { scheduler::run_until(scheduler::now_us() + us); }

void world_facts(WorldFacts *facts) {
    const bool *pins = world.pins.data();
    *facts = {scheduler::now_us(),
              samples_until_now(),
              world.taken,
              world.first,
              world.bus_bytes,
              world.slow_bytes,
              world.bus_us,
              world.usb_packets,
              radio.notifications,
              radio.dropped,
              world.flash_operations,
              world.erases,
              scheduler::dead() ? 1U : 0U,
              world.in_bootloader ? 1U : 0U,
              radio.advertises ? 1U : 0U,
              (pins[LED_BUILTIN] ? 1U : 0U) | (pins[LEDR] ? 0U : 2U) | (pins[LEDG] ? 0U : 4U) | (pins[LEDB] ? 0U : 8U)};
}

void world_usb(int open, int reads) {
    if (world.usb_open && open == 0) {
        world.usb_in.resize(std::min(world.usb_in.size(), USB_RING)); /* stays until it is read, the rest is gone */
        world.usb_busy_until = 0;
    }
    world.usb_open = open != 0;
    world.usb_reads = reads != 0;
    if (world.usb_reads && world.usb_busy_until == scheduler::NEVER) {
        world.usb_busy_until = scheduler::now_us();
    }
}

void world_usb_write(const uint8_t *bytes, size_t size) {
    world.usb_in.insert(world.usb_in.end(), bytes, bytes + size);
}

size_t world_usb_read(uint8_t *out, size_t capacity) { return drain(world.usb_out, out, capacity); }

void world_ble_connect(int mtu, uint64_t interval_us, int packets) { radio.connect(mtu, interval_us, packets); }

void world_ble_disconnect() { radio.disconnect(); }

void world_ble_subscribe(int characteristic, int on) { radio.subscribe(characteristic, on != 0); }

void world_ble_write(int characteristic, const uint8_t *bytes, size_t size, int with_response) {
    radio.write({0, characteristic, with_response != 0, std::vector<uint8_t>(bytes, bytes + size)});
}

size_t world_ble_read(int characteristic, uint8_t *out, size_t capacity) {
    const size_t index = static_cast<size_t>(characteristic);
    return index < radio.notified.size() ? drain(radio.notified[index], out, capacity) : 0;
}

size_t world_ble_value(int characteristic, uint8_t *out, size_t capacity) {
    return radio.value(characteristic, out, capacity);
}

const char *world_ble_name() { return radio.name; }

const char *world_ble_service() { return radio.advertised; }

void world_cut_at(uint64_t operation) { world.cut_at = world.flash_operations + operation; }

void world_flash(uint8_t *out) { std::memcpy(out, world.flash, FLASH_SIZE); }

size_t world_flash_size() { return FLASH_SIZE; }
}
