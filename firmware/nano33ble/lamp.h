/* What the board shows: blue while it tests itself, a short green for each event, red for a fault, and the yellow lamp
 * while samples are streamed. */
#ifndef BITWAVE_LAMP_H
#define BITWAVE_LAMP_H

#include <stdint.h>

class Lamp {
public:
    void begin();
    void testing(bool on);
    void event(uint32_t now_us);
    void show(uint32_t now_us, bool streams, bool fault);

private:
    uint32_t event_us_ = 0;
    bool flashing_ = false;
};

#endif
