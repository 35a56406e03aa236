/* connector.c: the convolutional regressor of FitNets and others, and the
 * plain alignment of pyramid levels.
 *
 * Source: Romero et al., arXiv:1412.6550, section 2.2 (a convolutional
 * regressor); the three cases, batch norm and ReLU are mdistiller's. The case
 * is chosen by the heights; the widths must then fit too. The alignment (1x1
 * where channels differ, bilinear where sizes do) is that of the detection
 * methods: MGD's and FGD's `align`, mmrazor's `resize_stu`. */
#include "distill/connector.h"

#include <stdio.h>

enum { HALVE, DOUBLE, VALID };

typedef struct plan {
    int kind;
    int64_t kernel[2];
} plan;

static lmb_status choose(const lmb_shape *s, const lmb_shape *t, plan *out)
{
    if (s->rank != 4 || t->rank != 4)
        return LMB_FAIL(LMB_ESHAPE,
            "connector: student %s and teacher %s must be [N, C, H, W]",
            lmb_shape_text(s), lmb_shape_text(t));
    const int64_t *a = s->dim + 2, *b = t->dim + 2;
    if (a[0] == 2 * b[0] && (a[1] + 1) / 2 == b[1])
        *out = (plan){HALVE, {3, 3}};
    else if (2 * a[0] == b[0] && 2 * a[1] == b[1])
        *out = (plan){DOUBLE, {4, 4}};
    else if (a[0] >= b[0] && a[1] >= b[1])
        *out = (plan){VALID, {a[0] - b[0] + 1, a[1] - b[1] + 1}};
    else
        return LMB_FAIL(LMB_ESHAPE,
            "connector: student %s to teacher %s: the map must be as large, "
            "larger, or exactly half as large",
            lmb_shape_text(s), lmb_shape_text(t));
    return LMB_OK;
}

static lmb_value convolve(
    lmb_nn *nn, lmb_value x, const plan *p, int64_t channels)
{
    lmb_graph *g = nn->g;
    const int64_t in = lmb_graph_dim(g, x, 1);
    const bool up = p->kind == DOUBLE;
    const lmb_shape shape = LMB_SHAPE(
        up ? in : channels, up ? channels : in, p->kernel[0], p->kernel[1]);
    const lmb_init rule = lmb_init_torch_default(shape);
    const lmb_conv_attr attr =
        p->kind == VALID ? lmb_conv_square(1, 0) : lmb_conv_square(2, 1);
    lmb_nn_push(nn, "conv");
    lmb_value w = lmb_nn_param(nn, "weight", shape, rule, true);
    lmb_value bias = lmb_nn_param(nn, "bias", LMB_SHAPE(channels), rule, true);
    lmb_nn_pop(nn);
    return up ? lmb_conv2d_transpose(g, x, w, bias, &attr)
              : lmb_conv2d(g, x, w, bias, &attr);
}

lmb_value lmb_connector(const lmb_build *b, const char *name, lmb_value x,
    const lmb_shape *target, bool relu)
{
    const lmb_shape source = lmb_graph_shape(b->g, x);
    plan p;
    const lmb_status st = choose(&source, target, &p);
    if (st != LMB_OK) {
        lmb_graph_fail(b->g, st);
        return LMB_NONE;
    }
    lmb_nn nn;
    lmb_nn_init(&nn, b->g, b->params, b->mode);
    (void)snprintf(nn.prefix, sizeof nn.prefix, "%s%s", b->prefix, name);
    lmb_value y = convolve(&nn, x, &p, target->dim[1]);
    y = lmb_nn_batch_norm(&nn, "bn", y);
    return relu ? lmb_relu(b->g, y) : y;
}

lmb_status lmb_connector_describe(
    const lmb_shape *student, const lmb_shape *teacher, bool relu, lmb_str *out)
{
    static const char *const kinds[] = {"conv", "conv transposed ", "conv"};
    plan p;
    LMB_TRY(choose(student, teacher, &p));
    lmb_str_printf(out, "%s%lldx%lld%s %lld->%lld, bn%s", kinds[p.kind],
        (long long)p.kernel[0], (long long)p.kernel[1],
        p.kind == VALID ? "" : "/2", (long long)student->dim[1],
        (long long)teacher->dim[1], relu ? ", relu" : "");
    return lmb_str_status(out);
}

/* --- alignment ------------------------------------------------------------ */

static lmb_value resize(lmb_graph *g, lmb_value x, const lmb_shape *target)
{
    const int64_t h = target->dim[2], w = target->dim[3];
    if (lmb_graph_dim(g, x, 2) == h && lmb_graph_dim(g, x, 3) == w)
        return x;
    return lmb_resize(g, x, h, w, LMB_RESIZE_BILINEAR);
}

/* The two steps commute, so the convolution runs on the smaller map. */
lmb_value lmb_align(lmb_nn *nn, lmb_value x, const lmb_shape *target)
{
    const lmb_shape source = lmb_graph_shape(nn->g, x);
    const bool larger =
        source.dim[2] * source.dim[3] > target->dim[2] * target->dim[3];
    if (larger)
        x = resize(nn->g, x, target);
    if (source.dim[1] != target->dim[1])
        x = lmb_nn_conv(nn, "align", x,
            &(lmb_conv_opt){
                .out = (int)target->dim[1], .kernel = 1, .bias = true});
    return resize(nn->g, x, target);
}

lmb_status lmb_align_describe(
    const lmb_shape *student, const lmb_shape *teacher, lmb_str *out)
{
    const int64_t *s = student->dim, *t = teacher->dim;
    const bool conv = s[1] != t[1];
    if (conv)
        lmb_str_printf(
            out, "conv1x1 %lld->%lld", (long long)s[1], (long long)t[1]);
    if (s[2] != t[2] || s[3] != t[3])
        lmb_str_printf(out, "%sbilinear %lldx%lld->%lldx%lld", conv ? ", " : "",
            (long long)s[2], (long long)s[3], (long long)t[2], (long long)t[3]);
    return lmb_str_status(out);
}
