/* channel_shuffle: channels seen as [groups, C/groups], transposed.
 *
 *   y[n, j groups + i, ..] = x[n, i C/groups + j, ..],  i < groups
 * x [N, C, H, W] -> the same shape. The gradient is the inverse permutation:
 * a shuffle in C/groups groups.
 * Source: Zhang et al. 2018 (ShuffleNet), arXiv:1707.01083, section 3.1. */
#include "op/ops.h"
#include "op/spatial.h"

#include <string.h>

static lmb_status shuffle_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_shuffle_attr *a = attr;
    LMB_TRY(lmb__need_rank("x", 4, n_in, in, 0));
    const lmb_shape *x = &in[0].shape;
    if (a->groups < 1)
        return LMB_FAIL(
            LMB_EINVAL, "number of groups %d is below 1", (int)a->groups);
    if (x->dim[1] % a->groups != 0)
        return LMB_FAIL(LMB_ESHAPE,
            "%lld channels do not divide into %d groups", (long long)x->dim[1],
            (int)a->groups);
    out[0] = lmb__real(*x);
    return LMB_OK;
}

static lmb_status shuffle_reference(const lmb_ref *r)
{
    const int64_t groups = ((const lmb_shuffle_attr *)r->attr)->groups;
    const lmb_shape *x = &r->in_type[0].shape;
    const int64_t channels = x->dim[1], area = x->dim[2] * x->dim[3];
    const int64_t each = channels / groups;
    for (int64_t n = 0; n < x->dim[0]; n++)
        for (int64_t c = 0; c < channels; c++) {
            const int64_t from = c % groups * each + c / groups;
            memcpy(r->out[0] + (n * channels + c) * area,
                r->in[0] + (n * channels + from) * area,
                (size_t)area * sizeof(double));
        }
    return LMB_OK;
}

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    const lmb_shuffle_attr *a = c->attr;
    const int64_t channels = lmb_graph_dim(g, c->in[0], 1);
    if (lmb_is(c->dy[0]) && c->need[0])
        c->dx[0] =
            lmb_channel_shuffle(g, c->dy[0], (int)(channels / a->groups));
}

const lmb_op lmb_op_channel_shuffle = {
    .name = "channel_shuffle",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_shuffle_attr),
    .shape = shuffle_shape,
    .grad = gradient,
    .reference = shuffle_reference,
};

lmb_value lmb_channel_shuffle(lmb_graph *g, lmb_value x, int groups)
{
    const lmb_shuffle_attr a = {groups};
    return lmb_graph_apply1(g, &lmb_op_channel_shuffle, &a, 1, &x);
}
