/* A model image, validated once: everything behind bw_model_open() trusts what it then says. */
#ifndef BW_MODEL_H
#define BW_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a model image is read in place: it needs a little-endian processor"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define BW_IMAGE_ABI 5
#define BW_IMAGE_ABI_OLDEST 3 /* an image says the least that its model needs */

/* What a firmware may be built without. A model that needs it is refused with BW_LEFT_OUT when it is opened, a sensor
 * when the recognizer is initialised. README.md says what each costs. Define them for all of a program or for none:
 *
 *   BW_ONE_LSTM        more than one LSTM layer: branches, stacked layers
 *   BW_NO_CONVOLUTION  convolutions
 *   BW_NO_POOLING      mean and attention over a window's steps
 *   BW_NO_RESAMPLING   sensors of another rate than the model's
 *   BW_NO_GATE         motion gates
 *   BW_NO_STATEFUL     states that are carried on from window to window
 *   BW_ONE_LANE        the kernel for two lanes at once: nothing is refused, several lanes are slower */
#if !defined(BW_ONE_LSTM)
#define BW_MAX_BRANCHES 4
#define BW_MAX_LAYERS 8 /* LSTM layers of all branches together, two of each at most */
#else
#define BW_MAX_BRANCHES 1
#define BW_MAX_LAYERS 1
#endif
#define BW_MAX_DENSE 4
#define BW_MAX_INPUTS 1020 /* of a dense layer, and under the kernel of a convolution */
#define BW_MAX_KERNEL 64
#define BW_MAX_STRIDE 16
#define BW_MAX_ATTENTION 511 /* steps */
#define BW_MAX_WIDTH 255   /* hidden units of a layer, outputs of a dense layer, inputs of the network */
#define BW_MAX_CHANNELS 64 /* of raw samples */
#define BW_MAX_LABELS 16
#define BW_MAX_LABEL_LENGTH 24
#define BW_MAX_STEPS 4096
#define BW_MAX_LANES 32
#define BW_ALIGNMENT 4u /* of an image and of every arena, in bytes */

/* real factor = mantissa * 2^(shift - 31); mantissa is 0 or in [2^30, 2^31) */
typedef struct bw_scale {
    int32_t mantissa;
    int32_t shift;
} bw_scale;

#define BW_GATES 4 /* input, forget, cell, output: this order everywhere */

/* Which kernels run a layer. The exporter packs the weights of a layer that meets the conditions of the DSP kernels. */
#define BW_KERNELS(X)                                      \
    X(BW_KERNEL_DSP, 0, "Cortex-M4 DSP")                   \
    X(BW_KERNEL_PACKED, 1, "portable, for packed weights") \
    X(BW_KERNEL_PLAIN, 2, "portable, for plain weights")

typedef enum bw_kernel {
#define BW_KERNEL_ENTRY(name, number, text) name = number,
    BW_KERNELS(BW_KERNEL_ENTRY)
#undef BW_KERNEL_ENTRY
} bw_kernel;

/* A line for people; never NULL. */
const char *bw_kernel_text(bw_kernel kernel);

/* A gate's scale as the DSP kernels want it: see bw_dsp_product.S. */
typedef struct bw_rounding {
    int32_t multiplier;
    int32_t constant;
    int32_t factor;
    int32_t sign;
} bw_rounding;

/* One of a layer's two matrices: four gates of `hidden` rows each. The assembly reads the members up to `gates`. */
typedef struct bw_matrix {
    const void *weights; /* packed: see bw_packed.h; plain: int8 [4][hidden][columns] */
    uint32_t quads;      /* packed: four columns each */
    uint32_t pairs;      /* 0 or 1: two columns behind the quads */
    uint32_t groups;     /* of eight rows */
    bw_rounding gates[BW_GATES];
    const bw_scale *scales; /* [4] to Q3.12 */
    uint8_t columns;
    int8_t zero; /* of the vector */
} bw_matrix;

/* For bw_dsp_activate.S, in its order. */
typedef struct bw_cell_constants {
    const uint32_t *table;
    uint32_t units;
    int32_t sigmoid;
    int32_t factors;
    int32_t kept;
    int32_t added;
    int32_t added_shift;
    int32_t position;
    int32_t output;
    int32_t output_multiplier;
    int32_t output_shift;
} bw_cell_constants;

/* One LSTM layer. Pointers lead into the image, which has the members up to `cell_clip` as they are here. */
typedef struct bw_lstm {
    uint8_t inputs;
    uint8_t hidden;
    int8_t input_zero;
    int8_t hidden_zero;
    int8_t cell_exponent; /* log2 of the cell state's scale */
    uint8_t packed;       /* layout of the weights */
    int16_t cell_clip;    /* symmetric clamp of the cell, 0: none */
    uint8_t kernel;       /* bw_kernel */
    bw_matrix input;
    bw_matrix recurrent;
    const bw_scale *output_scale; /* [1] tanh(cell) * output gate, Q0.30, to hidden state */
    const int32_t *bias;          /* [4][hidden], or packed and folded [4][8 * groups] */
    bw_cell_constants constants;
} bw_lstm;

