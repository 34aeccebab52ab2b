#include "i2c.h"

#include <Arduino.h>
#include <Wire.h>

bool i2c_read(uint8_t device, uint8_t address, uint8_t bytes[], size_t size) {
    while (Wire1.available() > 0) {
        (void)Wire1.read(); /* what an earlier transfer left would be taken for ours */
    }
    Wire1.beginTransmission(device);
    Wire1.write(address);
    if (Wire1.endTransmission(false) != 0 || Wire1.requestFrom(device, size) != size) {
        return false;
    }
    for (size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<uint8_t>(Wire1.read());
    }
    return true;
}

bool i2c_write(uint8_t device, uint8_t address, uint8_t value) {
    Wire1.beginTransmission(device);
    Wire1.write(address);
    Wire1.write(value);
    return Wire1.endTransmission() == 0;
}
