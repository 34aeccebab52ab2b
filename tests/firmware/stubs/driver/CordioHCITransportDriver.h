/* Mbed OS's way from the Bluetooth controller to whoever reads it; private as there. */
#ifndef STUB_CORDIO_HCI_TRANSPORT_DRIVER_H
#define STUB_CORDIO_HCI_TRANSPORT_DRIVER_H

#include <stdint.h>

class Radio; /* the simulated one */

namespace ble {

class CordioHCITransportDriver {
    friend class ::Radio;

private:
    typedef void (*data_received_handler_t)(uint8_t *data, uint8_t len);

    static data_received_handler_t data_received_handler;

    static void set_data_received_handler(data_received_handler_t handler);
};

} // namespace ble

#endif
