/* conv2d: two-dimensional cross-correlation, its two backward ops, and the
 * transposed convolution.
 *
 *   y[n,o,p,q] = bias[o] + residual[n,o,p,q]
 *     + sum_{c,k,l} w[o,c,k,l] x[n, G(o) + c, p s_h - p_h + k d_h,
 *                                            q s_w - p_w + l d_w]
 * x [N, I, H, W], w [O, I/groups, kh, kw], y [N, O, oh, ow]; x is 0 outside
 * its bounds; G(o) is the first input channel of o's group; then an optional
 * ReLU (residual and ReLU come from the planner's fusion only).
 *
 * The sum is trilinear in (x, w, y's gradient): the two backward ops are the
 * same loop nest with another of the three as output. The transposed
 * convolution is conv2d_bwd_data used forward. */
#include "op/ops.h"
#include "op/spatial.h"

/* --- sizes */

typedef struct conv_dims {
    int64_t n, groups;
    int64_t in, out; /* channels */
    lmb_window h, w; /* over x */
} conv_dims;

/* From the attributes and the shapes [N, I, H, W] of x, [O, I/groups, kh, kw]
 * of w. */
static lmb_status conv_fit(const lmb_conv_attr *a, const lmb_shape *x,
    const lmb_shape *w, conv_dims *d)
{
    if (a->groups < 1)
        return LMB_FAIL(
            LMB_EINVAL, "number of groups %d is below 1", (int)a->groups);
    if (w->dim[0] % a->groups != 0)
        return LMB_FAIL(LMB_ESHAPE,
            "%lld output channels do not divide into %d groups",
            (long long)w->dim[0], (int)a->groups);
    if (x->dim[1] != w->dim[1] * a->groups)
        return LMB_FAIL(LMB_ESHAPE,
            "%lld input channels do not fit the weights %s in %d group(s)",
            (long long)x->dim[1], lmb_shape_text(w), (int)a->groups);
    d->n = x->dim[0];
    d->groups = a->groups;
    d->in = x->dim[1];
    d->out = w->dim[0];
    d->h = (lmb_window){
        x->dim[2], w->dim[2], a->stride[0], a->pad[0], a->dilation[0], 0};
    d->w = (lmb_window){
        x->dim[3], w->dim[3], a->stride[1], a->pad[1], a->dilation[1], 0};
    LMB_TRY(lmb__window_fit("height", &d->h));
    return lmb__window_fit("width", &d->w);
}

static lmb_shape conv_out_shape(const conv_dims *d)
{
    return LMB_SHAPE(d->n, d->out, d->h.out, d->w.out);
}

/* Of dx, from dy, w and the attributes. */
static lmb_shape data_shape(
    const lmb_conv_bwd_attr *a, const lmb_shape *dy, const lmb_shape *w)
{
    return LMB_SHAPE(
        dy->dim[0], w->dim[1] * a->conv.groups, a->spatial[0], a->spatial[1]);
}

/* Of dw, from x, dy and the attributes. */
static lmb_shape weights_shape(
    const lmb_conv_bwd_attr *a, const lmb_shape *x, const lmb_shape *dy)
{
    const int64_t groups = a->conv.groups < 1 ? 1 : a->conv.groups;
    return LMB_SHAPE(
        dy->dim[1], x->dim[1] / groups, a->spatial[0], a->spatial[1]);
}

static lmb_status conv2d_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    conv_dims d;
    LMB_TRY(lmb__need_rank("x", 4, n_in, in, 0));
    LMB_TRY(lmb__need_rank("w", 4, n_in, in, 1));
    LMB_TRY(conv_fit(attr, &in[0].shape, &in[1].shape, &d));
    if (lmb__type_has(n_in, in, 2))
        LMB_TRY(lmb__need_shape("bias", LMB_SHAPE(d.out), n_in, in, 2));
    if (lmb__type_has(n_in, in, 3))
        LMB_TRY(lmb__need_shape("residual", conv_out_shape(&d), n_in, in, 3));
    out[0] = lmb__real(conv_out_shape(&d));
    return LMB_OK;
}

