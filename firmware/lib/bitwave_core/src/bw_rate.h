/* The sensor's rate by the clock of the board; the rule stands at bw_rate in bitwave/app.h. */
#ifndef BW_RATE_H
#define BW_RATE_H

#include "bitwave.h"

/* The rule begins: the next sample is the first. */
void bw_rate_start(bw_rate *rate, uint32_t nominal_mhz);

/* Samples are missing before the next one. */
void bw_rate_gap(bw_rate *rate);

/* A sample comes; 1: from this one on, `taken_mhz` is another. */
int bw_rate_sample(bw_rate *rate, uint32_t time_us);

#endif
