/* composite.c: formulas made of other ops; they have no kernels of their own.
 *
 * Values and gradients follow from the parts. Each formula is written so that
 * neither is NaN for finite inputs, nor where a probability is 0. */
#include "op/op_util.h"

lmb_value lmb_scale(lmb_graph *g, lmb_value x, double a)
{
    return lmb_affine(g, x, a, 0);
}

lmb_value lmb_shift(lmb_graph *g, lmb_value x, double b)
{
    return lmb_affine(g, x, 1, b);
}

lmb_value lmb_transpose(lmb_graph *g, lmb_value x)
{
    if (!lmb_is(x))
        return LMB_NONE;
    const lmb_shape shape = lmb_graph_shape(g, x);
    if (shape.rank != 2) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_ESHAPE, "transpose: shape %s is not a matrix",
                lmb_shape_text(&shape)));
        return LMB_NONE;
    }
    return lmb_permute(g, x, (int[]){1, 0});
}

/* x w^T + b */
lmb_value lmb_linear(lmb_graph *g, lmb_value x, lmb_value w, lmb_value b)
{
    const lmb_value y = lmb_matmul(g, x, w, false, true);
    return lmb_is(b) ? lmb_add(g, y, b) : y;
}

/* The first k of a falling argsort. */
lmb_value lmb_top_k(lmb_graph *g, lmb_value x, int64_t k)
{
    if (!lmb_is(x))
        return LMB_NONE;
    const int64_t size = lmb_graph_dim(g, x, -1);
    if (k < 1 || k > size) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL, "top_k: k = %lld outside 1..%lld",
                (long long)k, (long long)size));
        return LMB_NONE;
    }
    return lmb_slice(g, lmb_argsort(g, x, true), -1, 0, k);
}

static bool check_labels(lmb_graph *g, lmb_value logits, lmb_value labels)
{
    const lmb_shape z = lmb_graph_shape(g, logits);
    const lmb_shape y = lmb_graph_shape(g, labels);
    if (z.rank == 2 && y.rank == 1 && y.dim[0] == z.dim[0])
        return true;
    lmb_graph_fail(g,
        LMB_FAIL(LMB_ESHAPE,
            "cross_entropy: logits %s and labels %s are not [N, C] and [N]",
            lmb_shape_text(&z), lmb_shape_text(&y)));
    return false;
}

/* -mean_n log_softmax(logits)[n, label_n]: picked, not multiplied by a one-hot
 * row, so that a logit of -inf in another class makes no 0 * inf. */
lmb_value lmb_cross_entropy(lmb_graph *g, lmb_value logits, lmb_value labels)
{
    if (!lmb_is(logits) || !lmb_is(labels) || !check_labels(g, logits, labels))
        return LMB_NONE;
    const int64_t n = lmb_graph_dim(g, labels, 0);
    const lmb_value lp = lmb_log_softmax(g, logits, -1);
    const lmb_value idx = lmb_reshape(g, labels, LMB_SHAPE(n, 1));
    const lmb_value picked = lmb_gather(g, lp, idx, -1);
    return lmb_neg(g, lmb_mean(g, picked, LMB_ALL_AXES, false));
}

/* a - b of equal shapes: broadcasting here would hide mistakes. */
static lmb_value difference(
    lmb_graph *g, const char *name, lmb_value a, lmb_value b)
{
    if (!lmb_is(a) || !lmb_is(b))
        return LMB_NONE;
    const lmb_shape sa = lmb_graph_shape(g, a);
    const lmb_shape sb = lmb_graph_shape(g, b);
    if (lmb_shape_equal(&sa, &sb))
        return lmb_sub(g, a, b);
    lmb_graph_fail(g,
        LMB_FAIL(LMB_ESHAPE, "%s: shapes %s and %s must be equal", name,
            lmb_shape_text(&sa), lmb_shape_text(&sb)));
    return LMB_NONE;
}

/* p (lp - lq) with the difference replaced by 0 where p is 0: there it may be
 * -inf or NaN, and 0 times that is NaN. select also keeps it out of the
 * gradients, which are p (lp - lq + 1) and -p. */
lmb_value lmb_kl_log(lmb_graph *g, lmb_value lp, lmb_value lq)
{
    const lmb_value p = lmb_exp(g, lp);
    const lmb_value log_ratio = lmb_select(
        g, p, difference(g, "kl_log", lp, lq), lmb_graph_scalar(g, 0));
    return lmb_sum(g, lmb_mul(g, p, log_ratio), LMB_AXIS(-1), false);
}

/* At the zero vector the value is 0 and dx = dy / eps (sqrt passes no
 * gradient at 0). */
lmb_value lmb_l2_normalize(lmb_graph *g, lmb_value x, uint32_t axes, double eps)
{
    if (!(eps > 0)) {
        lmb_graph_fail(
            g, LMB_FAIL(LMB_EINVAL, "l2_normalize: eps = %g, not > 0", eps));
        return LMB_NONE;
    }
    const lmb_value norm =
        lmb_sqrt(g, lmb_sum(g, lmb_square(g, x), axes, true));
    return lmb_div(g, x, lmb_maximum(g, norm, lmb_graph_scalar(g, eps)));
}

lmb_value lmb_mse(lmb_graph *g, lmb_value a, lmb_value b)
{
    const lmb_value d = difference(g, "mse", a, b);
    return lmb_mean(g, lmb_square(g, d), LMB_ALL_AXES, false);
}

/* With m = min(|d|, 1): m (|d| - m / 2) is d^2 / 2 inside and |d| - 1/2
 * outside, without squaring large d. */
lmb_value lmb_smooth_l1(lmb_graph *g, lmb_value a, lmb_value b)
{
    const lmb_value d = lmb_abs(g, difference(g, "smooth_l1", a, b));
    const lmb_value m = lmb_minimum(g, d, lmb_graph_scalar(g, 1));
    const lmb_value rest = lmb_sub(g, d, lmb_scale(g, m, 0.5));
    return lmb_mean(g, lmb_mul(g, m, rest), LMB_ALL_AXES, false);
}
