/* Signatures as in ArduinoBLE 2.0: a peripheral with characteristics. */
#ifndef STUB_ARDUINO_BLE_H
#define STUB_ARDUINO_BLE_H

#include <Arduino.h>

enum BLEProperty { BLERead = 0x02, BLEWriteWithoutResponse = 0x04, BLEWrite = 0x08, BLENotify = 0x10 };
enum BLECharacteristicEvent { BLESubscribed = 0, BLEUnsubscribed = 1, BLEWritten = 3 };
enum BLEDeviceEvent { BLEConnected = 0, BLEDisconnected = 1, BLEDiscovered = 2 };

class BLEDevice {};
class BLECharacteristic;

typedef void (*BLECharacteristicEventHandler)(BLEDevice device, BLECharacteristic characteristic);
typedef void (*BLEDeviceEventHandler)(BLEDevice device);

struct StubCharacteristic; /* what the copies of a BLECharacteristic share */

class BLECharacteristic {
public:
    BLECharacteristic(const char *uuid, uint16_t permissions, int valueSize, bool fixedLength = false);
    BLECharacteristic(const BLECharacteristic &other);
    virtual ~BLECharacteristic();
    const uint8_t *value() const;
    int valueLength() const;
    int writeValue(const uint8_t value[], int length, bool withResponse = true);
    bool subscribed();
    void setEventHandler(int event, BLECharacteristicEventHandler eventHandler);

private:
    friend class BLEService;
    StubCharacteristic *stub_;
};

class BLEService {
public:
    explicit BLEService(const char *uuid);
    virtual ~BLEService() = default;
    const char *uuid() const { return uuid_; }
    void addCharacteristic(BLECharacteristic &characteristic);

private:
    const char *uuid_;
};

class BLELocalDevice {
public:
    virtual ~BLELocalDevice() = default;
    virtual int begin();
    virtual void end();
    virtual void poll(unsigned long timeout);
    virtual String address() const;
    virtual bool setAdvertisedService(const BLEService &service);
    virtual bool setLocalName(const char *localName);
    virtual void setDeviceName(const char *deviceName);
    virtual void addService(BLEService &service);
    virtual int advertise();
    virtual void setConnectionInterval(uint16_t minimumConnectionInterval, uint16_t maximumConnectionInterval);
    virtual void setEventHandler(BLEDeviceEvent event, BLEDeviceEventHandler eventHandler);
};

extern BLELocalDevice &BLE;

#endif
