/* When a sample was taken, from when it was found: the chips do not say, and the loop that asks them is not on time. */
#ifndef BITWAVE_SAMPLE_CLOCK_H
#define BITWAVE_SAMPLE_CLOCK_H

#include <stdint.h>

class SampleClock {
public:
    /* As the chip's maker states it; it may be wrong by half, or by a whole period. */
    void start(uint32_t period_us) {
        stated_us_ = period_us_ = period_us;
        running_ = false;
    }

    /* The time of the newest of `count` samples found at `now_us`; those before it are period_us() apart. Follows the
     * chip's own rate, smooths how late it is asked, and never lies in the future. */
    uint32_t stamp(uint32_t now_us, uint32_t count) {
        const uint32_t expected = newest_us_ + count * period_us_;
        const int32_t late = static_cast<int32_t>(now_us - expected);
        const bool is_anew = !running_ || late > static_cast<int32_t>(4 * period_us_);
        follow(now_us, count, !running_ || late > static_cast<int32_t>(8 * stated_us_));
        if (is_anew || late < 0) {
            newest_us_ = now_us;
        } else {
            newest_us_ = expected + static_cast<uint32_t>(late / 8);
        }
        return newest_us_;
    }

    /* The time of one sample after the other: no two have the same. */
    uint32_t in_order(uint32_t time_us) {
        const bool is_later = !running_ || static_cast<int32_t>(time_us - last_us_) > 0;
        last_us_ = is_later ? time_us : last_us_ + 1;
        running_ = true;
        return last_us_;
    }

    uint32_t period_us() const { return period_us_; }
    uint32_t next_us() const { return newest_us_ + period_us_; }

private:
    enum : uint32_t { FOLLOWED = 128 }; /* samples over which the period is measured */

    /* Else a chip that is faster than stated fills its FIFO, until two samples are found at once. */
    void follow(uint32_t now_us, uint32_t count, bool is_anew) {
        followed_ += count;
        if (!is_anew && followed_ < FOLLOWED) {
            return;
        }
        const uint32_t measured_us = (now_us - since_us_) / followed_;
        if (!is_anew && measured_us >= stated_us_ / 3 && measured_us <= stated_us_ * 4) {
            const int32_t change_us = static_cast<int32_t>(measured_us - period_us_);
            period_us_ += static_cast<uint32_t>(change_us * 3 / 4);
        }
        since_us_ = now_us;
        followed_ = 0;
    }

    uint32_t stated_us_ = 0;
    uint32_t period_us_ = 0;
    uint32_t newest_us_ = 0;
    uint32_t last_us_ = 0; /* of the last sample */
    uint32_t since_us_ = 0;
    uint32_t followed_ = 0;
    bool running_ = false;
};

#endif
