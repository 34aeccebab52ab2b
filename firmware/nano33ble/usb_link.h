/* The app's link over USB. Nothing here waits: what does not fit into the port stays in the app's queue. */
#ifndef BITWAVE_USB_LINK_H
#define BITWAVE_USB_LINK_H

#include <stddef.h>
#include <stdint.h>

class UsbLink {
public:
    /* Moves bytes both ways; true: more wait, so come back in a millisecond. */
    bool run();

    bool open() const { return open_; }

private:
    void receive();
    bool send();

    uint8_t packet_[63];
    size_t size_ = 0;
    size_t sent_ = 0;
    bool open_ = false;
};

#endif
