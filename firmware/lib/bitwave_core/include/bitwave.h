/* bitwave: an int8 LSTM that turns motion samples into gesture events, one sample at a time.
 *
 * The caller owns all memory: the model image is constant, every state lives in an arena whose size the core tells.
 * No allocation, no floating point, no global state. All functions are reentrant on distinct objects.
 *
 *   raw sample --resampler--> model's rate --front end--> int8 --LSTM lanes--> hidden --head--> scores --decision--> event
 *
 * An image is validated once, by bw_model_open(); everything behind it trusts what it then says.
 */
#ifndef BITWAVE_H
#define BITWAVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a model image is read in place: it needs a little-endian processor"
#endif

#if defined(__GNUC__)
#define BW_MUST_CHECK __attribute__((warn_unused_result))
#else
#define BW_MUST_CHECK
#endif

#define BW_IMAGE_ABI 4
#define BW_IMAGE_ABI_OLDEST 3 /* an image says the least that its model needs */

#define BW_MAX_BRANCHES 4
#define BW_MAX_LAYERS 8 /* LSTM layers of all branches together, two of each at most */
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

/* ---- statuses ------------------------------------------------------------------------------------------------- */

/* The numbers travel in STATUS frames: never reuse one. */
#define BW_STATUSES(X)                                                          \
    X(BW_OK, 0, "ok")                                                           \
    X(BW_BAD_ARGUMENT, 1, "an argument is out of range")                        \
    X(BW_ARENA_SMALL, 2, "the memory given is too small or not aligned")        \
    X(BW_IMAGE_SIZE, 3, "the image is truncated, too long or not aligned")      \
    X(BW_IMAGE_MAGIC, 4, "this is not a model image")                           \
    X(BW_IMAGE_ABI_OTHER, 5, "the image was made for another version")          \
    X(BW_IMAGE_CRC, 6, "the image is corrupt")                                  \
    X(BW_IMAGE_CONTENT, 7, "the image describes a model that cannot run")       \
    X(BW_SELF_TEST_FAILED, 8, "the model does not give its known answer")       \
    X(BW_NO_MODEL, 9, "there is no model")                                      \
    X(BW_NETWORK_ONLY, 10, "the model has no front end and no labels")          \
    X(BW_MODEL_MISMATCH, 11, "the model wants other channels or another scale") \
    X(BW_BAD_COMMAND, 12, "unknown or malformed command")                       \
    X(BW_BAD_STATE, 13, "the command does not fit what came before")            \
    X(BW_TOO_LARGE, 14, "the answer would not fit into the queue")              \
    X(BW_RATE_MISMATCH, 15, "the sensor's rate does not suit the model")        \
    X(BW_NOT_ALLOWED, 16, "not over this link: allow it over USB first")        \
    X(BW_FLASH_FAILED, 17, "the flash did not keep what was written")           \
    X(BW_NO_SLOTS, 18, "this board has no model slots")                         \
    X(BW_BUSY, 19, "another link is sending a model just now")                  \
    X(BW_NOTHING_OLDER, 20, "there is no older model to go back to")

typedef enum bw_status {
#define BW_STATUS_ENTRY(name, number, text) name = number,
    BW_STATUSES(BW_STATUS_ENTRY)
#undef BW_STATUS_ENTRY
} bw_status;

/* A line for people; never NULL. */
const char *bw_status_text(bw_status status);

/* ---- model ---------------------------------------------------------------------------------------------------- */

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

