/* Threads in simulated time: one runs at a time, the most urgent that can; time passes only where somebody waits. */
#ifndef WORLD_SCHEDULER_H
#define WORLD_SCHEDULER_H

#include <cstdint>
#include <functional>

namespace scheduler {

constexpr uint64_t NEVER = UINT64_MAX;

uint64_t now_us();

/* A thread; the one with the larger priority goes first. It starts when time next passes. */
void start(int priority, std::function<void()> body);

/* The calling thread. */
const void *self();

/* The calling thread waits until `at_us`, or until `ready` holds. */
void wait(uint64_t at_us, std::function<bool()> ready = nullptr);

/* The calling thread computes for so long; more urgent ones cut in. */
void compute(uint64_t us);

/* The processor stands still: nobody runs. */
void halt(uint64_t us);

/* Power is gone: no thread runs any more; the calling one does not return. */
[[noreturn]] void die();
bool dead();

/* From outside: lets the threads run until then. */
void run_until(uint64_t at_us);

/* Something that cannot happen on the board has happened: says what, and ends the process. */
[[noreturn]] void wreck(const char *what);

} // namespace scheduler

#endif
