#include "usb_link.h"

#include <Arduino.h>
#include <USB/PluggableUSBSerial.h>

#include "board.h"

namespace {

/* A host that sends without end must not keep the loop: the rest waits in the host, which USB holds back. */
enum : int { RECEIVE_AT_ONCE = 512 };

} // namespace

void UsbLink::receive() {
    uint8_t bytes[64];
    for (int total = 0; total < RECEIVE_AT_ONCE;) {
        size_t size = 0;
        while (size < sizeof bytes && _SerialUSB.available() > 0) {
            bytes[size++] = static_cast<uint8_t>(_SerialUSB.read());
        }
        if (size == 0) {
            return;
        }
        board.receive(config::USB, bytes, size);
        total += static_cast<int>(size);
    }
}

/* Serial.write() would block for as long as a host has the port open without reading; send_nb() takes what there is
 * room for. Packets are one byte short of a full one, or the host would wait for the next before it shows this one. */
bool UsbLink::send() {
    for (;;) {
        if (sent_ == size_) {
            sent_ = 0;
            size_ = board.transmit(config::USB, packet_, sizeof packet_);
            if (size_ == 0) {
                return false;
            }
        }
        uint32_t taken = 0;
        _SerialUSB.send_nb(packet_ + sent_, static_cast<uint32_t>(size_ - sent_), &taken);
        if (taken == 0) {
            return true;
        }
        sent_ += taken;
    }
}

bool UsbLink::run() {
    const bool open = _SerialUSB.connected();
    if (open != open_) {
        if (!open) {
            receive(); /* the core's ring keeps what nobody has read, for the next host */
        }
        open_ = open;
        size_ = sent_ = 0;
        board.hang_up(config::USB); /* the next host starts with a silent link, not with the rest of this one's */
    }
    if (!open) {
        return false;
    }
    receive();
    return send();
}
