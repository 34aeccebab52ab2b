#include "radio.h"

#include <ArduinoBLE.h>
#include <utility/HCI.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "scheduler.h"

struct StubCharacteristic {
    const char *uuid;
    uint16_t properties;
    size_t capacity;
    std::vector<uint8_t> value;
    bool subscribed = false;
    BLECharacteristicEventHandler on_written = nullptr;
    BLECharacteristic *self = nullptr;
};

namespace {

constexpr size_t RING = 256;
constexpr size_t OVERHEAD = 12; /* HCI, L2CAP and ATT headers of a write */
constexpr int ATT_HEADER = 3;
constexpr uint64_t PACKET_US = 2500; /* on the air, at 1 Mbit/s, with its acknowledgement */

HCIClass hci;
BLELocalDevice device;
BLEDeviceEventHandler on_connected = nullptr;
BLEDeviceEventHandler on_disconnected = nullptr;

std::vector<std::unique_ptr<StubCharacteristic>> &characteristics() {
    static std::vector<std::unique_ptr<StubCharacteristic>> all;
    return all;
}

int index_of(const StubCharacteristic *wanted) {
    for (size_t i = 0; i < characteristics().size(); ++i) {
        if (characteristics()[i].get() == wanted) {
            return static_cast<int>(i);
        }
    }
    scheduler::wreck("an unknown characteristic");
}

} // namespace

Radio radio;
HCIClass &HCI = hci;
BLELocalDevice &BLE = device;

/* ---- the central ------------------------------------------------------------------------------------------------ */

void Radio::connect(int mtu, uint64_t interval_us, int packets_per_event) {
    connected_ = found_ = true;
    gone_ = false;
    mtu_ = mtu;
    interval_us_ = interval_us;
    per_event_ = packets_per_event;
    next_event_us_ = scheduler::now_us() + interval_us;
}

