/* label_rows.h: what the losses over rows of logits share: logits [.., C]
 * with a label I32 [..] each, and the logistic functions. Private to src/op. */
#ifndef LMB_OP_LABEL_ROWS_H
#define LMB_OP_LABEL_ROWS_H

#include "op/op_util.h"

#include <math.h>

/* Inputs i and i + 1 are logits [.., C], C >= 1, and labels I32 [..]. */
lmb_status lmb__want_labelled(const lmb_type *in, int i) LMB_MUST_CHECK;
/* The shape without its last axis. */
lmb_shape lmb__rows_shape(const lmb_shape *logits);

static inline double lmb__sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
/* log(1 + e^x) */
static inline double lmb__softplus(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

/* log sum e^x of n >= 1 elements */
double lmb__log_sum_exp(const double *x, int64_t n);

#endif
