/* The signed table of slopes: values and slopes of bw_lut on both sides of zero, for packed layers:
 * bw_dsp_activate.S. */
#ifndef BW_SLOPES_H
#define BW_SLOPES_H

#include "bitwave.h"

#define BW_SLOPES_SIZE 512
#define BW_SLOPES_MIDDLE 256

/* Entry j + BW_SLOPES_MIDDLE: 32768 - V(j) in the upper halfword, V(j + 1) - V(j) in the lower. Generated. */
extern const uint32_t bw_slopes[BW_SLOPES_SIZE];

#endif
