#include "bw_gate.h"

#include <string.h>

void bw_gate_reset(bw_gate *gate, const bw_model *model) {
    gate->still = 0;
    gate->next = 0;
    memset(gate->reference, 0, model->channels * sizeof(int16_t));
}

static int moves(const bw_gate *gate, const bw_model *model, const int16_t sample[]) {
    for (uint32_t i = 0; i < model->channels; ++i) {
        const int32_t change = sample[i] - gate->reference[i];
        if ((change < 0 ? -change : change) > model->gate.thresholds[i]) {
            return 1;
        }
    }
    return 0;
}

int bw_gate_sleeps(bw_gate *gate, const bw_model *model, const int16_t sample[]) {
    if (moves(gate, model, sample)) {
        memcpy(gate->reference, sample, model->channels * sizeof(int16_t));
        gate->still = 0;
        return 0;
    }
    const int asleep = gate->still >= model->gate.still;
    gate->still += !asleep;
    return asleep;
}

int8_t *bw_gate_oldest(bw_gate *gate, const bw_model *model) {
    int8_t *oldest = gate->ring + gate->next * model->channels;
    gate->next = gate->next + 1u < model->gate.preroll ? gate->next + 1u : 0u;
    return oldest;
}