static lmb_status bwd_data_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_conv_bwd_attr *a = attr;
    conv_dims d;
    LMB_TRY(lmb__need_rank("dy", 4, n_in, in, 0));
    LMB_TRY(lmb__need_rank("w", 4, n_in, in, 1));
    const lmb_shape dx = data_shape(a, &in[0].shape, &in[1].shape);
    LMB_TRY(conv_fit(&a->conv, &dx, &in[1].shape, &d));
    LMB_TRY(lmb__need_shape("dy", conv_out_shape(&d), n_in, in, 0));
    if (lmb__type_has(n_in, in, 2))
        LMB_TRY(lmb__need_shape("bias", LMB_SHAPE(d.in), n_in, in, 2));
    out[0] = lmb__real(dx);
    return LMB_OK;
}

static lmb_status bwd_weights_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_conv_bwd_attr *a = attr;
    conv_dims d;
    LMB_TRY(lmb__need_rank("x", 4, n_in, in, 0));
    LMB_TRY(lmb__need_rank("dy", 4, n_in, in, 1));
    const lmb_shape dw = weights_shape(a, &in[0].shape, &in[1].shape);
    LMB_TRY(conv_fit(&a->conv, &in[0].shape, &dw, &d));
    LMB_TRY(lmb__need_shape("dy", conv_out_shape(&d), n_in, in, 1));
    out[0] = lmb__real(dw);
    out[1] = lmb__real(LMB_SHAPE(a->with_bias ? d.out : 0));
    return LMB_OK;
}

/* --- reference kernels */

/* One pass over the nest. x, w, dy: the operands, of which one is NULL: out
 * holds it. */
typedef struct conv_run {
    conv_dims d;
    const double *x, *w, *y;
    double *out;
} conv_run;

/* One kernel tap between an input plane at x and an output plane at y: the
 * weight at w joins x[.. row, column ..] with y[p, q] for all p, q of the
 * ranges. */
typedef struct conv_tap {
    int64_t x, w, y; /* offsets: of (0, 0)'s partner, weight, plane */
    int64_t p0, p1, q0, q1;
} conv_tap;
typedef void conv_step(const conv_run *c, const conv_tap *t);

static void step_forward(const conv_run *c, const conv_tap *t)
{
    const int64_t stride = c->d.w.stride;
    const double weight = c->w[t->w];
    for (int64_t p = t->p0; p < t->p1; p++) {
        const double *x = c->x + t->x + p * c->d.h.stride * c->d.w.size;
        double *y = c->out + t->y + p * c->d.w.out;
        for (int64_t q = t->q0; q < t->q1; q++)
            y[q] += weight * x[q * stride];
    }
}

static void step_bwd_data(const conv_run *c, const conv_tap *t)
{
    const int64_t stride = c->d.w.stride;
    const double weight = c->w[t->w];
    for (int64_t p = t->p0; p < t->p1; p++) {
        double *x = c->out + t->x + p * c->d.h.stride * c->d.w.size;
        const double *y = c->y + t->y + p * c->d.w.out;
        for (int64_t q = t->q0; q < t->q1; q++)
            x[q * stride] += weight * y[q];
    }
}

static void step_bwd_weights(const conv_run *c, const conv_tap *t)
{
    const int64_t stride = c->d.w.stride;
    double sum = 0;
    for (int64_t p = t->p0; p < t->p1; p++) {
        const double *x = c->x + t->x + p * c->d.h.stride * c->d.w.size;
        const double *y = c->y + t->y + p * c->d.w.out;
        for (int64_t q = t->q0; q < t->q1; q++)
            sum += x[q * stride] * y[q];
    }
    c->out[t->w] += sum;
}

/* All taps (k, l) between the planes at x and y; weights from w on. */
static void conv_planes(
    const conv_run *c, conv_step *step, int64_t x, int64_t w, int64_t y)
{
    const lmb_window *h = &c->d.h, *v = &c->d.w;
    for (int64_t k = 0; k < h->kernel; k++) {
        conv_tap t = {.y = y};
        lmb__window_outputs(h, k, &t.p0, &t.p1);
        for (int64_t l = 0; l < v->kernel; l++) {
            lmb__window_outputs(v, l, &t.q0, &t.q1);
            t.w = w + k * v->kernel + l;
            t.x = x + (k * h->dilation - h->pad) * v->size + l * v->dilation -
                v->pad;
            step(c, &t);
        }
    }
}

static void conv_nest(const conv_run *c, conv_step *step)
{
    const conv_dims *d = &c->d;
    const int64_t in = d->in / d->groups, out = d->out / d->groups;
    const int64_t x_plane = d->h.size * d->w.size;
    const int64_t w_plane = d->h.kernel * d->w.kernel;
    const int64_t y_plane = d->h.out * d->w.out;
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t o = 0; o < d->out; o++)
            for (int64_t i = 0; i < in; i++)
                conv_planes(c, step, (n * d->in + o / out * in + i) * x_plane,
                    (o * in + i) * w_plane, (n * d->out + o) * y_plane);
}

