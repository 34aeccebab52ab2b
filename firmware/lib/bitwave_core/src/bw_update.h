/* The commands that change the model: each returns the status for its answer. */
#ifndef BW_UPDATE_H
#define BW_UPDATE_H

#include "bitwave.h"

/* BW_OK where the model may be changed over a link now. */
BW_MUST_CHECK bw_status bw_update_may(const bw_app *app, uint32_t link);

BW_MUST_CHECK bw_status bw_update_begin(bw_app *app, uint32_t link, const uint8_t body[], size_t size);

/* `silent` is set where the command has no answer. */
BW_MUST_CHECK bw_status bw_update_chunk(bw_app *app, uint32_t link, const uint8_t body[], size_t size, int *silent);

BW_MUST_CHECK bw_status bw_update_finish(bw_app *app, uint32_t link);
BW_MUST_CHECK bw_status bw_update_abort(bw_app *app, uint32_t link);
BW_MUST_CHECK bw_status bw_update_rollback(bw_app *app, uint32_t link);
BW_MUST_CHECK bw_status bw_update_allow(bw_app *app, uint32_t link);
BW_MUST_CHECK bw_status bw_update_bootloader(bw_app *app, uint32_t link);

#endif
