/* What is around the sketch: the chips on the bus, the hosts at both links, the flash. The tests script it. */
#ifndef WORLD_WORLD_H
#define WORLD_WORLD_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

/* A motion sensor as its registers show it. */
class Chip {
public:
    virtual ~Chip() = default;
    virtual uint8_t read(uint8_t device, uint8_t address, size_t index) = 0;
    virtual void write(uint8_t device, uint8_t address, uint8_t value) = 0;
    virtual bool answers(uint8_t device) const = 0;
};

enum class Health { GOOD, ABSENT, SILENT, GARBAGE }; /* answers; refuses transfers; has no new samples; all ones */

struct World {
    uint64_t boot_us = 0; /* what micros() shows at power on */
    uint64_t recognition_us = 840; /* per sample: a tenth of 119 Hz */
    bool in_bootloader = false;
    std::array<bool, 40> pins{};

    /* motion */
    Chip *chip = nullptr;
    Health health = Health::GOOD;
    std::vector<std::array<int16_t, 6>> samples; /* canonical counts, repeated for ever */
    double period_us = 1e6 / 119;
    uint64_t rated_us = 0;   /* when the chip's clock became this fast */
    uint64_t rated_made = 0; /* samples that it had made by then */
    bool fifo_works = true;
    uint64_t taken = 0;   /* samples that the sketch has read */
    uint64_t first = 0;   /* index of the first that it read */
    uint64_t bus_bytes = 0;
    uint64_t slow_bytes = 0; /* at less than 400 kHz */
    uint64_t bus_us = 0;

    /* USB */
    bool usb_open = false;
    bool usb_reads = true;
    uint64_t usb_busy_until = 0;
    std::deque<uint8_t> usb_in;
    std::vector<uint8_t> usb_out;
    uint64_t usb_packets = 0;

    /* flash */
    uint8_t *flash = nullptr; /* of config's slots, at its address */
    uint64_t flash_operations = 0;
    uint64_t cut_at = UINT64_MAX; /* the power goes during this operation */
    uint64_t erases = 0;
};

extern World world;

Chip *make_lsm9ds1();
Chip *make_bmi270();

/* The sample with this index since power on, and how many there have been. */
const std::array<int16_t, 6> &sample_at(uint64_t index);
uint64_t samples_until_now();

#endif
