/* When a sample was taken, from when it was found: the chips do not say, and the loop that asks them is not on time. */
#ifndef BITWAVE_SAMPLE_CLOCK_H
#define BITWAVE_SAMPLE_CLOCK_H

#include <stdint.h>

class SampleClock {
public:
    void start(uint32_t period_us) {
        period_us_ = period_us;
        running_ = false;
    }

    /* The time of the newest of `count` samples found at `now_us`; those before it are period_us() apart. Follows the
     * chip's own rate, smooths how late it is asked, and never lies in the future. */
    uint32_t stamp(uint32_t now_us, uint32_t count) {
        const uint32_t expected = newest_us_ + count * period_us_;
        const int32_t late = static_cast<int32_t>(now_us - expected);
        if (!running_ || late < 0 || late > static_cast<int32_t>(4 * period_us_)) {
            newest_us_ = now_us;
        } else {
            newest_us_ = expected + static_cast<uint32_t>(late / 8);
        }
        running_ = true;
        return newest_us_;
    }

    uint32_t period_us() const { return period_us_; }
    uint32_t next_us() const { return newest_us_ + period_us_; }

private:
    uint32_t period_us_ = 0;
    uint32_t newest_us_ = 0;
    bool running_ = false;
};

#endif
