/* op_util.h: what several ops share: broadcasting, axes, type checks. Private
 * to src/op. */
#ifndef LMB_OP_OP_UTIL_H
#define LMB_OP_OP_UTIL_H

#include "op/ops.h"

/* --- types ---------------------------------------------------------------- */

/* Errors: EINVAL if input i is not a real (an index). */
lmb_status lmb__want_real(const lmb_type *in, int i) LMB_MUST_CHECK;
lmb_status lmb__want_index(const lmb_type *in, int i) LMB_MUST_CHECK;
/* Inputs 0 and 1 are reals of one shape, which is that of the output too. */
lmb_status lmb__shape_same2(const void *attr, int n_in, const lmb_type *in,
    lmb_type *out) LMB_MUST_CHECK;
/* Input 0 is real; the output has its type. */
lmb_status lmb__shape_same1(const void *attr, int n_in, const lmb_type *in,
    lmb_type *out) LMB_MUST_CHECK;
int64_t lmb__count(const lmb_type *type);

/* --- broadcasting (NumPy's rule) ------------------------------------------ */

lmb_status lmb__broadcast_shapes(
    const lmb_shape *a, const lmb_shape *b, lmb_shape *out) LMB_MUST_CHECK;
/* Strides of a dense array of shape `in` seen with the indices of `out`: 0 on
 * the axes along which it repeats. */
void lmb__broadcast_strides(
    const lmb_shape *in, const lmb_shape *out, int64_t stride[LMB_MAX_RANK]);
/* Offset by `stride` of the element at flat row-major position i of `shape`. */
int64_t lmb__offset(const lmb_shape *shape, const int64_t *stride, int64_t i);
/* The adjoint of broadcasting: sums dy over the axes along which `shape` was
 * repeated, so that it gets that shape. LMB_NONE stays LMB_NONE. */
lmb_value lmb__sum_to(lmb_graph *g, lmb_value dy, lmb_shape shape);

/* --- axes ----------------------------------------------------------------- */

/* Makes *axis non-negative. Where it is out of range, or x is no value: false,
 * and (out of range only) the graph fails with a message naming `op`. */
bool lmb__resolve_axis(lmb_graph *g, const char *op, lmb_value x, int *axis);
/* A shape seen from one axis: [outer, size, inner]. */
typedef struct lmb__view {
    int64_t outer, size, inner;
} lmb__view;
lmb__view lmb__axis_view(const lmb_shape *shape, int axis);

/* --- segments of the last axis -------------------------------------------- */

/* bounds[0..n]: n >= 1, strictly rising from 0; n also fits the graph's axes.
 * Errors: EINVAL. */
lmb_status lmb__check_bounds(const lmb_segment_attr *attr) LMB_MUST_CHECK;
/* Input 0 is real, of shape [.., size], size = bounds[n] or n as named. */
lmb_status lmb__want_last(
    const lmb_type *in, int i, int64_t size) LMB_MUST_CHECK;
/* lmb__apply with the bounds copied into the graph's memory. */
lmb_value lmb__apply_segments(
    lmb_graph *g, const lmb_op *op, lmb_value x, int n, const int32_t *bounds);

/* --- builders without a public name --------------------------------------- */

/* lmb_graph_apply1, but quietly LMB_NONE where an input is LMB_NONE (the graph
 * has failed before, or no gradient arrives). */
lmb_value lmb__apply(lmb_graph *g, const lmb_op *op, const void *attr, int n_in,
    const lmb_value *in);
/* The same for ops with several outputs. */
void lmb__apply_all(lmb_graph *g, const lmb_op *op, const void *attr, int n_in,
    const lmb_value *in, lmb_value *out);

lmb_value lmb__unary(lmb_graph *g, lmb_unary_kind kind, lmb_value x);

#endif
