/* axis_lines.h: what softmax and log_softmax share: they work line by line
 * along one axis, forward and backward. Private to src/op. */
#ifndef LMB_OP_AXIS_LINES_H
#define LMB_OP_AXIS_LINES_H

#include "op/op_util.h"

/* One line of n elements, `step` apart, in each array; b is that of the second
 * input, NULL without one. */
typedef void lmb__line_fn(
    const double *a, const double *b, int64_t n, int64_t step, double *y);

/* A reference kernel: `fn` on each line along the axis of lmb_axis_attr. */
lmb_status lmb__each_line(const lmb_ref *r, lmb__line_fn *fn) LMB_MUST_CHECK;

/* A builder: op on x along `axis`, which may count from the end. */
lmb_value lmb__apply_axis(
    lmb_graph *g, const lmb_op *op, lmb_value x, int axis);

#endif
