/* The inner I2C bus and the libraries' way over it. */
#include <Arduino_BMI270_BMM150.h>
#include <Arduino_LSM9DS1.h>
#include <Wire.h>

#include "scheduler.h"
#include "world.h"

arduino::MbedI2C Wire1;
LSM9DS1Class IMU_LSM9DS1(Wire1);

namespace {

constexpr uint32_t SLOW_HZ = 100000;
constexpr uint32_t FAST_HZ = 400000;
constexpr uint64_t BITS = 9; /* a byte and its acknowledgement */
constexpr uint8_t LSM9DS1 = 0x6B;
constexpr uint8_t MAGNETOMETER = 0x1E;
constexpr uint8_t BMI270 = 0x68;
constexpr uint64_t BMI270_UPLOAD_US = 900000; /* 8 KB in pieces of 30 bytes */

uint8_t pointed = 0; /* the register that the last transfer named */

} // namespace

void arduino::MbedI2C::begin() { clock_ = SLOW_HZ; }

void arduino::MbedI2C::end() { clock_ = 0; }

void arduino::MbedI2C::setClock(uint32_t freq) {
    if (clock_ != 0) {
        clock_ = freq;
    }
}

void arduino::MbedI2C::use() {
    if (clock_ == 0) {
        scheduler::wreck("Wire1 was used after end(): the core follows a null pointer");
    }
}

void arduino::MbedI2C::spend(size_t bytes) {
    world.bus_bytes += bytes;
    world.slow_bytes += clock_ < FAST_HZ ? bytes : 0;
    const uint64_t us = bytes * BITS * 1000000 / clock_;
    world.bus_us += us;
    scheduler::compute(us); /* Mbed OS waits for every byte */
}

void arduino::MbedI2C::beginTransmission(uint8_t address) {
    address_ = address;
    out_size_ = 0;
}

size_t arduino::MbedI2C::write(uint8_t data) {
    if (out_size_ == sizeof out_) {
        return 0;
    }
    out_[out_size_++] = data;
    return 1;
}

uint8_t arduino::MbedI2C::endTransmission(void) { return endTransmission(true); }

uint8_t arduino::MbedI2C::endTransmission(bool) {
    use();
    const bool there = world.chip != nullptr && world.health != Health::ABSENT && world.chip->answers(address_);
    spend(there ? out_size_ + 1 : 1);
    if (!there) {
        return 2;
    }
    pointed = out_[0];
    for (size_t i = 1; i < out_size_; ++i) {
        world.chip->write(address_, static_cast<uint8_t>((out_[0] & 0x7F) + i - 1), out_[i]);
    }
    return 0;
}

size_t arduino::MbedI2C::requestFrom(uint8_t address, size_t len) {
    use();
    const bool there = world.chip != nullptr && world.health != Health::ABSENT && world.chip->answers(address);
    spend(there ? len + 1 : 1);
    if (!there) {
        return 0;
    }
    for (size_t i = 0; i < len; ++i) {
        const uint8_t value = world.chip->read(address, pointed & 0x7F, i);
        in_[in_size_++ % sizeof in_] = world.health == Health::GARBAGE ? 0xFF : value;
    }
    return len;
}

int arduino::MbedI2C::available() { return static_cast<int>(in_size_ - in_read_); }

int arduino::MbedI2C::read() { return in_read_ < in_size_ ? in_[in_read_++ % sizeof in_] : -1; }

/* ---- Arduino_LSM9DS1: checks who answers at begin(), and nothing later ------------------------------------------ */

int LSM9DS1Class::read_register(uint8_t device, uint8_t address) {
    wire_->beginTransmission(device);
    wire_->write(address);
    return wire_->endTransmission() == 0 && wire_->requestFrom(device, 1) == 1 ? wire_->read() : -1;
}

void LSM9DS1Class::write_register(uint8_t device, uint8_t address, uint8_t value) {
    wire_->beginTransmission(device);
    wire_->write(address);
    wire_->write(value);
    (void)wire_->endTransmission();
}

int LSM9DS1Class::begin() {
    wire_->begin();
    write_register(LSM9DS1, 0x22, 0x05);
    delay(10);
    if (read_register(LSM9DS1, 0x0F) != 0x68 || read_register(MAGNETOMETER, 0x0F) != 0x3D) {
        end();
        return 0;
    }
    write_register(LSM9DS1, 0x10, 0x78);
    write_register(LSM9DS1, 0x20, 0x70);
    return 1;
}

void LSM9DS1Class::end() {
    write_register(LSM9DS1, 0x10, 0x00);
    wire_->end();
}

void LSM9DS1Class::setContinuousMode() {
    write_register(LSM9DS1, 0x23, 0x02);
    write_register(LSM9DS1, 0x2E, 0xC0);
}

float LSM9DS1Class::accelerationSampleRate() { return 119.0F; }

/* ---- Arduino_BMI270_BMM150: with the magnetometer, begin() tells only of that ------------------------------------ */

bool BoschSensorClass::write_register(uint8_t address, uint8_t value) {
    wire_->beginTransmission(BMI270);
    wire_->write(address);
    wire_->write(value);
    return wire_->endTransmission() == 0;
}

int BoschSensorClass::read_register(uint8_t address) {
    wire_->beginTransmission(BMI270);
    wire_->write(address);
    return wire_->endTransmission() == 0 && wire_->requestFrom(BMI270, 1) == 1 ? wire_->read() : -1;
}

int BoschSensorClass::begin(CfgBoshSensor_t cfg) {
    wire_->begin();
    int8_t result = 0;
    if (read_register(0x00) == 0x24) {
        (void)write_register(0x7E, 0xB6);
        scheduler::compute(BMI270_UPLOAD_US);
        bmi2_.gyr_cross_sens_zx = 9;
    } else {
        result = -1;
    }
    result = static_cast<int8_t>(result | configure_sensor(&bmi2_));
    if (cfg != BOSCH_ACCELEROMETER_ONLY) {
        result = configure_sensor(&bmm1_);
    }
    return result == 0 ? 1 : 0;
}

int8_t BoschSensorClass::configure_sensor(bmm150_dev *) { return 0; }

int8_t BoschSensorClass::configure_sensor(bmi2_dev *) {
    return write_register(0x40, 0xA8) && write_register(0x42, 0xA9) && write_register(0x7D, 0x06) ? 0 : -2;
}

float BoschSensorClass::accelerationSampleRate() {
    const int odr = read_register(0x40);
    return static_cast<float>(odr < 0 ? 1 : 1 << (odr & 0x0F)) * 0.39F;
}
