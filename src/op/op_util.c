/* op_util.c: broadcasting, axes and type checks shared by the ops.
 *
 * Broadcasting: shapes are aligned at their last axis; missing axes count as
 * 1; two sizes agree if they are equal or one of them is 1. */
#include "op/op_util.h"

static lmb_status want(const lmb_type *in, int i, lmb_dtype dtype)
{
    if (in[i].dtype == dtype)
        return LMB_OK;
    return LMB_FAIL(LMB_EINVAL, "input %d of shape %s must be %s", i,
        lmb_shape_text(&in[i].shape),
        dtype == LMB_I32 ? "an index, not real" : "real, not an index");
}

lmb_status lmb__want_real(const lmb_type *in, int i)
{
    return want(in, i, LMB_F32);
}

lmb_status lmb__want_index(const lmb_type *in, int i)
{
    return want(in, i, LMB_I32);
}

lmb_status lmb__shape_same1(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, 0));
    out[0] = in[0];
    return LMB_OK;
}

lmb_status lmb__shape_same2(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, 0));
    LMB_TRY(lmb__want_real(in, 1));
    if (!lmb_shape_equal(&in[0].shape, &in[1].shape))
        return LMB_FAIL(LMB_ESHAPE, "shapes %s and %s must be equal",
            lmb_shape_text(&in[0].shape), lmb_shape_text(&in[1].shape));
    out[0] = in[0];
    return LMB_OK;
}

int64_t lmb__count(const lmb_type *type)
{
    return lmb_shape_count(&type->shape);
}

/* Size of axis i of `shape` when it is aligned to rank `rank`. */
static int64_t aligned_dim(const lmb_shape *shape, int rank, int i)
{
    const int k = i - (rank - shape->rank);
    return k < 0 ? 1 : shape->dim[k];
}

lmb_status lmb__broadcast_shapes(
    const lmb_shape *a, const lmb_shape *b, lmb_shape *out)
{
    lmb_shape s = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < s.rank; i++) {
        const int64_t da = aligned_dim(a, s.rank, i);
        const int64_t db = aligned_dim(b, s.rank, i);
        if (da != db && da != 1 && db != 1)
            return LMB_FAIL(LMB_ESHAPE,
                "shapes %s and %s do not broadcast: %lld against %lld on axis "
                "%d",
                lmb_shape_text(a), lmb_shape_text(b), (long long)da,
                (long long)db, i - s.rank);
        s.dim[i] = da == 1 ? db : da;
    }
    *out = s;
    return LMB_OK;
}

void lmb__broadcast_strides(
    const lmb_shape *in, const lmb_shape *out, int64_t stride[LMB_MAX_RANK])
{
    int64_t dense[LMB_MAX_RANK] = {0};
    lmb_shape_strides(in, dense);
    for (int i = 0; i < out->rank; i++) {
        const int k = i - (out->rank - in->rank);
        stride[i] = k < 0 || in->dim[k] == 1 ? 0 : dense[k];
    }
}

int64_t lmb__offset(const lmb_shape *shape, const int64_t *stride, int64_t i)
{
    int64_t offset = 0;
    for (int k = shape->rank - 1; k >= 0; k--) {
        offset += i % shape->dim[k] * stride[k];
        i /= shape->dim[k];
    }
    return offset;
}

lmb_value lmb__sum_to(lmb_graph *g, lmb_value dy, lmb_shape shape)
{
    if (!lmb_is(dy))
        return LMB_NONE;
    const lmb_shape from = lmb_graph_shape(g, dy);
    if (lmb_shape_equal(&from, &shape))
        return dy;
    uint32_t axes = 0;
    for (int i = 0; i < from.rank; i++)
        if (aligned_dim(&shape, from.rank, i) != from.dim[i] ||
            i < from.rank - shape.rank)
            axes |= LMB_AXIS(i);
    return lmb_reshape(g, lmb_sum(g, dy, axes, true), shape);
}

bool lmb__resolve_axis(lmb_graph *g, const char *op, lmb_value x, int *axis)
{
    if (!lmb_is(x))
        return false;
    const lmb_shape shape = lmb_graph_shape(g, x);
    if (*axis < -shape.rank || *axis >= shape.rank) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_ESHAPE, "%s: axis %d outside shape %s", op, *axis,
                lmb_shape_text(&shape)));
        return false;
    }
    if (*axis < 0)
        *axis += shape.rank;
    return true;
}

lmb__view lmb__axis_view(const lmb_shape *shape, int axis)
{
    lmb__view v = {1, shape->dim[axis], 1};
    for (int i = 0; i < axis; i++)
        v.outer *= shape->dim[i];
    for (int i = axis + 1; i < shape->rank; i++)
        v.inner *= shape->dim[i];
    return v;
}

void lmb__apply_all(lmb_graph *g, const lmb_op *op, const void *attr, int n_in,
    const lmb_value *in, lmb_value *out)
{
    bool all = true;
    for (int i = 0; i < n_in; i++)
        all = all && lmb_is(in[i]);
    for (int o = 0; o < op->n_out; o++)
        out[o] = LMB_NONE;
    if (all)
        lmb_graph_apply(g, op, attr, n_in, in, out);
}

lmb_value lmb__apply(lmb_graph *g, const lmb_op *op, const void *attr, int n_in,
    const lmb_value *in)
{
    lmb_value out[LMB_MAX_OUT];
    lmb__apply_all(g, op, attr, n_in, in, out);
    return out[0];
}

lmb_status lmb__check_bounds(const lmb_segment_attr *attr)
{
    if (attr->bounds[0] != 0)
        return LMB_FAIL(
            LMB_EINVAL, "bounds start with %d, not with 0", attr->bounds[0]);
    for (int i = 0; i < attr->n; i++)
        if (attr->bounds[i + 1] <= attr->bounds[i])
            return LMB_FAIL(LMB_EINVAL,
                "bounds must rise: entry %d is %d after %d", i + 1,
                attr->bounds[i + 1], attr->bounds[i]);
    return LMB_OK;
}

lmb_status lmb__want_last(const lmb_type *in, int i, int64_t size)
{
    const lmb_shape *shape = &in[i].shape;
    LMB_TRY(lmb__want_real(in, i));
    if (shape->rank < 1 || shape->dim[shape->rank - 1] != size)
        return LMB_FAIL(LMB_ESHAPE,
            "the last axis of shape %s is not the %lld of the bounds",
            lmb_shape_text(shape), (long long)size);
    return LMB_OK;
}

lmb_value lmb__apply_segments(
    lmb_graph *g, const lmb_op *op, lmb_value x, int n, const int32_t *bounds)
{
    if (!lmb_is(x))
        return LMB_NONE;
    if (n < 1) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL, "%s: %d segments, at least 1", op->name, n));
        return LMB_NONE;
    }
    const size_t size = (size_t)(n + 1) * sizeof *bounds;
    int32_t *copy = lmb_graph_memory(g, size);
    if (copy == NULL)
        return LMB_NONE;
    memcpy(copy, bounds, size);
    const lmb_segment_attr attr = {n, copy};
    return lmb__apply(g, op, &attr, 1, &x);
}
