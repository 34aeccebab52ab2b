/* The int8 softmax of TensorFlow Lite Micro's reference kernels, in integers throughout.
 *
 * Qm.n below is a fixed-point number with m integer bits beside the sign; exp() and the reciprocal are those of
 * gemmlowp's fixedpoint.h, which the reference uses. */
#include "bw_kernels.h"

enum {
    ACCUMULATOR_INTEGER_BITS = 12,
    KEPT = BW_MAX_LABELS /* exponentials; of more scores, as attention has them, the others are computed twice */
};

#define Q26(real_shift) ((int32_t)1 << (26 + (real_shift))) /* 2^real_shift in Q5.26 */

/* exp(x) for x in [-1/4, 0), both Q0.31: a Taylor series of degree 4 around -1/8. */
static int32_t exp_quarter(int32_t x) {
    const int32_t exp_of_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t y = x + ((int32_t)1 << 28);
    const int32_t y2 = bw_high_mul(y, y);
    const int32_t y3 = bw_high_mul(y2, y);
    const int32_t y4_over_4 = bw_rounding_shift(bw_high_mul(y2, y2), 2);
    const int32_t tail = bw_rounding_shift(bw_high_mul(y4_over_4 + y3, third) + y2, 1);
    return exp_of_minus_eighth + bw_high_mul(exp_of_minus_eighth, y + tail);
}

/* exp(x) in Q0.31 for x <= 0 in Q5.26: the rest modulo 1/4 by the series, the quarters by a product per set bit. */
static int32_t exp_negative(int32_t x) {
    static const int32_t exp_of_minus_power[] = {/* exp(-2^k) in Q0.31, k = -2 .. 4 */
                                                 1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (x == 0) {
        return INT32_MAX;
    }
    const int32_t rest = (x & (Q26(-2) - 1)) - Q26(-2);
    const int32_t quarters = rest - x;
    int32_t result = exp_quarter(bw_shift_left(rest, 5));
    for (int32_t k = 0; k < 7; ++k) {
        if ((quarters & Q26(k - 2)) != 0) {
            result = bw_high_mul(result, exp_of_minus_power[k]);
        }
    }
    return result;
}

/* 1 / (1 + x) in Q0.31 for x in [0, 1) in Q0.31: three Newton-Raphson steps in Q2.29. */
static int32_t reciprocal_of_one_plus(int32_t x) {
    const int32_t constant_48_over_17 = 1515870810;
    const int32_t constant_minus_32_over_17 = -1010580540;
    const int32_t one = (int32_t)1 << 29;
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) >> 1);
    int32_t estimate = constant_48_over_17 + bw_high_mul(half_denominator, constant_minus_32_over_17);
    for (int32_t step = 0; step < 3; ++step) {
        const int32_t error = one - bw_high_mul(half_denominator, estimate);
        estimate += bw_shift_left(bw_high_mul(estimate, error), 2); /* Q4.27 to Q2.29 */
    }
    /* half of it is Q1.30; to Q0.31, where 1 does not fit */
    return estimate > ((int32_t)1 << 30) - 1 ? INT32_MAX : bw_shift_left(estimate, 1);
}

static int32_t leading_zeros(uint32_t value) {
    int32_t count = 0;
    for (; count < 32 && (value & 0x80000000u) == 0; value <<= 1) {
        ++count;
    }
    return count;
}

/* exp(score - largest) in Q0.31; 0 where the difference is too large to count. */
static int32_t exp_of_difference(const bw_softmax *softmax, int32_t difference) {
    if (difference < softmax->diff_min) {
        return 0;
    }
    return exp_negative(bw_requantize(difference, softmax->input_scale)); /* Q5.26 */
}

void bw_softmax_run(const bw_softmax *softmax, int8_t scores[], uint32_t count) {
    int32_t largest = scores[0];
    for (uint32_t i = 1; i < count; ++i) {
        largest = scores[i] > largest ? scores[i] : largest;
    }
    int32_t kept[KEPT];
    int32_t sum = 0; /* Q12.19 */
    for (uint32_t i = 0; i < count; ++i) {
        const int32_t exponential = exp_of_difference(softmax, scores[i] - largest);
        if (i < KEPT) {
            kept[i] = exponential;
        }
        sum += bw_rounding_shift(exponential, ACCUMULATOR_INTEGER_BITS);
    }
    /* sum = 2^integer_bits * (1 + x): the largest score alone gives 1, so integer_bits >= 0 */
    const int32_t zeros = leading_zeros((uint32_t)sum);
    const int32_t integer_bits = ACCUMULATOR_INTEGER_BITS - zeros;
    const int32_t fraction = (int32_t)(((uint32_t)sum << zeros) - ((uint32_t)1 << 31));
    const int32_t scale = reciprocal_of_one_plus(fraction);
    for (uint32_t i = 0; i < count; ++i) {
        const int32_t exponential = i < KEPT ? kept[i] : exp_of_difference(softmax, scores[i] - largest);
        const int32_t product = bw_high_mul(scale, exponential);
        scores[i] = bw_sat8(bw_rounding_shift(product, integer_bits + 31 - 8) + INT8_MIN);
    }
}
