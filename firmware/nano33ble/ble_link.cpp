#include "ble_link.h"

#include <Arduino.h>
#include <ArduinoBLE.h>
#include <ctype.h>
#include <string.h>

#include "bitwave_uuids.h"
#include "ble_credits.h"
#include "ble_inlet.h"
#include "board.h"

namespace {

enum : int { PIECE = 244 }; /* of an MTU of 247; a smaller one takes less of it at a time */

constexpr uint32_t RETRY_MS = 10000;
constexpr uint32_t INFO_MS = 1000;
constexpr unsigned long POLL_MS = 5;
constexpr uint16_t INTERVAL_MIN = 12; /* 15 ms, in units of 1.25 ms: asked for, the central decides */
constexpr uint16_t INTERVAL_MAX = 24;

BLEService service(BITWAVE_UUID_SERVICE);
BLECharacteristic command(BITWAVE_UUID_COMMAND, BLEWrite | BLEWriteWithoutResponse, PIECE);
BLECharacteristic frames(BITWAVE_UUID_FRAMES, BLENotify, PIECE);
BLECharacteristic info(BITWAVE_UUID_INFO, BLERead, BW_WIRE_BODY);
BLECharacteristic last_event(BITWAVE_UUID_LAST_EVENT, BLERead | BLENotify, 6);

BLEService device_information("180A");
BLECharacteristic manufacturer("2A29", BLERead, 16);
BLECharacteristic model_number("2A24", BLERead, 24);
BLECharacteristic firmware_revision("2A26", BLERead, 16);

char name[] = BITWAVE_NAME_PREFIX "0000"; /* ArduinoBLE keeps the pointer */

uint8_t piece[PIECE];
int piece_size = 0;
int piece_sent = 0;
bool linked = false;
uint32_t links = 0; /* counts connections and their ends */
uint32_t told_events = 0;
uint32_t told_info_ms = 0;

void put_text(BLECharacteristic &characteristic, const char *text) {
    characteristic.writeValue(reinterpret_cast<const uint8_t *>(text), static_cast<int>(strlen(text)));
}

void put_info() {
    uint8_t body[BW_WIRE_BODY];
    const size_t size = board.info(config::BLE, body);
    info.writeValue(body, static_cast<int>(size));
}

/* The next central starts with a silent link, not with the rest of this one's. */
void change_hands(bool now_linked) {
    linked = now_linked;
    ++links;
    piece_size = piece_sent = 0;
    board.hang_up(config::BLE);
    put_info();
}

/* These run inside BLE.poll(). */
void on_connected(BLEDevice) { change_hands(true); }

void on_disconnected(BLEDevice) {
    ble_credits::forget();
    change_hands(false);
}

void on_command(BLEDevice, BLECharacteristic) {
    board.receive(config::BLE, command.value(), static_cast<size_t>(command.valueLength()));
}

/* bitwave- and the last two bytes of the address. */
void make_name() {
    const String address = BLE.address();
    const char *text = address.c_str();
    char *end = name + sizeof name - 1;
    for (size_t i = strlen(text), digits = 0; i-- > 0 && digits < 4;) {
        if (isxdigit(static_cast<unsigned char>(text[i])) != 0) {
            *--end = static_cast<char>(toupper(static_cast<unsigned char>(text[i])));
            ++digits;
        }
    }
}

void put_device_information() {
    char version[16];
    char *end = version;
    for (size_t i = 0; i < sizeof config::FIRMWARE; ++i) {
        if (i > 0) {
            *end++ = '.';
        }
        if (config::FIRMWARE[i] > 9) {
            *end++ = static_cast<char>('0' + config::FIRMWARE[i] / 10 % 10);
        }
        *end++ = static_cast<char>('0' + config::FIRMWARE[i] % 10);
    }
    *end = '\0';
    put_text(manufacturer, "bitwave");
    put_text(model_number, "Nano 33 BLE Sense");
    put_text(firmware_revision, version);
}

void make_services() {
    command.setEventHandler(BLEWritten, on_command);
    service.addCharacteristic(command);
    service.addCharacteristic(frames);
    service.addCharacteristic(info);
    service.addCharacteristic(last_event);
    device_information.addCharacteristic(manufacturer);
    device_information.addCharacteristic(model_number);
    device_information.addCharacteristic(firmware_revision);
}

bool begin() {
    if (!BLE.begin()) {
        return false;
    }
    ble_inlet_guard();
    make_name();
    BLE.setLocalName(name);
    BLE.setDeviceName(name);
    BLE.setConnectionInterval(INTERVAL_MIN, INTERVAL_MAX);
    BLE.setAdvertisedService(service);
    BLE.setEventHandler(BLEConnected, on_connected);
    BLE.setEventHandler(BLEDisconnected, on_disconnected);
    BLE.addService(service);
    BLE.addService(device_information);
    put_device_information();
    put_info();
    return BLE.advertise() != 0;
}

void tell_last_event() {
    uint8_t body[6];
    const uint32_t events = board.last_event(body);
    if (events != told_events && ble_credits::any()) {
        told_events = events;
        last_event.writeValue(body, sizeof body);
    }
}

/* A frame is cut where a notification ends; writeValue() tells how much of it the connection's MTU let through. */
void send_frames() {
    while (linked && frames.subscribed() && ble_credits::any()) {
        if (piece_sent == piece_size) {
            piece_sent = 0;
            piece_size = static_cast<int>(board.transmit(config::BLE, piece, sizeof piece));
            if (piece_size == 0) {
                return;
            }
        }
        const uint32_t link = links;
        const int taken = frames.writeValue(piece + piece_sent, piece_size - piece_sent);
        if (taken <= 0 || link != links) {
            return;
        }
        piece_sent += taken;
    }
}

void step() {
    BLE.poll(POLL_MS);
    const uint32_t now_ms = static_cast<uint32_t>(millis());
    if (now_ms - told_info_ms >= INFO_MS) {
        told_info_ms = now_ms;
        put_info();
    }
    tell_last_event();
    send_frames();
}

} // namespace

void ble_run() {
    make_services();
    while (!begin()) {
        BLE.end();
        delay(RETRY_MS);
    }
    for (;;) {
        step();
    }
}
