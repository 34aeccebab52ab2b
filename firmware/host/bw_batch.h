/* Many windows at once, for the host: what bw_network_classify() computes, bit for bit, with a window in every element
 * of the processor's vectors. Nothing here is written for one processor: the loops over windows have a fixed length, no
 * branch and no call, and compilers make vectors of them.
 *
 * A model is prepared once: its weights as int16, and sigmoid and tanh as tables over all 2^16 inputs, filled by the
 * functions of bw_activations.h. What is prepared is never written to again, so threads may share it. */
#ifndef BW_BATCH_H
#define BW_BATCH_H

#include "bitwave.h"

#define BW_BATCH 16 /* windows */

typedef struct bw_batch bw_batch;

/* Where the states go, per layer, or NULL for none: [windows][steps of the layer][hidden] */
typedef struct bw_batch_trace {
    int8_t *const *hidden;
    int16_t *const *cell;
} bw_batch_trace;

/* Bytes that bw_batch_prepare() fills; the model must outlive them. */
size_t bw_batch_size(const bw_model *model);

/* memory is aligned for pointers */
const bw_batch *bw_batch_prepare(const bw_model *model, void *memory);

/* Bytes of one call's states. */
size_t bw_batch_arena_size(const bw_batch *batch);

/* Classifies windows [count][steps][channels] from a reset, count <= BW_BATCH: scores [count][classes]. */
BW_MUST_CHECK bw_status bw_batch_classify(const bw_batch *batch, void *arena, size_t size, const int8_t windows[],
                                          size_t count, uint32_t steps, int8_t scores[], const bw_batch_trace *trace);

#endif
