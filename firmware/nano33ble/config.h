/* What the sketch is built with. */
#ifndef BITWAVE_CONFIG_H
#define BITWAVE_CONFIG_H

#include <bitwave.h>

/* Given to the compiler: the axis that points up in the pose (0, 1, 2: x, y, z) and its sign, the board at rest. Sign
 * 0: no pose, and a command over USB is the only way. */
#ifndef BITWAVE_POSE_SIGN
#define BITWAVE_POSE_SIGN 0
#endif
#ifndef BITWAVE_POSE_AXIS
#define BITWAVE_POSE_AXIS 0
#endif

namespace config {

constexpr uint8_t FIRMWARE[3] = {0, 1, 0};

/* Both sensors are set to 4 g and 2000 degrees/s: 8192 LSB/g and 16.384 LSB per degree/s. */
constexpr uint8_t CHANNELS = 6;
constexpr uint32_t ACCEL_MILLI_LSB = 8192000;
constexpr uint32_t GYRO_MILLI_LSB = 16384;

/* States of the models: five lanes of 24 units take under 2 KB, two layers of 64 units with 32 lanes 13 KB. */
constexpr size_t ARENA = 32768;

/* Half a second of samples: the chips keep a quarter of a second more while the flash erases a page (85 ms). */
constexpr uint32_t QUEUED_SAMPLES = 64;

/* Model slots, at the top of the flash; slots.ld holds the program below them. */
constexpr uint32_t FLASH_END = 0x100000;
constexpr uint32_t PAGE = 4096;
constexpr uint32_t SLOT_PAGES = 16;
constexpr uint32_t SLOTS_START = FLASH_END - BW_SLOTS * SLOT_PAGES * PAGE;

constexpr uint32_t USB = 0; /* links of the app */
constexpr uint32_t BLE = 1;

constexpr uint32_t I2C_HZ = 400000;

/* A pose held this long opens the window for updates over BLE. */
constexpr uint32_t POSE_AXIS = BITWAVE_POSE_AXIS;
constexpr int32_t POSE_SIGN = BITWAVE_POSE_SIGN;
constexpr uint32_t POSE_US = 5000000;

} // namespace config

#endif
