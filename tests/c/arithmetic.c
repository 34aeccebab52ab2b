/* Prints, as raw int32, what the core's arithmetic gives; a test compares it with the simulator's.
 *
 *   arithmetic activations         sigmoid of all int16, then tanh of all int16 for every shift -17 .. 14
 *   arithmetic requantize < TRIPLES of int32: value, mantissa, shift */
#include <stdio.h>
#include <string.h>

#include "../../firmware/lib/bitwave_core/src/bw_activations.h"

static void put(int32_t value) { fwrite(&value, sizeof value, 1, stdout); }

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "activations") == 0) {
        for (int32_t x = INT16_MIN; x <= INT16_MAX; ++x) {
            put(bw_sigmoid((int16_t)x));
        }
        for (int32_t shift = -17; shift <= 14; ++shift) {
            for (int32_t x = INT16_MIN; x <= INT16_MAX; ++x) {
                put(bw_tanh((int16_t)x, shift));
            }
        }
        return 0;
    }
    if (count == 2 && strcmp(words[1], "requantize") == 0) {
        int32_t triple[3];
        while (fread(triple, sizeof triple, 1, stdin) == 1) {
            const bw_scale scale = {triple[1], triple[2]};
            put(bw_requantize(triple[0], scale));
        }
        return 0;
    }
    return 2;
}
