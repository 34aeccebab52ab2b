/* The motion gate: the network sleeps while the board rests. metadata.py states the same rule for the host.
 *
 * Per sample x of the model's rate, raw counts, with a reference r and a count of samples `at rest`, both 0 at a reset:
 *
 *   moves   = |x[c] - r[c]| > thresholds[c] in any channel c; then r = x, for all channels
 *   at rest = 0 if it moves, else one more
 *   asleep  = at rest > still
 *
 * So a slow turn moves too, once it has come far enough. Before the sample that wakes the network, all is as after a
 * reset, but for the time that the next event has to wait, which passes asleep too; then it is fed the last `preroll`
 * samples before that one, the oldest first, and that sample. They are kept in a ring, asleep or not: a sleep may be
 * short. */
#ifndef BW_GATE_H
#define BW_GATE_H

#include "bitwave.h"

void bw_gate_reset(bw_gate *gate, const bw_model *model);

/* Takes a sample [channels] of counts; whether the network sleeps through it. */
int bw_gate_sleeps(bw_gate *gate, const bw_model *model, const int16_t sample[]);

/* The oldest input [channels] in the ring, whose place the next one takes. At a waking the ring is full. */
int8_t *bw_gate_oldest(bw_gate *gate, const bw_model *model);

#endif
