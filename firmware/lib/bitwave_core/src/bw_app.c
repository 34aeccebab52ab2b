/* The app: samples and bytes in, frames out. What a board does beside its own I/O is all here. */
#include "bw_body.h"
#include "bw_commands.h"
#include "bw_link.h"
#include "bw_recognition.h"
#include "bw_resampler.h"

enum { FAULT_TEXT = 64, NOBODY = BW_APP_LINKS };

size_t bw_app_arena_size(const bw_model *model) {
    return model == NULL ? 0 : bw_recognizer_arena_size(model) + bw_network_arena_size(model, 1);
}

/* A model is tied to its channels and to the scale that it was trained with. */
static bw_status fits_board(const bw_model *model, const bw_board *board) {
    if (model == NULL) {
        return BW_NO_MODEL;
    }
    if (model->hop == 0) {
        return BW_NETWORK_ONLY;
    }
    const int same = model->channels == board->channels &&
                     model->accel_milli_lsb_per_g == board->accel_milli_lsb_per_g &&
                     model->gyro_milli_lsb_per_dps == board->gyro_milli_lsb_per_dps;
    return same ? BW_OK : BW_MODEL_MISMATCH;
}

/* What a model of a slot must pass. Its known answer is computed behind the states of the model in use, where only the
 * parity command's are: recognition goes on. */
static bw_status check_model(void *context, const bw_model *model) {
    bw_app *app = context;
    const size_t used = app->model != NULL ? bw_recognizer_arena_size(app->model) : 0u;
    bw_resampler resampler;
    bw_status status = fits_board(model, app->board);
    if (status == BW_OK && app->board->rate_mhz != 0) { /* 0: no sensor yet */
        status = bw_resampler_init(&resampler, app->board->rate_mhz, model->rate_mhz, model->hop);
    }
    if (status != BW_OK) {
        return status;
    }
    if (bw_app_arena_size(model) > app->arena_size) {
        return BW_ARENA_SMALL;
    }
    app->parity_link = NOBODY;
    return bw_self_test(model, app->arena + used, app->arena_size - used);
}

void bw_app_use_model(bw_app *app) {
    const bw_model *model = app->slots.active == BW_BUILT_IN ? app->built_in : &app->slots.model;
    bw_status status = fits_board(model, app->board);
    app->model = model;
    app->parity_link = NOBODY;
    if (model != NULL) {
        const size_t used = bw_recognizer_arena_size(model);
        const bw_status parity = bw_network_init(&app->parity, model, 1, app->arena + used, app->arena_size - used);
        if (model == app->built_in && app->built_in_status != BW_OK) {
            status = app->built_in_status;
        }
        status = status == BW_OK ? parity : status;
    }
    bw_recognition_take_model(app, status);
}

bw_status bw_app_init(bw_app *app, const bw_board *board, const bw_model *built_in, const bw_flash *flash, void *arena,
                      size_t size) {
    if (board->channels < 1 || board->channels > BW_MAX_CHANNELS) {
        return BW_BAD_ARGUMENT;
    }
    if (size < bw_app_arena_size(built_in) || (uintptr_t)arena % BW_ALIGNMENT != 0) {
        return BW_ARENA_SMALL;
    }
    memset(app, 0, sizeof *app);
    app->board = board;
    app->built_in = built_in;
    app->arena = arena;
    app->arena_size = size;
    app->update_link = NOBODY;
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        bw_link_reset(&app->links[link]);
    }
    if (built_in != NULL) {
        app->built_in_status = bw_self_test(built_in, arena, size);
        if (app->built_in_status != BW_OK) {
            bw_app_fault(app, BW_FAULT_SELF_TEST, bw_status_text(app->built_in_status));
        }
    }
    bw_slots_open(&app->slots, flash, check_model, app);
    bw_app_use_model(app);
    return BW_OK;
}

void bw_app_board_changed(bw_app *app) {
    bw_app_flush(app);
    bw_recognition_forget_rate(app);
    bw_app_use_model(app);
}

void bw_app_receive(bw_app *app, uint32_t link, const uint8_t bytes[], size_t size) {
    for (size_t i = 0; link < BW_APP_LINKS && i < size; ++i) {
        bw_frame frame;
        if (bw_wire_receive(&app->links[link].decoder, bytes[i], &frame)) {
            bw_command_run(app, link, &frame);
        }
    }
}