/* One LSTM layer. Pointers lead into the image. */
typedef struct bw_lstm {
    uint8_t hidden;
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

typedef struct bw_softmax {
    bw_scale input_scale; /* to Q5.26; shift >= 0 */
    int32_t diff_min;     /* a score this far below the largest counts as exp() = 0; <= 0 */
} bw_softmax;

typedef enum bw_pool {
    BW_POOL_LAST = 0,     /* the hidden state after the last step */
    BW_POOL_MEAN = 1,     /* the mean of all */
    BW_POOL_ATTENTION = 2 /* a weighted sum: the softmax over the steps of one score each */
} bw_pool;

/* Some of the channels, through a convolution where there is one, and LSTM layers, to one vector per window. */
typedef struct bw_branch {
    uint8_t first_channel;
    uint8_t channels;
    uint8_t first_layer;
    uint8_t layers;
    uint8_t pool;         /* bw_pool */
    uint8_t has_conv;
    uint8_t kernel;       /* samples that an LSTM step sees; 1 without a convolution */
    uint8_t stride;       /* samples between LSTM steps; 1 without a convolution */
    int8_t pool_zero;     /* of the vector, unless it is the last hidden state */
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

/* ---- network: int8 samples in, scores out ----------------------------------------------------------------------- */

/* States of one or more lanes, all fed with the same samples. */
typedef struct bw_network {
    const bw_model *model;
    uint32_t lanes;
    size_t lane_size;
    /* [lanes]: samples u32 since the reset; per layer the cell int16 [hidden], then the hidden state int8 [hidden], both
     * padded; per branch int32 [hidden] sums of the steps, or int8 [steps][hidden] of all and [steps] scores */
    uint8_t *states;
    uint32_t layer_at[BW_MAX_LAYERS];  /* in a lane's state */
    uint32_t pool_at[BW_MAX_BRANCHES]; /* in a lane's state */
    int8_t *window[BW_MAX_BRANCHES];   /* [kernel][channels] the last samples, shared by the lanes; NULL: no convolution */
    int32_t *biases[BW_MAX_LAYERS]; /* of the recurrent matrices, packed and folded; NULL where plain */
    int16_t *records;               /* parts of the gates, see bw_dsp.h; between steps, scratch for the head */
    int8_t *input;                  /* of the first LSTM layer, padded */
} bw_network;

size_t bw_network_arena_size(const bw_model *model, uint32_t lanes);

/* `lanes` is 1 .. BW_MAX_LANES. All lanes start reset. */
BW_MUST_CHECK bw_status bw_network_init(bw_network *network, const bw_model *model, uint32_t lanes, void *arena,
                                        size_t size);

void bw_network_reset(bw_network *network, uint32_t lane);

/* Feeds one int8 sample [channels] to the lanes whose bit is set in `lane_mask`. Fastest if aligned to four bytes. From
 * its reset on, a lane must be fed with every sample until its window is full; samples beyond bw_model_most_steps() are
 * ignored. */
void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask);

const int8_t *bw_network_hidden(const bw_network *network, uint32_t lane, uint32_t layer);
const int16_t *bw_network_cell(const bw_network *network, uint32_t lane, uint32_t layer);

/* Whether a layer made a step with the lane's last sample: behind a convolution, not every sample makes one. */
int bw_network_stepped(const bw_network *network, uint32_t lane, uint32_t layer);

/* Runs pooling and head on what a lane has seen, at least one step of each layer: scores [classes]. */
void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]);

/* Where to put the states after every step; any pointer may be NULL. */
typedef struct bw_trace {
    int8_t *hidden[BW_MAX_LAYERS]; /* [bw_model_layer_steps()][hidden] */
    int16_t *cell[BW_MAX_LAYERS];  /* [bw_model_layer_steps()][hidden] */
} bw_trace;

/* One window [steps][channels] from a reset; arena as for one lane; `trace` may be NULL. BW_BAD_ARGUMENT for more steps
 * than bw_model_most_steps() or too few for one step of each layer. */
BW_MUST_CHECK bw_status bw_network_classify(const bw_model *model, void *arena, size_t size, const int8_t window[],
                                            uint32_t steps, int8_t scores[], const bw_trace *trace);

/* Computes the known answer that the image carries and compares all of it; arena as for one lane. */
BW_MUST_CHECK bw_status bw_self_test(const bw_model *model, void *arena, size_t size);

/* ---- recognizer: raw samples in, events out ---------------------------------------------------------------------- */

typedef enum bw_event_kind {
    BW_EVENT_NONE = 0,    /* no window ended with this sample */
    BW_EVENT_WINDOW = 1,  /* a window ended: label and score are of the leading class */
    BW_EVENT_GESTURE = 2  /* the same, and it counts as a gesture */
} bw_event_kind;

