/* adaptive_avg_pool2d: means over a grid of oh x ow cells, and its adjoint.
 *
 *   y[n,c,p,q] = mean x[n,c,i,j] over floor(p H / oh) <= i < ceil((p+1) H / oh)
 * and likewise j: PyTorch's cells, which overlap where oh does not divide H
 * and repeat where oh > H. x [N, C, H, W] -> y [N, C, oh, ow]. */
#include "op/ops.h"
#include "op/spatial.h"

static lmb_status forward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_size_attr *a = attr;
    return lmb__resized("x", a->size, n_in, in, out);
}

static lmb_status backward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_size_attr *a = attr;
    return lmb__resized("dy", a->size, n_in, in, out);
}

/* Bounds of a cell in the plane of x. */
typedef struct cell {
    int64_t i0, i1, j0, j1;
} cell;

/* Cell (p, q) of a grid y over a plane x; both shapes are [N, C, h, w]. */
static cell cell_at(
    const lmb_shape *x, const lmb_shape *y, int64_t p, int64_t q)
{
    const int64_t h = x->dim[2], oh = y->dim[2];
    const int64_t w = x->dim[3], ow = y->dim[3];
    return (cell){p * h / oh, ((p + 1) * h + oh - 1) / oh, q * w / ow,
        ((q + 1) * w + ow - 1) / ow};
}

static double cell_mean(const cell *t, int64_t width, const double *x)
{
    double sum = 0;
    for (int64_t i = t->i0; i < t->i1; i++)
        for (int64_t j = t->j0; j < t->j1; j++)
            sum += x[i * width + j];
    return sum / (double)((t->i1 - t->i0) * (t->j1 - t->j0));
}

static void cell_spread(const cell *t, int64_t width, double dy, double *dx)
{
    const double share = dy / (double)((t->i1 - t->i0) * (t->j1 - t->j0));
    for (int64_t i = t->i0; i < t->i1; i++)
        for (int64_t j = t->j0; j < t->j1; j++)
            dx[i * width + j] += share;
}

static lmb_status forward_reference(const lmb_ref *r)
{
    const lmb_shape *x = &r->in_type[0].shape, *y = &r->out_type[0].shape;
    const int64_t area = x->dim[2] * x->dim[3];
    double *out = r->out[0];
    for (int64_t nc = 0; nc < x->dim[0] * x->dim[1]; nc++)
        for (int64_t p = 0; p < y->dim[2]; p++)
            for (int64_t q = 0; q < y->dim[3]; q++) {
                const cell t = cell_at(x, y, p, q);
                *out++ = cell_mean(&t, x->dim[3], r->in[0] + nc * area);
            }
    return LMB_OK;
}

static lmb_status backward_reference(const lmb_ref *r)
{
    const lmb_shape *y = &r->in_type[0].shape, *x = &r->out_type[0].shape;
    const int64_t area = x->dim[2] * x->dim[3];
    const double *dy = r->in[0];
    for (int64_t nc = 0; nc < x->dim[0] * x->dim[1]; nc++) {
        double *dx = r->out[0] + nc * area;
        for (int64_t i = 0; i < area; i++)
            dx[i] = 0;
        for (int64_t p = 0; p < y->dim[2]; p++)
            for (int64_t q = 0; q < y->dim[3]; q++) {
                const cell t = cell_at(x, y, p, q);
                cell_spread(&t, x->dim[3], *dy++, dx);
            }
    }
    return LMB_OK;
}

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    if (!lmb_is(c->dy[0]) || !c->need[0])
        return;
    const lmb_size_attr a = {
        {lmb_graph_dim(g, c->in[0], 2), lmb_graph_dim(g, c->in[0], 3)}, 0};
    c->dx[0] =
        lmb_graph_apply1(g, &lmb_op_adaptive_avg_pool2d_bwd, &a, 1, c->dy);
}

const lmb_op lmb_op_adaptive_avg_pool2d = {
    .name = "adaptive_avg_pool2d",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_size_attr),
    .shape = forward_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_adaptive_avg_pool2d_bwd = {
    .name = "adaptive_avg_pool2d_bwd",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_size_attr),
    .shape = backward_shape,
    .reference = backward_reference,
};

lmb_value lmb_adaptive_avg_pool2d(
    lmb_graph *g, lmb_value x, int64_t oh, int64_t ow)
{
    const lmb_size_attr a = {{oh, ow}, 0};
    return lmb_graph_apply1(g, &lmb_op_adaptive_avg_pool2d, &a, 1, &x);
}
