/* Signatures as in Arduino_BMI270_BMM150 1.2. */
#ifndef STUB_BMI270_H
#define STUB_BMI270_H

#include <Wire.h>

typedef enum { BOSCH_ACCELEROMETER_ONLY, BOSCH_MAGNETOMETER_ONLY, BOSCH_ACCEL_AND_MAGN } CfgBoshSensor_t;

struct bmm150_dev {
    uint8_t chip_id;
};

struct bmi2_dev {
    uint8_t chip_id;
    int16_t gyr_cross_sens_zx;
};

class BoschSensorClass {
public:
    explicit BoschSensorClass(TwoWire &wire) : wire_(&wire) {}
    virtual ~BoschSensorClass() = default;
    int begin(CfgBoshSensor_t cfg = BOSCH_ACCEL_AND_MAGN);
    virtual float accelerationSampleRate();

protected:
    virtual int8_t configure_sensor(struct bmm150_dev *dev);
    virtual int8_t configure_sensor(struct bmi2_dev *dev);

private:
    bool write_register(uint8_t address, uint8_t value);
    int read_register(uint8_t address);

    TwoWire *wire_;
    bmi2_dev bmi2_ = {0, 0};
    bmm150_dev bmm1_ = {0};
};

#endif
