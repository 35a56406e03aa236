/* pass_batch_norm.c: batch_norm_train -> [add] -> relu becomes one node.
 *
 * Runs before differentiation, so the fused node's own gradient is used: one
 * pass over memory less in each direction. A value in between that somebody
 * else reads (a tap before ReLU) keeps the nodes apart. */
#include "plan/pass.h"

static bool same_shape(const lmb_graph *g, lmb_value a, lmb_value b)
{
    const lmb_shape x = lmb_graph_shape(g, a);
    const lmb_shape y = lmb_graph_shape(g, b);
    return lmb_shape_equal(&x, &y);
}

static bool is_add(const lmb_node *node)
{
    return ((const lmb_binary_attr *)node->attr)->kind == LMB_BINARY_ADD;
}

/* Does v depend on the output of node `bn`? Then v cannot be its residual.
 * Walks back a bounded number of steps; gives up with "yes". */
static bool depends(const lmb_graph *g, lmb_value v, size_t bn, int *budget)
{
    const int32_t i = g->values[v.id].node;
    if (i < 0 || (size_t)i < bn)
        return false;
    if ((size_t)i == bn || --*budget < 0)
        return true;
    const lmb_node *node = &g->nodes[i];
    for (int k = 0; k < node->n_in; k++)
        if (depends(g, node->in[k], bn, budget))
            return true;
    return false;
}

static void fuse(lmb_graph *g, const lmb_uses *u, size_t i)
{
    lmb_node *bn = &g->nodes[i];
    lmb_node *add = lmb_only_user(g, u, bn->out[0], &lmb_op_binary);
    lmb_value residual = LMB_NONE;
    lmb_value before_relu = bn->out[0];
    if (add != NULL) {
        if (!is_add(add) || !same_shape(g, add->in[0], add->in[1]))
            return;
        residual = add->in[add->in[0].id == bn->out[0].id ? 1 : 0];
        int budget = 1000;
        if (depends(g, residual, i, &budget))
            return;
        before_relu = add->out[0];
    }
    lmb_node *relu = lmb_only_user(g, u, before_relu, &lmb_op_relu);
    if (relu == NULL)
        return;
    ((lmb_batch_norm_attr *)bn->attr)->relu = true;
    const lmb_value in[4] = {bn->in[0], bn->in[1], bn->in[2], residual};
    lmb_set_inputs(g, bn, lmb_is(residual) ? 4 : 3, in);
    lmb_take_output(g, bn, 0, relu->out[0]);
    relu->removed = true;
    if (add != NULL)
        add->removed = true;
}

lmb_status lmb_pass_fuse_batch_norm(
    lmb_graph *g, int n_keep, const lmb_value *keep)
{
    lmb_uses u;
    LMB_TRY(lmb_uses_make(g, n_keep, keep, &u));
    for (size_t i = 0; i < g->n_nodes; i++) {
        const lmb_node *node = &g->nodes[i];
        if (node->op == &lmb_op_batch_norm_train && node->n_in == 3 &&
            !node->removed && !((const lmb_batch_norm_attr *)node->attr)->relu)
            fuse(g, &u, i);
    }
    lmb_uses_fini(&u);
    return LMB_OK;
}
