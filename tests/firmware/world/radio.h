/* The Bluetooth controller, the library above it, and the central at the other end. */
#ifndef WORLD_RADIO_H
#define WORLD_RADIO_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

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
    void poll(uint64_t timeout_us);
    int notify(int characteristic, const uint8_t bytes[], int size);

    bool begun = false;
    bool advertises = false;
    bool begin_fails = false;
    const char *name = "";
    const char *advertised = "";
    std::vector<std::vector<uint8_t>> notified; /* [characteristic] bytes */
    uint64_t notifications = 0;
    uint64_t dropped = 0; /* packets that the receive ring had no room for */

private:
    void connection_event();
    void receive();
    void deliver();
    uint64_t next_traffic() const;

    bool connected_ = false;
    bool gone_ = false;  /* not yet told to the library */
    bool found_ = false; /* the same of a new connection */
    int mtu_ = 23;
    uint64_t interval_us_ = 30000;
    int per_event_ = 1;
    uint64_t next_event_us_ = 0;
    int on_air_ = 0; /* packets of this connection that wait in the controller */
    bool answer_due_ = false;
    std::deque<Packet> outbox_; /* the central's */
    std::deque<Packet> arriving_; /* in the connection event that runs */
    std::deque<Packet> ring_;
    size_t ring_bytes_ = 0;
    bool polling_ = false;
};

extern Radio radio;

#endif
