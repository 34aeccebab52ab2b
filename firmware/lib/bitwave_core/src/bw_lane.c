/* One lane's step in an LSTM layer, or two lanes' at once. */
#include "bw_lanes.h"

void bw_update_lane(const bw_network *network, uint32_t layer, uint8_t *lane) {
    const bw_lstm *lstm = &network->model->lstm[layer];
    int16_t *cell = bw_cell_of(network, lane, layer);
    int8_t *hidden = bw_behind(cell, lstm);
    bw_lstm_product(lstm, &lstm->recurrent, network->biases[layer], hidden, network->records + BW_RECORD_EVEN);
    bw_lstm_activate(lstm, network->records + BW_RECORD_EVEN, cell, hidden);
}

void bw_update_both(const bw_network *network, uint32_t layer, uint8_t *even, uint8_t *odd) {
#if BW_DSP_LANES > 1
    const bw_lstm *lstm = &network->model->lstm[layer];
    if (lstm->packed) {
        int16_t *cell[2] = {bw_cell_of(network, even, layer), bw_cell_of(network, odd, layer)};
        int8_t *hidden[2] = {bw_behind(cell[0], lstm), bw_behind(cell[1], lstm)};
        bw_dsp_product_lanes(&lstm->recurrent, network->biases[layer], hidden[0], hidden[1], network->records);
        bw_dsp_activate(network->records + BW_RECORD_EVEN, cell[0], hidden[0], &lstm->constants);
        bw_dsp_activate(network->records + BW_RECORD_INPUT, cell[1], hidden[1], &lstm->constants);
        return;
    }
#endif
    bw_update_lane(network, layer, even);
    bw_update_lane(network, layer, odd);
}
