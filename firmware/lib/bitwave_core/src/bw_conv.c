/* A convolution over time, one output step at a time: a dense layer over the last samples. */
#include <string.h>

#include "bw_lanes.h"

/* The newest sample [channels] into a window of the last ones [kernel][channels]. */
static void push(const bw_branch *branch, const int8_t sample[], int8_t window[]) {
    const size_t older = (branch->kernel - 1u) * (size_t)branch->channels;
    memmove(window, window + branch->channels, older);
    memcpy(window + older, sample, branch->channels);
}

void bw_conv_run(const bw_branch *branch, const int8_t window[], int8_t output[]) {
    bw_dense_run(&branch->conv, window, output);
}

/* Of these lanes, those whose window's samples so far end where the branch makes a step. */
static uint32_t due_lanes(const bw_network *network, const bw_branch *branch, uint32_t lane_mask) {
    uint32_t due = 0;
    for (uint32_t lane = 0; lane < network->lanes; ++lane) {
        if (bw_branch_is_due(branch, *bw_samples_of(bw_lane(network, lane)))) {
            due |= (uint32_t)1 << lane;
        }
    }
    return due & lane_mask;
}

uint32_t bw_convolve(const bw_network *network, uint32_t index, const int8_t sample[], uint32_t lane_mask) {
    const bw_branch *branch = &network->model->branch[index];
    push(branch, sample, network->window[index]);
    const uint32_t due = due_lanes(network, branch, lane_mask);
    if (due != 0) {
        bw_conv_run(branch, network->window[index], network->input);
    }
    return due;
}
