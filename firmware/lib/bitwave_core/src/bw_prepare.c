/* Checks the conditions of the Cortex-M4 kernels for a packed layer, in every build, and prepares their constants.
 * bw_dsp_product.S and bw_dsp_activate.S say why; image.py packs no other layer. */
#include "bw_kernels.h"
#include "bw_packed.h"
#include "bw_slopes.h"

enum {
    MAX_LEFT = 7,
    MAX_RIGHT = 5,
    MIN_CELL_EXPONENT = -15, /* input * cell gate then fits int16 without a clamp */
    MAX_CELL_EXPONENT = -3,
    MIN_OUTPUT_SHIFT = -23 /* zero point times 2^-shift then fits beside the product */
};

/* largest: what no sum of this gate exceeds */
int bw_scale_is_fast(bw_scale scale, uint32_t largest) {
    if (scale.shift >= 0) {
        return scale.shift <= MAX_LEFT;
    }
    /* floor(256 sum * mantissa / 2^32) and the constant, times the factor, must fit int32 */
    const uint64_t value = (((uint64_t)largest * (uint32_t)scale.mantissa) >> 24) + 64u + (1u << 11);
    return scale.shift >= -MAX_RIGHT && value << (MAX_RIGHT + scale.shift) <= INT32_MAX;
}

int bw_lstm_is_fast(const bw_lstm *layer) {
    return layer->cell_clip == 0 && layer->cell_exponent >= MIN_CELL_EXPONENT &&
           layer->cell_exponent <= MAX_CELL_EXPONENT && layer->output_scale->shift >= MIN_OUTPUT_SHIFT &&
           layer->output_scale->shift < 0;
}

static void prepare_gates(bw_matrix *matrix) {
    for (uint32_t gate = 0; gate < BW_GATES; ++gate) {
        const bw_scale scale = matrix->scales[gate];
        bw_rounding *rounding = &matrix->gates[gate];
        rounding->multiplier = scale.mantissa;
        if (scale.shift >= 0) {
            rounding->constant = 7 - scale.shift;
            rounding->factor = 0;
        } else {
            rounding->constant = 64 + bw_shift_left(1, 6 - scale.shift);
            rounding->factor = bw_shift_left(1, MAX_RIGHT + scale.shift);
        }
        rounding->sign = -128 * rounding->factor;
    }
}

static void prepare_cell(bw_lstm *layer) {
    bw_cell_constants *constants = &layer->constants;
    const int32_t added_shift = 30 + layer->cell_exponent; /* 2^-30 / 2^exponent */
    const int32_t output_shift = -layer->output_scale->shift;
    constants->table = bw_slopes + BW_SLOPES_MIDDLE;
    constants->units = (layer->hidden + 1u) & ~1u;
    constants->sigmoid = 64 * ((1 << 24) + 512);
    constants->factors = 3 << 16 | 6;
    constants->kept = 1 + (1 << 14);
    constants->added = 1 + bw_shift_left(1, added_shift - 1);
    constants->added_shift = added_shift;
    constants->position = bw_shift_left(3, 16 + layer->cell_exponent + 15 - 3);
    constants->output = bw_shift_left(1, output_shift - 1) + bw_shift_left(layer->hidden_zero, output_shift);
    constants->output_multiplier = layer->output_scale->mantissa;
    constants->output_shift = output_shift;
}

void bw_lstm_prepare(bw_lstm *layer) {
    layer->kernel = !layer->packed ? BW_KERNEL_PLAIN : BW_DSP ? BW_KERNEL_DSP : BW_KERNEL_PACKED;
    if (layer->packed) {
        prepare_gates(&layer->input);
        prepare_gates(&layer->recurrent);
        prepare_cell(layer);
    }
}
