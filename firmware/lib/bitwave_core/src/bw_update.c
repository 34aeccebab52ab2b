/* Model updates over the links: who may, in what order, and what the other side hears of it. */
#include "bw_update.h"

#include "bw_body.h"
#include "bw_commands.h"
#include "bw_link.h"

enum {
    BEGIN_SIZE = 16, /* size u32, CRC-32 u32, digest u8[8] */
    CHUNK_FIXED = 5, /* flags u8, offset u32 */
    UPDATE_SIZE = 18
};

static uint32_t load_u32(const uint8_t bytes[]) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static int is_physical(const bw_app *app, uint32_t link) { return app->board->link_kinds[link] == BW_LINK_PHYSICAL; }

static int is_receiving(const bw_app *app) { return app->slots.receiving != BW_BUILT_IN; }

bw_status bw_update_may(const bw_app *app, uint32_t link) {
    if (app->slots.flash == NULL) {
        return BW_NO_SLOTS;
    }
    return is_physical(app, link) || app->allowed ? BW_OK : BW_NOT_ALLOWED;
}

static void send_update(bw_app *app, uint32_t link) {
    static const uint8_t no_digest[BW_DIGEST] = {0};
    const bw_slots *slots = &app->slots;
    const int receiving = is_receiving(app);
    uint8_t bytes[UPDATE_SIZE];
    bw_body body = {bytes, 0};
    bw_put_u8(&body, app->update_status);
    bw_put_u8(&body, app->model != NULL ? slots->active : BW_NO_ACTIVE);
    bw_put_u32(&body, receiving ? slots->received : 0u);
    bw_put_u32(&body, receiving ? slots->update.size : 0u);
    bw_put_bytes(&body, receiving ? slots->update.digest : no_digest, BW_DIGEST);
    bw_link_send(&app->links[link], BW_FRAME_UPDATE, app->time_us, bytes, body.size);
}

static void tell_all(bw_app *app) {
    for (uint32_t link = 0; link < BW_APP_LINKS; ++link) {
        bw_send_info(app, link);
    }
}

static int same_update(const bw_update *a, const bw_update *b) {
    return a->size == b->size && a->crc == b->crc && memcmp(a->digest, b->digest, BW_DIGEST) == 0;
}

bw_status bw_update_begin(bw_app *app, uint32_t link, const uint8_t body[], size_t size) {
    bw_update update;
    if (size != BEGIN_SIZE) {
        return BW_BAD_COMMAND;
    }
    bw_status status = bw_update_may(app, link);
    if (status != BW_OK) {
        return status;
    }
    update.size = load_u32(body);
    update.crc = load_u32(body + 4);
    memcpy(update.digest, body + 8, BW_DIGEST);
    const int others = is_receiving(app) && app->update_link != link && !same_update(&update, &app->slots.update);
    if (others && app->now_us - app->update_us < BW_UPDATE_IDLE_US) {
        return BW_BUSY;
    }
    status = bw_slots_begin(&app->slots, &update);
    if (status == BW_OK) {
        app->update_link = (uint8_t)link;
        app->update_us = app->now_us;
        app->update_status = BW_OK;
        app->update_refused = 0;
        send_update(app, link);
    }
    return status;
}

/* Takes what is new of a chunk. */
static bw_status take_chunk(bw_app *app, uint32_t link, uint32_t offset, const uint8_t bytes[], uint32_t size) {
    bw_slots *slots = &app->slots;
    const bw_status status = bw_update_may(app, link);
    if (status != BW_OK) {
        return status;
    }
    if (!is_receiving(app) || app->update_link != link || offset > slots->received) {
        return BW_BAD_STATE;
    }
    app->update_us = app->now_us;
    const uint32_t known = slots->received - offset;
    return size > known ? bw_slots_write(slots, bytes + known, size - known) : BW_OK;
}

bw_status bw_update_chunk(bw_app *app, uint32_t link, const uint8_t body[], size_t size, int *silent) {
    if (size < CHUNK_FIXED || (size - CHUNK_FIXED) % 4 != 0 || size - CHUNK_FIXED > BW_UPDATE_CHUNK ||
        (body[0] & ~BW_CHUNK_ANSWER) != 0 || load_u32(body + 1) % 4 != 0) {
        return BW_BAD_COMMAND;
    }
    const int answer = (body[0] & BW_CHUNK_ANSWER) != 0;
    const bw_status status =
        take_chunk(app, link, load_u32(body + 1), body + CHUNK_FIXED, (uint32_t)(size - CHUNK_FIXED));
    app->update_status = (uint8_t)status;
    if (answer || (status != BW_OK && !app->update_refused)) {
        send_update(app, link);
    }
    app->update_refused = status != BW_OK; /* what follows a lost chunk is refused too: once is enough to hear it */
    *silent = !answer;
    return status;
}

bw_status bw_update_finish(bw_app *app, uint32_t link) {
    bw_status status = bw_update_may(app, link);
    if (status == BW_OK) {
        status = app->update_link == link ? bw_slots_finish(&app->slots) : BW_BAD_STATE;
    }
    send_update(app, link);
    if (status == BW_OK) {
        bw_app_use_model(app);
        tell_all(app);
    }
    return status;
}

bw_status bw_update_abort(bw_app *app, uint32_t link) {
    const bw_status status = bw_update_may(app, link);
    if (status != BW_OK) {
        return status;
    }
    if (is_receiving(app) && app->update_link != link && !is_physical(app, link)) {
        return BW_BUSY;
    }
    bw_slots_abort(&app->slots);
    return BW_OK;
}

bw_status bw_update_rollback(bw_app *app, uint32_t link) {
    bw_status status = bw_update_may(app, link);
    if (status == BW_OK) {
        status = bw_slots_rollback(&app->slots);
    }
    if (status == BW_OK) {
        bw_app_use_model(app);
        tell_all(app);
    }
    return status;
}

bw_status bw_update_allow(bw_app *app, uint32_t link) {
    if (!is_physical(app, link)) {
        return BW_NOT_ALLOWED;
    }
    bw_app_allow_update(app);
    return BW_OK;
}

bw_status bw_update_bootloader(bw_app *app, uint32_t link) {
    if (!is_physical(app, link)) {
        return BW_NOT_ALLOWED;
    }
    app->bootloader = 1;
    return BW_OK;
}
