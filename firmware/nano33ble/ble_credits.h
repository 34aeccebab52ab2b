/* How many more packets the Bluetooth controller takes just now.
 *
 * ArduinoBLE counts them and keeps the count to itself: a notification beyond the last spins until one has left. Nor
 * does it forget at a disconnect those that will never leave (its issue 45), so that after a few lost links it would
 * spin for ever. C++ lets an explicit instantiation name private members; that is the way in here. */
#ifndef BITWAVE_BLE_CREDITS_H
#define BITWAVE_BLE_CREDITS_H

#include <ArduinoBLE.h>
#include <utility/HCI.h>

namespace ble_credits {

uint8_t HCIClass::*pending_member();
uint8_t HCIClass::*maximum_member();

template <uint8_t HCIClass::*Pending, uint8_t HCIClass::*Maximum> struct Open {
    friend uint8_t HCIClass::*pending_member() { return Pending; }
    friend uint8_t HCIClass::*maximum_member() { return Maximum; }
};

template struct Open<&HCIClass::_pendingPkt, &HCIClass::_maxPkt>;

/* One stays free for the answer to whatever the other side asks meanwhile. */
inline bool any() { return HCI.*pending_member() + 1 < HCI.*maximum_member(); }

inline void forget() { HCI.*pending_member() = 0; }

} // namespace ble_credits

#endif
