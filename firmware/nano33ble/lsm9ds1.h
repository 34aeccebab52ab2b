/* The sensor of revision 1. */
#ifndef BITWAVE_LSM9DS1_H
#define BITWAVE_LSM9DS1_H

#include "motion_sensor.h"

class Lsm9ds1 : public MotionSensor {
public:
    bool begin(Mode mode) override;
    int read(int16_t samples[][config::CHANNELS], int capacity) override;
    uint8_t board_kind() const override { return 1; }
    uint32_t rate_mhz() const override { return 119000; }

private:
    bool read_one(int16_t counts[config::CHANNELS]);
    int read_direct(int16_t samples[][config::CHANNELS]);

    Mode mode_ = Mode::FIFO;
};

#endif
