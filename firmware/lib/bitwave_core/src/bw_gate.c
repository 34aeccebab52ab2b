#include "bw_gate.h"

#include <string.h>

void bw_gate_reset(bw_gate *gate, const bw_model *model) {
    gate->still = 0;
    gate->next = 0;
    gate->kept = 0;
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

int bw_gate_sleeps(bw_gate *gate, const bw_model *model, const int16_t sample[], const int8_t input[]) {
    const bw_gate_rule *rule = &model->gate;
    if (moves(gate, model, sample)) {
        memcpy(gate->reference, sample, model->channels * sizeof(int16_t));
        gate->still = 0;
        return 0;
    }
    if (gate->still < rule->still) {
        ++gate->still;
        return 0;
    }
    if (rule->preroll > 0) {
        memcpy(gate->ring + gate->next * model->channels, input, model->channels);
        gate->next = gate->next + 1u < rule->preroll ? gate->next + 1u : 0u;
        gate->kept += gate->kept < rule->preroll;
    }
    return 1;
}

const int8_t *bw_gate_take(bw_gate *gate, const bw_model *model) {
    if (gate->kept == 0) {
        return NULL;
    }
    const uint32_t wrap = gate->next < gate->kept ? model->gate.preroll : 0u;
    const uint32_t oldest = gate->next + wrap - gate->kept--;
    return gate->ring + oldest * model->channels;
}
