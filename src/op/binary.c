/* binary.c: elementwise functions of two values with NumPy broadcasting.
 *
 *   add, sub, mul, div; maximum, minimum; greater, greater_equal, equal (1.0
 *   or 0.0)
 * a and b broadcast to the shape of the output; the gradients are summed over
 * the axes along which an operand was repeated. maximum and minimum send the
 * whole gradient to one operand, at ties to a; a NaN operand gives NaN.
 * Comparisons have no gradient, and are 0 where an operand is NaN. */
#include "op/op_util.h"

#include <math.h>

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, 0));
    LMB_TRY(lmb__want_real(in, 1));
    out[0].dtype = LMB_F32;
    return lmb__broadcast_shapes(&in[0].shape, &in[1].shape, &out[0].shape);
}

static double evaluate(lmb_binary_kind kind, double a, double b)
{
    switch (kind) {
    case LMB_BINARY_ADD:
        return a + b;
    case LMB_BINARY_SUB:
        return a - b;
    case LMB_BINARY_MUL:
        return a * b;
    case LMB_BINARY_DIV:
        return a / b;
    case LMB_BINARY_MAXIMUM:
        return isnan(a) || a >= b ? a : b;
    case LMB_BINARY_MINIMUM:
        return isnan(a) || a <= b ? a : b;
    case LMB_BINARY_GREATER:
        return a > b;
    case LMB_BINARY_GREATER_EQUAL:
        return a >= b;
    case LMB_BINARY_EQUAL:
        return a == b;
    }
    return NAN;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_binary_attr *attr = r->attr;
    const lmb_shape *shape = &r->out_type[0].shape;
    int64_t sa[LMB_MAX_RANK], sb[LMB_MAX_RANK];
    lmb__broadcast_strides(&r->in_type[0].shape, shape, sa);
    lmb__broadcast_strides(&r->in_type[1].shape, shape, sb);
    const int64_t n = lmb_shape_count(shape);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = evaluate((lmb_binary_kind)attr->kind,
            r->in[0][lmb__offset(shape, sa, i)],
            r->in[1][lmb__offset(shape, sb, i)]);
    return LMB_OK;
}

/* dy goes to a where `first` is 1, to b elsewhere. */
static void split_gradient(
    lmb_graph *g, const lmb_grad *c, lmb_value first, lmb_value d[2])
{
    const lmb_value zero = lmb_graph_scalar(g, 0);
    d[0] = c->need[0] ? lmb_select(g, first, c->dy[0], zero) : LMB_NONE;
    d[1] = c->need[1] ? lmb_select(g, first, zero, c->dy[0]) : LMB_NONE;
}

/* Gradients of the shape of dy. */
static void full_gradient(lmb_graph *g, const lmb_grad *c, lmb_value d[2])
{
    const lmb_value a = c->in[0], b = c->in[1], dy = c->dy[0];
    switch ((lmb_binary_kind)((const lmb_binary_attr *)c->attr)->kind) {
    case LMB_BINARY_ADD:
        d[0] = dy;
        d[1] = dy;
        break;
    case LMB_BINARY_SUB:
        d[0] = dy;
        if (c->need[1])
            d[1] = lmb_neg(g, dy);
        break;
    case LMB_BINARY_MUL:
        if (c->need[0])
            d[0] = lmb_mul(g, dy, b);
        if (c->need[1])
            d[1] = lmb_mul(g, dy, a);
        break;
    case LMB_BINARY_DIV:
        d[0] = lmb_div(g, dy, b);
        if (c->need[1])
            d[1] = lmb_neg(g, lmb_mul(g, d[0], c->out[0]));
        break;
    case LMB_BINARY_MAXIMUM:
        split_gradient(g, c, lmb_greater_equal(g, a, b), d);
        break;
    case LMB_BINARY_MINIMUM:
        split_gradient(g, c, lmb_greater_equal(g, b, a), d);
        break;
    case LMB_BINARY_GREATER:
    case LMB_BINARY_GREATER_EQUAL:
    case LMB_BINARY_EQUAL:
        break;
    }
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    lmb_value d[2] = {{0}};
    full_gradient(g, c, d);
    for (int i = 0; i < 2; i++)
        if (c->need[i])
            c->dx[i] = lmb__sum_to(g, d[i], lmb_graph_shape(g, c->in[i]));
}

const lmb_op lmb_op_binary = {
    .name = "binary",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_binary_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

static lmb_value apply(
    lmb_graph *g, lmb_binary_kind kind, lmb_value a, lmb_value b)
{
    const lmb_binary_attr attr = {(int32_t)kind};
    const lmb_value in[] = {a, b};
    return lmb__apply(g, &lmb_op_binary, &attr, 2, in);
}

lmb_value lmb_add(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_ADD, a, b);
}

lmb_value lmb_sub(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_SUB, a, b);
}

lmb_value lmb_mul(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_MUL, a, b);
}

lmb_value lmb_div(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_DIV, a, b);
}

lmb_value lmb_maximum(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_MAXIMUM, a, b);
}

lmb_value lmb_minimum(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_MINIMUM, a, b);
}

lmb_value lmb_greater(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_GREATER, a, b);
}

lmb_value lmb_greater_equal(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_GREATER_EQUAL, a, b);
}

lmb_value lmb_equal(lmb_graph *g, lmb_value a, lmb_value b)
{
    return apply(g, LMB_BINARY_EQUAL, a, b);
}
