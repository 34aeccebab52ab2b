/* The commands of a host: each is answered by a STATUS frame, after the frames that it asks for. */
#ifndef BW_COMMANDS_H
#define BW_COMMANDS_H

#include "bitwave.h"

void bw_command_run(bw_app *app, uint32_t link, const bw_frame *command);

/* Sends the samples that wait, if any, to the links that stream. */
void bw_app_flush(bw_app *app);

/* Whether any link streams or recognises. */
int bw_app_streams(const bw_app *app);
int bw_app_recognises(const bw_app *app);

#endif
