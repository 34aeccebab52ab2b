#include "board.h"

#include <Arduino.h>
#include <bitwave_model.h>

#include "cycles.h"
#include "flash_slots.h"

Board board;

namespace {

constexpr int32_t STEP_AVERAGE = 16;
constexpr uint32_t AT_ONCE = 8; /* samples before the links have their turn: a model may be slower than the sensor */
constexpr uint8_t UNKNOWN_BOARD = 255;

class Guard {
public:
    explicit Guard(rtos::Mutex &mutex) : mutex_(mutex) { mutex_.lock(); }
    ~Guard() { mutex_.unlock(); }
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;

private:
    rtos::Mutex &mutex_;
};

} // namespace

void Board::begin() {
    lamp_.begin();
    lamp_.testing(true);
    cycles_begin();
    facts_.kind = UNKNOWN_BOARD;
    facts_.channels = config::CHANNELS;
    facts_.rate_mhz = 0; /* no sensor yet */
    facts_.accel_milli_lsb_per_g = config::ACCEL_MILLI_LSB;
    facts_.gyro_milli_lsb_per_dps = config::GYRO_MILLI_LSB;
    facts_.link_kinds[config::USB] = BW_LINK_PHYSICAL;
    facts_.link_kinds[config::BLE] = BW_LINK_REMOTE;
    for (size_t i = 0; i < sizeof facts_.firmware; ++i) {
        facts_.firmware[i] = config::FIRMWARE[i];
    }
    const bw_status opened = bw_model_open(&model_, bitwave_model_image, BITWAVE_MODEL_SIZE);
    const bw_status started = bw_app_init(&app_, &facts_, opened == BW_OK ? &model_ : nullptr, flash_slots(), arena_,
                                          sizeof arena_);
    model_fault_ = opened != BW_OK ? opened : started != BW_OK ? started : app_.built_in_status;
    lamp_.testing(false);
}

bool Board::is_faulty() const { return model_fault_ != BW_OK || sensor_fault() || bw_app_rate_refused(&app_) != 0; }

bool Board::sensor_fault() const {
    return sensor_state_ == Sampler::State::NONE || sensor_state_ == Sampler::State::LOST;
}

void Board::tell_faults() {
    if (model_fault_ != BW_OK) {
        bw_app_fault(&app_, BW_FAULT_SELF_TEST, bw_status_text(model_fault_));
    }
    if (sensor_state_ == Sampler::State::NONE) {
        bw_app_fault(&app_, BW_FAULT_NO_SENSOR, "no motion sensor answers: is this a Nano 33 BLE Sense?");
    } else if (sensor_state_ == Sampler::State::LOST) {
        bw_app_fault(&app_, BW_FAULT_SENSOR_LOST, "the motion sensor has stopped; trying again");
    } else if (bw_app_rate_refused(&app_) != 0) {
        bw_app_fault(&app_, BW_FAULT_RATE, bw_status_text(app_.can_recognise));
    }
}

void Board::follow_sensor(const Sampler::Report &sensor) {
    if (sensor.state == sensor_state_) {
        return;
    }
    const bool was_faulty = sensor_fault();
    sensor_state_ = sensor.state;
    tell_faults();
    if (sensor.state != Sampler::State::RUNNING) {
        return;
    }
    if (facts_.kind != sensor.board_kind || facts_.rate_mhz != sensor.rate_mhz) {
        facts_.kind = sensor.board_kind;
        facts_.rate_mhz = sensor.rate_mhz;
        bw_app_board_changed(&app_);
    }
    bw_app_lost(&app_, 0); /* recognition starts afresh behind the gap */
    if (was_faulty) {
        bw_app_fault(&app_, BW_FAULT_NONE, "the motion sensor is back");
    }
}

