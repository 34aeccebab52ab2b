#include "sampler.h"

#include <Arduino.h>

namespace {

enum : int { AT_ONCE = 8 };

constexpr uint32_t TRIAL_MS = 250;      /* a chip must send at its rate for so long before it is believed */
constexpr uint32_t SETTLE_MS = 30;      /* while its filters fill */
constexpr uint32_t SILENCE_US = 150000; /* 15 samples: the sensor is lost */
constexpr uint32_t RETRY_MS = 500;

uint32_t now() { return static_cast<uint32_t>(micros()); }

} // namespace

/* The libraries cannot be taken at their word: one reports success without a chip, the other takes a refused transfer
 * for data. So what counts is that whole samples come, between 0.3 and 2 times as many as they should: where there is
 * no chip come four times as many, or none. A chip whose clock is off by less is heard, and the core says so. */
bool Sampler::comes_at_its_rate() {
    int16_t samples[AT_ONCE][config::CHANNELS];
    uint32_t count = 0;
    for (uint32_t ms = 0; ms < SETTLE_MS + TRIAL_MS; ms += 2) {
        delay(2);
        const int got = sensor_->read(samples, AT_ONCE);
        if (got < 0 && ms >= SETTLE_MS) {
            return false;
        }
        if (got > 0 && ms >= SETTLE_MS) {
            count += static_cast<uint32_t>(got);
        }
    }
    const uint32_t wanted = sensor_->rate_mhz() / 1000 * TRIAL_MS / 1000;
    return count * 10 >= wanted * 3 && count <= wanted * 2;
}

bool Sampler::find() {
    MotionSensor *const sensors[] = {&lsm9ds1_, &bmi270_};
    const MotionSensor::Mode modes[] = {MotionSensor::Mode::FIFO, MotionSensor::Mode::DIRECT};
    for (MotionSensor *sensor : sensors) {
        for (MotionSensor::Mode mode : modes) {
            sensor_ = sensor;
            if (!sensor->begin(mode)) {
                break; /* no such chip: the other mode will not find it either */
            }
            if (comes_at_its_rate()) {
                clock_.start(1000000000U / sensor->rate_mhz());
                return true;
            }
        }
    }
    sensor_ = nullptr;
    return false;
}

void Sampler::publish(State state) {
    const uint8_t kind = sensor_ != nullptr ? sensor_->board_kind() : published_ >> 4;
    __atomic_store_n(&published_, static_cast<uint8_t>(static_cast<uint8_t>(state) | kind << 4), __ATOMIC_RELEASE);
}

Sampler::Report Sampler::report() const {
    const uint8_t word = __atomic_load_n(&published_, __ATOMIC_ACQUIRE);
    const uint8_t kind = word >> 4;
    const uint32_t rate = kind == bmi270_.board_kind() ? bmi270_.rate_mhz() : lsm9ds1_.rate_mhz();
    return {static_cast<State>(word & 15), kind, rate};
}

void Sampler::take(uint32_t now_us, const int16_t samples[][config::CHANNELS], int count) {
    const uint32_t newest = clock_.stamp(now_us, static_cast<uint32_t>(count));
    heard_us_ = now_us;
    for (int i = 0; i < count; ++i) {
        Sample sample;
        sample.time_us = clock_.in_order(newest - static_cast<uint32_t>(count - 1 - i) * clock_.period_us());
        sample.lost = lost_;
        for (int c = 0; c < config::CHANNELS; ++c) {
            sample.counts[c] = samples[i][c];
        }
        lost_ = queue_.put(sample) ? 0 : lost_ + 1;
    }
}

/* Asks when the sample should be there, then every millisecond: seldom, and yet its time is known to a millisecond. */
uint32_t Sampler::until_next(uint32_t now_us) const {
    const int32_t left_us = static_cast<int32_t>(clock_.next_us() - now_us);
    return left_us > 1000 && left_us < 100000 ? static_cast<uint32_t>(left_us) / 1000 : 1;
}

uint32_t Sampler::step() {
    if (sensor_ == nullptr) {
        const bool was_lost = report().state == State::LOST;
        if (!find()) {
            publish(was_lost ? State::LOST : State::NONE);
            return RETRY_MS;
        }
        heard_us_ = now();
        publish(State::RUNNING);
        return 1;
    }
    int16_t samples[AT_ONCE][config::CHANNELS];
    const int got = sensor_->read(samples, AT_ONCE);
    const uint32_t now_us = now();
    if (got > 0) {
        take(now_us, samples, got);
        return got == AT_ONCE ? 0 : until_next(now_us);
    }
    if (got == MotionSensor::OVERRUN) {
        lost_ += (now_us - heard_us_) / clock_.period_us();
        heard_us_ = now_us;
    }
    if (now_us - heard_us_ > SILENCE_US) {
        publish(State::LOST);
        sensor_ = nullptr;
    }
    return 1;
}
