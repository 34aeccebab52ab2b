/* bitwave: an int8 LSTM that turns motion samples into gesture events, one sample at a time.
 *
 * The caller owns all memory: the model image is constant, every state lives in an arena whose size the core tells.
 * No allocation, no floating point, no global state. All functions are reentrant on distinct objects.
 *
 *   raw sample --front end--> int8 --LSTM lanes--> hidden --head--> scores --decision--> event
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

#define BW_IMAGE_ABI 1

#define BW_MAX_LAYERS 2
#define BW_MAX_DENSE 4
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
    X(BW_TOO_LARGE, 14, "the answer would not fit into the queue")

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

/* One LSTM layer; gate order is input, forget, cell, output. Pointers lead into the image. */
typedef struct bw_lstm {
    uint8_t inputs;
    uint8_t hidden;
    int8_t input_zero;
    int8_t hidden_zero;
    int8_t cell_exponent; /* log2 of the cell state's scale */
    int16_t cell_clip;    /* symmetric clamp of the cell, 0: none */
    const bw_scale *input_scales;     /* [4] to Q3.12 */
    const bw_scale *recurrent_scales; /* [4] to Q3.12 */
    const bw_scale *output_scale;     /* [1] tanh(cell) * output gate, Q0.30, to hidden state */
    const int8_t *input_weights;      /* [hidden][4][inputs] */
    const int8_t *recurrent_weights;  /* [hidden][4][hidden] */
    const int32_t *bias;              /* [hidden][4] */
} bw_lstm;

typedef struct bw_dense {
    uint8_t inputs;
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

/* A validated view of an image; read only. The image must outlive it. */
typedef struct bw_model {
    const uint8_t *image;
    uint32_t size;
    const uint8_t *digest; /* [16] first bytes of the .tflite's SHA-256 */
    uint16_t window;       /* steps */
    uint16_t hop;          /* samples between windows; 0: network only, no front end, decision or labels */
    uint8_t channels;
    uint8_t layers;
    uint8_t dense_layers;
    uint8_t classes;
    uint8_t lanes; /* ceil(window / hop) windows in flight; 0: network only */
    uint8_t has_softmax;
    int8_t input_zero;
    uint32_t rate_mhz;              /* samples per 1000 s */
    uint32_t accel_milli_lsb_per_g; /* scale of the raw counts that the model was trained with */
    uint32_t gyro_milli_lsb_per_dps;
    bw_lstm lstm[BW_MAX_LAYERS];
    bw_dense dense[BW_MAX_DENSE];
    bw_softmax softmax;
    const bw_channel *front_end; /* [channels] */
    bw_decision_rule decision;
    const uint8_t *labels; /* classes times: length u8, ASCII */
    uint8_t answer_steps;
    const int8_t *answer_input;  /* [answer_steps][channels] */
    const int8_t *answer_hidden; /* [hidden of layer 0 + hidden of layer 1] after the last step */
    const int8_t *answer_scores; /* [classes] */
} bw_model;

/* Refuses every image that is not whole, unchanged and safe to run. `image` is BW_ALIGNMENT-aligned. */
BW_MUST_CHECK bw_status bw_model_open(bw_model *model, const void *image, size_t size);

/* The name of a class (not NUL-terminated) and its length; length 0 where the model has no such label. */
const char *bw_model_label(const bw_model *model, uint32_t index, size_t *length);

/* CRC-32 (IEEE 802.3, as zlib's) of `size` bytes; `crc` is 0 or the value so far. */
uint32_t bw_crc32(uint32_t crc, const void *bytes, size_t size);

/* ---- network: int8 samples in, scores out ----------------------------------------------------------------------- */

/* LSTM states of one or more lanes, all fed with the same samples. */
typedef struct bw_network {
    const bw_model *model;
    uint32_t lanes;
    size_t lane_size;
    uint8_t *states;     /* [lanes]: per layer the cell int16 [hidden], then per layer the hidden state int8 [hidden] */
    int16_t *projection; /* [hidden][4] Q3.12, shared by the lanes in the first layer */
    int8_t *scratch;     /* [2][widest layer] */
} bw_network;

size_t bw_network_arena_size(const bw_model *model, uint32_t lanes);

/* `lanes` is 1 .. BW_MAX_LANES. All lanes start reset. */
BW_MUST_CHECK bw_status bw_network_init(bw_network *network, const bw_model *model, uint32_t lanes, void *arena,
                                        size_t size);

void bw_network_reset(bw_network *network, uint32_t lane);

/* Feeds one int8 sample [channels] to the lanes whose bit is set in `lane_mask`. */
void bw_network_step(bw_network *network, const int8_t sample[], uint32_t lane_mask);

const int8_t *bw_network_hidden(const bw_network *network, uint32_t lane, uint32_t layer);
const int16_t *bw_network_cell(const bw_network *network, uint32_t lane, uint32_t layer);

/* Runs the head on a lane's last hidden state: scores [classes]. */
void bw_network_scores(bw_network *network, uint32_t lane, int8_t scores[]);

/* Where to put the states after every step; any pointer may be NULL. */
typedef struct bw_trace {
    int8_t *hidden[BW_MAX_LAYERS]; /* [steps][hidden] */
    int16_t *cell[BW_MAX_LAYERS];  /* [steps][hidden] */
} bw_trace;

/* One window [steps][channels] from a reset; arena as for one lane; `trace` may be NULL. */
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
    uint32_t sample; /* index since the reset of the window's last sample */
    uint8_t label;
    uint8_t score; /* smoothed, 0..255 */
} bw_event;