/* One axis within 20 degrees of upright and no turning: 0.94 g, and less than 8 degrees/s. */
void Board::watch_pose(const Sample &sample) {
    if (config::POSE_SIGN == 0) {
        return;
    }
    const int32_t one_g = static_cast<int32_t>(config::ACCEL_MILLI_LSB / 1000);
    bool held = sample.counts[config::POSE_AXIS] * config::POSE_SIGN * 100 > one_g * 94;
    for (int i = 3; i < config::CHANNELS; ++i) {
        held = held && sample.counts[i] < 128 && sample.counts[i] > -128;
    }
    if (!held || !posing_) {
        pose_since_us_ = sample.time_us;
        posing_ = held;
    } else if (sample.time_us - pose_since_us_ >= config::POSE_US) {
        bw_app_allow_update(&app_);
        pose_since_us_ = sample.time_us;
    }
}

void Board::sample(const Sample &sample) {
    if (sample.lost > 0) {
        bw_app_lost(&app_, sample.lost);
    }
    const uint32_t start = cycles_now();
    bw_app_sample(&app_, sample.time_us, sample.counts);
    if (bw_app_recognises(&app_) && !app_.recognizer.asleep) {
        const int32_t change = static_cast<int32_t>(cycles_now() - start - app_.counters.cycles_per_step);
        const bool first = app_.counters.cycles_per_step == 0;
        app_.counters.cycles_per_step += static_cast<uint32_t>(first ? change : change / STEP_AVERAGE);
    }
    watch_pose(sample);
}

bool Board::run(SampleQueue &queue, const Sampler::Report &sensor, uint32_t now_us) {
    Sample next;
    uint32_t taken = 0;
    Guard guard(mutex_);
    while (taken < AT_ONCE && queue.take(next)) {
        sample(next);
        ++taken;
    }
    bw_app_tick(&app_, now_us);
    follow_sensor(sensor);
    if (app_.events != shown_events_) {
        shown_events_ = app_.events;
        lamp_.event(now_us);
    }
    lamp_.show(now_us, bw_app_streams(&app_) != 0, is_faulty());
    return taken == AT_ONCE;
}

void Board::receive(uint32_t link, const uint8_t bytes[], size_t size) {
    Guard guard(mutex_);
    bw_app_receive(&app_, link, bytes, size);
}

size_t Board::transmit(uint32_t link, uint8_t bytes[], size_t capacity) {
    Guard guard(mutex_);
    return bw_app_transmit(&app_, link, bytes, capacity);
}

/* As if the host had said goodbye: nothing of what it asked for goes on, and nothing of it waits for the next. */
void Board::hang_up(uint32_t link) {
    static const uint8_t off[] = {BW_COMMAND_STREAM, BW_COMMAND_RECOGNISE};
    uint8_t frame[BW_WIRE_FRAME];
    const uint8_t end = 0;
    Guard guard(mutex_);
    bw_app_receive(&app_, link, &end, 1); /* half a frame may be there */
    for (uint8_t type : off) {
        const uint8_t payload[BW_WIRE_HEADER + 1] = {type, 0, 0, 0, 0, 0, 0, 0};
        bw_app_receive(&app_, link, frame, bw_wire_encode(frame, payload, sizeof payload));
    }
    while (bw_app_transmit(&app_, link, frame, sizeof frame) > 0) {
    }
    tell_faults();
}

size_t Board::info(uint32_t link, uint8_t body[BW_WIRE_BODY]) {
    Guard guard(mutex_);
    return bw_app_info(&app_, link, body);
}

uint32_t Board::last_event(uint8_t body[6]) {
    Guard guard(mutex_);
    for (size_t i = 0; i < sizeof app_.last_event; ++i) {
        body[i] = app_.last_event[i];
    }
    return app_.events;
}

bool Board::wants_bootloader() {
    Guard guard(mutex_);
    return bw_app_wants_bootloader(&app_) != 0;
}

void Board::note_loop(uint32_t us) {
    if (us > app_.counters.longest_loop_us) {
        app_.counters.longest_loop_us = us;
    }
}

void Board::note_stack(uint32_t used, uint32_t size) {
    app_.counters.stack_used = used;
    app_.counters.stack_size = size;
}
