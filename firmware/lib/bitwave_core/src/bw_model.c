/* Opening a model image: the one place where an image is doubted. host/bitwave/image.py writes what is read here.
 *
 * header     magic "BWIM" u32, ABI u16, flags u16, size u32, CRC-32 u32 (of all bytes but these four), digest u8[16],
 *            window u16, hop u16, channels u8, layers u8, dense layers u8, classes u8, rate u32, accel scale u32,
 *            gyro scale u32, input zero i8, answer steps u8, reserved u16
 * per layer  inputs u8, hidden u8, input zero i8, hidden zero i8, cell exponent i8, reserved u8, cell clip u16,
 *            input scales [4], recurrent scales [4], output scale, input weights, recurrent weights, bias
 * per dense  inputs u8, outputs u8, input zero i8, output zero i8, activation min i8, activation max i8, scales u8,
 *            reserved u8, scales, weights, bias
 * softmax    scale, diff_min i32                                                       if FLAG_SOFTMAX
 * front end  channels, smoothing u8, margin u8, hold u8, reserved u8, refractory u16, fires u16,
 *            thresholds u8 [classes], size of labels u32, labels                       if hop > 0
 * answer     input i8 [steps][channels], hidden i8 [all layers], scores i8 [classes]
 *
 * A scale is mantissa i32, shift i32; every array is padded to four bytes. All is little-endian. */
#include <string.h>

#include "bw_fixed.h"
#include "bw_kernels.h"
#include "bw_reader.h"

enum {
    HEADER_SIZE = 56,
    CRC_AT = 12,
    FLAG_SOFTMAX = 1,
    MAGIC = 0x4D495742, /* "BWIM" */
    /* Bounds that keep every intermediate of the kernels inside int32. */
    MAX_SUM = INT32_MAX - 255, /* leaves room for a zero point */
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

/* Whether no input can bring the row's sum, shifted left as its scale says, out of int32. */
static int row_is_sound(const int8_t weights[], uint32_t count, int32_t zero, int32_t bias, const bw_scale *scale) {
    const int32_t below = zero - INT8_MIN;
    const int32_t above = INT8_MAX - zero;
    const uint64_t reach = (uint64_t)(below > above ? below : above);
    uint64_t bound = magnitude(bias);
    for (uint32_t i = 0; i < count; ++i) {
        bound += reach * magnitude(weights[i]);
    }
    return scale_is_sound(scale, MAX_SHIFT) && (bound << (scale->shift > 0 ? scale->shift : 0)) <= MAX_SUM;
}

static int lstm_is_sound(const bw_lstm *layer) {
    const uint32_t rows = (uint32_t)layer->hidden * BW_GATES;
    for (uint32_t row = 0; row < rows; ++row) {
        const uint32_t gate = row % BW_GATES;
        if (!row_is_sound(layer->input_weights + row * layer->inputs, layer->inputs, layer->input_zero,
                          layer->bias[row], &layer->input_scales[gate]) ||
            !row_is_sound(layer->recurrent_weights + row * layer->hidden, layer->hidden, layer->hidden_zero, 0,
                          &layer->recurrent_scales[gate])) {
            return 0;
        }
    }
    return scale_is_sound(layer->output_scale, 0) && layer->cell_exponent >= MIN_CELL_EXPONENT &&
           layer->cell_exponent <= MAX_CELL_EXPONENT && layer->cell_clip >= 0;
}

static int read_lstm(bw_reader *reader, bw_lstm *layer) {
    layer->inputs = bw_read_u8(reader);
    layer->hidden = bw_read_u8(reader);
    layer->input_zero = bw_read_i8(reader);
    layer->hidden_zero = bw_read_i8(reader);
    layer->cell_exponent = bw_read_i8(reader);
    const uint8_t reserved = bw_read_u8(reader);
    layer->cell_clip = (int16_t)bw_read_u16(reader);
    const uint32_t rows = (uint32_t)layer->hidden * BW_GATES;
    layer->input_scales = bw_read_array(reader, BW_GATES, sizeof(bw_scale));
    layer->recurrent_scales = bw_read_array(reader, BW_GATES, sizeof(bw_scale));
    layer->output_scale = bw_read_array(reader, 1, sizeof(bw_scale));
    layer->input_weights = bw_read_array(reader, rows * layer->inputs, 1);
    layer->recurrent_weights = bw_read_array(reader, rows * layer->hidden, 1);
    layer->bias = bw_read_array(reader, rows, sizeof(int32_t));
    return !reader->failed && reserved == 0 && layer->inputs >= 1 && layer->hidden >= 1 && lstm_is_sound(layer);
}

static int read_dense(bw_reader *reader, bw_dense *layer) {
    layer->inputs = bw_read_u8(reader);
    layer->outputs = bw_read_u8(reader);
    layer->input_zero = bw_read_i8(reader);
    layer->output_zero = bw_read_i8(reader);
    layer->activation_min = bw_read_i8(reader);
    layer->activation_max = bw_read_i8(reader);
    layer->scale_count = bw_read_u8(reader);
    const uint8_t reserved = bw_read_u8(reader);
    layer->scales = bw_read_array(reader, layer->scale_count, sizeof(bw_scale));
    layer->weights = bw_read_array(reader, (uint32_t)layer->outputs * layer->inputs, 1);
    layer->bias = bw_read_array(reader, layer->outputs, sizeof(int32_t));
    if (reader->failed || reserved != 0 || layer->inputs < 1 || layer->outputs < 1 ||
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

static int read_softmax(bw_reader *reader, bw_softmax *softmax) {
    softmax->input_scale.mantissa = bw_read_i32(reader);
    softmax->input_scale.shift = bw_read_i32(reader);
    softmax->diff_min = bw_read_i32(reader);
    const int32_t shift = softmax->input_scale.shift;
    const int64_t largest = (int64_t)31 << 26; /* a difference becomes Q5.26 */
    return !reader->failed && scale_is_sound(&softmax->input_scale, MAX_SOFTMAX_SHIFT) && shift >= 0 &&
           softmax->diff_min <= 0 && ((int64_t)magnitude(softmax->diff_min) << shift) <= largest;
}

/* Labels must fill their bytes exactly: classes times length u8 (1 .. 24) and as many of [a-z0-9-]. */
static int labels_are_sound(const uint8_t labels[], uint32_t size, uint32_t classes) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < classes; ++i) {
        if (at >= size || labels[at] < 1 || labels[at] > BW_MAX_LABEL_LENGTH || labels[at] > size - at - 1u) {
            return 0;
        }
        for (uint32_t end = at + labels[at]; at < end; ++at) {
            const uint8_t c = labels[at + 1u];
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) {
                return 0;
            }
        }
        ++at;
    }
    return at == size;
}

