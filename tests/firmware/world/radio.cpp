#include "radio.h"

#include <driver/CordioHCITransportDriver.h>
#include <utility/HCI.h>
#include <utility/HCICordioTransport.h>

#include <algorithm>

#include "scheduler.h"

namespace {

constexpr size_t RING = 256;
constexpr size_t OVERHEAD = 11; /* HCI, L2CAP and ATT headers of a write */
constexpr size_t SENT_BYTES = 7; /* of the reports */
constexpr size_t CONNECTED_BYTES = 21;
constexpr size_t DISCONNECTED_BYTES = 6;
constexpr size_t RECEIVE_BUFFERS = 4; /* when they are full, the controller acknowledges nothing */
constexpr int ATT_HEADER = 3;
constexpr uint64_t PACKET_US = 2500; /* on the air, at 1 Mbit/s, with its acknowledgement */
constexpr uint64_t MISSED_US = 1000; /* a processor that stands still so long misses a connection event */
constexpr int INTERRUPT = 1000; /* priorities */
constexpr int CONTROLLER = 24; /* osPriorityNormal, of ArduinoBLE's own thread */

HCIClass hci;
HCICordioTransportClass transport;

} // namespace

Radio radio;
HCIClass &HCI = hci;
HCITransportInterface &HCITransport = transport;
ble::CordioHCITransportDriver::data_received_handler_t ble::CordioHCITransportDriver::data_received_handler = nullptr;

void ble::CordioHCITransportDriver::set_data_received_handler(data_received_handler_t handler) {
    data_received_handler = handler;
}

int HCICordioTransportClass::available() { return radio.available(); }

void HCICordioTransportClass::onDataReceived(uint8_t *, uint8_t len) { radio.keep(len); }

/* ---- the central ------------------------------------------------------------------------------------------------ */

void Radio::connect(int mtu, uint64_t interval_us, int packets_per_event) {
    connected_ = true;
    mtu_ = mtu;
    interval_us_ = interval_us;
    per_event_ = packets_per_event;
    next_event_us_ = scheduler::now_us() + interval_us;
    arrived_.push_back({Kind::CONNECTED, 0, {}, CONNECTED_BYTES});
}

void Radio::disconnect() {
    connected_ = false;
    outgoing_.clear(); /* they never leave, and nobody says so: _pendingPkt stays */
    answer_due_ = false;
    outbox_.clear();
    arrived_.push_back({Kind::DISCONNECTED, 0, {}, DISCONNECTED_BYTES});
}

void Radio::subscribe(int characteristic, bool on) {
    characteristics()[static_cast<size_t>(characteristic)]->subscribed = on;
}

void Radio::write(Packet packet) { outbox_.push_back(std::move(packet)); }

size_t Radio::value(int characteristic, uint8_t out[], size_t capacity) const {
    const std::vector<uint8_t> &value = characteristics()[static_cast<size_t>(characteristic)]->value;
    const size_t size = value.size() < capacity ? value.size() : capacity;
    std::copy(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(size), out);
    return size;
}

/* ---- the controller --------------------------------------------------------------------------------------------- */

/* The interrupts: connection events come whatever the threads do, but not while the processor stands still. */
void Radio::live_on_air() {
    for (;;) {
        scheduler::wait(scheduler::NEVER, [this] { return connected_ && !(outgoing_.empty() && outbox_.empty()); });
        while (next_event_us_ < scheduler::now_us()) {
            next_event_us_ += interval_us_;
        }
        const uint64_t event_us = next_event_us_;
        scheduler::wait(event_us);
        if (connected_ && event_us == next_event_us_ && scheduler::now_us() - event_us < MISSED_US) {
            connection_event();
        }
    }
}

/* A central that waits for an answer sends no other packet in the connection event in which the answer comes. */
void Radio::connection_event() {
    const size_t left = std::min(outgoing_.size(), static_cast<size_t>(per_event_));
    const bool answered = std::find(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(left), true) !=
                          outgoing_.begin() + static_cast<std::ptrdiff_t>(left);
    if (left > 0) {
        outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(left));
        arrived_.push_back({Kind::SENT, static_cast<int>(left), {}, SENT_BYTES});
    }
    for (int i = 0; i < per_event_ && !outbox_.empty() && !answer_due_ && unread_ < RECEIVE_BUFFERS; ++i) {
        Packet packet = std::move(outbox_.front());
        outbox_.pop_front();
        answer_due_ = packet.with_response;
        packet.at_us = next_event_us_ + static_cast<uint64_t>(i) * PACKET_US;
        const size_t bytes = packet.bytes.size() + OVERHEAD;
        arrived_.push_back({Kind::WRITTEN, 0, std::move(packet), bytes});
        ++unread_;
    }
    answer_due_ = answer_due_ && !answered;
    next_event_us_ += interval_us_;
}

