#include "bw_recognition.h"

#include "bw_body.h"
#include "bw_commands.h"
#include "bw_link.h"
#include "bw_rate.h"

static void tell(bw_app *app, bw_frame_type type, const bw_body *body) {
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        if (app->links[link].recognise) {
            bw_link_send(&app->links[link], type, app->time_us, body->bytes, body->size);
        }
    }
}

/* With the next sample recognition starts afresh. */
static void tell_start(bw_app *app) {
    uint8_t bytes[4 + 4];
    bw_body body = {bytes, 0};
    bw_put_u32(&body, app->samples);
    bw_put_u32(&body, app->rate.taken_mhz);
    tell(app, BW_FRAME_RATE, &body);
}

static void stop(bw_app *app) {
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        app->links[link].recognise = 0;
    }
}

static void set_refused(bw_app *app, int refused) {
    if (refused && !app->rate_refused) {
        bw_app_fault(app, BW_FAULT_RATE, bw_status_text(app->can_recognise));
    } else if (!refused && app->rate_refused) {
        bw_app_fault(app, BW_FAULT_NONE, "the sensor's rate suits the model again");
    }
    app->rate_refused = (uint8_t)refused;
}

/* The recognizer afresh, for the rate that is taken. */
static bw_status start(bw_app *app) {
    const size_t size = bw_recognizer_arena_size(app->model);
    return bw_recognizer_init(&app->recognizer, app->model, app->rate.taken_mhz, app->arena, size);
}

void bw_recognition_forget_rate(bw_app *app) {
    set_refused(app, 0);
    bw_rate_start(&app->rate, app->board->rate_mhz);
    app->rate.measured_mhz = 0;
}

void bw_recognition_take_model(bw_app *app, bw_status fits) {
    if (!app->rate_refused) {
        bw_rate_start(&app->rate, app->board->rate_mhz);
    }
    app->can_recognise = fits == BW_OK ? start(app) : fits;
    set_refused(app, app->rate_refused && fits == BW_OK && app->can_recognise != BW_OK);
    if (app->can_recognise != BW_OK) {
        stop(app);
    }
    tell_start(app);
}

bw_status bw_recognition_set(bw_app *app, uint32_t link, uint8_t on) {
    const int is_first = on && !bw_app_recognises(app);
    if (on && app->can_recognise != BW_OK) {
        return app->can_recognise;
    }
    if (is_first) {
        bw_rate_start(&app->rate, app->board->rate_mhz);
        const bw_status status = start(app);
        if (status != BW_OK) {
            return status;
        }
    }
    app->links[link].recognise = on;
    if (is_first) {
        tell_start(app);
    }
    return BW_OK;
}

void bw_recognition_follow(bw_app *app) {
    const int is_changed = bw_rate_sample(&app->rate, app->time_us);
    if (!is_changed || (app->can_recognise != BW_OK && !app->rate_refused)) {
        return;
    }
    app->can_recognise = start(app);
    set_refused(app, app->can_recognise != BW_OK);
    if (app->can_recognise != BW_OK) {
        stop(app);
    }
    bw_app_flush(app); /* a host sees what came before */
    tell_start(app);
}

void bw_recognition_sample(bw_app *app, const int16_t sample[]) {
    uint8_t bytes[4 + 1 + BW_MAX_LABELS];
    bw_event event;
    if (!bw_app_recognises(app)) {
        return;
    }
    bw_recognizer_push(&app->recognizer, sample, &event);
    ++app->recognised;
    app->slept += app->recognizer.asleep;
    if (event.kind == BW_EVENT_NONE) {
        return;
    }
    bw_body scores = {bytes, 0};
    bw_put_u32(&scores, app->samples);
    bw_put_u8(&scores, app->model->classes);
    bw_put_bytes(&scores, app->recognizer.scores, app->model->classes);
    tell(app, BW_FRAME_SCORES, &scores);
    if (event.kind != BW_EVENT_GESTURE) {
        return;
    }
    bw_app_flush(app); /* a host sees the gesture's samples before the event */
    bw_body gesture = {bytes, 0};
    bw_put_u32(&gesture, app->samples);
    bw_put_u8(&gesture, event.label);
    bw_put_u8(&gesture, event.score);
    memcpy(app->last_event, bytes, sizeof app->last_event);
    ++app->events;
    tell(app, BW_FRAME_EVENT, &gesture);
}

void bw_recognition_gap(bw_app *app, uint32_t samples) {
    bw_rate_gap(&app->rate);
    if (app->can_recognise == BW_OK) {
        bw_recognizer_reset(&app->recognizer);
    }
    if (app->can_recognise == BW_OK && samples == 0) {
        tell_start(app); /* else the indices do; a board that loses samples all the time has no room for more */
    }
}