static int read_front_end(bw_reader *reader, bw_model *model) {
    model->front_end = bw_read_array(reader, model->channels, sizeof(bw_channel));
    model->decision.smoothing = bw_read_u8(reader);
    model->decision.margin = bw_read_u8(reader);
    model->decision.hold = bw_read_u8(reader);
    const uint8_t reserved = bw_read_u8(reader);
    model->decision.refractory = bw_read_u16(reader);
    model->decision.fires = bw_read_u16(reader);
    model->decision.thresholds = bw_read_array(reader, model->classes, 1);
    const uint32_t labels_size = bw_read_u32(reader);
    if (reader->failed || labels_size > BW_MAX_LABELS * (BW_MAX_LABEL_LENGTH + 1u)) {
        return 0;
    }
    model->labels = bw_read_array(reader, labels_size, 1);
    if (reader->failed || reserved != 0 || model->channels > BW_MAX_CHANNELS || model->classes > BW_MAX_LABELS ||
        model->hop > model->window ||
        model->decision.smoothing > 7 || model->decision.hold < 1 || (model->decision.fires >> model->classes) != 0 ||
        !labels_are_sound(model->labels, labels_size, model->classes)) {
        return 0;
    }
    for (uint32_t i = 0; i < model->channels; ++i) {
        const bw_channel *channel = &model->front_end[i];
        if (channel->multiplier < 1 || channel->multiplier > (1 << 14) || channel->shift < 1 || channel->shift > 30) {
            return 0;
        }
    }
    const uint32_t lanes = ((uint32_t)model->window + model->hop - 1u) / model->hop;
    model->lanes = (uint8_t)(lanes <= BW_MAX_LANES ? lanes : 0u);
    return lanes <= BW_MAX_LANES;
}

