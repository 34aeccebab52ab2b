#include "bw_commands.h"

#include "bw_body.h"
#include "bw_link.h"
#include "bw_parts.h"
#include "bw_recognition.h"
#include "bw_update.h"

enum {
    STATUS_TEXT = 64,
    STATUS_FIXED = 5, /* command type u8, command sequence u16, status u8, text length u8 */
    TRACE_FIXED = 4,  /* step u16, layer u8, hidden count u8 */
    SCORES_FIXED = 5, /* sample u32, count u8 */
    PARITY_FIXED = 4  /* first step u16, count u8, flags u8 */
};

static void send(bw_app *app, uint32_t link, bw_frame_type type, const bw_body *body) {
    bw_link_send(&app->links[link], type, app->time_us, body->bytes, body->size);
}

static void put_labels(bw_body *body, const bw_model *model) {
    for (uint32_t i = 0; model->labels != NULL && i < model->classes; ++i) {
        size_t length;
        const char *label = bw_model_label(model, i, &length);
        bw_put_u8(body, (uint32_t)length);
        bw_put_bytes(body, label, length);
    }
}

size_t bw_app_info(const bw_app *app, uint32_t link, uint8_t bytes[BW_WIRE_BODY]) {
    static const uint8_t no_digest[BW_DIGEST] = {0};
    const bw_board *board = app->board;
    const bw_model *model = app->model;
    const uint32_t from = link < BW_APP_LINKS ? link : 0u;
    bw_body body = {bytes, 0};
    bw_put_u8(&body, BW_INFO_FORMAT);
    bw_put_u8(&body, BW_IMAGE_ABI);
    bw_put_u8(&body, board->kind);
    bw_put_bytes(&body, board->firmware, sizeof board->firmware);
    bw_put_u8(&body, board->channels);
    bw_put_u8(&body, model != NULL && model->labels != NULL ? model->classes : 0u);
    bw_put_u32(&body, board->rate_mhz);
    bw_put_u32(&body, model != NULL ? model->rate_mhz : 0u);
    bw_put_u16(&body, model != NULL ? model->window : 0u);
    bw_put_u16(&body, model != NULL ? model->hop : 0u);
    bw_put_u32(&body, board->accel_milli_lsb_per_g);
    bw_put_u32(&body, board->gyro_milli_lsb_per_dps);
    bw_put_bytes(&body, model != NULL ? model->digest : no_digest, BW_DIGEST);
    bw_put_u32(&body, app->counters.lost_samples);
    bw_put_u32(&body, app->links[from].dropped_frames);
    bw_put_u8(&body, model != NULL ? app->slots.active : BW_NO_ACTIVE);
    bw_put_bytes(&body, app->slots.states, BW_SLOTS);
    bw_put_u8(&body, (board->link_kinds[from] == BW_LINK_PHYSICAL ? BW_INFO_PHYSICAL : 0u) |
                         (bw_update_may(app, from) == BW_OK ? BW_INFO_MAY_UPDATE : 0u));
    bw_put_u32(&body, bw_slots_room(app->slots.flash));
    bw_put_u32(&body, (uint32_t)app->arena_size);
    bw_put_u32(&body, (uint32_t)bw_app_arena_size(model));
    bw_put_u8(&body, (model != NULL && bw_has_gate(model) ? BW_INFO_MODEL_GATE : 0u) |
                         (model != NULL && bw_is_stateful(model) ? BW_INFO_MODEL_STATEFUL : 0u));
    bw_put_u32(&body, app->rate.measured_mhz);
    bw_put_u32(&body, bw_app_recognises(app) ? app->rate.taken_mhz : 0u);
    if (model != NULL) {
        put_labels(&body, model);
    }
    return body.size;
}

void bw_send_info(bw_app *app, uint32_t link) {
    const bw_body body = {app->answer, bw_app_info(app, link, app->answer)};
    send(app, link, BW_FRAME_INFO, &body);
}

