/* The top of the flash, mapped where the board has it: a program reads it in place. */
#include <mbed.h>
#include <sys/mman.h>

#include "../../../firmware/nano33ble/config.h"
#include "scheduler.h"
#include "world.h"

uint32_t stub_program_end = 0x60000;

namespace {

constexpr uint64_t ERASE_US = 85000;
constexpr uint64_t WORD_US = 41;
constexpr uint32_t SIZE = config::FLASH_END - config::SLOTS_START;

/* Counts an operation; true: the power goes while it is half done. */
bool cut() { return world.flash_operations++ == world.cut_at; }

uint8_t *at(uint32_t address, uint32_t size) {
    if (address < config::SLOTS_START || size > SIZE || address + size > config::FLASH_END) {
        scheduler::wreck("flash outside the slots was written");
    }
    return world.flash + (address - config::SLOTS_START);
}

} // namespace

void map_flash() {
    void *const wanted = reinterpret_cast<void *>(uintptr_t{config::SLOTS_START});
    void *got = mmap(wanted, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (got != wanted) {
        scheduler::wreck("the flash cannot be mapped at its address");
    }
    world.flash = static_cast<uint8_t *>(got);
    for (uint32_t i = 0; i < SIZE; ++i) {
        world.flash[i] = 0xFF;
    }
}

int mbed::FlashIAP::init() { return 0; }

uint32_t mbed::FlashIAP::get_sector_size(uint32_t) const { return config::PAGE; }

uint32_t mbed::FlashIAP::get_flash_start() const { return 0; }

uint32_t mbed::FlashIAP::get_flash_size() const { return config::FLASH_END; }

int mbed::FlashIAP::erase(uint32_t addr, uint32_t size) {
    if (addr % config::PAGE != 0 || size % config::PAGE != 0) {
        return -1;
    }
    for (uint32_t page = addr; page < addr + size; page += config::PAGE) {
        uint8_t *bytes = at(page, config::PAGE);
        const bool last = cut();
        for (uint32_t i = 0; i < config::PAGE; ++i) {
            bytes[i] = last ? static_cast<uint8_t>(bytes[i] | (i * 37 >> 3)) : 0xFF;
        }
        ++world.erases;
        if (last) {
            scheduler::die();
        }
        scheduler::halt(ERASE_US);
    }
    return 0;
}

int mbed::FlashIAP::program(const void *buffer, uint32_t addr, uint32_t size) {
    const uint8_t *from = static_cast<const uint8_t *>(buffer);
    if (addr % 4 != 0 || size % 4 != 0) {
        return -1;
    }
    for (uint32_t done = 0; done < size; done += 4) {
        uint8_t *word = at(addr + done, 4);
        const bool last = cut();
        for (uint32_t i = 0; i < 4; ++i) {
            word[i] &= static_cast<uint8_t>(last ? from[done + i] | 0x5A : from[done + i]);
        }
        if (last) {
            scheduler::die();
        }
        scheduler::halt(WORD_US);
    }
    return 0;
}
