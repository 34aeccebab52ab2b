/* Sensor's rate to model's rate; the formula stands at bw_resampler in bitwave/recognizer.h. */
#ifndef BW_RESAMPLER_H
#define BW_RESAMPLER_H

#include "bitwave.h"

BW_MUST_CHECK bw_status bw_resampler_init(bw_resampler *resampler, uint32_t sensor_mhz, uint32_t model_mhz,
                                          uint32_t hop);

void bw_resampler_reset(bw_resampler *resampler, uint32_t channels);

/* The sensor's next sample comes: then bw_resampler_next() with it until that is NULL. */
void bw_resampler_push(bw_resampler *resampler);

/* The next sample [channels] at the model's rate that `sample` makes known, or NULL: `sample` is then the last one. */
const int16_t *bw_resampler_next(bw_resampler *resampler, const int16_t sample[], uint32_t channels);

#endif