size_t bw_app_transmit(bw_app *app, uint32_t link, uint8_t out[], size_t capacity) {
    return link < BW_APP_LINKS ? bw_link_transmit(&app->links[link], out, capacity) : 0;
}

int bw_app_streams(const bw_app *app) { return app->links[0].stream || app->links[1].stream; }

int bw_app_rate_refused(const bw_app *app) { return app->rate_refused; }

int bw_app_recognises(const bw_app *app) { return app->links[0].recognise || app->links[1].recognise; }

void bw_app_flush(bw_app *app) {
    const size_t sample_size = 2u + 2u * (size_t)app->board->channels;
    if (app->batch_count == 0) {
        return;
    }
    bw_body start = {app->batch, 0};
    bw_put_u32(&start, app->batch_first);
    bw_put_u8(&start, app->board->channels);
    bw_put_u8(&start, app->batch_count);
    const size_t size = start.size + app->batch_count * sample_size;
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        if (app->links[link].stream) {
            bw_link_send(&app->links[link], BW_FRAME_SAMPLES, app->batch_time_us, app->batch, size);
        }
    }
    app->batch_count = 0;
}

static void batch_sample(bw_app *app, const int16_t sample[]) {
    const uint32_t channels = app->board->channels;
    const size_t start_size = 6; /* first u32, channels u8, count u8: see bw_app_flush() */
    const size_t sample_size = 2u + 2u * (size_t)channels;
    const size_t fitting = (BW_WIRE_BODY - start_size) / sample_size;
    if (app->batch_count > 0 && app->time_us - app->batch_last_us > UINT16_MAX) {
        bw_app_flush(app); /* the pause would not fit the frame */
    }
    if (app->batch_count == 0) {
        app->batch_first = app->samples;
        app->batch_time_us = app->time_us;
        app->batch_last_us = app->time_us;
    }
    bw_body body = {app->batch, start_size + app->batch_count * sample_size};
    bw_put_u16(&body, app->time_us - app->batch_last_us);
    for (uint32_t i = 0; i < channels; ++i) {
        bw_put_u16(&body, (uint16_t)sample[i]);
    }
    app->batch_last_us = app->time_us;
    ++app->batch_count;
    if (app->batch_count == BW_APP_BATCH || app->batch_count == fitting ||
        app->time_us - app->batch_time_us >= BW_APP_BATCH_US) {
        bw_app_flush(app);
    }
}

enum { SAMPLE_AGE_US = 1000000 };

/* A sample carries the time when it was taken, which may lie before the last tick: for what waits until a time has
 * passed, the clock never goes back. The window for updates closes by itself. */
static void set_time(bw_app *app, uint32_t time_us) {
    const uint32_t back_us = app->now_us - time_us;
    app->time_us = time_us;
    if (back_us > SAMPLE_AGE_US) {
        app->now_us = time_us;
    }
    if (app->allowed && app->now_us - app->allowed_us >= BW_ALLOW_US) {
        app->allowed = 0;
    }
}

void bw_app_sample(bw_app *app, uint32_t time_us, const int16_t sample[]) {
    set_time(app, time_us);
    bw_recognition_follow(app);
    if (bw_app_streams(app)) {
        batch_sample(app, sample);
    }
    bw_recognition_sample(app, sample);
    ++app->samples;
}

void bw_app_tick(bw_app *app, uint32_t time_us) {
    set_time(app, time_us);
    if (app->batch_count > 0 && time_us - app->batch_time_us >= BW_APP_BATCH_US) {
        bw_app_flush(app);
    }
}

void bw_app_lost(bw_app *app, uint32_t samples) {
    bw_app_flush(app); /* a frame's samples follow one another */
    app->samples += samples;
    app->counters.lost_samples += samples;
    bw_recognition_gap(app, samples);
}

void bw_app_allow_update(bw_app *app) {
    app->allowed = 1;
    app->allowed_us = app->now_us;
}

int bw_app_wants_bootloader(const bw_app *app) { return app->bootloader; }

void bw_app_fault(bw_app *app, uint8_t code, const char *text) {
    uint8_t bytes[2 + FAULT_TEXT];
    bw_body body = {bytes, 0};
    bw_put_u8(&body, code);
    bw_put_text(&body, text, FAULT_TEXT);
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        bw_link_send(&app->links[link], BW_FRAME_FAULT, app->time_us, bytes, body.size);
    }
}
