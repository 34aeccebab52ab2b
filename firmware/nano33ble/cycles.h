/* The processor's cycle counter: how long a step of recognition takes. */
#ifndef BITWAVE_CYCLES_H
#define BITWAVE_CYCLES_H

#include <mbed.h>

inline void cycles_begin() {
    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
    DWT->CYCCNT = 0;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
}

inline uint32_t cycles_now() { return DWT->CYCCNT; }

#endif