static int read_layers(bw_reader *reader, bw_model *model) {
    uint32_t width = model->channels;
    for (uint32_t i = 0; i < model->layers; ++i) {
        if (!read_lstm(reader, &model->lstm[i]) || model->lstm[i].inputs != width) {
            return 0;
        }
        width = model->lstm[i].hidden;
    }
    for (uint32_t i = 0; i < model->dense_layers; ++i) {
        if (!read_dense(reader, &model->dense[i]) || model->dense[i].inputs != width) {
            return 0;
        }
        width = model->dense[i].outputs;
    }
    return width == model->classes;
}

static int read_answer(bw_reader *reader, bw_model *model) {
    uint32_t hidden = 0;
    for (uint32_t i = 0; i < model->layers; ++i) {
        hidden += model->lstm[i].hidden;
    }
    model->answer_input = bw_read_array(reader, (uint32_t)model->answer_steps * model->channels, 1);
    model->answer_hidden = bw_read_array(reader, hidden, 1);
    model->answer_scores = bw_read_array(reader, model->classes, 1);
    return !reader->failed;
}

static int read_content(bw_reader *reader, bw_model *model) {
    const uint16_t flags = (uint16_t)(reader->image[6] | reader->image[7] << 8);
    reader->at = CRC_AT + 4u;
    model->digest = bw_read_array(reader, 16, 1);
    model->window = bw_read_u16(reader);
    model->hop = bw_read_u16(reader);
    model->channels = bw_read_u8(reader);
    model->layers = bw_read_u8(reader);
    model->dense_layers = bw_read_u8(reader);
    model->classes = bw_read_u8(reader);
    model->rate_mhz = bw_read_u32(reader);
    model->accel_milli_lsb_per_g = bw_read_u32(reader);
    model->gyro_milli_lsb_per_dps = bw_read_u32(reader);
    model->input_zero = bw_read_i8(reader);
    model->answer_steps = bw_read_u8(reader);
    const uint16_t reserved = bw_read_u16(reader);
    model->has_softmax = (flags & FLAG_SOFTMAX) != 0;
    if (reserved != 0 || (flags & ~FLAG_SOFTMAX) != 0 || model->window < 1 || model->window > BW_MAX_STEPS ||
        model->layers < 1 || model->layers > BW_MAX_LAYERS || model->dense_layers < 1 ||
        model->dense_layers > BW_MAX_DENSE) {
        return 0;
    }
    return read_layers(reader, model) && (!model->has_softmax || read_softmax(reader, &model->softmax)) &&
           (model->hop == 0 || read_front_end(reader, model)) && read_answer(reader, model) &&
           reader->at == reader->size;
}

bw_status bw_model_open(bw_model *model, const void *image, size_t size) {
    memset(model, 0, sizeof *model);
    if (size < HEADER_SIZE || size > INT32_MAX || (uintptr_t)image % BW_ALIGNMENT != 0) {
        return BW_IMAGE_SIZE;
    }
    bw_reader reader = {image, (uint32_t)size, 0, 0};
    if (bw_read_u32(&reader) != MAGIC) {
        return BW_IMAGE_MAGIC;
    }
    if (bw_read_u16(&reader) != BW_IMAGE_ABI) {
        return BW_IMAGE_ABI_OTHER;
    }
    reader.at = 8;
    if (bw_read_u32(&reader) != size) {
        return BW_IMAGE_SIZE;
    }
    const uint32_t crc = bw_crc32(0, image, CRC_AT);
    if (bw_read_u32(&reader) != bw_crc32(crc, reader.image + CRC_AT + 4, size - CRC_AT - 4u)) {
        return BW_IMAGE_CRC;
    }
    if (!read_content(&reader, model)) {
        memset(model, 0, sizeof *model);
        return BW_IMAGE_CONTENT;
    }
    model->image = reader.image;
    model->size = reader.size;
    return BW_OK;
}

const char *bw_model_label(const bw_model *model, uint32_t index, size_t *length) {
    const uint8_t *label = model->labels;
    *length = 0;
    if (label == NULL || index >= model->classes) {
        return "";
    }
    for (uint32_t i = 0; i < index; ++i) {
        label += 1u + label[0];
    }
    *length = label[0];
    return (const char *)label + 1;
}
