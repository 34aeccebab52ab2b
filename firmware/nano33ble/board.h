/* The core's app, for the threads that use it: the loop feeds it samples and the USB link, BLE has a thread of its
 * own. */
#ifndef BITWAVE_BOARD_H
#define BITWAVE_BOARD_H

#include <mbed.h>

#include "config.h"
#include "lamp.h"
#include "sample_queue.h"
#include "sampler.h"

class Board {
public:
    /* Picks the model and runs its known answer. */
    void begin();

    /* What has come up since the last call: samples, the sensor's fate, the lamps. True: more samples may wait. */
    bool run(SampleQueue &queue, const Sampler::Report &sensor, uint32_t now_us);

    /* For one link, from any thread. */
    void receive(uint32_t link, const uint8_t bytes[], size_t size);
    size_t transmit(uint32_t link, uint8_t bytes[], size_t capacity);
    void hang_up(uint32_t link);
    size_t info(uint32_t link, uint8_t body[BW_WIRE_BODY]);

    /* Gestures since the start, and the body of the last one's EVENT frame. */
    uint32_t last_event(uint8_t body[6]);

    bool wants_bootloader();
    void note_loop(uint32_t us);
    void note_stack(uint32_t used, uint32_t size);

private:
    void sample(const Sample &sample);
    void follow_sensor(const Sampler::Report &sensor);
    bool sensor_fault() const;
    bool is_faulty() const;
    void tell_faults();
    void watch_pose(const Sample &sample);

    rtos::Mutex mutex_;
    Lamp lamp_;
    bw_board facts_;
    bw_model model_;
    bw_app app_;
    uint32_t arena_[config::ARENA / 4];
    uint32_t shown_events_ = 0;
    uint32_t pose_since_us_ = 0;
    bool posing_ = false;
    bw_status model_fault_ = BW_OK;
    Sampler::State sensor_state_ = Sampler::State::SEARCHING;
};

extern Board board;

#endif
