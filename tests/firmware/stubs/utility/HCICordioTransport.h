/* ArduinoBLE's end of the way from the controller; private as there. */
#ifndef STUB_HCI_CORDIO_TRANSPORT_H
#define STUB_HCI_CORDIO_TRANSPORT_H

#include <stdint.h>

class HCITransportInterface {
public:
    virtual ~HCITransportInterface() = default;
    virtual int available() = 0;
};

class HCICordioTransportClass : public HCITransportInterface {
public:
    int available() override;

private:
    friend class Radio; /* the simulated one */

    static void onDataReceived(uint8_t *data, uint8_t len);
};

extern HCITransportInterface &HCITransport;

#endif
