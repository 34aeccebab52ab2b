/* Opening a model image: the one place where an image is doubted. host/bitwave/model/image.py writes what is read here.
 *
 * header     magic "BWIM" u32, ABI u16, flags u16, size u32, CRC-32 u32 (of all bytes but these four), digest u8[16],
 *            window u16, hop u16, channels u8, branches u8, dense layers u8, classes u8, rate u32, accel scale u32,
 *            gyro scale u32, input zero i8, answer steps u8, reserved u16
 * per branch first channel u8, channels u8, layers u8, pool u8, has convolution u8, kernel u8, stride u8,
 *            pool zero i8; convolution as a dense layer, if it has one; its layers; unless the pool is the last step,
 *            the pool's scale; for attention the score as a dense layer, and a softmax
 * per layer  inputs u8, hidden u8, input zero i8, hidden zero i8, cell exponent i8, packed u8, cell clip u16,
 *            input scales [4], recurrent scales [4], output scale, input weights, recurrent weights, bias;
 *            weights int8 [4][hidden][columns] and bias [4][hidden], or packed and folded: bw_packed.h
 * per dense  inputs u16, outputs u8, input zero i8, output zero i8, activation min i8, activation max i8, scales u8,
 *            scales, weights, bias
 * softmax    scale, diff_min i32                                                       if FLAG_SOFTMAX
 * front end  channels, smoothing u8, margin u8, hold u8, reserved u8, refractory u16, fires u16,
 *            thresholds u8 [classes], size of labels u32, labels                       if hop > 0
 * gate       still u16, preroll u16, thresholds u16 [channels]                         if FLAG_GATE
 * answer     input i8 [steps][channels], hidden i8 [all layers], scores i8 [classes]
 *
 * FLAG_GATE and FLAG_STATEFUL came with ABI 4, FLAG_ONCE with ABI 5. A scale is mantissa i32, shift i32; every array
 * is padded to four bytes. All is little-endian. */
#include <string.h>

#include "bw_kernels.h"
#include "bw_layers.h"
#include "bw_parts.h"

enum {
    HEADER_SIZE = 56,
    CRC_AT = 12,
    FLAG_SOFTMAX = 1,
    FLAG_GATE = 2,
    FLAG_STATEFUL = 4,
    FLAG_ONCE = 8,
    MAX_BRANCHES = 4, /* of an image, whatever this build can run */
    MAGIC = 0x4D495742 /* "BWIM" */
};

/* Flags that an image may have, by its ABI. */
static const uint8_t flags_of[] = {
    FLAG_SOFTMAX,
    FLAG_SOFTMAX | FLAG_GATE | FLAG_STATEFUL,
    FLAG_SOFTMAX | FLAG_GATE | FLAG_STATEFUL | FLAG_ONCE
};

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
    const uint32_t lanes = bw_is_stateful(model) ? 1u : ((uint32_t)model->window + model->hop - 1u) / model->hop;
    model->lanes = (uint8_t)(lanes <= BW_MAX_LANES ? lanes : 0u);
    return lanes <= BW_MAX_LANES;
}

/* Every window that saw a movement has ended before the network sleeps, and none ends among the preroll. */
static int read_gate(bw_reader *reader, bw_model *model) {
    model->gate.still = bw_read_u16(reader);
    model->gate.preroll = bw_read_u16(reader);
    model->gate.thresholds = bw_read_array(reader, model->channels, sizeof(uint16_t));
    return !reader->failed && model->gate.still >= model->window &&
           model->gate.preroll < model->window;
}

static int read_answer(bw_reader *reader, bw_model *model) {
    uint32_t hidden = 0;
    for (uint32_t i = 0; i < bw_layers(model); ++i) {
        hidden += model->lstm[i].hidden;
    }
    model->answer_input = bw_read_array(reader, (uint32_t)model->answer_steps * model->channels, 1);
    model->answer_hidden = bw_read_array(reader, hidden, 1);
    model->answer_scores = bw_read_array(reader, model->classes, 1);
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        reader->failed |= model->answer_steps < model->branch[i].kernel;
    }
    return !reader->failed && model->answer_steps <= model->window;
}