static void send_counters(bw_app *app, uint32_t link) {
    bw_body body = {app->answer, 0};
    bw_put_u32(&body, app->samples);
    bw_put_u32(&body, app->counters.lost_samples);
    bw_put_u32(&body, app->links[link].dropped_frames);
    bw_put_u32(&body, app->links[link].decoder.errors);
    bw_put_u32(&body, app->counters.cycles_per_step);
    bw_put_u32(&body, app->counters.longest_loop_us);
    bw_put_u32(&body, app->counters.stack_used);
    bw_put_u32(&body, app->counters.stack_size);
    bw_put_u32(&body, (uint32_t)bw_app_arena_size(app->model));
    bw_put_u32(&body, (uint32_t)app->arena_size);
    bw_put_u32(&body, app->recognised);
    bw_put_u32(&body, app->slept);
    send(app, link, BW_FRAME_COUNTERS, &body);
}

static bw_status set_stream(bw_app *app, uint32_t link, uint8_t on) {
    bw_app_flush(app); /* a link gets exactly the samples between its two commands */
    app->links[link].stream = on;
    return BW_OK;
}

static bw_status run_self_test(bw_app *app) {
    if (app->model == NULL) {
        return BW_NO_MODEL;
    }
    app->parity_link = BW_APP_LINKS; /* its states are borrowed */
    return bw_self_test(app->model, app->parity.states, bw_network_arena_size(app->model, 1));
}

static void send_trace(bw_app *app, uint32_t link) {
    for (uint32_t layer = 0; layer < app->model->layers; ++layer) {
        if (!bw_network_stepped(&app->parity, 0, layer)) {
            continue;
        }
        const uint32_t units = app->model->lstm[layer].hidden;
        const int16_t *cell = bw_network_cell(&app->parity, 0, layer);
        bw_body body = {app->answer, 0};
        bw_put_u16(&body, app->parity_step);
        bw_put_u8(&body, layer);
        bw_put_u8(&body, units);
        bw_put_bytes(&body, bw_network_hidden(&app->parity, 0, layer), units);
        for (uint32_t i = 0; i < units; ++i) {
            bw_put_u16(&body, (uint16_t)cell[i]);
        }
        send(app, link, BW_FRAME_TRACE, &body);
    }
}

static void send_parity_scores(bw_app *app, uint32_t link) {
    int8_t scores[BW_MAX_WIDTH];
    bw_body body = {app->answer, 0};
    bw_network_scores(&app->parity, 0, scores);
    bw_put_u32(&body, app->parity_step);
    bw_put_u8(&body, app->model->classes);
    bw_put_bytes(&body, scores, app->model->classes);
    send(app, link, BW_FRAME_SCORES, &body);
}

/* Whether each frame of a parity answer fits its limit, and all of them the queue. */
static int parity_answer_fits(const bw_model *model, size_t steps) {
    const size_t record = BW_RECORD_OVERHEAD + BW_WIRE_HEADER;
    size_t total = record + SCORES_FIXED + model->classes + record + STATUS_FIXED + STATUS_TEXT;
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        const size_t body = TRACE_FIXED + 3u * model->lstm[layer].hidden; /* int8 hidden, int16 cell */
        if (body > BW_WIRE_BODY) {
            return 0;
        }
        total += steps * (record + body);
    }
    return total <= BW_APP_QUEUE;
}

/* Without that, there is nothing to pool. */
static int every_layer_stepped(const bw_model *model, uint32_t samples) {
    for (uint32_t layer = 0; layer < model->layers; ++layer) {
        if (bw_model_layer_steps(model, layer, samples) == 0) {
            return 0;
        }
    }
    return 1;
}

