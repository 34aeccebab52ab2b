/* The recognizer and no more: what the linker keeps for this program is what the core costs in flash. Never run. */
#include "bitwave.h"

void bw_reset(void);

static const uint32_t image[1];
static uint32_t arena[1];
static bw_model model;
static bw_recognizer recognizer;
static bw_event event;
static int16_t sample[BW_MAX_CHANNELS];

void bw_reset(void)
{
    if (bw_model_open(&model, image, sizeof image) == BW_OK &&
        bw_recognizer_init(&recognizer, &model, model.rate_mhz, arena, sizeof arena) == BW_OK) {
        for (;;) {
            bw_recognizer_push(&recognizer, sample, &event);
        }
    }
}