typedef struct bw_event {
    bw_event_kind kind;
    uint32_t sample; /* index since the reset of the sensor's sample with which the window ended */
    uint8_t label;
    uint8_t score; /* smoothed, 0..255 */
} bw_event;

/* The sensor's samples x[n], n / sensor rate s apart, to the model's y[k], k / model rate m apart: y[k] lies between
 * two samples, q / m of their distance before the newer one x[n], with
 *
 *   q(n, k) = n * m - k * s      n is the first sample with q >= 0
 *   w       = q * 2^15 / m       rounded down
 *   y[k]    = x[n] + (((x[n-1] - x[n]) * w + 2^14) >> 15)
 *
 * per channel, >> rounding toward minus infinity. y[0] = x[0]. Rates are in mHz. Where |s - m| * 1000 <= m there is no
 * resampling: y = x. Beyond |s - m| * 2 > m the sensor is refused. */
typedef struct bw_resampler {
    uint32_t sensor_mhz; /* 0: samples pass through */
    uint32_t model_mhz;
    int32_t phase;   /* q of the next model sample at the sensor's last one; below 0 */
    int16_t *last;   /* [channels] the sensor's last sample */
    int16_t *sample; /* [channels] at the model's rate */
} bw_resampler;

/* Whether the board rests; for models with a gate. */
typedef struct bw_gate {
    int16_t *reference; /* [channels] the last sample that moved */
    int8_t *ring;       /* [preroll][channels] the last inputs that were slept through */
    uint32_t still;     /* samples at rest since then, up to the rule's */
    uint32_t next;      /* to be written in the ring */
    uint32_t kept;      /* in the ring */
} bw_gate;

typedef struct bw_recognizer {
    const bw_model *model;
    uint8_t asleep;      /* the last sample found the network asleep: count these for its share of the time */
    uint8_t next_lane;
    uint8_t started;     /* a window has ended since the reset */
    uint8_t run;         /* windows in a row that `last` has passed */
    uint8_t last;
    uint16_t until_start; /* model samples until the next window starts */
    uint16_t *remaining; /* [lanes] model samples until the lane's window is full; 0: idle */
    uint16_t *averages;  /* [classes] Q8.8 */
    int8_t *input;       /* [channels] */
    int8_t *scores;      /* [classes] of the last window that ended */
    uint32_t wait;       /* model samples until the next event is allowed */
    uint32_t samples;    /* of the sensor, since the reset */
    bw_gate gate;
    bw_resampler resampler;
    bw_network network;
} bw_recognizer;

/* 0 for a model that is network only. */
size_t bw_recognizer_arena_size(const bw_model *model);

/* Starts reset, for a sensor of this rate. BW_NETWORK_ONLY for a model without front end; BW_RATE_MISMATCH for a rate
 * that cannot be resampled to the model's, or would let two windows end with one sample (a faster model of hop 1). */
BW_MUST_CHECK bw_status bw_recognizer_init(bw_recognizer *recognizer, const bw_model *model, uint32_t sensor_mhz,
                                           void *arena, size_t size);

void bw_recognizer_reset(bw_recognizer *recognizer);

/* One raw sample [channels] in, at most one event out. */
void bw_recognizer_push(bw_recognizer *recognizer, const int16_t sample[], bw_event *event);

/* ---- slots: models in flash, beside the built-in one ------------------------------------------------------------------- */

#define BW_SLOTS 2u
#define BW_BUILT_IN 0xFFu   /* in place of a slot's number: the model that the firmware was built with */
#define BW_SLOT_HEADER 32u  /* bytes before the image */
#define BW_DIGEST 8u        /* bytes of the .tflite's SHA-256 that name a model */

/* NOR flash that is mapped into memory; an erased word is all ones, and writing only clears bits. The core writes no
 * word more than twice without an erase between. Both functions return BW_OK or BW_FLASH_FAILED, when the flash has finished. */
