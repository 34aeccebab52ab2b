#include "bw_rate.h"

enum {
    MHZ_PER_DECIHERTZ = 100,
    TOLERANCE_PARTS = 50 /* 2 % */
};

#define STEPS_DECIHERTZ (BW_RATE_STEPS * 10000000u) /* steps per 0.1 us, below 2^32 */
#define LONGEST_US 0x40000000u                       /* so that adding half of it stays there */

void bw_rate_start(bw_rate *rate, uint32_t nominal_mhz) {
    rate->taken_mhz = nominal_mhz;
    bw_rate_gap(rate);
}

void bw_rate_gap(bw_rate *rate) {
    rate->samples = 0;
    rate->side = 0;
}

/* A sensor of a MHz or of a sample in four seconds is broken anyway. */
static uint32_t measure(uint32_t us) {
    const uint32_t most = us < LONGEST_US ? us : LONGEST_US;
    const uint32_t bounded = most > BW_RATE_STEPS ? most : BW_RATE_STEPS;
    return (STEPS_DECIHERTZ + bounded / 2u) / bounded * MHZ_PER_DECIHERTZ;
}

/* 1: faster than another rate by more than the tolerance, -1: slower, 0: neither. */
static int8_t side_of(uint32_t rate_mhz, uint32_t other_mhz) {
    const uint32_t distance = rate_mhz > other_mhz ? rate_mhz - other_mhz : other_mhz - rate_mhz;
    if ((uint64_t)distance * TOLERANCE_PARTS <= other_mhz) {
        return 0;
    }
    return rate_mhz > other_mhz ? 1 : -1;
}

int bw_rate_sample(bw_rate *rate, uint32_t time_us) {
    if (rate->samples == 0) {
        rate->start_us = time_us;
    }
    if (rate->samples++ < BW_RATE_STEPS) {
        return 0;
    }
    const int8_t before = rate->side;
    rate->measured_mhz = measure(time_us - rate->start_us);
    rate->side = side_of(rate->measured_mhz, rate->taken_mhz);
    rate->start_us = time_us;
    rate->samples = 1;
    if (rate->side == 0 || rate->side != before) {
        return 0;
    }
    rate->taken_mhz = rate->measured_mhz;
    rate->side = 0;
    return 1;
}
