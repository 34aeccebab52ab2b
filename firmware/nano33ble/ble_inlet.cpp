/* The library drops what does not fit its ring. The controller hands it a packet in two parts, the type and the rest,
 * so that the type may stay behind alone; then every packet after it is misread, and notifications and the link's end
 * are missed. One full packet and a report of packets sent are enough, and both may come in one connection event.
 *
 * So the controller's thread is made to wait here until there is room. What it does not take it does not acknowledge
 * either, and the other side sends it again: nothing is lost, however much comes. The library's thread always goes on
 * to read, so that the wait ends. Both handlers are private; the way in is that of ble_credits.h. */
#include "ble_inlet.h"

#include <Arduino.h>
#include <ArduinoBLE.h>
#include <driver/CordioHCITransportDriver.h>
#include <utility/HCICordioTransport.h>

namespace ble_inlet {

typedef void (*Handler)(uint8_t *data, uint8_t length);

void set_handler(Handler handler);
void into_ring(uint8_t *data, uint8_t length);

template <void (*Set)(Handler), Handler IntoRing> struct Open {
    friend void set_handler(Handler handler) { Set(handler); }
    friend void into_ring(uint8_t *data, uint8_t length) { IntoRing(data, length); }
};

template struct Open<&ble::CordioHCITransportDriver::set_data_received_handler,
                     &HCICordioTransportClass::onDataReceived>;

} // namespace ble_inlet

namespace {

enum : int { RING = 256 };

void when_there_is_room(uint8_t *data, uint8_t length) {
    while (HCITransport.available() + length > RING) {
        delay(1);
    }
    ble_inlet::into_ring(data, length);
}

} // namespace

void ble_inlet_guard() { ble_inlet::set_handler(when_there_is_room); }
