/* The two counts in ArduinoBLE's HCIClass, private as there. */
#ifndef STUB_HCI_H
#define STUB_HCI_H

#include <stdint.h>

class HCIClass {
public:
    virtual ~HCIClass() = default;

private:
    friend class Radio; /* the simulated one */

    uint8_t _maxPkt = 4;
    uint8_t _pendingPkt = 0;
};

extern HCIClass &HCI;

#endif
