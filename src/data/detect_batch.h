/* detect_batch.h: what a detector's batch has beside pictures; the loader's
 * own. */
#ifndef LMB_DATA_DETECT_BATCH_H
#define LMB_DATA_DETECT_BATCH_H

#include "data/detect_transform.h"
#include "limbeck/tensor.h"

typedef struct lmb_detect_batch {
    lmb_tensor *boxes, *labels, *valid, *sizes, *scales; /* loader.h */
    int32_t height, width, short_side; /* of this batch */
} lmb_detect_batch;

/* Tensors for `batch` pictures. On failure and in the end: fini. */
lmb_status lmb__detect_batch_init(
    lmb_detect_batch *b, int64_t batch, int64_t max_boxes) LMB_MUST_CHECK;
void lmb__detect_batch_fini(lmb_detect_batch *b);
/* Picture `index` as number i of the batch; `pixels` are the batch's. */
lmb_detect_sample lmb__detect_batch_sample(const lmb_detect_batch *b,
    const lmb_dataset *ds, int64_t index, int64_t i, float *pixels);

#endif
