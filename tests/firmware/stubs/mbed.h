/* The part of Mbed OS 6 that the sketch uses, and the two CMSIS blocks of the cycle counter. */
#ifndef STUB_MBED_H
#define STUB_MBED_H

#include <stddef.h>
#include <stdint.h>

#define osWaitForever 0xFFFFFFFFU

typedef int32_t osStatus;
typedef enum {
    osPriorityBelowNormal = 16,
    osPriorityNormal = 24,
    osPriorityAboveNormal = 32,
    osPriorityHigh = 40
} osPriority;

namespace mbed {

template <typename Signature> class Callback;

template <> class Callback<void()> {
public:
    Callback(void (*function)()) : function_(function) {}
    void operator()() const { function_(); }

private:
    void (*function_)();
};

inline Callback<void()> callback(void (*function)()) { return Callback<void()>(function); }

class FlashIAP {
public:
    constexpr FlashIAP() {}
    int init();
    int program(const void *buffer, uint32_t addr, uint32_t size);
    int erase(uint32_t addr, uint32_t size);
    uint32_t get_sector_size(uint32_t addr) const;
    uint32_t get_flash_start() const;
    uint32_t get_flash_size() const;
};

} // namespace mbed

namespace rtos {

class Mutex {
public:
    Mutex() = default;
    void lock();
    void unlock();

private:
    Mutex(const Mutex &) = delete;
    const void *owner_ = nullptr;
    uint32_t count_ = 0;
};

class EventFlags {
public:
    EventFlags() = default;
    uint32_t set(uint32_t flags);
    uint32_t wait_any(uint32_t flags = 0, uint32_t millisec = osWaitForever, bool clear = true);

private:
    uint32_t flags_ = 0;
};

class Thread {
public:
    Thread(osPriority priority = osPriorityNormal, uint32_t stack_size = 4096, unsigned char *stack_mem = nullptr,
           const char *name = nullptr)
        : priority_(priority), stack_size_(stack_size), name_(name) {
        (void)stack_mem;
    }
    osStatus start(mbed::Callback<void()> task);
    uint32_t stack_size() const { return stack_size_; }
    uint32_t max_stack() const;

private:
    Thread(const Thread &) = delete;
    osPriority priority_;
    uint32_t stack_size_;
    const char *name_;
};

} // namespace rtos

/* Where the program's flash ends; the tests move it. */
extern uint32_t stub_program_end;
#define FLASHIAP_APP_ROM_END_ADDR stub_program_end

struct StubCycleCounter {
    StubCycleCounter &operator=(uint32_t) { return *this; }
    operator uint32_t() const;
};

struct StubDwt {
    uint32_t CTRL;
    StubCycleCounter CYCCNT;
};

struct StubCoreDebug {
    uint32_t DEMCR;
};

extern StubDwt *const DWT;
extern StubCoreDebug *const CoreDebug;
#define CoreDebug_DEMCR_TRCENA_Msk (1UL << 24)
#define DWT_CTRL_CYCCNTENA_Msk 1UL

#endif
