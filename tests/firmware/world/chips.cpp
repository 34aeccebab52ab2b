/* The two motion sensors, as far as their registers matter here: data, data ready, FIFO. */
#include <cmath>

#include "scheduler.h"
#include "world.h"

namespace {

using Counts = std::array<int16_t, 6>;

/* Both read the same stream: what is new since power on, since the FIFO was emptied, since the last direct look. */
class MotionChip : public Chip {
protected:
    /* Frames in the FIFO; older than `depth` are overwritten. */
    uint64_t level(uint64_t depth) {
        const uint64_t newest = samples_until_now();
        next_ = next_ > newest ? newest : next_;
        if (newest - next_ > depth) {
            next_ = newest - depth;
            overrun_ = true;
        }
        return newest - next_;
    }

    void empty() {
        next_ = samples_until_now();
        overrun_ = false;
    }

    bool fresh() const { return samples_until_now() > shown_; }

    Counts show() {
        shown_ = samples_until_now();
        return shown_ > 0 ? sample_at(shown_ - 1) : Counts{};
    }

    void note_taken(uint64_t index) {
        world.first = world.taken == 0 ? index : world.first;
        ++world.taken;
    }

    uint64_t next_ = 0;
    uint64_t shown_ = 0;
    bool overrun_ = false;
};

class Lsm9ds1Chip : public MotionChip {
public:
    bool answers(uint8_t device) const override { return device == 0x6B || device == 0x1E; }

    uint8_t read(uint8_t device, uint8_t address, size_t index) override {
        if (address == 0x0F) {
            return device == 0x6B ? 0x68 : 0x3D;
        }
        if (address == 0x17) {
            return running_ && fresh() ? 0x03 : 0x00;
        }
        if (address == 0x2F) {
            const uint64_t frames = fifo_ && running_ && world.fifo_works ? level(32) : 0;
            return static_cast<uint8_t>(frames | (overrun_ ? 0x40 : 0x00));
        }
        if (address == 0x18 || address == 0x28) {
            return data(address == 0x18 ? 3 : 0, index);
        }
        return 0;
    }

    void write(uint8_t device, uint8_t address, uint8_t value) override {
        if (device != 0x6B) {
            return;
        }
        if (address == 0x22) {
            running_ = fifo_ = false;
        } else if (address == 0x10) {
            running_ = value != 0;
        } else if (address == 0x2E) {
            fifo_ = (value & 0xC0) == 0xC0;
            empty();
        }
    }

private:
    /* Each sensor's half of a FIFO slot leaves when its last byte is read. */
    uint8_t data(size_t from, size_t index) {
        const bool queued = fifo_ && world.fifo_works;
        if (index == 0) {
            latched_ = queued ? sample_at(next_) : show();
            if (from == 0) {
                note_taken(queued ? next_ : shown_ - 1);
            }
        }
        if (queued && from == 0 && index == 5) {
            ++next_; /* the accelerometer is read second */
        }
        const uint16_t word = static_cast<uint16_t>(latched_[from + index / 2]);
        return static_cast<uint8_t>(index % 2 == 0 ? word : word >> 8);
    }

    Counts latched_{};
    bool running_ = false;
    bool fifo_ = false;
};

class Bmi270Chip : public MotionChip {
public:
    bool answers(uint8_t device) const override { return device == 0x68; }

    uint8_t read(uint8_t, uint8_t address, size_t index) override {
        if (address == 0x00) {
            return 0x24;
        }
        if (address == 0x03) {
            return running_ && fresh() ? 0xC0 : 0x00;
        }
        if (address == 0x24) {
            const uint64_t bytes = fifo_ && running_ && awake_ && world.fifo_works ? level(170) * 12 : 0;
            return static_cast<uint8_t>(index == 0 ? bytes : bytes >> 8);
        }
        if (address == 0x26) {
            return fifo_byte(index);
        }
        if (address == 0x0C) {
            if (index == 0) {
                latched_ = show();
                note_taken(shown_ - 1);
            }
            return byte_of(latched_, index < 6 ? 0 : 3, index % 6);
        }
        return address == 0x40 ? config_ : 0;
    }

    void write(uint8_t, uint8_t address, uint8_t value) override {
        if (address == 0x7E && value == 0xB6) {
            running_ = fifo_ = awake_ = false;
        } else if (address == 0x7E && value == 0xB0) {
            empty();
        } else if (address == 0x40) {
            config_ = value;
        } else if (address == 0x7D) {
            running_ = (value & 0x06) == 0x06;
        } else if (address == 0x7C) {
            awake_ = (value & 1) == 0;
        } else if (address == 0x49) {
            fifo_ = value == 0xC0;
        }
    }

private:
    /* As soldered: the chip's x is the board's -y, its y the board's -x. The gyroscope's x has a little of its z. */
    static uint8_t byte_of(const Counts &canonical, size_t from, size_t index) {
        const int z = canonical[from + 2];
        int axes[3] = {-canonical[from + 1], -canonical[from], z};
        axes[0] += from == 3 ? 9 * z / 512 : 0;
        const uint16_t word = static_cast<uint16_t>(axes[index / 2]);
        return static_cast<uint8_t>(index % 2 == 0 ? word : word >> 8);
    }

    /* Frames of gyroscope and accelerometer, without header. */
    uint8_t fifo_byte(size_t index) {
        if (index % 12 == 0) {
            latched_ = sample_at(next_);
            note_taken(next_);
            ++next_;
        }
        return byte_of(latched_, index % 12 < 6 ? 3 : 0, index % 6);
    }

    Counts latched_{};
    bool running_ = false;
    bool fifo_ = false;
    bool awake_ = false;
    uint8_t config_ = 0;
};

} // namespace

const std::array<int16_t, 6> &sample_at(uint64_t index) {
    static const Counts still = {0, 0, 8192, 0, 0, 0};
    return world.samples.empty() ? still : world.samples[index % world.samples.size()];
}

uint64_t samples_until_now() {
    static uint64_t last = 0;
    if (world.health != Health::SILENT) {
        const double since_us = static_cast<double>(scheduler::now_us() - world.rated_us);
        last = world.rated_made + static_cast<uint64_t>(std::floor(since_us / world.period_us));
    }
    return last;
}

Chip *make_lsm9ds1() { return new Lsm9ds1Chip; }

Chip *make_bmi270() { return new Bmi270Chip; }
