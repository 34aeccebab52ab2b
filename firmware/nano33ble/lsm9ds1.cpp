#include "lsm9ds1.h"

#include <Arduino.h>
#include <Arduino_LSM9DS1.h>
#include <Wire.h>

#include "i2c.h"

namespace {

enum : uint8_t {
    DEVICE = 0x6B,
    STATUS = 0x17,
    GYRO = 0x18,
    ACCEL = 0x28,
    FIFO_CTRL = 0x2E,
    FIFO_SRC = 0x2F,
    SEVERAL = 0x80, /* with an address: it moves on after every byte */
    FIFO_BYPASS = 0x00,
    FIFO_CONTINUOUS = 0xC0,
    FIFO_OVERRUN = 0x40,
    FIFO_LEVEL = 0x3F,
    FIFO_DEPTH = 32,
    BOTH_NEW = 0x03
};

int16_t word(const uint8_t bytes[]) { return static_cast<int16_t>(bytes[0] | bytes[1] << 8); }

} // namespace

bool Lsm9ds1::begin(Mode mode) {
    mode_ = mode;
    if (!IMU_LSM9DS1.begin() || IMU_LSM9DS1.accelerationSampleRate() < 50.0F) {
        return false;
    }
    Wire1.setClock(config::I2C_HZ);
    if (mode == Mode::FIFO) {
        IMU_LSM9DS1.setContinuousMode();
    }
    return true;
}

bool Lsm9ds1::read_one(int16_t counts[config::CHANNELS]) {
    uint8_t bytes[12];
    if (!i2c_read(DEVICE, SEVERAL | GYRO, bytes + 6, 6) || !i2c_read(DEVICE, SEVERAL | ACCEL, bytes, 6)) {
        return false;
    }
    for (int i = 0; i < config::CHANNELS; ++i) {
        counts[i] = word(bytes + 2 * i);
    }
    return true;
}

/* Without the FIFO the registers may change between the two halves of a sample: then there is a new one to take. */
int Lsm9ds1::read_direct(int16_t samples[][config::CHANNELS]) {
    uint8_t status;
    if (!i2c_read(DEVICE, STATUS, &status, 1)) {
        return BUS_ERROR;
    }
    if ((status & BOTH_NEW) != BOTH_NEW) {
        return 0;
    }
    do {
        if (!read_one(samples[0]) || !i2c_read(DEVICE, STATUS, &status, 1)) {
            return BUS_ERROR;
        }
    } while ((status & BOTH_NEW) == BOTH_NEW);
    return (status & BOTH_NEW) == 0 ? 1 : 0; /* torn: the other half comes with the next look */
}

int Lsm9ds1::read(int16_t samples[][config::CHANNELS], int capacity) {
    if (mode_ == Mode::DIRECT) {
        return read_direct(samples);
    }
    uint8_t source;
    if (!i2c_read(DEVICE, FIFO_SRC, &source, 1) || (source & FIFO_LEVEL) > FIFO_DEPTH) {
        return BUS_ERROR;
    }
    if ((source & FIFO_OVERRUN) != 0) {
        const bool emptied = i2c_write(DEVICE, FIFO_CTRL, FIFO_BYPASS) && i2c_write(DEVICE, FIFO_CTRL, FIFO_CONTINUOUS);
        return emptied ? OVERRUN : BUS_ERROR;
    }
    const int level = source & FIFO_LEVEL;
    const int count = level < capacity ? level : capacity;
    for (int i = 0; i < count; ++i) {
        if (!read_one(samples[i])) {
            return BUS_ERROR;
        }
    }
    return count;
}