void Radio::disconnect() {
    connected_ = false;
    gone_ = true;
    on_air_ = 0; /* they never leave, and nobody says so: _pendingPkt stays */
    answer_due_ = false;
    outbox_.clear();
    arriving_.clear();
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

void Radio::connection_event() {
    const int left = on_air_ < per_event_ ? on_air_ : per_event_;
    on_air_ -= left;
    hci._pendingPkt = static_cast<uint8_t>(hci._pendingPkt > left ? hci._pendingPkt - left : 0);
    for (int i = 0; i < per_event_ && !outbox_.empty() && !answer_due_; ++i) {
        answer_due_ = outbox_.front().with_response;
        outbox_.front().at_us = next_event_us_ + static_cast<uint64_t>(i) * PACKET_US;
        arriving_.push_back(std::move(outbox_.front()));
        outbox_.pop_front();
    }
}

/* What comes while the library does not look piles up in its ring, and is dropped beyond that. */
void Radio::receive() {
    for (; !arriving_.empty() && arriving_.front().at_us <= scheduler::now_us(); arriving_.pop_front()) {
        const size_t size = arriving_.front().bytes.size() + OVERHEAD;
        if (ring_bytes_ + size > RING) {
            ++dropped;
            answer_due_ = false;
            continue;
        }
        ring_bytes_ += size;
        ring_.push_back(std::move(arriving_.front()));
    }
}

/* What the library finds in its receive ring, handlers included. */
void Radio::deliver() {
    if (gone_) {
        gone_ = found_ = false;
        ring_.clear();
        ring_bytes_ = 0;
        for (auto &characteristic : characteristics()) {
            characteristic->subscribed = false;
        }
        on_disconnected(BLEDevice());
    }
    if (found_) {
        found_ = false;
        on_connected(BLEDevice());
    }
    while (!ring_.empty()) {
        const Packet packet = std::move(ring_.front());
        ring_.pop_front();
        ring_bytes_ -= packet.bytes.size() + OVERHEAD;
        StubCharacteristic &target = *characteristics()[static_cast<size_t>(packet.characteristic)];
        const size_t size = packet.bytes.size() < target.capacity ? packet.bytes.size() : target.capacity;
        target.value.assign(packet.bytes.begin(), packet.bytes.begin() + static_cast<std::ptrdiff_t>(size));
        if (target.on_written != nullptr) {
            target.on_written(BLEDevice(), *target.self);
        }
        if (packet.with_response) {
            answer_due_ = false;
            ++hci._pendingPkt;
            ++on_air_;
        }
    }
}

uint64_t Radio::next_traffic() const {
    if (gone_ || found_ || !ring_.empty()) {
        return scheduler::now_us();
    }
    if (!arriving_.empty()) {
        return arriving_.front().at_us;
    }
    return connected_ && (on_air_ > 0 || !outbox_.empty()) ? next_event_us_ : scheduler::NEVER;
}

void Radio::poll(uint64_t timeout_us) {
    const uint64_t end = scheduler::now_us() + timeout_us;
    if (timeout_us > 0 && next_traffic() > scheduler::now_us()) {
        const uint64_t traffic = next_traffic();
        scheduler::wait(traffic < end ? traffic : end, [this] { return gone_ || found_; });
    }
    while (connected_ && next_event_us_ <= scheduler::now_us()) {
        connection_event();
        next_event_us_ += interval_us_;
    }
    receive();
    if (!polling_) {
        polling_ = true;
        deliver();
        polling_ = false;
    }
}

int Radio::notify(int characteristic, const uint8_t bytes[], int size) {
    while (hci._pendingPkt >= hci._maxPkt) {
        if (!connected_) {
            scheduler::wreck("ArduinoBLE waits for packets of a connection that is gone, for ever");
        }
        poll(interval_us_);
    }
    if (!connected_) {
        return 0;
    }
    const int sent = size < mtu_ - ATT_HEADER ? size : mtu_ - ATT_HEADER;
    notified.resize(characteristics().size());
    auto &out = notified[static_cast<size_t>(characteristic)];
    out.insert(out.end(), bytes, bytes + sent);
    ++notifications;
    ++on_air_;
    ++hci._pendingPkt;
    return sent;
}

/* ---- ArduinoBLE ------------------------------------------------------------------------------------------------- */

BLECharacteristic::BLECharacteristic(const char *uuid, uint16_t permissions, int valueSize, bool) {
    characteristics().push_back(std::make_unique<StubCharacteristic>());
    stub_ = characteristics().back().get();
    stub_->uuid = uuid;
    stub_->properties = permissions;
    stub_->capacity = static_cast<size_t>(valueSize < 512 ? valueSize : 512);
    stub_->self = this;
}

BLECharacteristic::BLECharacteristic(const BLECharacteristic &other) : stub_(other.stub_) {}

BLECharacteristic::~BLECharacteristic() = default;

const uint8_t *BLECharacteristic::value() const { return stub_->value.data(); }

int BLECharacteristic::valueLength() const { return static_cast<int>(stub_->value.size()); }

int BLECharacteristic::writeValue(const uint8_t value[], int length, bool) {
    const size_t size = static_cast<size_t>(length) < stub_->capacity ? static_cast<size_t>(length) : stub_->capacity;
    stub_->value.assign(value, value + size);
    if ((stub_->properties & BLENotify) != 0 && stub_->subscribed) {
        return radio.notify(index_of(stub_), stub_->value.data(), static_cast<int>(size));
    }
    return static_cast<int>(size);
}

bool BLECharacteristic::subscribed() { return stub_->subscribed; }

void BLECharacteristic::setEventHandler(int event, BLECharacteristicEventHandler eventHandler) {
    if (event == BLEWritten) {
        stub_->on_written = eventHandler;
    }
}

BLEService::BLEService(const char *uuid) : uuid_(uuid) {}

void BLEService::addCharacteristic(BLECharacteristic &) {}

int BLELocalDevice::begin() {
    delay(100);
    radio.begun = !radio.begin_fails;
    return radio.begun ? 1 : 0;
}

void BLELocalDevice::end() { radio.begun = false; }

void BLELocalDevice::poll(unsigned long timeout) { radio.poll(uint64_t{timeout} * 1000); }

String BLELocalDevice::address() const { return "d1:0c:77:3e:1a:2b"; }

bool BLELocalDevice::setAdvertisedService(const BLEService &service) {
    radio.advertised = service.uuid();
    return true;
}

bool BLELocalDevice::setLocalName(const char *localName) {
    radio.name = localName;
    return std::strlen(localName) <= 29;
}

void BLELocalDevice::setDeviceName(const char *) {}

void BLELocalDevice::addService(BLEService &) {}

int BLELocalDevice::advertise() { return radio.advertises = true; }

void BLELocalDevice::setConnectionInterval(uint16_t, uint16_t) {}

void BLELocalDevice::setEventHandler(BLEDeviceEvent event, BLEDeviceEventHandler eventHandler) {
    (event == BLEConnected ? on_connected : on_disconnected) = eventHandler;
}
