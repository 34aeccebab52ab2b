/* The sensor of revision 2. */
#ifndef BITWAVE_BMI270_H
#define BITWAVE_BMI270_H

#include "motion_sensor.h"

class Bmi270 : public MotionSensor {
public:
    bool begin(Mode mode) override;
    int read(int16_t samples[][config::CHANNELS], int capacity) override;
    uint8_t board_kind() const override { return 2; }
    uint32_t rate_mhz() const override { return 99840; }

private:
    int read_direct(int16_t samples[][config::CHANNELS]);
    int read_fifo(int16_t samples[][config::CHANNELS], int capacity);

    Mode mode_ = Mode::FIFO;
};

#endif
