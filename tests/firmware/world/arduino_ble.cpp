/* ArduinoBLE's interface, over the simulated radio. */
#include <ArduinoBLE.h>

#include <cstring>

#include "radio.h"
#include "scheduler.h"

namespace {

BLELocalDevice device;

int index_of(const StubCharacteristic *wanted) {
    for (size_t i = 0; i < characteristics().size(); ++i) {
        if (characteristics()[i].get() == wanted) {
            return static_cast<int>(i);
        }
    }
    scheduler::wreck("an unknown characteristic");
}

} // namespace

BLELocalDevice &BLE = device;

std::vector<std::unique_ptr<StubCharacteristic>> &characteristics() {
    static std::vector<std::unique_ptr<StubCharacteristic>> all;
    return all;
}

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
    return radio.begin() ? 1 : 0;
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
    radio.on(event, eventHandler);
}
