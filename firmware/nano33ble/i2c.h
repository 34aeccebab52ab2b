/* Registers of the chips on the board's inner I2C bus; every transfer says whether it happened. */
#ifndef BITWAVE_I2C_H
#define BITWAVE_I2C_H

#include <stddef.h>
#include <stdint.h>

bool i2c_read(uint8_t device, uint8_t address, uint8_t bytes[], size_t size);
bool i2c_write(uint8_t device, uint8_t address, uint8_t value);

#endif
