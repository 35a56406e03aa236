/* idx.h: reading a pair of IDX files; for the fuzz target too. */
#ifndef LMB_DATA_IDX_H
#define LMB_DATA_IDX_H

#include "data/dataset.h"
#include "data/stream.h"

/* Fills height, width, labels and pixels. Labels are 0 .. 255. */
lmb_status lmb__idx_read(
    lmb_stream *images, lmb_stream *labels, lmb_dataset *ds) LMB_MUST_CHECK;

#endif
