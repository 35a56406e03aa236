/* resize: nearest or bilinear resampling to a given size, and its adjoint.
 *
 * Each output row p takes rows i0 and i1 of x with weights 1 - t and t (so do
 * columns); y is the product of both, as in PyTorch's interpolate(size=...):
 *   nearest   i0 = floor(p H / oh), t = 0; the factor H / oh and the product
 *             are rounded to f32 as PyTorch rounds them, for f64 too: at a few
 *             sizes (26 -> 22) the row is one less than exact arithmetic's
 *   bilinear  u = max(0, (p + 1/2) H / oh - 1/2), i0 = floor(u), t = u - i0,
 *             i1 = min(i0 + 1, H - 1)                (align_corners = false)
 * x [N, C, H, W] -> y [N, C, oh, ow]. resize_bwd is the transpose of this
 * linear map: it scatters with the same rows and weights. */
#include "op/ops.h"
#include "op/spatial.h"

#include <math.h>

static lmb_status resized(const char *name, const lmb_size_attr *a, int n_in,
    const lmb_type *in, lmb_type *out)
{
    if (a->mode != LMB_RESIZE_NEAREST && a->mode != LMB_RESIZE_BILINEAR)
        return LMB_FAIL(
            LMB_EINVAL, "resize mode %d is not known", (int)a->mode);
    return lmb__resized(name, a->size, n_in, in, out);
}

static lmb_status forward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    return resized("x", attr, n_in, in, out);
}

static lmb_status backward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    return resized("dy", attr, n_in, in, out);
}

/* Output p of an axis: (1 - t) of element i0 and t of i1. */
typedef struct blend {
    int64_t i0, i1;
    double t;
} blend;

static blend blend_at(int32_t mode, int64_t in, int64_t out, int64_t p)
{
    blend b = {0, 0, 0};
    if (mode == LMB_RESIZE_NEAREST) {
        const float scale = (float)in / (float)out;
        b.i0 = (int64_t)floorf((float)p * scale);
        b.i0 = b.i1 = b.i0 < in ? b.i0 : in - 1;
        return b;
    }
    const double u =
        fmax(0, ((double)p + 0.5) * ((double)in / (double)out) - 0.5);
    b.i0 = (int64_t)u < in ? (int64_t)u : in - 1;
    b.i1 = b.i0 + 1 < in ? b.i0 + 1 : b.i0;
    b.t = fmin(u - (double)b.i0, 1);
    return b;
}

/* The four elements of an x of shape [N, C, h, w] behind output (p, q) of an
 * y of shape [N, C, oh, ow], and their weights. */
typedef struct corners {
    int64_t at[4];
    double weight[4];
} corners;

static corners corners_at(
    int32_t mode, const lmb_shape *x, const lmb_shape *y, int64_t p, int64_t q)
{
    const int64_t width = x->dim[3];
    const blend r = blend_at(mode, x->dim[2], y->dim[2], p);
    const blend c = blend_at(mode, width, y->dim[3], q);
    return (corners){{r.i0 * width + c.i0, r.i0 * width + c.i1,
                         r.i1 * width + c.i0, r.i1 * width + c.i1},
        {(1 - r.t) * (1 - c.t), (1 - r.t) * c.t, r.t * (1 - c.t), r.t * c.t}};
}

static lmb_status forward_reference(const lmb_ref *r)
{
    const int32_t mode = ((const lmb_size_attr *)r->attr)->mode;
    const lmb_shape *xs = &r->in_type[0].shape, *ys = &r->out_type[0].shape;
    const int64_t area = xs->dim[2] * xs->dim[3];
    const int64_t out_area = ys->dim[2] * ys->dim[3];
    for (int64_t pq = 0; pq < out_area; pq++) {
        const corners k =
            corners_at(mode, xs, ys, pq / ys->dim[3], pq % ys->dim[3]);
        for (int64_t nc = 0; nc < xs->dim[0] * xs->dim[1]; nc++) {
            const double *x = r->in[0] + nc * area;
            double sum = 0;
            for (int i = 0; i < 4; i++)
                if (k.weight[i] > 0) /* or 0 * inf of an unused corner */
                    sum += k.weight[i] * x[k.at[i]];
            r->out[0][nc * out_area + pq] = sum;
        }
    }
    return LMB_OK;
}

static lmb_status backward_reference(const lmb_ref *r)
{
    const int32_t mode = ((const lmb_size_attr *)r->attr)->mode;
    const lmb_shape *ys = &r->in_type[0].shape, *xs = &r->out_type[0].shape;
    const int64_t area = xs->dim[2] * xs->dim[3];
    const int64_t out_area = ys->dim[2] * ys->dim[3];
    const int64_t planes = xs->dim[0] * xs->dim[1];
    for (int64_t i = 0; i < planes * area; i++)
        r->out[0][i] = 0;
    for (int64_t pq = 0; pq < out_area; pq++) {
        const corners k =
            corners_at(mode, xs, ys, pq / ys->dim[3], pq % ys->dim[3]);
        for (int64_t nc = 0; nc < planes; nc++)
            for (int i = 0; i < 4; i++)
                r->out[0][nc * area + k.at[i]] +=
                    k.weight[i] * r->in[0][nc * out_area + pq];
    }
    return LMB_OK;
}

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    if (!lmb_is(c->dy[0]) || !c->need[0])
        return;
    const lmb_size_attr a = {
        {lmb_graph_dim(g, c->in[0], 2), lmb_graph_dim(g, c->in[0], 3)},
        ((const lmb_size_attr *)c->attr)->mode};
    c->dx[0] = lmb_graph_apply1(g, &lmb_op_resize_bwd, &a, 1, c->dy);
}

const lmb_op lmb_op_resize = {
    .name = "resize",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_size_attr),
    .shape = forward_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_resize_bwd = {
    .name = "resize_bwd",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_size_attr),
    .shape = backward_shape,
    .reference = backward_reference,
};

lmb_value lmb_resize(
    lmb_graph *g, lmb_value x, int64_t oh, int64_t ow, lmb_resize_mode mode)
{
    const lmb_size_attr a = {{oh, ow}, (int32_t)mode};
    return lmb_graph_apply1(g, &lmb_op_resize, &a, 1, &x);
}
