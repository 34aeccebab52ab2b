/* The USB serial port and the host at its other end. */
#include <USB/PluggableUSBSerial.h>

#include "scheduler.h"
#include "world.h"

arduino::USBSerial _SerialUSB;

namespace {

constexpr uint32_t PACKET = 64;
constexpr size_t RECEIVED = 256; /* the core's ring */
constexpr uint64_t PACKET_US = 60;

bool on_its_way() { return world.usb_busy_until > scheduler::now_us(); }

} // namespace

bool arduino::USBSerial::connected() { return world.usb_open; }

int arduino::USBSerial::available() {
    return static_cast<int>(world.usb_in.size() < RECEIVED ? world.usb_in.size() : RECEIVED);
}

int arduino::USBSerial::read() {
    if (available() == 0) {
        return -1;
    }
    const int byte = world.usb_in.front();
    world.usb_in.pop_front();
    return byte;
}

void arduino::USBSerial::send_nb(uint8_t *buffer, uint32_t size, uint32_t *actual, bool) {
    *actual = 0;
    if (!world.usb_open || on_its_way()) {
        return;
    }
    *actual = size < PACKET ? size : PACKET;
    world.usb_out.insert(world.usb_out.end(), buffer, buffer + *actual);
    ++world.usb_packets;
    world.usb_busy_until = world.usb_reads ? scheduler::now_us() + PACKET_US : scheduler::NEVER;
}
