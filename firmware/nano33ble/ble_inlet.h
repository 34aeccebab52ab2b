/* Keeps what comes over the air from running over ArduinoBLE's receive ring of 256 bytes. */
#ifndef BITWAVE_BLE_INLET_H
#define BITWAVE_BLE_INLET_H

/* After every BLE.begin(). */
void ble_inlet_guard();

#endif
