/* The part of ArduinoCore-mbed's USB serial port that never blocks. */
#ifndef STUB_PLUGGABLE_USB_SERIAL_H
#define STUB_PLUGGABLE_USB_SERIAL_H

#include <Arduino.h>

namespace arduino {

class USBSerial {
public:
    bool connected();
    int available(void);
    int read(void);
    void send_nb(uint8_t *buffer, uint32_t size, uint32_t *actual, bool now = true);
};

} // namespace arduino

extern arduino::USBSerial _SerialUSB;

#endif