static bw_status run_parity(bw_app *app, uint32_t link, const uint8_t body[], size_t size) {
    if (app->model == NULL) {
        return BW_NO_MODEL;
    }
    const uint32_t channels = app->model->channels;
    const uint32_t first = body[0] | (uint32_t)body[1] << 8;
    const uint32_t count = body[2];
    const uint32_t flags = body[3];
    if (size != PARITY_FIXED + count * channels || (flags & ~(BW_PARITY_RESET | BW_PARITY_FINISH)) != 0) {
        return BW_BAD_COMMAND;
    }
    if (!parity_answer_fits(app->model, count)) {
        return BW_TOO_LARGE;
    }
    if ((flags & BW_PARITY_RESET) != 0) {
        bw_network_reset(&app->parity, 0);
        app->parity_link = (uint8_t)link;
        app->parity_step = 0;
    }
    const int finish = (flags & BW_PARITY_FINISH) != 0;
    const uint32_t last = first + count;
    if (app->parity_link != link || app->parity_step != first || last > UINT16_MAX ||
        last > bw_model_most_steps(app->model) || (finish && !every_layer_stepped(app->model, last))) {
        return BW_BAD_STATE;
    }
    for (uint32_t i = 0; i < count; ++i) {
        int8_t sample[BW_MAX_WIDTH];
        memcpy(sample, body + PARITY_FIXED + i * channels, channels);
        bw_network_step(&app->parity, sample, 1);
        send_trace(app, link);
        ++app->parity_step;
    }
    if (finish) {
        send_parity_scores(app, link);
        app->parity_link = BW_APP_LINKS;
    }
    return BW_OK;
}

/* A command without a body. */
static bw_status run_plain(bw_app *app, uint32_t link, uint8_t type) {
    switch (type) {
    case BW_COMMAND_INFO:
        bw_send_info(app, link);
        return BW_OK;
    case BW_COMMAND_SELF_TEST:
        return run_self_test(app);
    case BW_COMMAND_COUNTERS:
        send_counters(app, link);
        return BW_OK;
    case BW_COMMAND_UPDATE_FINISH:
        return bw_update_finish(app, link);
    case BW_COMMAND_UPDATE_ABORT:
        return bw_update_abort(app, link);
    case BW_COMMAND_ROLLBACK:
        return bw_update_rollback(app, link);
    case BW_COMMAND_ALLOW_UPDATE:
        return bw_update_allow(app, link);
    case BW_COMMAND_BOOTLOADER:
        return bw_update_bootloader(app, link);
    default:
        return BW_BAD_COMMAND;
    }
}

static bw_status dispatch(bw_app *app, uint32_t link, const bw_frame *command, int *silent) {
    const uint8_t *body = command->body;
    const size_t size = command->body_size;
    switch (command->type) {
    case BW_COMMAND_STREAM:
        return size == 1 && body[0] <= 1 ? set_stream(app, link, body[0]) : BW_BAD_COMMAND;
    case BW_COMMAND_RECOGNISE:
        return size == 1 && body[0] <= 1 ? bw_recognition_set(app, link, body[0]) : BW_BAD_COMMAND;
    case BW_COMMAND_PARITY:
        return size >= PARITY_FIXED ? run_parity(app, link, body, size) : BW_BAD_COMMAND;
    case BW_COMMAND_UPDATE_BEGIN:
        return bw_update_begin(app, link, body, size);
    case BW_COMMAND_UPDATE_CHUNK:
        return bw_update_chunk(app, link, body, size, silent);
    default:
        return size == 0 ? run_plain(app, link, command->type) : BW_BAD_COMMAND;
    }
}

void bw_command_run(bw_app *app, uint32_t link, const bw_frame *command) {
    int silent = 0;
    const bw_status status = dispatch(app, link, command, &silent);
    if (silent) {
        return;
    }
    bw_body body = {app->answer, 0};
    bw_put_u8(&body, command->type);
    bw_put_u16(&body, command->sequence);
    bw_put_u8(&body, (uint32_t)status);
    bw_put_text(&body, status == BW_OK ? "" : bw_status_text(status), STATUS_TEXT);
    send(app, link, BW_FRAME_STATUS, &body);
}
