#include "scheduler.h"

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace scheduler {

namespace {

constexpr size_t STACK = 256 * 1024;

struct Thread {
    int priority;
    std::function<void()> body;
    std::vector<char> stack = std::vector<char>(STACK);
    ucontext_t context;
    uint64_t wake_us = 0;
    std::function<bool()> ready;
    uint64_t last_run = 0;
    bool finished = false;
};

std::vector<std::unique_ptr<Thread>> threads;
Thread *current = nullptr;
ucontext_t outside;
uint64_t time_us = 0;
uint64_t turn = 0;
bool power_off = false;

bool can_run(const Thread &thread) {
    return !thread.finished && (thread.wake_us <= time_us || (thread.ready && thread.ready()));
}

/* Among equals the one that waited longest. */
Thread *most_urgent(int above) {
    Thread *best = nullptr;
    for (auto &thread : threads) {
        const bool better = best == nullptr || thread->priority > best->priority ||
                            (thread->priority == best->priority && thread->last_run < best->last_run);
        if (thread.get() != current && thread->priority > above && better && can_run(*thread)) {
            best = thread.get();
        }
    }
    return best;
}

uint64_t next_wake(int above) {
    uint64_t next = NEVER;
    for (auto &thread : threads) {
        if (thread.get() != current && !thread->finished && thread->priority > above && thread->wake_us < next) {
            next = thread->wake_us;
        }
    }
    return next;
}

void leave() {
    Thread *self = current;
    current = nullptr;
    swapcontext(&self->context, &outside);
}

void enter() {
    current->body();
    current->finished = true;
    leave();
}

} // namespace

uint64_t now_us() { return time_us; }

const void *self() { return current; }

bool dead() { return power_off; }

void start(int priority, std::function<void()> body) {
    threads.push_back(std::make_unique<Thread>());
    Thread &thread = *threads.back();
    thread.priority = priority;
    thread.body = std::move(body);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, enter, 0);
}

void wait(uint64_t at_us, std::function<bool()> ready) {
    if (current == nullptr) {
        wreck("only a thread can wait");
    }
    current->wake_us = at_us;
    current->ready = std::move(ready);
    leave();
}

void compute(uint64_t us) {
    while (us > 0) {
        const uint64_t next = next_wake(current->priority);
        const uint64_t part = next > time_us && next - time_us < us ? next - time_us : us;
        time_us += part;
        us -= part;
        if (most_urgent(current->priority) != nullptr) {
            wait(time_us);
        }
    }
}

void halt(uint64_t us) { time_us += us; }

void die() {
    power_off = true;
    leave();
    std::abort();
}

void run_until(uint64_t at_us) {
    while (!power_off) {
        current = most_urgent(-1);
        if (current != nullptr) {
            current->last_run = ++turn;
            swapcontext(&outside, &current->context);
            continue;
        }
        const uint64_t next = next_wake(-1);
        if (next > at_us) {
            break;
        }
        time_us = next > time_us ? next : time_us;
    }
    time_us = at_us > time_us ? at_us : time_us;
}

void wreck(const char *what) {
    std::fprintf(stderr, "the simulated board is wrecked at %.6f s: %s\n", static_cast<double>(time_us) / 1e6, what);
    std::abort();
}

} // namespace scheduler