/* The image has the members up to `scale_count` as they are here. */
typedef struct bw_dense {
    uint16_t inputs;
    uint8_t outputs;
    int8_t input_zero;
    int8_t output_zero;
    int8_t activation_min;
    int8_t activation_max;
    uint8_t scale_count;    /* 1, or one per output */
    const bw_scale *scales; /* [scale_count] */
    const int8_t *weights;  /* [outputs][inputs] */
    const int32_t *bias;    /* [outputs] */
} bw_dense;

/* As in the image. */
typedef struct bw_softmax {
    bw_scale input_scale; /* to Q5.26; shift >= 0 */
    int32_t diff_min;     /* a score this far below the largest counts as exp() = 0; <= 0 */
} bw_softmax;

typedef enum bw_pool {
    BW_POOL_LAST = 0,     /* the hidden state after the last step */
    BW_POOL_MEAN = 1,     /* the mean of all */
    BW_POOL_ATTENTION = 2 /* a weighted sum: the softmax over the steps of one score each */
} bw_pool;

/* Some of the channels, through a convolution where there is one, and LSTM layers, to one vector per window. The image
 * has the members up to `pool_zero` as they are here. */
typedef struct bw_branch {
    uint8_t first_channel;
    uint8_t channels;
    uint8_t layers;
    uint8_t pool;         /* bw_pool */
    uint8_t has_conv;
    uint8_t kernel;       /* samples that an LSTM step sees; 1 without a convolution */
    uint8_t stride;       /* samples between LSTM steps; 1 without a convolution */
    int8_t pool_zero;     /* of the vector, unless it is the last hidden state */
    uint8_t first_layer;
    bw_scale pool_scale;  /* BW_POOL_MEAN: hidden to vector, before the division; BW_POOL_ATTENTION: sum to vector */
    bw_dense conv;        /* its inputs are `kernel` samples, the oldest first */
    bw_dense score;       /* BW_POOL_ATTENTION: one output */
    bw_softmax attention; /* over the scores */
} bw_branch;

/* int8 = clamp8((((raw - offset) * multiplier + 2^(shift - 1)) >> shift) + input_zero) */
typedef struct bw_channel {
    int16_t offset;
    uint16_t multiplier; /* 1 .. 2^14 */
    uint16_t shift;      /* 1 .. 30 */
} bw_channel;

typedef struct bw_decision_rule {
    uint8_t smoothing;
    uint8_t margin;
    uint8_t hold;
    uint8_t once;        /* a run of windows gives one event at most */
    uint16_t refractory; /* samples */
    uint16_t fires;      /* bit per class */
    const uint8_t *thresholds; /* [classes] 0..255 */
} bw_decision_rule;

/* When the network sleeps: see bw_gate.h. */
typedef struct bw_gate_rule {
    uint16_t still;             /* samples without movement after which it does, a window at least; 0: never */
    uint16_t preroll;           /* samples before a movement that the first window begins with, less than a window */
    const uint16_t *thresholds; /* [channels] counts */
} bw_gate_rule;

/* A validated view of an image; read only. The image must outlive it. */
typedef struct bw_model {
    const uint8_t *image;
    uint32_t size;
    const uint8_t *digest; /* [16] first bytes of the .tflite's SHA-256 */
    uint16_t window;       /* steps */
    uint16_t hop;          /* samples between windows; 0: network only, no front end, decision or labels */
    uint8_t channels;
    uint8_t branches;
    uint8_t layers; /* of all branches */
    uint8_t dense_layers;
    uint8_t classes;
    uint8_t lanes; /* ceil(window / hop) windows in flight, 1 if stateful; 0: network only */
    uint8_t stateful; /* the states are carried on from window to window */
    uint8_t has_softmax;
    int8_t input_zero;
    uint32_t rate_mhz;              /* samples per 1000 s */
    uint32_t accel_milli_lsb_per_g; /* scale of the raw counts that the model was trained with */
    uint32_t gyro_milli_lsb_per_dps;
    const bw_channel *front_end; /* [channels] */
    bw_decision_rule decision;
    bw_gate_rule gate;
    const uint8_t *labels; /* classes times: length u8, ASCII */
    uint8_t answer_steps;
    const int8_t *answer_input;  /* [answer_steps][channels] */
    const int8_t *answer_hidden; /* [hidden of all layers] after the last step */
    const int8_t *answer_scores; /* [classes] */
    bw_branch branch[BW_MAX_BRANCHES];
    bw_lstm lstm[BW_MAX_LAYERS]; /* branch after branch */
    bw_dense dense[BW_MAX_DENSE];
    bw_softmax softmax;
} bw_model;

/* Refuses every image that is not whole, unchanged and safe to run. `image` is BW_ALIGNMENT-aligned. */
BW_MUST_CHECK bw_status bw_model_open(bw_model *model, const void *image, size_t size);

/* The name of a class (not NUL-terminated) and its length; length 0 where the model has no such label. */
const char *bw_model_label(const bw_model *model, uint32_t index, size_t *length);

/* LSTM steps that a layer makes of `samples` samples. */
uint32_t bw_model_layer_steps(const bw_model *model, uint32_t layer, uint32_t samples);

/* The most samples that a window may have, however it is run: the model's own window where it pools over the steps. */
uint32_t bw_model_most_steps(const bw_model *model);

/* CRC-32 (IEEE 802.3, as zlib's) of `size` bytes; `crc` is 0 or the value so far. */
uint32_t bw_crc32(uint32_t crc, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif

#endif
