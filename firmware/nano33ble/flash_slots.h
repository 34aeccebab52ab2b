/* The flash of the board as the core's slots see it. */
#ifndef BITWAVE_FLASH_SLOTS_H
#define BITWAVE_FLASH_SLOTS_H

#include <bitwave.h>

/* NULL where the program itself reaches the slots, or the flash is not as expected: the board then has no slots. */
const bw_flash *flash_slots();

#endif
