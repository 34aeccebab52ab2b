/* The commands of a host: each is answered by a STATUS frame, after the frames that it asks for. */
#ifndef BW_COMMANDS_H
#define BW_COMMANDS_H

#include "bitwave.h"

void bw_command_run(bw_app *app, uint32_t link, const bw_frame *command);

void bw_send_info(bw_app *app, uint32_t link);

/* Sends the samples that wait, if any, to the links that stream. */
void bw_app_flush(bw_app *app);

/* Takes up the model that the slots have chosen, or the built-in one; recognition starts afresh. */
void bw_app_use_model(bw_app *app);

#endif
