/* Finds the motion sensor and keeps asking it, on a thread of its own that nothing else on the board can hold up. */
#ifndef BITWAVE_SAMPLER_H
#define BITWAVE_SAMPLER_H

#include "bmi270.h"
#include "lsm9ds1.h"
#include "sample_clock.h"
#include "sample_queue.h"

class Sampler {
public:
    enum class State : uint8_t { SEARCHING, NONE, RUNNING, LOST };

    /* What the loop needs to know of the sensor, in one word so that it is never half old. */
    struct Report {
        State state;
        uint8_t board_kind; /* of the last sensor seen, 0: none yet */
        uint32_t rate_mhz;
    };

    explicit Sampler(SampleQueue &queue) : queue_(queue) {}

    /* One look at the sensor; returns the milliseconds until the next. */
    uint32_t step();

    Report report() const;

private:
    bool find();
    bool comes_at_its_rate();
    void take(uint32_t now_us, const int16_t samples[][config::CHANNELS], int count);
    void publish(State state);
    uint32_t until_next(uint32_t now_us) const;

    SampleQueue &queue_;
    SampleClock clock_;
    Lsm9ds1 lsm9ds1_;
    Bmi270 bmi270_;
    MotionSensor *sensor_ = nullptr;
    uint32_t lost_ = 0;      /* not yet told with a sample */
    uint32_t heard_us_ = 0;  /* when the sensor last had a sample */
    uint8_t published_ = 0;  /* State | board kind << 4 */
};

#endif
