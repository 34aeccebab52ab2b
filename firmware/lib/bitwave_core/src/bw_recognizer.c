/* Raw sample -> model's rate -> int8 -> lanes -> scores -> decision -> event.
 *
 * Window j covers the samples j * hop .. j * hop + window - 1 and lives in lane j % lanes: with ceil(window / hop)
 * lanes the lane is free again when its next window starts. A stateful model has one lane, which is never reset: its
 * first window ends after `window` samples, and the next after `hop` more. All of that counts from the last reset or
 * waking. Samples here are those of the model's rate. At most one window ends with a sample of the sensor: it makes two
 * of the model's at most, and then hop is at least 2. */
#include <string.h>

#include "bw_frontend.h"
#include "bw_gate.h"
#include "bw_lanes.h"
#include "bw_parts.h"
#include "bw_resampler.h"

static size_t aligned(size_t size) { return (size + BW_ALIGNMENT - 1u) & ~(size_t)(BW_ALIGNMENT - 1u); }

size_t bw_recognizer_arena_size(const bw_model *model) {
    if (model->hop == 0) {
        return 0;
    }
    const size_t words = (model->lanes + model->classes + 3u * (size_t)model->channels) * sizeof(uint16_t);
    const size_t inputs = (model->gate.preroll + (size_t)1) * model->channels;
    return bw_network_arena_size(model, model->lanes) + aligned(words + inputs + model->classes);
}

bw_status bw_recognizer_init(bw_recognizer *recognizer, const bw_model *model, uint32_t sensor_mhz, void *arena,
                             size_t size) {
    if (model->hop == 0) {
        return BW_NETWORK_ONLY;
    }
    const bw_status rate_status = bw_resampler_init(&recognizer->resampler, sensor_mhz, model->rate_mhz, model->hop);
    if (rate_status != BW_OK) {
        return rate_status;
    }
    if (size < bw_recognizer_arena_size(model)) {
        return BW_ARENA_SMALL;
    }
    const size_t network_size = bw_network_arena_size(model, model->lanes);
    const bw_status status = bw_network_init(&recognizer->network, model, model->lanes, arena, network_size);
    if (status != BW_OK) {
        return status;
    }
    void *rest = (uint8_t *)arena + network_size;
    recognizer->model = model;
    recognizer->remaining = rest;
    recognizer->averages = recognizer->remaining + model->lanes;
    void *counts = recognizer->averages + model->classes;
    recognizer->resampler.last = counts;
    recognizer->resampler.sample = recognizer->resampler.last + model->channels;
    recognizer->gate.reference = recognizer->resampler.sample + model->channels;
    recognizer->input = (int8_t *)(recognizer->gate.reference + model->channels);
    recognizer->scores = recognizer->input + model->channels;
    recognizer->gate.ring = recognizer->scores + model->classes;
    bw_recognizer_reset(recognizer);
    return BW_OK;
}

/* No window is in flight, none has ended. */
static void restart(bw_recognizer *recognizer) {
    const bw_model *model = recognizer->model;
    memset(recognizer->remaining, 0, model->lanes * sizeof(uint16_t));
    memset(recognizer->averages, 0, model->classes * sizeof(uint16_t));
    recognizer->until_start = 0;
    recognizer->next_lane = 0;
    recognizer->started = 0;
    recognizer->run = 0;
    recognizer->last = 0;
}

void bw_recognizer_reset(bw_recognizer *recognizer) {
    const bw_model *model = recognizer->model;
    restart(recognizer);
    memset(recognizer->scores, 0, model->classes);
    bw_resampler_reset(&recognizer->resampler, model->channels);
    recognizer->samples = 0;
    recognizer->wait = 0;
    recognizer->asleep = 0;
    if (BW_GATE) {
        bw_gate_reset(&recognizer->gate, model);
    }
}

/* a += (score - a) / 2^smoothing, Q8.8, rounded down; the first window sets it. */
static void smooth(bw_recognizer *recognizer) {
    const bw_model *model = recognizer->model;
    for (uint32_t i = 0; i < model->classes; ++i) {
        const int32_t score = bw_shift_left(recognizer->scores[i] - INT8_MIN, 8);
        const int32_t average = recognizer->averages[i];
        const int32_t next =
            recognizer->started ? average + ((score - average) >> model->decision.smoothing) : score;
        recognizer->averages[i] = (uint16_t)next;
    }
    recognizer->started = 1;
}