typedef struct bw_flash {
    void *context;
    const void *slots[BW_SLOTS]; /* where each slot can be read, BW_ALIGNMENT-aligned: models run from there */
    uint32_t page_size;          /* bytes that one erase clears */
    uint32_t slot_pages;         /* of each slot */
    bw_status (*erase)(void *context, uint32_t slot, uint32_t page);
    bw_status (*program)(void *context, uint32_t slot, uint32_t offset, const uint32_t words[], uint32_t count);
} bw_flash;

typedef enum bw_slot_state {
    BW_SLOT_EMPTY = 0,     /* or never finished */
    BW_SLOT_VALID = 1,
    BW_SLOT_REVOKED = 2,   /* rolled back */
    BW_SLOT_UNUSABLE = 3,  /* corrupt, of another version, or not for this board */
    BW_SLOT_RECEIVING = 4
} bw_slot_state;

/* What a model must pass beside bw_model_open(), e.g. its known answer. */
typedef bw_status (*bw_model_check)(void *context, const bw_model *model);

/* What an update is known by: the same again after a lost link goes on where it was. */
typedef struct bw_update {
    uint32_t size;  /* of the image, a multiple of four */
    uint32_t crc;   /* CRC-32 of the whole image */
    uint8_t digest[BW_DIGEST];
} bw_update;

typedef struct bw_slots {
    const bw_flash *flash;
    bw_model_check check;
    void *check_context;
    bw_model model; /* of the active slot */
    uint8_t states[BW_SLOTS]; /* bw_slot_state */
    uint32_t generations[BW_SLOTS]; /* newest is largest; 0: unknown */
    uint8_t active;    /* slot, or BW_BUILT_IN */
    uint8_t receiving; /* slot, or BW_BUILT_IN: no update */
    bw_update update;
    uint32_t received; /* bytes of the image */
    uint32_t erased;   /* bytes of the slot */
} bw_slots;

/* Finds the newest valid model: slots->active and slots->model; BW_BUILT_IN where there is none. */
void bw_slots_open(bw_slots *slots, const bw_flash *flash, bw_model_check check, void *context);

/* Largest image that fits, in bytes. */
uint32_t bw_slots_room(const bw_flash *flash);

/* Starts an update into the slot that is not active, or goes on with the same one: slots->received tells where. */
BW_MUST_CHECK bw_status bw_slots_begin(bw_slots *slots, const bw_update *update);

/* The next bytes of the image, a multiple of four: erases where a page begins. After BW_FLASH_FAILED the update is over. */
BW_MUST_CHECK bw_status bw_slots_write(bw_slots *slots, const uint8_t bytes[], uint32_t size);

/* Verifies the whole image and makes it the active model, with one last word. A refused image ends the update. */
BW_MUST_CHECK bw_status bw_slots_finish(bw_slots *slots);

void bw_slots_abort(bw_slots *slots);

/* Gives up the active slot for the next older valid one, or for the built-in model; ends an update. */
BW_MUST_CHECK bw_status bw_slots_rollback(bw_slots *slots);

/* ---- wire: payloads to frames and back ---------------------------------------------------------------------------- */

/* frame = COBS(payload, CRC-16/CCITT-FALSE of it) 0x00; payload = type u8, sequence u16, time_us u32, body */
#define BW_WIRE_HEADER 7u
#define BW_WIRE_PAYLOAD 512u
#define BW_WIRE_BODY (BW_WIRE_PAYLOAD - BW_WIRE_HEADER)
#define BW_WIRE_FRAME (BW_WIRE_PAYLOAD + 2u + 3u + 1u) /* CRC, COBS, delimiter */

