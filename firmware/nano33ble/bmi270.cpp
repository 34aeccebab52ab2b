#include "bmi270.h"

#include <Arduino.h>
#include <Arduino_BMI270_BMM150.h>
#include <Wire.h>

#include "i2c.h"

namespace {

enum : uint8_t {
    DEVICE = 0x68,
    STATUS = 0x03,
    ACCEL_GYRO = 0x0C, /* twelve bytes that the chip keeps together while they are read */
    FIFO_LENGTH = 0x24,
    FIFO_DATA = 0x26,
    FIFO_CONFIG_0 = 0x48,
    FIFO_CONFIG_1 = 0x49,
    POWER_CONF = 0x7C,
    COMMAND = 0x7E,
    FIFO_OVERWRITE = 0x00,
    FIFO_BOTH_NO_HEADER = 0xC0,
    FIFO_STAYS_AWAKE = 0x02, /* advanced power save off: with it on the FIFO cannot be read */
    FIFO_FLUSH = 0xB0,
    BOTH_NEW = 0xC0
};

enum : int { FRAME = 12, FRAMES_AT_ONCE = 8, FIFO_SIZE = 2048, FIFO_LIMIT = 6144 };

/* The library hands its device to subclasses only; the chip's own correction of the gyroscope is in it. */
class Library : public BoschSensorClass {
public:
    Library() : BoschSensorClass(Wire1) {}
    int32_t gyro_zx = 0; /* 1/512 of the rate about z leak into the rate about x */

protected:
    using BoschSensorClass::configure_sensor;
    int8_t configure_sensor(struct bmi2_dev *device) override {
        const int8_t result = BoschSensorClass::configure_sensor(device);
        gyro_zx = device->gyr_cross_sens_zx;
        return result;
    }
};

Library library;

int16_t clamped(int32_t value) {
    return static_cast<int16_t>(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

int32_t word(const uint8_t bytes[]) { return static_cast<int16_t>(bytes[0] | bytes[1] << 8); }

/* The chip lies turned on the board: as in the library, x and y change places and signs. */
void put_canonical(int16_t counts[config::CHANNELS], const uint8_t accel[6], const uint8_t gyro[6]) {
    const int32_t gyro_x = word(gyro) - library.gyro_zx * word(gyro + 4) / 512;
    counts[0] = clamped(-word(accel + 2));
    counts[1] = clamped(-word(accel));
    counts[2] = clamped(word(accel + 4));
    counts[3] = clamped(-word(gyro + 2));
    counts[4] = clamped(-gyro_x);
    counts[5] = clamped(word(gyro + 4));
}

/* What the FIFO holds for a sensor that had nothing yet. */
bool is_dummy(const uint8_t bytes[6]) {
    return (bytes[0] == 0x01 || bytes[0] == 0x02) && bytes[1] == 0x7F && bytes[2] == 0x00 && bytes[3] == 0x80;
}

} // namespace

bool Bmi270::begin(Mode mode) {
    mode_ = mode;
    /* Without the magnetometer: its answer would hide that of a missing chip. */
    if (!library.begin(BOSCH_ACCELEROMETER_ONLY)) {
        return false;
    }
    Wire1.setClock(config::I2C_HZ);
    if (library.accelerationSampleRate() < 50.0F || !i2c_write(DEVICE, POWER_CONF, FIFO_STAYS_AWAKE)) {
        return false;
    }
    delay(1); /* the chip needs 450 us after that register */
    if (mode == Mode::DIRECT) {
        return true;
    }
    return i2c_write(DEVICE, FIFO_CONFIG_0, FIFO_OVERWRITE) && i2c_write(DEVICE, FIFO_CONFIG_1, FIFO_BOTH_NO_HEADER) &&
           i2c_write(DEVICE, COMMAND, FIFO_FLUSH);
}

int Bmi270::read_direct(int16_t samples[][config::CHANNELS]) {
    uint8_t status;
    uint8_t bytes[FRAME];
    if (!i2c_read(DEVICE, STATUS, &status, 1)) {
        return BUS_ERROR;
    }
    if ((status & BOTH_NEW) != BOTH_NEW) {
        return 0;
    }
    if (!i2c_read(DEVICE, ACCEL_GYRO, bytes, FRAME)) {
        return BUS_ERROR;
    }
    put_canonical(samples[0], bytes, bytes + 6);
    return 1;
}

int Bmi270::read_fifo(int16_t samples[][config::CHANNELS], int capacity) {
    uint8_t bytes[FRAMES_AT_ONCE * FRAME];
    if (!i2c_read(DEVICE, FIFO_LENGTH, bytes, 2)) {
        return BUS_ERROR;
    }
    const int length = (bytes[0] | bytes[1] << 8) & 0x3FFF;
    if (length > FIFO_LIMIT) {
        return BUS_ERROR;
    }
    if (length > FIFO_SIZE - FRAME) {
        return i2c_write(DEVICE, COMMAND, FIFO_FLUSH) ? OVERRUN : BUS_ERROR;
    }
    int frames = length / FRAME;
    frames = frames < capacity ? frames : capacity;
    frames = frames < FRAMES_AT_ONCE ? frames : FRAMES_AT_ONCE;
    if (frames > 0 && !i2c_read(DEVICE, FIFO_DATA, bytes, static_cast<size_t>(frames) * FRAME)) {
        return BUS_ERROR;
    }
    int count = 0;
    for (const uint8_t *frame = bytes; frame < bytes + frames * FRAME; frame += FRAME) {
        if (!is_dummy(frame) && !is_dummy(frame + 6)) {
            put_canonical(samples[count++], frame + 6, frame); /* the gyroscope comes first */
        }
    }
    return count;
}

int Bmi270::read(int16_t samples[][config::CHANNELS], int capacity) {
    return mode_ == Mode::FIFO ? read_fifo(samples, capacity) : read_direct(samples);
}
