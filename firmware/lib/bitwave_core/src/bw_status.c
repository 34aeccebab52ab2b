#include "bitwave.h"

const char *bw_status_text(bw_status status) {
    switch (status) {
#define BW_STATUS_CASE(name, number, text) \
    case name:                             \
        return text;
        BW_STATUSES(BW_STATUS_CASE)
#undef BW_STATUS_CASE
    }
    return "unknown status";
}

const char *bw_kernel_text(bw_kernel kernel) {
    switch (kernel) {
#define BW_KERNEL_CASE(name, number, text) \
    case name:                             \
        return text;
        BW_KERNELS(BW_KERNEL_CASE)
#undef BW_KERNEL_CASE
    }
    return "unknown kernel";
}
