/* The layers of a model image: read, and doubted. Their layout stands in bw_model.c. */
#include "bw_layers.h"

#include "bw_kernels.h"
#include "bw_packed.h"
#include "bw_parts.h"

enum {
    /* Bounds that keep every intermediate of the kernels inside int32. */
    MAX_SUM = INT32_MAX - 255,      /* leaves room for a zero point */
    MAX_PACKED_SUM = (1 << 23) - 1, /* times 256 */
    MIN_SHIFT = -31,
    MAX_SHIFT = 30,
    MAX_SOFTMAX_SHIFT = 31, /* then only a difference of 0 counts */
    MIN_CELL_EXPONENT = -29,
    MAX_CELL_EXPONENT = 2
};

static uint32_t magnitude(int32_t value) { return value < 0 ? 0u - (uint32_t)value : (uint32_t)value; }

static int scale_is_sound(const bw_scale *scale, int32_t max_shift) {
    const int mantissa_ok = scale->mantissa == 0 || scale->mantissa >= (1 << 30);
    return mantissa_ok && scale->shift >= MIN_SHIFT && scale->shift <= max_shift;
}

/* What |sum of w * (x - zero) + bias| cannot exceed; magnitudes: sum of |w|, at most 2^15 each of 2^8 */
static uint32_t largest_sum(uint32_t magnitudes, int32_t zero, int32_t bias) {
    const int32_t below = zero - INT8_MIN;
    const int32_t above = INT8_MAX - zero;
    return magnitude(bias) + (uint32_t)(below > above ? below : above) * magnitudes;
}

/* Whether no input can bring a sum out of `limit`, or out of int32 when shifted left as its scale says. */
static int sum_is_sound(uint32_t magnitudes, int32_t zero, int32_t bias, const bw_scale *scale, uint32_t limit) {
    const uint64_t bound = largest_sum(magnitudes, zero, bias);
    return scale_is_sound(scale, MAX_SHIFT) && bound <= limit &&
           (bound << (scale->shift > 0 ? scale->shift : 0)) <= MAX_SUM;
}

static int row_is_sound(const int8_t weights[], uint32_t count, int32_t zero, int32_t bias, const bw_scale *scale) {
    uint32_t magnitudes = 0;
    for (uint32_t i = 0; i < count; ++i) {
        magnitudes += magnitude(weights[i]);
    }
    return sum_is_sound(magnitudes, zero, bias, scale, MAX_SUM);
}

/* bias: this row's as the image has it, 0 for a recurrent row */
static int packed_row_is_sound(const bw_matrix *matrix, uint32_t gate, uint32_t unit, const int32_t *bias) {
    const bw_row row = bw_packed_row(matrix, gate, unit);
    const int32_t own = bias != NULL ? (int32_t)((uint32_t)*bias - bw_packed_fold(matrix, row)) : 0;
    return own % 256 == 0 && row.magnitude <= MAX_PACKED_SUM / 256 &&
           bw_scale_is_fast(matrix->scales[gate], largest_sum(row.magnitude, matrix->zero, own / 256)) &&
           sum_is_sound(row.magnitude, matrix->zero, own / 256, &matrix->scales[gate], MAX_PACKED_SUM);
}

static int matrix_is_sound(const bw_lstm *layer, const bw_matrix *matrix, const int32_t bias[]) {
    const uint32_t rows = layer->packed ? BW_GROUP * matrix->groups : layer->hidden;
    const int8_t *weights = matrix->weights;
    for (uint32_t row = 0; row < BW_GATES * rows; ++row) {
        const bw_scale *scale = &matrix->scales[row / rows];
        const int sound =
            layer->packed
                ? packed_row_is_sound(matrix, row / rows, row % rows, bias != NULL ? &bias[row] : NULL)
                : row_is_sound(weights + row * matrix->columns, matrix->columns, matrix->zero,
                               bias != NULL ? bias[row] : 0, scale);
        if (!sound) {
            return 0;
        }
    }
    return 1;
}

