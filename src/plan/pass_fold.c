/* pass_fold.c: batch norm with given statistics goes into the convolution
 * before it:  w' = w * s,  b' = beta + (b - mean) * s,
 * s = gamma / sqrt(var + eps), per output channel.
 *
 * The new weights are nodes like any others; in a plan whose parameters do not
 * change they are computed once. */
#include "plan/pass.h"

static void fold(lmb_graph *g, const lmb_uses *u, size_t i)
{
    lmb_node norm = g->nodes[i];
    const lmb_node *found = lmb_maker(g, norm.in[0], &lmb_op_conv2d);
    if (found == NULL || u->count[norm.in[0].id] != 1 ||
        ((const lmb_conv_attr *)found->attr)->relu || found->n_in > 3)
        return;
    const lmb_node conv = *found;
    const int64_t channels = lmb_graph_dim(g, conv.in[1], 0);
    const lmb_value gamma = norm.in[1];
    const lmb_value beta = norm.in[2];
    const lmb_value mean = norm.in[3];
    const double eps = ((const lmb_batch_norm_attr *)norm.attr)->eps;
    lmb_graph_push(g, norm.scope);
    const lmb_value s =
        lmb_div(g, gamma, lmb_sqrt(g, lmb_shift(g, norm.in[4], eps)));
    const lmb_value w =
        lmb_mul(g, conv.in[1], lmb_reshape(g, s, LMB_SHAPE(channels, 1, 1, 1)));
    const bool biased = conv.n_in > 2 && lmb_is(conv.in[2]);
    const lmb_value centre = biased ? lmb_sub(g, mean, conv.in[2]) : mean;
    const lmb_value b = lmb_sub(g, beta, lmb_mul(g, centre, s));
    const lmb_value in[3] = {conv.in[0], w, b};
    lmb_value y = LMB_NONE;
    lmb_graph_apply(g, &lmb_op_conv2d, conv.attr, 3, in, &y);
    lmb_graph_pop(g);
    if (!lmb_is(y))
        return;
    /* The new convolution makes the value that the norm has made. */
    lmb_node *folded = &g->nodes[g->values[y.id].node];
    lmb_take_output(g, folded, 0, norm.out[0]);
    g->nodes[i].removed = true;
    g->nodes[g->values[norm.in[0].id].node].removed = true;
}

lmb_status lmb_pass_fold_batch_norm(
    lmb_graph *g, int n_keep, const lmb_value *keep)
{
    lmb_uses u;
    LMB_TRY(lmb_uses_make(g, n_keep, keep, &u));
    const size_t count = g->n_nodes;
    for (size_t i = 0; i < count; i++)
        if (g->nodes[i].op == &lmb_op_batch_norm_infer && !g->nodes[i].removed)
            fold(g, &u, i);
    lmb_uses_fini(&u);
    return lmb_graph_status(g);
}
