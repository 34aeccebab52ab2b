/* Threads, time and lamps of the simulated board. */
#include <Arduino.h>
#include <bitwave.h>
#include <mbed.h>

#include <cstring>

#include "scheduler.h"
#include "world.h"

namespace {

constexpr uint64_t CYCLES_PER_US = 64;

uint64_t milliseconds(uint32_t ms) {
    return ms == osWaitForever ? scheduler::NEVER : scheduler::now_us() + uint64_t{ms} * 1000;
}

StubDwt dwt;
StubCoreDebug core_debug;

} // namespace

World world;
StubDwt *const DWT = &dwt;
StubCoreDebug *const CoreDebug = &core_debug;

StubCycleCounter::operator uint32_t() const { return static_cast<uint32_t>(scheduler::now_us() * CYCLES_PER_US); }

arduino::String::String(const char *text) {
    std::strncpy(text_, text, sizeof text_ - 1);
    text_[sizeof text_ - 1] = '\0';
}

unsigned long micros() { return static_cast<uint32_t>(scheduler::now_us() + world.boot_us); }

unsigned long millis() { return static_cast<uint32_t>((scheduler::now_us() + world.boot_us) / 1000); }

void delay(unsigned long ms) { scheduler::wait(milliseconds(static_cast<uint32_t>(ms))); }

void pinMode(pin_size_t, PinMode) {}

void digitalWrite(pin_size_t pin, PinStatus status) { world.pins[pin] = status == HIGH; }

void _ontouch1200bps_() {
    world.in_bootloader = true;
    scheduler::die();
}

/* Nobody is preempted between these lines, so that a mutex needs no more than its owner. */
void rtos::Mutex::lock() {
    while (owner_ != nullptr && owner_ != scheduler::self()) {
        scheduler::wait(scheduler::NEVER, [this] { return owner_ == nullptr; });
    }
    owner_ = scheduler::self();
    ++count_;
}

void rtos::Mutex::unlock() {
    if (--count_ == 0) {
        owner_ = nullptr;
    }
}

uint32_t rtos::EventFlags::set(uint32_t flags) { return flags_ |= flags; }

uint32_t rtos::EventFlags::wait_any(uint32_t flags, uint32_t millisec, bool clear) {
    if ((flags_ & flags) == 0) {
        scheduler::wait(milliseconds(millisec), [this, flags] { return (flags_ & flags) != 0; });
    }
    const uint32_t found = flags_;
    if (clear) {
        flags_ &= ~flags;
    }
    return found;
}

osStatus rtos::Thread::start(mbed::Callback<void()> task) {
    scheduler::start(priority_, [task] { task(); });
    return 0;
}

uint32_t rtos::Thread::max_stack() const { return stack_size_ / 2; }

/* Recognition takes the time that it takes on the board. */
extern "C" void __real_bw_app_sample(bw_app *app, uint32_t time_us, const int16_t sample[]);
extern "C" void __wrap_bw_app_sample(bw_app *app, uint32_t time_us, const int16_t sample[]);

void __wrap_bw_app_sample(bw_app *app, uint32_t time_us, const int16_t sample[]) {
    scheduler::compute(bw_app_recognises(app) ? world.recognition_us : 20);
    __real_bw_app_sample(app, time_us, sample);
}