static int lstm_is_sound(const bw_lstm *layer) {
    return matrix_is_sound(layer, &layer->input, layer->bias) && matrix_is_sound(layer, &layer->recurrent, NULL) &&
           scale_is_sound(layer->output_scale, 0) && layer->cell_exponent >= MIN_CELL_EXPONENT &&
           layer->cell_exponent <= MAX_CELL_EXPONENT && layer->cell_clip >= 0;
}

/* Shape of a matrix whose columns are known, and its weights. */
static void read_matrix(bw_reader *reader, const bw_lstm *layer, bw_matrix *matrix, int may_have_pair) {
    const uint32_t rest = matrix->columns % 4u;
    matrix->pairs = may_have_pair && (rest == 1 || rest == 2);
    matrix->quads = (matrix->columns + 3u) / 4u - matrix->pairs;
    matrix->groups = (layer->hidden + BW_GROUP - 1u) / BW_GROUP;
    if (layer->packed) {
        reader->failed |= matrix->quads > BW_DSP_QUADS;
        const uint32_t words = BW_GATES * BW_GROUP * matrix->groups * (matrix->pairs + matrix->quads);
        matrix->weights = bw_read_array(reader, words, 4);
    } else {
        matrix->weights = bw_read_array(reader, (uint32_t)BW_GATES * layer->hidden * matrix->columns, 1);
    }
}

static int read_lstm(bw_reader *reader, bw_lstm *layer) {
    bw_read_members(reader, layer, offsetof(bw_lstm, kernel));
    layer->input.columns = layer->inputs;
    layer->input.zero = layer->input_zero;
    layer->recurrent.columns = layer->hidden;
    layer->recurrent.zero = layer->hidden_zero;
    layer->input.scales = bw_read_array(reader, BW_GATES, sizeof(bw_scale));
    layer->recurrent.scales = bw_read_array(reader, BW_GATES, sizeof(bw_scale));
    layer->output_scale = bw_read_array(reader, 1, sizeof(bw_scale));
    read_matrix(reader, layer, &layer->input, 1);
    read_matrix(reader, layer, &layer->recurrent, 0);
    const uint32_t rows = layer->packed ? BW_GROUP * layer->input.groups : layer->hidden;
    layer->bias = bw_read_array(reader, BW_GATES * rows, sizeof(int32_t));
    if (reader->failed || layer->packed > 1 || layer->inputs < 1 || layer->hidden < 1 || !lstm_is_sound(layer) ||
        (layer->packed && !bw_lstm_is_fast(layer))) {
        return 0;
    }
    bw_lstm_prepare(layer);
    return 1;
}

static int read_dense(bw_reader *reader, bw_dense *layer) {
    bw_read_members(reader, layer, offsetof(bw_dense, scales));
    layer->scales = bw_read_array(reader, layer->scale_count, sizeof(bw_scale));
    layer->weights = bw_read_array(reader, (uint32_t)layer->outputs * layer->inputs, 1);
    layer->bias = bw_read_array(reader, layer->outputs, sizeof(int32_t));
    if (reader->failed || layer->inputs < 1 || layer->inputs > BW_MAX_INPUTS || layer->outputs < 1 ||
        (layer->scale_count != 1 && layer->scale_count != layer->outputs) ||
        layer->activation_min > layer->activation_max) {
        return 0;
    }
    for (uint32_t row = 0; row < layer->outputs; ++row) {
        if (!row_is_sound(layer->weights + row * layer->inputs, layer->inputs, layer->input_zero, layer->bias[row],
                          &layer->scales[layer->scale_count > 1 ? row : 0])) {
            return 0;
        }
    }
    return 1;
}

int bw_read_softmax(bw_reader *reader, bw_softmax *softmax) {
    bw_read_members(reader, softmax, sizeof *softmax);
    const int32_t shift = softmax->input_scale.shift;
    const int64_t largest = (int64_t)31 << 26; /* a difference becomes Q5.26 */
    return !reader->failed && scale_is_sound(&softmax->input_scale, MAX_SOFTMAX_SHIFT) && shift >= 0 &&
           softmax->diff_min <= 0 && ((int64_t)magnitude(softmax->diff_min) << shift) <= largest;
}

