/* sigmoid and tanh by one interpolated table, as TensorFlow Lite Micro's reference kernels compute them. */
#ifndef BW_ACTIVATIONS_H
#define BW_ACTIVATIONS_H

#include "bw_dsp.h"
#include "bw_fixed.h"
#include "bw_slopes.h"

/* Entry i is about sigmoid(i / 24) in u0.16. Generated: see generate_lut.py. */
#define BW_LUT_SIZE 256
#if BW_DSP /* the DSP kernels' table has the same values: one table is enough */
static inline int32_t bw_lut_entry(int32_t index) {
    return 32768 - (int16_t)(bw_slopes[BW_SLOPES_MIDDLE + index] >> 16);
}
#else
extern const uint16_t bw_lut[BW_LUT_SIZE];
static inline int32_t bw_lut_entry(int32_t index) { return bw_lut[index]; }
#endif

/* Interpolates at `position`, whose low `bits` are the fraction; the result has `bits` more fraction bits than the
 * table. At and behind the last entry: `end`, which is not an entry of the table for sigmoid. */
static inline int32_t bw_lut_at(int32_t position, int32_t bits, int32_t end) {
    const int32_t index = position >> bits;
    if (index >= BW_LUT_SIZE - 1) {
        return end;
    }
    const int32_t fraction = position & (bw_shift_left(1, bits) - 1);
    const int32_t value = bw_lut_entry(index);
    return bw_shift_left(value, bits) + fraction * (bw_lut_entry(index + 1) - value);
}

/* gate: Q3.12; returns Q0.15. */
static inline int16_t bw_sigmoid(int16_t gate) {
    const int32_t position = 3 * gate; /* 24 entries per unit: 3 * 2^12 is 24 * 2^9 */
    const int32_t value = bw_lut_at(position < 0 ? -position : position, 9, bw_shift_left(0x7FFF, 10)); /* u0.25 */
    return (int16_t)((position >= 0 ? value + 512 : bw_shift_left(1, 25) - value + 511) >> 10);
}

/* value * 2^shift is Q3.12; returns Q0.15. tanh(x) = 2 sigmoid(2 x) - 1, so the table is read at twice the pace. */
static inline int16_t bw_tanh(int16_t value, int32_t shift) {
    const int32_t tripled = 3 * value;
    const int32_t position =
        shift >= 0 ? bw_shift_left(tripled, shift) : (tripled + bw_shift_left(1, -shift - 1)) >> -shift;
    const int32_t half = bw_shift_left(1, 23);
    const int32_t magnitude = bw_lut_at(position < 0 ? -position : position, 8, bw_shift_left(0xFFFF, 8)); /* u0.24 */
    return (int16_t)((position >= 0 ? magnitude - half + 128 : half - magnitude + 127) >> 8);
}

#endif