static int read_content(bw_reader *reader, bw_model *model) {
    const uint16_t abi = (uint16_t)(reader->image[4] | reader->image[5] << 8);
    const uint16_t flags = (uint16_t)(reader->image[6] | reader->image[7] << 8);
    reader->at = CRC_AT + 4u;
    model->digest = bw_read_array(reader, 16, 1);
    model->window = bw_read_u16(reader);
    model->hop = bw_read_u16(reader);
    model->channels = bw_read_u8(reader);
    model->branches = bw_read_u8(reader);
    model->dense_layers = bw_read_u8(reader);
    model->classes = bw_read_u8(reader);
    model->rate_mhz = bw_read_u32(reader);
    model->accel_milli_lsb_per_g = bw_read_u32(reader);
    model->gyro_milli_lsb_per_dps = bw_read_u32(reader);
    model->input_zero = bw_read_i8(reader);
    model->answer_steps = bw_read_u8(reader);
    const uint16_t reserved = bw_read_u16(reader);
    reader->left_out = (model->branches > BW_MAX_BRANCHES && model->branches <= MAX_BRANCHES) ||
                       (!BW_GATE && (flags & FLAG_GATE) != 0) || (!BW_STATEFUL && (flags & FLAG_STATEFUL) != 0);
    model->has_softmax = (flags & FLAG_SOFTMAX) != 0;
    model->stateful = (flags & FLAG_STATEFUL) != 0;
    model->decision.once = (flags & FLAG_ONCE) != 0;
    if (reader->left_out || reserved != 0 || (flags & ~flags_of[abi - BW_IMAGE_ABI_OLDEST]) != 0 || model->window < 1 ||
        model->window > BW_MAX_STEPS || model->branches < 1 || model->branches > BW_MAX_BRANCHES ||
        model->dense_layers < 1 || model->dense_layers > BW_MAX_DENSE) {
        return 0;
    }
    return bw_read_layers(reader, model) && (!model->has_softmax || bw_read_softmax(reader, &model->softmax)) &&
           (model->hop == 0 || read_front_end(reader, model)) &&
           (!BW_GATE || (flags & FLAG_GATE) == 0 || read_gate(reader, model)) && read_answer(reader, model) &&
           reader->at == reader->size;
}

bw_status bw_model_open(bw_model *model, const void *image, size_t size) {
    memset(model, 0, sizeof *model);
    if (size < HEADER_SIZE || size > INT32_MAX || (uintptr_t)image % BW_ALIGNMENT != 0) {
        return BW_IMAGE_SIZE;
    }
    bw_reader reader = {image, (uint32_t)size, 0, 0, 0};
    if (bw_read_u32(&reader) != MAGIC) {
        return BW_IMAGE_MAGIC;
    }
    const uint16_t abi = bw_read_u16(&reader);
    if (abi < BW_IMAGE_ABI_OLDEST || abi > BW_IMAGE_ABI) {
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
        return reader.left_out ? BW_LEFT_OUT : BW_IMAGE_CONTENT;
    }
    model->image = reader.image;
    model->size = reader.size;
    return BW_OK;
}

uint32_t bw_model_layer_steps(const bw_model *model, uint32_t layer, uint32_t samples) {
    uint32_t branch = 0;
    while (layer > bw_last_layer(&model->branch[branch])) {
        ++branch;
    }
    return bw_branch_steps(&model->branch[branch], samples);
}

uint32_t bw_model_most_steps(const bw_model *model) {
    for (uint32_t i = 0; i < bw_branches(model); ++i) {
        if (bw_pool_of(&model->branch[i]) != BW_POOL_LAST) {
            return model->window;
        }
    }
    return UINT32_MAX;
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
