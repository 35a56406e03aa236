/* forward.h: a network run on an array: no data set, no training. */
#ifndef LMB_TRAIN_FORWARD_H
#define LMB_TRAIN_FORWARD_H

#include "train/network.h"

typedef struct lmb_forward_opts {
    const char *tap; /* NULL: "logits" */
    int64_t batch; /* images a run; 0: 64 */
    bool bf16, allow_reference;
} lmb_forward_opts;

/* x [N, 3, H, W] as the network expects it (normalised already) to the tap's
 * value [N, ...]. F64 runs the reference and gives F64; all else is F32. *out
 * has one reference, owned by the caller. Errors: ESHAPE; EINVAL lists the
 * taps; EUNSUPPORTED. */
lmb_status lmb_forward(const lmb_network *net, const lmb_tensor *x,
    const lmb_forward_opts *opts, lmb_tensor **out) LMB_MUST_CHECK;

/* RGB planes to BGR ones, or back, for networks made so; `plane`: pixels. */
void lmb_swap_channels(float *x, size_t plane);

/* Row-wise softmax of [N, C] logits, in place; F32 or F64. */
void lmb_softmax_rows(lmb_tensor *logits);
/* Indices of the k largest of n values, largest first; ties in order. */
void lmb_largest(const double *values, int n, int k, int *out);

#endif