typedef enum bw_frame_type {
    BW_FRAME_INFO = 0x01,
    BW_FRAME_SAMPLES = 0x02,
    BW_FRAME_EVENT = 0x03,
    BW_FRAME_SCORES = 0x04,
    BW_FRAME_STATUS = 0x05,
    BW_FRAME_TRACE = 0x06,
    BW_FRAME_COUNTERS = 0x07,
    BW_FRAME_FAULT = 0x08,
    BW_FRAME_UPDATE = 0x09,
    BW_COMMAND_INFO = 0x41,
    BW_COMMAND_STREAM = 0x42,
    BW_COMMAND_RECOGNISE = 0x43,
    BW_COMMAND_SELF_TEST = 0x44,
    BW_COMMAND_PARITY = 0x45,
    BW_COMMAND_COUNTERS = 0x46,
    BW_COMMAND_UPDATE_BEGIN = 0x47,
    BW_COMMAND_UPDATE_CHUNK = 0x48,
    BW_COMMAND_UPDATE_FINISH = 0x49,
    BW_COMMAND_UPDATE_ABORT = 0x4A,
    BW_COMMAND_ROLLBACK = 0x4B,
    BW_COMMAND_ALLOW_UPDATE = 0x4C,
    BW_COMMAND_BOOTLOADER = 0x4D
} bw_frame_type;

/* Bodies, in order of their bytes; every command but UPDATE_CHUNK is answered by STATUS, after the frame it asks for.
 *
 * INFO      format u8 = 2, image ABI u8, board u8, firmware u8[3], channels u8, labels u8, sensor rate u32 mHz, model rate
 *           u32 mHz, window u16, hop u16, accel scale u32, gyro scale u32, digest u8[8], lost samples u32, dropped frames
 *           u32; since format 2: active u8 (slot, BW_BUILT_IN; 0xFE: no model), slot states u8[2], flags u8
 *           (BW_INFO_...), room of a slot u32 (0: no slots), arena size u32, arena used by the model u32;
 *           then the labels: length u8 and ASCII. Sent unasked on both links when the model has changed.
 * SAMPLES   first u32, channels u8, count u8, count times: time since the sample before u16 us, channels i16
 * EVENT     sample u32, label u8, score u8
 * SCORES    sample u32, count u8, scores i8
 * STATUS    command type u8, command sequence u16, bw_status u8, text
 * TRACE     step u16, layer u8, hidden count u8, hidden i8, cell i16
 * COUNTERS  samples u32, lost u32, dropped frames u32, CRC errors u32, cycles per step u32, longest loop u32 us, stack used
 *           u32, stack size u32, arena used u32, arena size u32, samples recognised u32, of these slept through u32;
 *           0: unmeasured. Readers take longer and shorter ones.
 * FAULT     bw_fault u8, text
 * UPDATE    bw_status u8 of the last chunk, active u8, received u32, size u32 (0: no update), digest u8[8]
 *
 * INFO, SELF_TEST, COUNTERS, UPDATE_FINISH, UPDATE_ABORT, ROLLBACK, ALLOW_UPDATE, BOOTLOADER   empty
 * STREAM, RECOGNISE   on u8
 * PARITY              first step u16, count u8, flags u8 (BW_PARITY_...), int8 input
 * UPDATE_BEGIN        size u32, CRC-32 of the image u32, digest u8[8]; answered by UPDATE and STATUS. The same as the
 *                     update under way goes on at UPDATE's `received`, over whatever link
 * UPDATE_CHUNK        flags u8 (BW_CHUNK_ANSWER), offset u32, bytes of the image (a multiple of 4, BW_UPDATE_CHUNK at most).
 *                     Answered by UPDATE and STATUS where flagged, else not at all; but where one cannot be taken (a
 *                     chunk before it was lost), one unasked UPDATE tells from where to send again. What was received
 *                     already is passed over. So a host sends several ahead and flags the last
 * UPDATE_FINISH       answered by UPDATE, INFO on both links where the model has changed, STATUS
 *
 * UPDATE_... and ROLLBACK need a physical link, or on a remote one the window of BW_ALLOW_US that ALLOW_UPDATE over a
 * physical link opens, or bw_app_allow_update(). BOOTLOADER and ALLOW_UPDATE need a physical link. */

typedef struct bw_frame {
    uint8_t type;
    uint16_t sequence;
    uint32_t time_us;
    const uint8_t *body;
    size_t body_size;
} bw_frame;

uint16_t bw_crc16(const uint8_t bytes[], size_t size);

/* Encodes a payload of BW_WIRE_HEADER .. BW_WIRE_PAYLOAD bytes; returns the frame's size, delimiter included. */
size_t bw_wire_encode(uint8_t frame[BW_WIRE_FRAME], const uint8_t payload[], size_t payload_size);