/* One finished window: whether its leading class counts as a gesture now. */
static void decide(bw_recognizer *recognizer, bw_event *event) {
    const bw_model *model = recognizer->model;
    const bw_decision_rule *rule = &model->decision;
    uint8_t winner = 0;
    int32_t second = 0;
    smooth(recognizer);
    for (uint8_t i = 1; i < model->classes; ++i) {
        if (recognizer->averages[i] > recognizer->averages[winner]) {
            second = recognizer->averages[winner];
            winner = i;
        } else if (recognizer->averages[i] > second) {
            second = recognizer->averages[i];
        }
    }
    const int32_t best = recognizer->averages[winner];
    const int passes = (rule->fires >> winner & 1) != 0 && best >= bw_shift_left(rule->thresholds[winner], 8) &&
                       best - second >= bw_shift_left(rule->margin, 8);
    if (!passes) {
        recognizer->run = 0;
    } else if (recognizer->run == 0 || winner != recognizer->last) {
        recognizer->run = 1;
        recognizer->spent = 0;
    } else if (recognizer->run < UINT8_MAX) {
        ++recognizer->run;
    }
    recognizer->last = winner;
    event->kind = BW_EVENT_WINDOW;
    event->label = winner;
    event->score = (uint8_t)(best >> 8);
    if (passes && recognizer->run >= rule->hold && recognizer->wait == 0 && !recognizer->spent) {
        event->kind = BW_EVENT_GESTURE;
        recognizer->wait = rule->refractory;
        recognizer->spent = rule->once;
        recognizer->run = rule->once ? recognizer->run : 0;
    }
}

/* Starts a window where one is due; the one of a stateful model goes on for ever. */
static void start_window(bw_recognizer *recognizer) {
    const bw_model *model = recognizer->model;
    if (recognizer->until_start == 0) {
        const uint8_t lane = recognizer->next_lane;
        bw_network_reset(&recognizer->network, lane);
        recognizer->remaining[lane] = model->window;
        recognizer->next_lane = (uint8_t)(lane + 1u < model->lanes ? lane + 1u : 0u);
        recognizer->until_start = model->hop;
    }
    recognizer->until_start = (uint16_t)(recognizer->until_start - !bw_is_stateful(model));
}

/* A window has ended in this lane. A stateful model's next one has begun already: its samples are counted anew, so that
 * the count never ends, from where the convolutions' steps fall on the same samples. */
static void end_window(bw_recognizer *recognizer, uint32_t lane) {
    const bw_model *model = recognizer->model;
    bw_network_scores(&recognizer->network, lane, recognizer->scores);
    if (bw_is_stateful(model)) {
        recognizer->remaining[lane] = model->hop;
        *bw_samples_of(bw_lane(&recognizer->network, lane)) -= model->hop;
    }
}

/* One input [channels] for the network; fills in `event` where a window ends with it. */
static void feed(bw_recognizer *recognizer, const int8_t input[], bw_event *event) {
    const bw_model *model = recognizer->model;
    uint32_t active = 0;
    uint32_t finished = model->lanes;
    start_window(recognizer);
    for (uint32_t lane = 0; lane < model->lanes; ++lane) {
        if (recognizer->remaining[lane] > 0) {
            active |= (uint32_t)1 << lane;
            if (--recognizer->remaining[lane] == 0) {
                finished = lane;
            }
        }
    }
    bw_network_step(&recognizer->network, input, active);
    if (finished < model->lanes) {
        end_window(recognizer, finished);
        decide(recognizer, event);
    }
}

/* Whether the network sleeps through a sample. Where it wakes, it has been fed what came before. */
static int sleeps(bw_recognizer *recognizer, const int16_t sample[], bw_event *event) {
    const bw_model *model = recognizer->model;
    const uint32_t preroll = model->gate.preroll;
    const int slept = recognizer->asleep;
    recognizer->asleep = (uint8_t)bw_gate_sleeps(&recognizer->gate, model, sample);
    if (slept && !recognizer->asleep) {
        restart(recognizer);
        for (uint32_t i = 0; i < preroll; ++i) {
            feed(recognizer, bw_gate_oldest(&recognizer->gate, model), event); /* too few to end a window */
        }
    }
    if (preroll > 0) {
        memcpy(bw_gate_oldest(&recognizer->gate, model), recognizer->input, model->channels);
    }
    return recognizer->asleep;
}

/* One sample [channels] of the model's rate; fills in `event` where a window ends with it. */
static void step(bw_recognizer *recognizer, const int16_t sample[], bw_event *event) {
    const bw_model *model = recognizer->model;
    for (uint32_t i = 0; i < model->channels; ++i) {
        recognizer->input[i] = bw_scale_count(&model->front_end[i], sample[i], model->input_zero);
    }
    recognizer->wait -= recognizer->wait > 0;
    if (!bw_has_gate(model) || !sleeps(recognizer, sample, event)) {
        feed(recognizer, recognizer->input, event);
    }
}

void bw_recognizer_push(bw_recognizer *recognizer, const int16_t sample[], bw_event *event) {
    const uint32_t channels = recognizer->model->channels;
    const int16_t *resampled;
    memset(event, 0, sizeof *event);
    event->sample = recognizer->samples++;
    if (!BW_RESAMPLING || recognizer->resampler.sensor_mhz == 0) {
        step(recognizer, sample, event);
        return;
    }
    bw_resampler_push(&recognizer->resampler);
    while ((resampled = bw_resampler_next(&recognizer->resampler, sample, channels)) != NULL) {
        step(recognizer, resampled, event);
    }
}
