/* pass_grad_add.c: the sum of two gradients in front of batch_norm_bwd goes
 * into it (its second dy), which saves a pass over memory per residual block.
 */
#include "plan/pass.h"

static void fuse(lmb_graph *g, const lmb_uses *u, lmb_node *bwd)
{
    if (lmb_is(bwd->in[1]) || u->count[bwd->in[0].id] != 1)
        return;
    lmb_node *add = lmb_maker(g, bwd->in[0], &lmb_op_binary);
    if (add == NULL ||
        ((const lmb_binary_attr *)add->attr)->kind != LMB_BINARY_ADD)
        return;
    const lmb_shape x = lmb_graph_shape(g, add->in[0]);
    const lmb_shape y = lmb_graph_shape(g, add->in[1]);
    if (!lmb_shape_equal(&x, &y))
        return;
    lmb_value in[LMB_MAX_IN];
    for (int k = 0; k < bwd->n_in; k++)
        in[k] = bwd->in[k];
    in[0] = add->in[0];
    in[1] = add->in[1];
    lmb_set_inputs(g, bwd, bwd->n_in, in);
    add->removed = true;
}

lmb_status lmb_pass_fuse_grad_add(
    lmb_graph *g, int n_keep, const lmb_value *keep)
{
    lmb_uses u;
    LMB_TRY(lmb_uses_make(g, n_keep, keep, &u));
    for (size_t i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op == &lmb_op_batch_norm_bwd && !g->nodes[i].removed)
            fuse(g, &u, &g->nodes[i]);
    lmb_uses_fini(&u);
    return LMB_OK;
}
