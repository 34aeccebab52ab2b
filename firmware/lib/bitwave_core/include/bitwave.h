/* bitwave: an int8 LSTM that turns motion samples into gesture events, one sample at a time.
 *
 * The caller owns all memory: the model image is constant, every state lives in an arena whose size the core tells.
 * No allocation, no floating point, no global state. All functions are reentrant on distinct objects.
 *
 *   raw sample -resampler-> model's rate -front end-> int8 -LSTM lanes-> hidden -head-> scores -decision-> event
 *
 * An image is validated once, by bw_model_open(); everything behind it trusts what it then says.
 */
#ifndef BITWAVE_H
#define BITWAVE_H

#include "bitwave/status.h"
#include "bitwave/model.h"
#include "bitwave/network.h"
#include "bitwave/recognizer.h"
#include "bitwave/slots.h"
#include "bitwave/wire.h"
#include "bitwave/app.h"

#endif
