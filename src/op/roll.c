/* roll: cyclic shift along one axis, out[i] = x[(i - by) mod size].
 *
 * Reals and indices; `by` may be negative or beyond the size. Gradient: dy
 * rolled back. */
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    out[0] = in[0];
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_roll_attr *a = r->attr;
    const lmb__view v = lmb__axis_view(&r->in_type[0].shape, a->axis);
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t k = 0; k < v.size; k++) {
            const int64_t to = (k + a->by) % v.size;
            for (int64_t i = 0; i < v.inner; i++)
                r->out[0][(o * v.size + to) * v.inner + i] =
                    r->in[0][(o * v.size + k) * v.inner + i];
        }
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_roll_attr *a = c->attr;
    c->dx[0] = lmb_roll(g, c->dy[0], a->axis, -a->by);
}

const lmb_op lmb_op_roll = {
    .name = "roll",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_roll_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_roll(lmb_graph *g, lmb_value x, int axis, int64_t by)
{
    if (!lmb__resolve_axis(g, "roll", x, &axis))
        return LMB_NONE;
    const int64_t size = lmb_graph_dim(g, x, axis);
    const int64_t least = size > 0 ? by % size : 0;
    const lmb_roll_attr attr = {axis, least < 0 ? least + size : least};
    return lmb__apply(g, &lmb_op_roll, &attr, 1, &x);
}
