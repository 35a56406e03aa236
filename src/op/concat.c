/* concat.c: values one after another along an axis.
 *
 *   x_k [.., C_k, ..] -> y [.., sum C_k, ..]; the other axes agree.
 * Reals or indices, not mixed. Gradient: dx_k = the slice of dy that came from
 * x_k. One node takes LMB_MAX_IN values; the builder nests nodes for more. */
#include "op/op_util.h"

static bool fits(const lmb_type *a, const lmb_type *b, int axis)
{
    if (a->dtype != b->dtype || a->shape.rank != b->shape.rank)
        return false;
    for (int i = 0; i < a->shape.rank; i++)
        if (i != axis && a->shape.dim[i] != b->shape.dim[i])
            return false;
    return true;
}

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const int axis = ((const lmb_axis_attr *)attr)->axis;
    out[0] = in[0];
    for (int k = 1; k < n_in; k++) {
        int64_t *size = &out[0].shape.dim[axis];
        if (!fits(&in[0], &in[k], axis))
            return LMB_FAIL(LMB_ESHAPE,
                "inputs 0 and %d, %s %s and %s %s, differ outside axis %d", k,
                lmb_dtype_name(in[0].dtype), lmb_shape_text(&in[0].shape),
                lmb_dtype_name(in[k].dtype), lmb_shape_text(&in[k].shape),
                axis);
        if (!lmb_add_i64(*size, in[k].shape.dim[axis], size))
            return LMB_FAIL(LMB_ESHAPE, "axis %d is too large", axis);
    }
    return LMB_OK;
}

/* Copies x into y[:, at : at + x.size, :]. */
static void copy_part(
    const double *x, lmb__view vx, int64_t at, lmb__view vy, double *y)
{
    for (int64_t o = 0; o < vx.outer; o++)
        for (int64_t k = 0; k < vx.size; k++)
            for (int64_t i = 0; i < vx.inner; i++)
                y[(o * vy.size + at + k) * vy.inner + i] =
                    x[(o * vx.size + k) * vx.inner + i];
}

static lmb_status reference(const lmb_ref *r)
{
    const int axis = ((const lmb_axis_attr *)r->attr)->axis;
    const lmb__view vy = lmb__axis_view(&r->out_type[0].shape, axis);
    int64_t at = 0;
    for (int k = 0; k < r->n_in; k++) {
        const lmb__view vx = lmb__axis_view(&r->in_type[k].shape, axis);
        copy_part(r->in[k], vx, at, vy, r->out[0]);
        at += vx.size;
    }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const int axis = ((const lmb_axis_attr *)c->attr)->axis;
    int64_t at = 0;
    for (int k = 0; k < c->n_in; k++) {
        const int64_t size = lmb_graph_dim(g, c->in[k], axis);
        if (c->need[k])
            c->dx[k] = lmb_slice(g, c->dy[0], axis, at, at + size);
        at += size;
    }
}

const lmb_op lmb_op_concat = {
    .name = "concat",
    .min_in = 1,
    .max_in = LMB_MAX_IN,
    .n_out = 1,
    .attr_size = sizeof(lmb_axis_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_concat(lmb_graph *g, int n, const lmb_value *x, int axis)
{
    if (n < 1) {
        lmb_graph_fail(
            g, LMB_FAIL(LMB_EINVAL, "concat: %d inputs, at least 1", n));
        return LMB_NONE;
    }
    if (!lmb__resolve_axis(g, "concat", x[0], &axis))
        return LMB_NONE;
    const lmb_axis_attr attr = {axis};
    const int first = n < LMB_MAX_IN ? n : LMB_MAX_IN;
    lmb_value y = lmb__apply(g, &lmb_op_concat, &attr, first, x);
    for (int k = first; k < n;) { /* the result so far and 15 more */
        lmb_value in[LMB_MAX_IN] = {y};
        int m = 1;
        while (m < LMB_MAX_IN && k < n)
            in[m++] = x[k++];
        y = lmb__apply(g, &lmb_op_concat, &attr, m, in);
    }
    return y;
}
