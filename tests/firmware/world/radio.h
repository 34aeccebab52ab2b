/* The Bluetooth controller, the library above it, and the central at the other end. */
#ifndef WORLD_RADIO_H
#define WORLD_RADIO_H

#include <ArduinoBLE.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

struct StubCharacteristic {
    const char *uuid;
    uint16_t properties;
    size_t capacity;
    std::vector<uint8_t> value;
    bool subscribed = false;
    BLECharacteristicEventHandler on_written = nullptr;
    BLECharacteristic *self = nullptr;
};

/* In the order of their making. */
std::vector<std::unique_ptr<StubCharacteristic>> &characteristics();

class Radio {
public:
    struct Packet {
        uint64_t at_us; /* when it is received */
        int characteristic; /* index in the order of their making */
        bool with_response;
        std::vector<uint8_t> bytes;
    };

    /* The central's side. */
    void connect(int mtu, uint64_t interval_us, int packets_per_event);
    void disconnect();
    void subscribe(int characteristic, bool on);
    void write(Packet packet);
    size_t value(int characteristic, uint8_t out[], size_t capacity) const;

    /* The library's. */
    bool begin();
    void poll(uint64_t timeout_us);
    void on(BLEDeviceEvent event, BLEDeviceEventHandler handler);
    int notify(int characteristic, const uint8_t bytes[], int size);
    void keep(size_t size); /* in the ring */
    int available() const { return static_cast<int>(ring_bytes_); }

    bool begun = false;
    bool advertises = false;
    bool begin_fails = false;
    const char *name = "";
    const char *advertised = "";
    std::vector<std::vector<uint8_t>> notified; /* [characteristic] bytes */
    uint64_t notifications = 0;
    uint64_t dropped = 0; /* packets that the receive ring had no room for */

private:
    enum class Kind { WRITTEN, SENT, CONNECTED, DISCONNECTED };

    /* What the controller tells the library. */
    struct Report {
        Kind kind;
        int sent; /* packets, of SENT */
        Packet packet;
        size_t bytes; /* in the ring, without the type */
    };

    void live_on_air();
    void connection_event();
    void live_in_controller();
    void deliver();
    void take(const Packet &packet);

    bool connected_ = false;
    int mtu_ = 23;
    uint64_t interval_us_ = 30000;
    int per_event_ = 1;
    uint64_t next_event_us_ = 0;
    std::deque<bool> outgoing_; /* packets that wait in the controller: whether it is the answer to a write */
    bool answer_due_ = false;
    std::deque<Packet> outbox_; /* the central's */
    std::deque<Report> arrived_; /* and not yet in the library's ring */
    size_t unread_ = 0; /* writes among them */
    Report handed_{}; /* over to the ring just now */
    bool type_kept_ = false; /* its first byte is in the ring */
    std::deque<Report> ring_;
    size_t ring_bytes_ = 0;
    bool polling_ = false;
    BLEDeviceEventHandler on_connected_ = nullptr;
    BLEDeviceEventHandler on_disconnected_ = nullptr;
    bool runs_ = false;
};

extern Radio radio;

#endif
