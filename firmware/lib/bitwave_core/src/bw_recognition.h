/* The app's recognition: where it starts afresh, at which rate, and what it says to the links. */
#ifndef BW_RECOGNITION_H
#define BW_RECOGNITION_H

#include "bitwave.h"

/* The model has changed, or the sensor. Where it cannot recognise, no link does any more. */
void bw_recognition_take_model(bw_app *app, bw_status fits);

/* Another sensor: what was measured says nothing of it. Before bw_recognition_take_model(). */
void bw_recognition_forget_rate(bw_app *app);

/* A link that asks for it, or does no longer. */
BW_MUST_CHECK bw_status bw_recognition_set(bw_app *app, uint32_t link, uint8_t on);

/* Before a sample, at its time: the sensor's rate is followed. */
void bw_recognition_follow(bw_app *app);

/* The sample [channels] itself. */
void bw_recognition_sample(bw_app *app, const int16_t sample[]);

/* So many samples are missing before the next one; 0: nobody knows how many. */
void bw_recognition_gap(bw_app *app, uint32_t samples);

#endif
