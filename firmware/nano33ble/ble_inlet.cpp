/* The library drops what does not fit its ring. The controller hands it a packet in two parts, the type and the rest, so
 * that the type may stay behind alone; then every packet after it is misread, and notifications and the link's end are
 * missed. One full packet and a report of packets sent are enough, and both may come in one connection event.
 *
 * So the controller's thread is made to wait here until there is room. What it does not take it does not acknowledge
 * either, and the other side sends it again: nothing is lost, however much comes. The library's thread always goes on to
 * read, so that the wait ends. The handler is private in Mbed OS; the way in is that of ble_credits.h. */
#include "ble_inlet.h"

#include <Arduino.h>
#include <ArduinoBLE.h>
#include <driver/CordioHCITransportDriver.h>
#include <utility/HCITransport.h>

namespace {

enum : int { RING = 256 };

typedef void (*Handler)(uint8_t *data, uint8_t length);

Handler &received_handler();

template <Handler *Slot> struct Open {
    friend Handler &received_handler() { return *Slot; }
};

template struct Open<&ble::CordioHCITransportDriver::data_received_handler>;

Handler into_ring = nullptr;

void when_there_is_room(uint8_t *data, uint8_t length) {
    while (HCITransport.available() + length > RING) {
        delay(1);
    }
    into_ring(data, length);
}

} // namespace

void ble_inlet_guard() {
    if (received_handler() != when_there_is_room) {
        into_ring = received_handler();
        received_handler() = when_there_is_room;
    }
}
