/* ArduinoBLE's end of the way from the controller. */
#ifndef STUB_HCI_TRANSPORT_H
#define STUB_HCI_TRANSPORT_H

class HCITransportInterface {
public:
    virtual ~HCITransportInterface() = default;
    virtual int available() = 0;
};

extern HCITransportInterface &HCITransport;

#endif
