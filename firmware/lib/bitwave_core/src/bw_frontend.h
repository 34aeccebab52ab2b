/* Raw counts to the model's int8 input. */
#ifndef BW_FRONTEND_H
#define BW_FRONTEND_H

#include "bw_fixed.h"

/* |raw - offset| < 2^16 and multiplier <= 2^14, so nothing overflows. */
static inline int8_t bw_scale_count(const bw_channel *channel, int16_t raw, int8_t input_zero) {
    const int32_t product = (raw - channel->offset) * (int32_t)channel->multiplier;
    const int32_t half = bw_shift_left(1, channel->shift - 1);
    return bw_sat8(((product + half) >> channel->shift) + input_zero);
}

#endif