/* ArduinoBLE's thread for the controller: hands over what has arrived, in two parts. */
void Radio::live_in_controller() {
    for (;;) {
        scheduler::wait(scheduler::NEVER, [this] { return !arrived_.empty(); });
        scheduler::wait(std::max(arrived_.front().packet.at_us, scheduler::now_us()));
        handed_ = std::move(arrived_.front());
        arrived_.pop_front();
        std::vector<uint8_t> body(handed_.bytes);
        uint8_t type = handed_.kind == Kind::WRITTEN ? 2 : 4;
        ble::CordioHCITransportDriver::data_received_handler(&type, 1);
        ble::CordioHCITransportDriver::data_received_handler(body.data(), static_cast<uint8_t>(body.size()));
        unread_ -= handed_.kind == Kind::WRITTEN ? 1 : 0;
    }
}

void Radio::keep(size_t size) {
    const bool is_type = size == 1;
    if (ring_bytes_ + size > RING) {
        ++dropped;
        if (!is_type && type_kept_) {
            scheduler::wreck("half a packet in ArduinoBLE's ring: it misreads everything from here on");
        }
        return;
    }
    ring_bytes_ += size;
    if (!is_type) {
        ring_.push_back(handed_);
    }
    type_kept_ = is_type;
}

/* A write to a characteristic, its handler included, and the answer to it. */
void Radio::take(const Packet &packet) {
    StubCharacteristic &target = *characteristics()[static_cast<size_t>(packet.characteristic)];
    const size_t size = packet.bytes.size() < target.capacity ? packet.bytes.size() : target.capacity;
    target.value.assign(packet.bytes.begin(), packet.bytes.begin() + static_cast<std::ptrdiff_t>(size));
    if (target.on_written != nullptr) {
        target.on_written(BLEDevice(), *target.self);
    }
    if (packet.with_response) {
        ++hci._pendingPkt;
        if (connected_) {
            outgoing_.push_back(true);
        }
    }
}

/* What the library finds in its receive ring. */
void Radio::deliver() {
    while (!ring_.empty()) {
        const Report report = std::move(ring_.front());
        ring_.pop_front();
        ring_bytes_ -= report.bytes + 1;
        if (report.kind == Kind::WRITTEN) {
            take(report.packet);
        } else if (report.kind == Kind::SENT) {
            hci._pendingPkt = static_cast<uint8_t>(hci._pendingPkt > report.sent ? hci._pendingPkt - report.sent : 0);
        } else if (report.kind == Kind::CONNECTED) {
            on_connected_(BLEDevice());
        } else {
            for (auto &characteristic : characteristics()) {
                characteristic->subscribed = false;
            }
            on_disconnected_(BLEDevice());
        }
    }
}

bool Radio::begin() {
    ble::CordioHCITransportDriver::set_data_received_handler(HCICordioTransportClass::onDataReceived);
    if (!runs_) {
        runs_ = true;
        scheduler::start(INTERRUPT, [this] { live_on_air(); });
        scheduler::start(CONTROLLER, [this] { live_in_controller(); });
    }
    return begun = !begin_fails;
}

void Radio::poll(uint64_t timeout_us) {
    if (timeout_us > 0 && ring_.empty()) {
        scheduler::wait(scheduler::now_us() + timeout_us, [this] { return !ring_.empty(); });
    }
    if (!polling_) {
        polling_ = true;
        deliver();
        polling_ = false;
    }
}

void Radio::on(BLEDeviceEvent event, BLEDeviceEventHandler handler) {
    (event == BLEConnected ? on_connected_ : on_disconnected_) = handler;
}

int Radio::notify(int characteristic, const uint8_t bytes[], int size) {
    while (hci._pendingPkt >= hci._maxPkt) {
        if (!connected_) {
            scheduler::wreck("ArduinoBLE waits for packets of a connection that is gone, for ever");
        }
        poll(interval_us_);
    }
    const int sent = size < mtu_ - ATT_HEADER ? size : mtu_ - ATT_HEADER;
    ++hci._pendingPkt;
    if (!connected_) {
        return sent; /* the library does not know yet */
    }
    notified.resize(characteristics().size());
    auto &out = notified[static_cast<size_t>(characteristic)];
    out.insert(out.end(), bytes, bytes + sent);
    ++notifications;
    outgoing_.push_back(false);
    return sent;
}
