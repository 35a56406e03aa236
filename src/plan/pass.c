/* pass.c: helpers of the passes, and their order. */
#include "plan/pass.h"

#include "plan/plan.h"

void lmb_uses_fini(lmb_uses *u)
{
    lmb_free(u->count);
    lmb_free(u->user);
    *u = (lmb_uses){0};
}

lmb_status lmb_uses_make(
    const lmb_graph *g, int n_keep, const lmb_value *keep, lmb_uses *out)
{
    *out = (lmb_uses){0};
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(out->count, g->n_values), st, failed);
    LMB_GOTO(LMB_NEW(out->user, g->n_values), st, failed);
    for (size_t v = 0; v < g->n_values; v++)
        out->user[v] = -1;
    for (size_t i = 0; i < g->n_nodes; i++) {
        const lmb_node *node = &g->nodes[i];
        for (int k = 0; !node->removed && k < node->n_in; k++) {
            out->count[node->in[k].id]++;
            out->user[node->in[k].id] = (int32_t)i;
        }
    }
    for (int k = 0; k < n_keep; k++)
        out->count[keep[k].id] += 2; /* never "the only user" */
    return LMB_OK;
failed:
    lmb_uses_fini(out);
    return st;
}

lmb_node *lmb_only_user(
    const lmb_graph *g, const lmb_uses *u, lmb_value v, const lmb_op *op)
{
    if (u->count[v.id] != 1)
        return NULL;
    lmb_node *node = &g->nodes[u->user[v.id]];
    return node->op == op && !node->removed ? node : NULL;
}

lmb_node *lmb_maker(const lmb_graph *g, lmb_value v, const lmb_op *op)
{
    const int32_t i = g->values[v.id].node;
    if (!lmb_is(v) || i < 0)
        return NULL;
    lmb_node *node = &g->nodes[i];
    return node->op == op && !node->removed ? node : NULL;
}

void lmb_take_output(lmb_graph *g, lmb_node *to, int slot, lmb_value v)
{
    to->out[slot] = v;
    g->values[v.id].node = (int32_t)(to - g->nodes);
    g->values[v.id].slot = slot;
}

void lmb_set_inputs(lmb_graph *g, lmb_node *node, int n, const lmb_value *in)
{
    lmb_value *copy = lmb_graph_memory(g, (size_t)n * sizeof *in);
    if (copy == NULL)
        return;
    for (int k = 0; k < n; k++)
        copy[k] = in[k];
    node->in = copy;
    node->n_in = n;
}

void lmb_passes_forward(lmb_graph *g, int n_keep, const lmb_value *keep)
{
    if (lmb_graph_status(g) != LMB_OK)
        return;
    lmb_status st = lmb_pass_fuse_batch_norm(g, n_keep, keep);
    if (st == LMB_OK)
        st = lmb_pass_sort(g);
    lmb_graph_fail(g, st);
}

void lmb_passes_backward(lmb_graph *g, int n_keep, const lmb_value *keep)
{
    if (lmb_graph_status(g) != LMB_OK)
        return;
    lmb_status st = lmb_pass_fuse_grad_add(g, n_keep, keep);
    if (st == LMB_OK)
        st = lmb_pass_fold_batch_norm(g, n_keep, keep);
    if (st == LMB_OK)
        st = lmb_pass_sort(g);
    if (st == LMB_OK)
        st = lmb_pass_fuse_conv(g, n_keep, keep);
    if (st == LMB_OK)
        st = lmb_pass_sort(g);
    lmb_graph_fail(g, st);
}
