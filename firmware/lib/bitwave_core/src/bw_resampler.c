#include "bw_resampler.h"

#include <string.h>

#include "bw_fixed.h"
#include "bw_parts.h"

enum {
    PASS_PARTS = 1000,  /* a rate within one part of this passes through */
    MAX_RATE = 1 << 30, /* keeps every phase inside int32 */
    WEIGHT_BITS = 15
};

bw_status bw_resampler_init(bw_resampler *resampler, uint32_t sensor_mhz, uint32_t model_mhz, uint32_t hop) {
    const uint64_t distance = sensor_mhz > model_mhz ? sensor_mhz - model_mhz : model_mhz - sensor_mhz;
    const int pass = distance * PASS_PARTS <= model_mhz;
    if (sensor_mhz == 0 || model_mhz == 0 || model_mhz > MAX_RATE || distance * 2u > model_mhz ||
        (!pass && hop < 2 && model_mhz > sensor_mhz)) {
        return BW_RATE_MISMATCH;
    }
    if (!BW_RESAMPLING && !pass) {
        return BW_LEFT_OUT;
    }
    resampler->sensor_mhz = pass ? 0u : sensor_mhz;
    resampler->model_mhz = model_mhz;
    return BW_OK;
}

void bw_resampler_reset(bw_resampler *resampler, uint32_t channels) {
    memset(resampler->last, 0, channels * sizeof(int16_t)); /* read, but with weight 0 */
    resampler->phase = -(int32_t)resampler->model_mhz;
}

void bw_resampler_push(bw_resampler *resampler) { resampler->phase += (int32_t)resampler->model_mhz; }

/* part * 2^15 / whole by long division, for part < whole <= 2^30: no processor here divides 64 bits. */
static int32_t bits_of_fraction(uint32_t part, uint32_t whole) {
    int32_t quotient = 0;
    for (int bit = 0; bit < WEIGHT_BITS; ++bit) {
        part *= 2u;
        quotient *= 2;
        if (part >= whole) {
            part -= whole;
            ++quotient;
        }
    }
    return quotient;
}

const int16_t *bw_resampler_next(bw_resampler *resampler, const int16_t sample[], uint32_t channels) {
    if (resampler->phase < 0) {
        memcpy(resampler->last, sample, channels * sizeof(int16_t));
        return NULL;
    }
    /* below 2^15, so that its product with a difference of counts fits int32 */
    const int32_t weight = bits_of_fraction((uint32_t)resampler->phase, resampler->model_mhz);
    for (uint32_t i = 0; i < channels; ++i) {
        const int32_t step = (resampler->last[i] - sample[i]) * weight + (1 << (WEIGHT_BITS - 1));
        resampler->sample[i] = (int16_t)(sample[i] + (step >> WEIGHT_BITS));
    }
    resampler->phase -= (int32_t)resampler->sensor_mhz;
    return resampler->sample;
}
