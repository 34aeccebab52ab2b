/* The board's app: commands in, frames out; no I/O of its own. */
#ifndef BW_APP_H
#define BW_APP_H

#include "network.h"
#include "recognizer.h"
#include "slots.h"
#include "wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BW_APP_LINKS 2u
#define BW_APP_QUEUE 2048u       /* bytes of payloads that wait on one link */
#define BW_APP_BATCH 8u          /* samples per SAMPLES frame at most */
#define BW_APP_BATCH_US 50000u   /* age at which a batch is sent anyway */
#define BW_INFO_FORMAT 3u
#define BW_INFO_PHYSICAL 1u      /* this link is a physical one */
#define BW_INFO_MAY_UPDATE 2u    /* an update would be taken over this link now */
#define BW_INFO_MODEL_GATE 1u    /* the network sleeps while the board rests */
#define BW_INFO_MODEL_STATEFUL 2u /* states are carried on from window to window */
#define BW_NO_ACTIVE 0xFEu       /* INFO's active: there is no model at all */
#define BW_PARITY_RESET 1u
#define BW_PARITY_FINISH 2u
#define BW_CHUNK_ANSWER 1u
#define BW_UPDATE_CHUNK 480u     /* bytes of the image in a chunk at most */
#define BW_ALLOW_US 60000000u    /* how long remote links may update once allowed */
#define BW_RATE_STEPS 256u       /* samples over which the sensor's rate is measured */
#define BW_UPDATE_IDLE_US 5000000u /* after this, another link may start an update of its own */

typedef enum bw_fault {
    BW_FAULT_NONE = 0,        /* what was said before is over */
    BW_FAULT_NO_SENSOR = 1,   /* none found: no samples will come */
    BW_FAULT_SENSOR_LOST = 2, /* it stopped answering; the board goes on trying */
    BW_FAULT_SELF_TEST = 3,   /* the model does not give its known answer on this board */
    BW_FAULT_FLASH = 4,
    BW_FAULT_RATE = 5, /* the sensor's clock is so far off that the model does not recognise */
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
    uint32_t rate_mhz; /* of the sensor, as its maker states it; 0: there is none yet */
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

/* At which rate the recognizer takes the sensor's samples. A sensor's own clock is a few percent off and drifts, the
 * board's is not. From the start of recognition, or from the first sample behind a gap, the times of every
 * BW_RATE_STEPS samples in a row are a measurement:
 *
 *   measured = BW_RATE_STEPS * 10^7 / elapsed us, rounded to whole 0.1 Hz
 *
 * The sample that ends one begins the next. Recognition starts with the rate that the sensor's maker states. Where two
 * measurements in a row lie off the rate that is taken, both above or both below and by more than 2 %, the second is
 * taken from its last sample on, with which the recognizer starts afresh. A single one says nothing: where the board
 * was late once, it is too long and the next one too short. A gap does not change the rate. A rate that the recognizer
 * refuses, more than half off the model's, ends recognition until it is measured otherwise.
 *
 * So the rates are a function of the samples' times alone, and a host that has these gets the board's events; it has
 * the same rule in bitwave/recognition/rate.py. */
typedef struct bw_rate {
    uint32_t taken_mhz;
    uint32_t measured_mhz; /* the last measurement; 0: none yet */
    uint32_t start_us;     /* of the first sample of the one under way */
    uint16_t samples;      /* of the one under way */
    int8_t side;           /* of the last one: 1 above the tolerance, -1 below, 0 within it or before a gap */
} bw_rate;

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
    bw_rate rate;
    uint8_t rate_refused;     /* can_recognise says so because of what was measured */
    bw_recognizer recognizer;
    uint32_t recognised;      /* samples that the recognizer got since the start */
    uint32_t slept;           /* of these, how many found the network asleep */
    bw_network parity; /* one lane of its own: parity may run while recognising */
    uint8_t parity_link;  /* who reset it; BW_APP_LINKS: nobody */
    uint16_t parity_step; /* next expected */
    bw_app_link links[BW_APP_LINKS];
    uint32_t time_us;          /* of the last sample or tick */
    uint32_t now_us;           /* the latest of them */
    uint32_t samples;          /* since the start: the index of the next sample */
    uint32_t batch_first;
    uint32_t batch_time_us;
    uint32_t batch_last_us;
    uint8_t batch_count;
    uint8_t batch[BW_WIRE_BODY]; /* body of the next SAMPLES frame */
    uint8_t answer[BW_WIRE_BODY]; /* scratch for the body of an answer */
    bw_board_counters counters;
} bw_app;

/* Bytes of arena that the app needs for a model; `model` may be NULL. To take any update of models that need up to R
 * for the recognizer and N for one lane (bw_recognizer_arena_size(), bw_network_arena_size()), the arena has R + N
 * bytes. */
size_t bw_app_arena_size(const bw_model *model);

/* Chooses the model: the newest valid one of the flash slots, else `built_in`, and runs its known answer. Both may be
 * NULL: without any model the app streams, and recognise answers BW_NO_MODEL. The same for a built-in model of other
 * channels or another scale than the board's, with BW_MODEL_MISMATCH. Everything given must outlive the app. */
BW_MUST_CHECK bw_status bw_app_init(bw_app *app, const bw_board *board, const bw_model *built_in,
                                    const bw_flash *flash, void *arena, size_t size);

/* The board's facts have changed (another sensor was found, of another rate); the channels must not. */
void bw_app_board_changed(bw_app *app);

/* Bytes that came over a link, in any portions. */
void bw_app_receive(bw_app *app, uint32_t link, const uint8_t bytes[], size_t size);

/* One raw sample [board channels]; the times of samples are in order, and no two are the same. */
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

/* Whether the sensor's rate, as measured, keeps the model from recognising; both links were told. */
int bw_app_rate_refused(const bw_app *app);

/* Whether any link streams or recognises: what a lamp could show. */
int bw_app_streams(const bw_app *app);
int bw_app_recognises(const bw_app *app);

/* The body of an INFO frame for a link, to be read without a command; returns its size. */
size_t bw_app_info(const bw_app *app, uint32_t link, uint8_t body[BW_WIRE_BODY]);

#ifdef __cplusplus
}
#endif

#endif