typedef struct bw_wire_decoder {
    uint8_t buffer[BW_WIRE_FRAME];
    size_t size;
    uint8_t overrun; /* this frame is already too long */
    uint32_t errors; /* stretches between delimiters that were no frame */
} bw_wire_decoder;

void bw_wire_reset(bw_wire_decoder *decoder);

/* Takes one byte; 1 when it completes a sound frame, whose body stays valid until the next call. */
int bw_wire_receive(bw_wire_decoder *decoder, uint8_t byte, bw_frame *frame);

/* ---- app: commands in, frames out; no I/O of its own ----------------------------------------------------------------- */

#define BW_APP_LINKS 2u
#define BW_APP_QUEUE 2048u       /* bytes of payloads that wait on one link */
#define BW_APP_BATCH 8u          /* samples per SAMPLES frame at most */
#define BW_APP_BATCH_US 50000u   /* age at which a batch is sent anyway */
#define BW_INFO_FORMAT 2u
#define BW_INFO_PHYSICAL 1u      /* this link is a physical one */
#define BW_INFO_MAY_UPDATE 2u    /* an update would be taken over this link now */
#define BW_NO_ACTIVE 0xFEu       /* INFO's active: there is no model at all */
#define BW_PARITY_RESET 1u
#define BW_PARITY_FINISH 2u
#define BW_CHUNK_ANSWER 1u
#define BW_UPDATE_CHUNK 480u     /* bytes of the image in a chunk at most */
#define BW_ALLOW_US 60000000u    /* how long remote links may update once allowed */
#define BW_UPDATE_IDLE_US 5000000u /* after this, another link may start an update of its own */

typedef enum bw_fault {
    BW_FAULT_NONE = 0,        /* what was said before is over */
    BW_FAULT_NO_SENSOR = 1,   /* none found: no samples will come */
    BW_FAULT_SENSOR_LOST = 2, /* it stopped answering; the board goes on trying */
    BW_FAULT_SELF_TEST = 3,   /* the model does not give its known answer on this board */
    BW_FAULT_FLASH = 4,
    BW_FAULT_OTHER = 255
} bw_fault;

typedef enum bw_link_kind {
    BW_LINK_REMOTE = 0,  /* anybody nearby */
    BW_LINK_PHYSICAL = 1 /* whoever holds the cable */
} bw_link_kind;

/* What the board knows about itself; constant. */
typedef struct bw_board {
    uint8_t kind; /* 0 emulated, 1 Nano 33 BLE rev 1, 2 rev 2, 255 unknown */
    uint8_t firmware[3];
    uint8_t channels;
    uint32_t rate_mhz; /* of the sensor */
    uint32_t accel_milli_lsb_per_g;
    uint32_t gyro_milli_lsb_per_dps;
    uint8_t link_kinds[BW_APP_LINKS]; /* bw_link_kind */
} bw_board;

/* What the board measures; it may write here at any time. */
typedef struct bw_board_counters {
    uint32_t lost_samples; /* bw_app_lost() adds to it */
    uint32_t cycles_per_step; /* awake; 0: unmeasured, as all the others */
    uint32_t longest_loop_us;
    uint32_t stack_used; /* high-water, bytes */
    uint32_t stack_size;
} bw_board_counters;

typedef struct bw_app_link {
    bw_wire_decoder decoder;
    uint8_t queue[BW_APP_QUEUE]; /* ring of records: size u16, payload */
    uint32_t queue_head;         /* next byte to read */
    uint32_t queue_used;
    uint32_t dropped_frames;
    uint8_t outgoing[BW_WIRE_FRAME]; /* the frame that is on its way: never dropped half sent */
    size_t outgoing_size;
    size_t outgoing_sent;
    uint16_t sequence;
    uint8_t stream;
    uint8_t recognise;
} bw_app_link;

