/* What the two chips have in common. Counts are canonical: axes of the board as the Arduino libraries give them, 8192
 * LSB/g and 16.384 LSB per degree/s, accelerometer before gyroscope. */
#ifndef BITWAVE_MOTION_SENSOR_H
#define BITWAVE_MOTION_SENSOR_H

#include "config.h"

class MotionSensor {
public:
    enum class Mode : uint8_t {
        FIFO,  /* the chip keeps what nobody had time to fetch */
        DIRECT /* one sample at a time, for a chip whose FIFO stays empty */
    };
    enum : int { BUS_ERROR = -1, OVERRUN = -2 };

    virtual ~MotionSensor() = default;

    /* Sets the chip up; false: it does not answer. The libraries begin the bus anew, at its slow default. */
    virtual bool begin(Mode mode) = 0;

    /* Whole samples, oldest first, `capacity` at most. Returns how many; BUS_ERROR; or OVERRUN: the FIFO has lost some
     * and was emptied, so that the two sensors of each later sample belong together. */
    virtual int read(int16_t samples[][config::CHANNELS], int capacity) = 0;

    virtual uint8_t board_kind() const = 0;
    virtual uint32_t rate_mhz() const = 0;
};

#endif