typedef struct bw_recognizer {
    const bw_model *model;
    bw_network network;
    uint16_t *remaining; /* [lanes] samples until the lane's window is full; 0: idle */
    uint16_t *averages;  /* [classes] Q8.8 */
    int8_t *input;       /* [channels] */
    int8_t *scores;      /* [classes] of the last window that ended */
    uint32_t samples;    /* since the reset */
    uint32_t wait;       /* samples until the next event is allowed */
    uint16_t until_start; /* samples until the next window starts */
    uint8_t next_lane;
    uint8_t started; /* a window has ended since the reset */
    uint8_t run;     /* windows in a row that `last` has passed */
    uint8_t last;
} bw_recognizer;

/* 0 for a model that is network only. */
size_t bw_recognizer_arena_size(const bw_model *model);

/* Starts reset. BW_NETWORK_ONLY for a model without front end. */
BW_MUST_CHECK bw_status bw_recognizer_init(bw_recognizer *recognizer, const bw_model *model, void *arena, size_t size);

void bw_recognizer_reset(bw_recognizer *recognizer);

/* One raw sample [channels] in, at most one event out. */
void bw_recognizer_push(bw_recognizer *recognizer, const int16_t sample[], bw_event *event);

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
    BW_COMMAND_INFO = 0x41,
    BW_COMMAND_STREAM = 0x42,
    BW_COMMAND_RECOGNISE = 0x43,
    BW_COMMAND_SELF_TEST = 0x44,
    BW_COMMAND_PARITY = 0x45,
    BW_COMMAND_COUNTERS = 0x46
} bw_frame_type;

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
#define BW_INFO_FORMAT 1u
#define BW_PARITY_RESET 1u
#define BW_PARITY_FINISH 2u

/* What the board knows about itself; constant. */
typedef struct bw_board {
    uint8_t kind; /* 0 emulated, 1 Nano 33 BLE rev 1, 2 rev 2, 255 unknown */
    uint8_t firmware[3];
    uint8_t channels;
    uint32_t rate_mhz; /* of the sensor */
    uint32_t accel_milli_lsb_per_g;
    uint32_t gyro_milli_lsb_per_dps;
} bw_board;

/* What the board measures; it may write here at any time. */
typedef struct bw_board_counters {
    uint32_t lost_samples;
    uint32_t cycles_per_step; /* 0: unmeasured */
    uint32_t longest_loop_us;
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
    const bw_model *model; /* or NULL */
    bw_status can_recognise;
    bw_recognizer recognizer;
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

/* Bytes that the app needs for the model's states; `model` may be NULL. */
size_t bw_app_arena_size(const bw_model *model);

/* `model` may be NULL: the app then streams, and recognise answers BW_NO_MODEL. The same for a model of other channels
 * or another scale than the board's, with BW_MODEL_MISMATCH. `board` and `model` must outlive the app. */
BW_MUST_CHECK bw_status bw_app_init(bw_app *app, const bw_board *board, const bw_model *model, void *arena,
                                    size_t size);

/* Bytes that came over a link, in any portions. */
void bw_app_receive(bw_app *app, uint32_t link, const uint8_t bytes[], size_t size);

/* One raw sample [board channels]. */
void bw_app_sample(bw_app *app, uint32_t time_us, const int16_t sample[]);

/* Call now and then while no samples come: keeps the time and sends a batch that waits too long. */
void bw_app_tick(bw_app *app, uint32_t time_us);

/* Up to `capacity` bytes to send over a link; returns how many. 0: nothing waits. */
size_t bw_app_transmit(bw_app *app, uint32_t link, uint8_t out[], size_t capacity);

/* Tells both links about a fault of the board; `text` is cut at 64 characters. */
void bw_app_fault(bw_app *app, uint8_t code, const char *text);

#ifdef __cplusplus
}
#endif

#endif
