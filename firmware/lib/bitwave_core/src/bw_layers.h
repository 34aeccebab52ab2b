/* Reading the layers of a model image; each function gives whether they are sound. */
#ifndef BW_LAYERS_H
#define BW_LAYERS_H

#include "bw_reader.h"

/* Branches and head; sets the model's `layers`. The header must have been read. */
int bw_read_layers(bw_reader *reader, bw_model *model);

int bw_read_softmax(bw_reader *reader, bw_softmax *softmax);

#endif