/* out[n, c, ..] = bias[c] (0 without one). */
static void fill_bias(
    const double *bias, int64_t n, int64_t c, int64_t plane, double *out)
{
    for (int64_t i = 0; i < n * c; i++)
        for (int64_t j = 0; j < plane; j++)
            out[i * plane + j] = bias != NULL ? bias[i % c] : 0;
}

static lmb_status conv2d_reference(const lmb_ref *r)
{
    const lmb_conv_attr *a = r->attr;
    conv_run c = {.x = r->in[0], .w = r->in[1], .out = r->out[0]};
    LMB_TRY(conv_fit(a, &r->in_type[0].shape, &r->in_type[1].shape, &c.d));
    const int64_t plane = c.d.h.out * c.d.w.out;
    const int64_t count = c.d.n * c.d.out * plane;
    fill_bias(
        lmb__ref_has(r, 2) ? r->in[2] : NULL, c.d.n, c.d.out, plane, r->out[0]);
    conv_nest(&c, step_forward);
    if (lmb__ref_has(r, 3))
        for (int64_t i = 0; i < count; i++)
            r->out[0][i] += r->in[3][i];
    if (a->relu)
        for (int64_t i = 0; i < count; i++)
            r->out[0][i] = r->out[0][i] > 0 ? r->out[0][i] : 0;
    return LMB_OK;
}

static lmb_status bwd_data_reference(const lmb_ref *r)
{
    const lmb_conv_bwd_attr *a = r->attr;
    conv_run c = {.y = r->in[0], .w = r->in[1], .out = r->out[0]};
    LMB_TRY(
        conv_fit(&a->conv, &r->out_type[0].shape, &r->in_type[1].shape, &c.d));
    fill_bias(lmb__ref_has(r, 2) ? r->in[2] : NULL, c.d.n, c.d.in,
        c.d.h.size * c.d.w.size, r->out[0]);
    conv_nest(&c, step_bwd_data);
    return LMB_OK;
}

static void bias_gradient(const conv_dims *d, const double *dy, double *db)
{
    const int64_t plane = d->h.out * d->w.out;
    for (int64_t o = 0; o < d->out; o++) {
        double sum = 0;
        for (int64_t n = 0; n < d->n; n++)
            for (int64_t j = 0; j < plane; j++)
                sum += dy[(n * d->out + o) * plane + j];
        db[o] = sum;
    }
}

static lmb_status bwd_weights_reference(const lmb_ref *r)
{
    const lmb_conv_bwd_attr *a = r->attr;
    conv_run c = {.x = r->in[0], .y = r->in[1], .out = r->out[0]};
    LMB_TRY(
        conv_fit(&a->conv, &r->in_type[0].shape, &r->out_type[0].shape, &c.d));
    const int64_t count = lmb_shape_count(&r->out_type[0].shape);
    for (int64_t i = 0; i < count; i++)
        r->out[0][i] = 0;
    conv_nest(&c, step_bwd_weights);
    if (a->with_bias)
        bias_gradient(&c.d, r->in[1], r->out[1]);
    return LMB_OK;
}

/* --- gradients */

static lmb_value bwd_data(lmb_graph *g, const lmb_conv_attr *conv, lmb_value dy,
    lmb_value w, lmb_value bias, const int64_t spatial[2])
{
    const lmb_conv_bwd_attr a = {
        .conv = *conv, .spatial = {spatial[0], spatial[1]}};
    const lmb_value in[3] = {dy, w, bias};
    return lmb_graph_apply1(
        g, &lmb_op_conv2d_bwd_data, &a, lmb_is(bias) ? 3 : 2, in);
}

/* out: dw and db. */
static void bwd_weights(lmb_graph *g, const lmb_conv_attr *conv, lmb_value x,
    lmb_value dy, lmb_value w, bool with_bias, lmb_value out[2])
{
    const lmb_conv_bwd_attr a = {.conv = *conv,
        .spatial = {lmb_graph_dim(g, w, 2), lmb_graph_dim(g, w, 3)},
        .with_bias = with_bias};
    const lmb_value in[2] = {x, dy};
    lmb_graph_apply(g, &lmb_op_conv2d_bwd_weights, &a, 2, in, out);
}

