/* unary.c: elementwise functions of one value, y = f(x), shapes equal.
 *
 *   neg -x | exp e^x | log ln x | sqrt | square x^2 | reciprocal 1/x | abs |x|
 *   sign (0 at 0) | sigmoid 1/(1 + e^-x) | tanh | softplus ln(1 + e^x)
 *   relu6 min(max(x, 0), 6)
 * Gradient: f'(x) dy, written with y where that is cheaper. At kinks it is 0:
 * abs at 0, sqrt at 0 (the true slope is infinite), relu6 at 0 and at 6. sign
 * has none. */
#include "op/op_util.h"

#include <math.h>

/* Neither branch overflows. */
static double sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static double softplus(double x)
{
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double evaluate(lmb_unary_kind kind, double x)
{
    switch (kind) {
    case LMB_UNARY_NEG:
        return -x;
    case LMB_UNARY_EXP:
        return exp(x);
    case LMB_UNARY_LOG:
        return log(x);
    case LMB_UNARY_SQRT:
        return sqrt(x);
    case LMB_UNARY_SQUARE:
        return x * x;
    case LMB_UNARY_RECIPROCAL:
        return 1 / x;
    case LMB_UNARY_ABS:
        return fabs(x);
    case LMB_UNARY_SIGN:
        return x > 0 ? 1 : x < 0 ? -1 : x; /* NaN stays NaN */
    case LMB_UNARY_SIGMOID:
        return sigmoid(x);
    case LMB_UNARY_TANH:
        return tanh(x);
    case LMB_UNARY_SOFTPLUS:
        return softplus(x);
    case LMB_UNARY_RELU6:
        return x <= 0 ? 0 : x >= 6 ? 6 : x;
    }
    return NAN;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_unary_attr *a = r->attr;
    const int64_t n = lmb__count(&r->out_type[0]);
    for (int64_t i = 0; i < n; i++)
        r->out[0][i] = evaluate((lmb_unary_kind)a->kind, r->in[0][i]);
    return LMB_OK;
}

/* dy / (2 y), but 0 where y is 0. */
static lmb_value sqrt_gradient(lmb_graph *g, lmb_value dy, lmb_value y)
{
    const lmb_value slope = lmb_scale(g, lmb_div(g, dy, y), 0.5);
    return lmb_select(g, y, slope, lmb_graph_scalar(g, 0));
}

/* dy where 0 < y < 6, else 0. */
static lmb_value relu6_gradient(lmb_graph *g, lmb_value dy, lmb_value y)
{
    const lmb_value zero = lmb_graph_scalar(g, 0);
    const lmb_value six = lmb_graph_scalar(g, 6);
    const lmb_value below = lmb_select(g, lmb_greater(g, six, y), dy, zero);
    return lmb_select(g, lmb_greater(g, y, zero), below, zero);
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_unary_attr *a = c->attr;
    const lmb_value x = c->in[0], y = c->out[0], dy = c->dy[0];
    lmb_value dx = LMB_NONE;
    switch ((lmb_unary_kind)a->kind) {
    case LMB_UNARY_NEG:
        dx = lmb_neg(g, dy);
        break;
    case LMB_UNARY_EXP:
        dx = lmb_mul(g, dy, y);
        break;
    case LMB_UNARY_LOG:
        dx = lmb_div(g, dy, x);
        break;
    case LMB_UNARY_SQRT:
        dx = sqrt_gradient(g, dy, y);
        break;
    case LMB_UNARY_SQUARE:
        dx = lmb_mul(g, dy, lmb_scale(g, x, 2));
        break;
    case LMB_UNARY_RECIPROCAL:
        dx = lmb_mul(g, dy, lmb_neg(g, lmb_square(g, y)));
        break;
    case LMB_UNARY_ABS:
        dx = lmb_mul(g, dy, lmb__unary(g, LMB_UNARY_SIGN, x));
        break;
    case LMB_UNARY_SIGN:
        break;
    case LMB_UNARY_SIGMOID:
        dx = lmb_mul(g, dy, lmb_mul(g, y, lmb_affine(g, y, -1, 1)));
        break;
    case LMB_UNARY_TANH:
        dx = lmb_mul(g, dy, lmb_affine(g, lmb_square(g, y), -1, 1));
        break;
    case LMB_UNARY_SOFTPLUS:
        dx = lmb_mul(g, dy, lmb_sigmoid(g, x));
        break;
    case LMB_UNARY_RELU6:
        dx = relu6_gradient(g, dy, y);
        break;
    }
    c->dx[0] = dx;
}

const lmb_op lmb_op_unary = {
    .name = "unary",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_unary_attr),
    .shape = lmb__shape_same1,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb__unary(lmb_graph *g, lmb_unary_kind kind, lmb_value x)
{
    const lmb_unary_attr attr = {(int32_t)kind};
    return lmb__apply(g, &lmb_op_unary, &attr, 1, &x);
}

lmb_value lmb_neg(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_NEG, x);
}

lmb_value lmb_exp(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_EXP, x);
}

lmb_value lmb_log(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_LOG, x);
}

lmb_value lmb_sqrt(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_SQRT, x);
}

lmb_value lmb_square(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_SQUARE, x);
}

lmb_value lmb_reciprocal(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_RECIPROCAL, x);
}

lmb_value lmb_abs(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_ABS, x);
}

lmb_value lmb_sigmoid(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_SIGMOID, x);
}

lmb_value lmb_tanh(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_TANH, x);
}

lmb_value lmb_softplus(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_SOFTPLUS, x);
}

lmb_value lmb_relu6(lmb_graph *g, lmb_value x)
{
    return lmb__unary(g, LMB_UNARY_RELU6, x);
}