/* Whether a mean or a weighted sum of hidden states stays inside int32. */
static int pool_is_sound(const bw_branch *branch, uint32_t steps) {
    const int32_t shift = branch->pool_scale.shift;
    if (!scale_is_sound(&branch->pool_scale, MAX_SHIFT)) {
        return 0;
    }
    if (branch->pool == BW_POOL_MEAN) { /* 255 * n is shifted by shift - floor(log2(n)), n > 0 steps */
        return shift <= 0 || ((uint64_t)510 << shift) <= MAX_SUM;
    }
    return steps <= BW_MAX_ATTENTION && ((uint64_t)255 * 255 * steps << (shift > 0 ? shift : 0)) <= MAX_SUM;
}

static int read_pool(bw_reader *reader, bw_branch *branch, uint32_t units, uint32_t steps) {
    if (bw_pool_of(branch) == BW_POOL_LAST) {
        return branch->pool_zero == 0;
    }
    bw_read_members(reader, &branch->pool_scale, sizeof branch->pool_scale);
    if (reader->failed || branch->pool > BW_POOL_ATTENTION || !pool_is_sound(branch, steps)) {
        return 0;
    }
    return branch->pool == BW_POOL_MEAN ||
           (read_dense(reader, &branch->score) && branch->score.inputs == units && branch->score.outputs == 1 &&
            bw_read_softmax(reader, &branch->attention));
}

/* With its states carried on, a window begins with the step after the last one's: windows overlap by what a convolution
 * looks back, and only the last step's state knows more than its window. */
static int can_be_stateful(const bw_model *model, const bw_branch *branch) {
    return branch->pool == BW_POOL_LAST && branch->kernel + model->hop == branch->stride + model->window &&
           model->hop % branch->stride == 0;
}

enum { MAX_STACKED = 2 };

/* Whether the branch needs a part that this build lacks. */
static int needs_more(const bw_branch *branch) {
    return (!BW_CONVOLUTION && branch->has_conv) || (!BW_POOLING && branch->pool != BW_POOL_LAST) ||
           (BW_MAX_LAYERS < MAX_STACKED && branch->layers == MAX_STACKED);
}

static int read_branch(bw_reader *reader, bw_model *model, bw_branch *branch) {
    bw_read_members(reader, branch, offsetof(bw_branch, first_layer));
    branch->first_layer = model->layers;
    reader->left_out |= needs_more(branch);
    if (reader->failed || reader->left_out || branch->channels < 1 ||
        branch->first_channel + branch->channels > model->channels || branch->layers < 1 ||
        branch->layers > MAX_STACKED || model->layers + branch->layers > BW_MAX_LAYERS || branch->has_conv > 1 ||
        branch->kernel < 1 || branch->kernel > BW_MAX_KERNEL || branch->stride < 1 || branch->stride > BW_MAX_STRIDE ||
        branch->kernel > model->window || (!bw_has_conv(branch) && (branch->kernel != 1 || branch->stride != 1)) ||
        (bw_is_stateful(model) && !can_be_stateful(model, branch))) {
        return 0;
    }
    uint32_t width = branch->channels;
    if (bw_has_conv(branch)) {
        if (!read_dense(reader, &branch->conv) || branch->conv.inputs != width * branch->kernel) {
            return 0;
        }
        width = branch->conv.outputs;
    }
    for (uint32_t i = bw_first_layer(branch); i <= bw_last_layer(branch); ++i) {
        bw_lstm *layer = &model->lstm[i];
        if (!read_lstm(reader, layer) || layer->input.columns != width) {
            return 0;
        }
        width = layer->hidden;
    }
    model->layers = (uint8_t)(model->layers + branch->layers);
    return read_pool(reader, branch, width, bw_branch_steps(branch, model->window));
}

int bw_read_layers(bw_reader *reader, bw_model *model) {
    uint32_t width = 0;
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        if (!read_branch(reader, model, &model->branch[i])) {
            return 0;
        }
        width += model->lstm[bw_last_layer(&model->branch[i])].hidden;
    }
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        if (!read_dense(reader, &model->dense[i]) || model->dense[i].inputs != width) {
            return 0;
        }
        width = model->dense[i].outputs;
    }
    return width == model->classes;
}
