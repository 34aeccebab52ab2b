/* The second I2C bus; as in ArduinoCore-mbed, begin() makes a new one at 100 kHz and end() leaves none. */
#ifndef STUB_WIRE_H
#define STUB_WIRE_H

#include <Arduino.h>

namespace arduino {

class MbedI2C {
public:
    void begin();
    void end();
    void setClock(uint32_t freq);
    void beginTransmission(uint8_t address);
    uint8_t endTransmission(bool stopBit);
    uint8_t endTransmission(void);
    size_t requestFrom(uint8_t address, size_t len);
    size_t write(uint8_t data);
    int read();
    int available();

private:
    void use();
    void spend(size_t bytes);

    uint32_t clock_ = 0; /* 0: ended */
    uint8_t address_ = 0;
    uint8_t out_[256];
    size_t out_size_ = 0;
    uint8_t in_[256];
    size_t in_size_ = 0;
    size_t in_read_ = 0;
};

} // namespace arduino

typedef arduino::MbedI2C TwoWire;

extern arduino::MbedI2C Wire1;

#endif
