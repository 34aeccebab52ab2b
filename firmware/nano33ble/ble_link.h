/* The app's link over Bluetooth: a service of its own (bitwave_uuids.h) and Device Information. */
#ifndef BITWAVE_BLE_LINK_H
#define BITWAVE_BLE_LINK_H

/* The thread's function: every call of ArduinoBLE is made here, because it may block and is not safe to share. */
void ble_run();

#endif
