/* A convolution over time, one output step at a time: a dense layer over the last samples. */
#include <string.h>

#include "bw_kernels.h"

void bw_conv_push(const bw_branch *branch, const int8_t sample[], int8_t window[]) {
    const size_t older = (branch->kernel - 1u) * (size_t)branch->channels;
    memmove(window, window + branch->channels, older);
    memcpy(window + older, sample, branch->channels);
}

void bw_conv_run(const bw_branch *branch, const int8_t window[], int8_t output[]) {
    bw_dense_run(&branch->conv, window, output);
}
