/* Fixed-point arithmetic: the only place that shifts and saturates.
 *
 * The rules are those of TensorFlow Lite Micro's reference kernels: every product is rounded twice.
 */
#ifndef BW_FIXED_H
#define BW_FIXED_H

#include "bitwave.h"

#if (-3 >> 1) != -2
#error "the core needs an arithmetic right shift"
#endif

static inline int32_t bw_clamp(int32_t value, int32_t low, int32_t high) {
    const int32_t raised = value < low ? low : value;
    return raised > high ? high : raised; /* in two steps: compilers then need no branch */
}

static inline int16_t bw_sat16(int32_t value) { return (int16_t)bw_clamp(value, INT16_MIN, INT16_MAX); }

static inline int8_t bw_sat8(int32_t value) { return (int8_t)bw_clamp(value, INT8_MIN, INT8_MAX); }

/* value * 2^bits; the caller knows that it fits. */
static inline int32_t bw_shift_left(int32_t value, int32_t bits) { return (int32_t)((uint32_t)value << bits); }

/* a * b / 2^31, ties toward plus infinity; the one product that does not fit saturates. */
static inline int32_t bw_high_mul(int32_t a, int32_t b) {
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* value / 2^bits, ties away from zero; bits in 0..31. */
static inline int32_t bw_rounding_shift(int32_t value, int32_t bits) {
    const int32_t mask = (int32_t)(((uint32_t)1 << bits) - 1u);
    const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
    return (value >> bits) + ((value & mask) > threshold ? 1 : 0);
}

/* value * scale, rounded twice as the reference does: first by the high multiply, then by the shift.
 * bw_model_open() has made sure that value * 2^shift fits where the shift is positive. */
static inline int32_t bw_requantize(int32_t value, bw_scale scale) {
    const int32_t left = scale.shift > 0 ? scale.shift : 0;
    const int32_t right = scale.shift > 0 ? 0 : -scale.shift;
    return bw_rounding_shift(bw_high_mul(bw_shift_left(value, left), scale.mantissa), right);
}

#endif
