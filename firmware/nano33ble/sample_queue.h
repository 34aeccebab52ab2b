/* Samples on their way from the sampler's thread to the loop: one writer, one reader, bounded. */
#ifndef BITWAVE_SAMPLE_QUEUE_H
#define BITWAVE_SAMPLE_QUEUE_H

#include "config.h"

struct Sample {
    uint32_t time_us;
    uint32_t lost; /* samples that should have come before this one and did not */
    int16_t counts[config::CHANNELS];
};

class SampleQueue {
public:
    /* The writer's; false when full. */
    bool put(const Sample &sample) {
        const uint32_t head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        if (head - __atomic_load_n(&tail_, __ATOMIC_ACQUIRE) == config::QUEUED_SAMPLES) {
            return false;
        }
        samples_[head % config::QUEUED_SAMPLES] = sample;
        __atomic_store_n(&head_, head + 1, __ATOMIC_RELEASE);
        return true;
    }

    /* The reader's; false when empty. */
    bool take(Sample &sample) {
        const uint32_t tail = __atomic_load_n(&tail_, __ATOMIC_RELAXED);
        if (tail == __atomic_load_n(&head_, __ATOMIC_ACQUIRE)) {
            return false;
        }
        sample = samples_[tail % config::QUEUED_SAMPLES];
        __atomic_store_n(&tail_, tail + 1, __ATOMIC_RELEASE);
        return true;
    }

private:
    Sample samples_[config::QUEUED_SAMPLES];
    uint32_t head_ = 0;
    uint32_t tail_ = 0;
};

#endif