static lmb_value channel_sum(lmb_graph *g, lmb_value x)
{
    return lmb_sum(g, x, LMB_AXIS(0) | LMB_AXIS(2) | LMB_AXIS(3), false);
}

static void conv2d_grad(lmb_graph *g, const lmb_grad *c)
{
    lmb_conv_attr a = *(const lmb_conv_attr *)c->attr;
    lmb_value dy = c->dy[0];
    if (!lmb_is(dy))
        return;
    if (a.relu) {
        const lmb_value in[2] = {dy, c->out[0]};
        dy = lmb_graph_apply1(g, &lmb_op_relu_bwd, NULL, 2, in);
        a.relu = false;
    }
    const bool bias = lmb__grad_has(c, 2) && c->need[2];
    if (c->need[0]) {
        const int64_t spatial[2] = {
            lmb_graph_dim(g, c->in[0], 2), lmb_graph_dim(g, c->in[0], 3)};
        c->dx[0] = bwd_data(g, &a, dy, c->in[1], LMB_NONE, spatial);
    }
    if (c->need[1]) {
        lmb_value d[2] = {LMB_NONE, LMB_NONE};
        bwd_weights(g, &a, c->in[0], dy, c->in[1], bias, d);
        c->dx[1] = d[0];
        if (bias)
            c->dx[2] = d[1];
    } else if (bias) {
        c->dx[2] = channel_sum(g, dy);
    }
    if (lmb__grad_has(c, 3) && c->need[3])
        c->dx[3] = dy;
}

/* Of the transposed convolution. */
static void bwd_data_grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_conv_bwd_attr *a = c->attr;
    const lmb_value d = c->dy[0];
    if (!lmb_is(d))
        return;
    if (c->need[0])
        c->dx[0] = lmb_conv2d(g, d, c->in[1], LMB_NONE, &a->conv);
    if (c->need[1]) {
        lmb_value dw[2] = {LMB_NONE, LMB_NONE};
        bwd_weights(g, &a->conv, d, c->in[0], c->in[1], false, dw);
        c->dx[1] = dw[0];
    }
    if (lmb__grad_has(c, 2) && c->need[2])
        c->dx[2] = channel_sum(g, d);
}

/* --- the ops and their builders */

const lmb_op lmb_op_conv2d = {
    .name = "conv2d",
    .min_in = 2,
    .max_in = 4,
    .n_out = 1,
    .attr_size = sizeof(lmb_conv_attr),
    .shape = conv2d_shape,
    .grad = conv2d_grad,
    .reference = conv2d_reference,
};

const lmb_op lmb_op_conv2d_bwd_data = {
    .name = "conv2d_bwd_data",
    .min_in = 2,
    .max_in = 3,
    .n_out = 1,
    .attr_size = sizeof(lmb_conv_bwd_attr),
    .shape = bwd_data_shape,
    .grad = bwd_data_grad,
    .reference = bwd_data_reference,
};

const lmb_op lmb_op_conv2d_bwd_weights = {
    .name = "conv2d_bwd_weights",
    .min_in = 2,
    .max_in = 2,
    .n_out = 2,
    .attr_size = sizeof(lmb_conv_bwd_attr),
    .shape = bwd_weights_shape,
    .reference = bwd_weights_reference,
};

lmb_conv_attr lmb_conv_square(int stride, int pad)
{
    return (lmb_conv_attr){.stride = {stride, stride},
        .pad = {pad, pad},
        .dilation = {1, 1},
        .groups = 1};
}

lmb_value lmb_conv2d(lmb_graph *g, lmb_value x, lmb_value w, lmb_value bias,
    const lmb_conv_attr *attr)
{
    const lmb_value in[3] = {x, w, bias};
    return lmb_graph_apply1(g, &lmb_op_conv2d, attr, lmb_is(bias) ? 3 : 2, in);
}

lmb_value lmb_conv2d_transpose(lmb_graph *g, lmb_value x, lmb_value w,
    lmb_value bias, const lmb_conv_attr *attr)
{
    int64_t spatial[2];
    for (int i = 0; i < 2; i++)
        spatial[i] = (lmb_graph_dim(g, x, 2 + i) - 1) * attr->stride[i] -
            2 * (int64_t)attr->pad[i] +
            attr->dilation[i] * (lmb_graph_dim(g, w, 2 + i) - 1) + 1;
    return bwd_data(g, attr, x, w, bias, spatial);
}
