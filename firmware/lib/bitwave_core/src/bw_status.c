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
