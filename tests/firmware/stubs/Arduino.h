/* The part of the Arduino core that the sketch uses; signatures as in ArduinoCore-mbed 4 and ArduinoCore-API 1.5. */
#ifndef STUB_ARDUINO_H
#define STUB_ARDUINO_H

#include <stddef.h>
#include <stdint.h>

typedef uint8_t pin_size_t;
typedef enum { LOW = 0, HIGH = 1 } PinStatus;
typedef enum { INPUT = 0, OUTPUT = 1 } PinMode;

#define PIN_LED (13u)
#define LED_BUILTIN PIN_LED
#define LEDR (22u)
#define LEDG (23u)
#define LEDB (24u)

extern "C" {
unsigned long millis(void);
unsigned long micros(void);
void delay(unsigned long ms);
void pinMode(pin_size_t pinNumber, PinMode pinMode);
void digitalWrite(pin_size_t pinNumber, PinStatus status);
}

void _ontouch1200bps_();

void setup(void);
void loop(void);

namespace arduino {

class String {
public:
    String(const char *text = "");
    const char *c_str() const { return text_; }

private:
    char text_[32];
};

} // namespace arduino

using namespace arduino;

#endif
