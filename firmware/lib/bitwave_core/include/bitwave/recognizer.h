/* Raw samples in, gesture events out. */
#ifndef BW_RECOGNIZER_H
#define BW_RECOGNIZER_H

#include "network.h"

#ifdef __cplusplus
extern "C" {
#endif

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
    int8_t *ring;       /* [preroll][channels] the last inputs */
    uint32_t still;     /* samples at rest since then, up to the rule's */
    uint32_t next;      /* the oldest in the ring */
} bw_gate;

/* What is used most stands first: short offsets make short code. */
typedef struct bw_recognizer {
    const bw_model *model;
    uint8_t asleep;      /* the last sample found the network asleep: count these for its share of the time */
    uint8_t next_lane;
    uint8_t started;     /* a window has ended since the reset */
    uint8_t run;         /* windows in a row that `last` has passed */
    uint8_t last;
    uint8_t spent;       /* of the rule `once`: the run has had its event */
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

#ifdef __cplusplus
}
#endif

#endif
