/* One link of the app: frames wait in a bounded queue; the oldest samples give way, then scores, then whatever is
 * oldest. */
#ifndef BW_LINK_H
#define BW_LINK_H

#include "bitwave.h"

enum { BW_RECORD_OVERHEAD = 2 }; /* bytes of the queue that a waiting payload takes beside itself */

void bw_link_reset(bw_app_link *link);

/* Queues a frame; the sequence number counts dropped frames too, so that the host sees the gap. */
void bw_link_send(bw_app_link *link, bw_frame_type type, uint32_t time_us, const uint8_t body[], size_t size);

/* Up to `capacity` bytes to send; returns how many. */
size_t bw_link_transmit(bw_app_link *link, uint8_t out[], size_t capacity);

#endif
