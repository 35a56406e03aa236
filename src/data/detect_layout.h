/* detect_layout.h: which pictures share a batch, and how large batches are;
 * the loader's own.
 *
 * Every padded size is a compiled plan, so there are few. At the largest short
 * side each picture has a size, rounded up to `pad`; sizes are merged (height
 * and width each the larger) where that adds the fewest pixels, until at most
 * max_sizes are left and each has a whole batch of pictures. These are the
 * groups; a batch is of one group. With several short sides a group has a size
 * for each, and these are merged likewise. */
#ifndef LMB_DATA_DETECT_LAYOUT_H
#define LMB_DATA_DETECT_LAYOUT_H

#include "data/detect_transform.h"

typedef struct lmb_detect_layout {
    uint8_t *group; /* [samples] */
    int32_t groups, sizes;
    int32_t size[LMB_MAX_SIZES][2]; /* height, width */
    /* Which size a group has at a short side. */
    uint8_t size_of[LMB_MAX_SIZES][LMB_MAX_SCALES];
} lmb_detect_layout;

/* For the pictures samples[0 .. n - 1] in batches of `batch`. EINVAL if a
 * picture fits none of t->size. On success: lmb__detect_layout_fini. */
lmb_status lmb__detect_layout_init(const lmb_detect_transform *t,
    const lmb_dataset *ds, const int64_t *samples, int64_t n, int64_t batch,
    lmb_detect_layout *out) LMB_MUST_CHECK;
void lmb__detect_layout_fini(lmb_detect_layout *layout);

#endif
