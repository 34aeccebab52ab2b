#include "flash_slots.h"

#include <mbed.h>

#include "config.h"

namespace {

mbed::FlashIAP flash;

uint32_t address_of(uint32_t slot, uint32_t offset) {
    return config::SLOTS_START + slot * config::SLOT_PAGES * config::PAGE + offset;
}

bw_status erase(void *, uint32_t slot, uint32_t page) {
    return flash.erase(address_of(slot, page * config::PAGE), config::PAGE) == 0 ? BW_OK : BW_FLASH_FAILED;
}

bw_status program(void *, uint32_t slot, uint32_t offset, const uint32_t words[], uint32_t count) {
    return flash.program(words, address_of(slot, offset), count * 4) == 0 ? BW_OK : BW_FLASH_FAILED;
}

const void *mapped(uint32_t slot) {
    return reinterpret_cast<const void *>(static_cast<uintptr_t>(address_of(slot, 0)));
}

} // namespace

const bw_flash *flash_slots() {
    static const bw_flash slots = {nullptr, {mapped(0), mapped(1)}, config::PAGE, config::SLOT_PAGES, erase, program};
    const bool as_expected = flash.init() == 0 && flash.get_sector_size(config::SLOTS_START) == config::PAGE &&
                             flash.get_flash_start() + flash.get_flash_size() == config::FLASH_END &&
                             FLASHIAP_APP_ROM_END_ADDR <= config::SLOTS_START;
    return as_expected ? &slots : nullptr;
}