typedef struct bw_app {
    const bw_board *board;
    const bw_model *model; /* built in, slots.model, or NULL */
    const bw_model *built_in;
    bw_status built_in_status; /* of its known answer at the start */
    uint8_t *arena;
    size_t arena_size;
    bw_slots slots;           /* slots.flash NULL: the board has none */
    uint8_t update_link;      /* who sends the update; BW_APP_LINKS: nobody */
    uint8_t update_refused;   /* a chunk was refused and its sender told so */
    uint8_t update_status;    /* bw_status of the last chunk */
    uint32_t update_us;       /* time of the last chunk */
    uint8_t allowed;          /* remote links may update */
    uint32_t allowed_us;      /* since when */
    uint8_t bootloader;       /* asked for */
    uint32_t events;          /* gestures since the start */
    uint8_t last_event[6];    /* body of the last EVENT frame; zeros before the first */
    bw_status can_recognise;
    bw_recognizer recognizer;
    uint32_t recognised;      /* samples that the recognizer got since the start */
    uint32_t slept;           /* of these, how many found the network asleep */
    bw_network parity; /* one lane of its own: parity may run while recognising */
    uint8_t parity_link;  /* who reset it; BW_APP_LINKS: nobody */
    uint16_t parity_step; /* next expected */
    bw_app_link links[BW_APP_LINKS];
    uint32_t time_us;
    uint32_t samples;          /* since the start: the index of the next sample */
    uint32_t batch_first;
    uint32_t batch_time_us;
    uint32_t batch_last_us;
    uint8_t batch_count;
    uint8_t batch[BW_WIRE_BODY]; /* body of the next SAMPLES frame */
    uint8_t answer[BW_WIRE_BODY]; /* scratch for the body of an answer */
    bw_board_counters counters;
} bw_app;

/* Bytes of arena that the app needs for a model; `model` may be NULL. To take any update of models that need up to R for
 * the recognizer and N for one lane (bw_recognizer_arena_size(), bw_network_arena_size()), the arena has R + N bytes. */
size_t bw_app_arena_size(const bw_model *model);

/* Chooses the model: the newest valid one of the flash slots, else `built_in`, and runs its known answer. Both may be NULL:
 * without any model the app streams, and recognise answers BW_NO_MODEL. The same for a built-in model of other channels
 * or another scale than the board's, with BW_MODEL_MISMATCH. Everything given must outlive the app. */
BW_MUST_CHECK bw_status bw_app_init(bw_app *app, const bw_board *board, const bw_model *built_in,
                                    const bw_flash *flash, void *arena, size_t size);

/* The board's facts have changed (another sensor was found, of another rate); the channels must not. */
void bw_app_board_changed(bw_app *app);

/* Bytes that came over a link, in any portions. */
void bw_app_receive(bw_app *app, uint32_t link, const uint8_t bytes[], size_t size);

/* One raw sample [board channels]. */
void bw_app_sample(bw_app *app, uint32_t time_us, const int16_t sample[]);

/* Call now and then while no samples come: keeps the time and sends a batch that waits too long. */
void bw_app_tick(bw_app *app, uint32_t time_us);

/* Up to `capacity` bytes to send over a link; returns how many. 0: nothing waits. */
size_t bw_app_transmit(bw_app *app, uint32_t link, uint8_t out[], size_t capacity);

/* Samples that the sensor or the board lost: their indices stay out, and recognition starts afresh. */
void bw_app_lost(bw_app *app, uint32_t samples);

/* Tells both links about a fault of the board, or with BW_FAULT_NONE its end; `text` is cut at 64 characters. */
void bw_app_fault(bw_app *app, uint8_t code, const char *text);

/* Opens the window for updates over remote links, as ALLOW_UPDATE does: for a board with another proof of presence. */
void bw_app_allow_update(bw_app *app);

/* Whether somebody has asked for the bootloader; the board sends what waits and goes there. */
int bw_app_wants_bootloader(const bw_app *app);

/* Whether any link streams or recognises: what a lamp could show. */
int bw_app_streams(const bw_app *app);
int bw_app_recognises(const bw_app *app);

/* The body of an INFO frame for a link, to be read without a command; returns its size. */
size_t bw_app_info(const bw_app *app, uint32_t link, uint8_t body[BW_WIRE_BODY]);

#ifdef __cplusplus
}
#endif

#endif
