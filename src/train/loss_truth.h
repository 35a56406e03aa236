/* loss_truth.h: ground-truth boxes of a loss on arrays. Private to src/train.
 */
#ifndef LMB_TRAIN_LOSS_TRUTH_H
#define LMB_TRAIN_LOSS_TRUTH_H

#include "train/loss.h"

/* All zero: none was given. */
typedef struct lmb_loss_truth {
    lmb_value boxes, labels, valid; /* [N, M, 4], I32 [N, M], [N, M] */
    int64_t images, most, input_size[2];
    int64_t classes; /* labels are less; 0: the method makes no use of them */
    lmb_dtype dtype;
    int32_t *label_data;
    void *valid_data;
} lmb_loss_truth;

/* Makes the inputs; does nothing if `in` has no boxes. The input's size is
 * in->input_size or follows from a tap's level: "p3" lies at stride 8. */
lmb_status lmb__loss_truth_init(lmb_loss_truth *t, lmb_graph *g,
    const lmb_loss_inputs *in, const lmb_taps *student) LMB_MUST_CHECK;
void lmb__loss_truth_fini(lmb_loss_truth *t);
/* EINVAL names a coordinate that is not a number or a class out of range. */
lmb_status lmb__loss_truth_set(lmb_loss_truth *t, lmb_plan *plan,
    const lmb_loss_inputs *in) LMB_MUST_CHECK;

#endif
