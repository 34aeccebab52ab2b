/* Signatures as in Arduino_LSM9DS1 1.1. */
#ifndef STUB_LSM9DS1_H
#define STUB_LSM9DS1_H

#include <Wire.h>

class LSM9DS1Class {
public:
    explicit LSM9DS1Class(TwoWire &wire) : wire_(&wire) {}
    virtual ~LSM9DS1Class() = default;
    int begin();
    void end();
    void setContinuousMode();
    virtual float accelerationSampleRate();

private:
    int read_register(uint8_t device, uint8_t address);
    void write_register(uint8_t device, uint8_t address, uint8_t value);

    TwoWire *wire_;
};

extern LSM9DS1Class IMU_LSM9DS1;

#endif
