/* autodiff.c: reverse-mode differentiation as a transformation of the graph.
 *
 * Nodes are walked backwards from the loss; each node's gradient rule adds the
 * nodes that compute the gradients of its inputs; contributions to one value
 * are added. Only nodes between `wrt` and the loss are touched. */
#include "graph/ir.h"
#include "op/ops.h"

#include <string.h>

typedef struct walk {
    lmb_graph *g;
    size_t n_values, n_nodes; /* before the backward nodes were added */
    bool *needed; /* depends on a value of wrt */
    lmb_value *grad; /* sum of contributions so far */
} walk;

static void mark_needed(walk *w)
{
    for (size_t i = 0; i < w->n_nodes; i++) {
        const lmb_node *node = &w->g->nodes[i];
        bool any = false;
        for (int k = 0; k < node->n_in; k++)
            any = any || w->needed[node->in[k].id];
        if (node->removed || node->op->no_gradient)
            any = false;
        for (int o = 0; o < node->n_out; o++)
            w->needed[node->out[o].id] |= any;
    }
}

static void accumulate(walk *w, lmb_value v, lmb_value dv)
{
    if (!lmb_is(dv))
        return;
    const lmb_shape want = lmb_graph_shape(w->g, v);
    const lmb_shape have = lmb_graph_shape(w->g, dv);
    if (!lmb_shape_equal(&want, &have)) {
        lmb_graph_fail(w->g,
            LMB_FAIL(LMB_ESHAPE, "gradient %s of a value %s",
                lmb_shape_text(&have), lmb_shape_text(&want)));
        return;
    }
    lmb_value *sum = &w->grad[v.id];
    *sum = lmb_is(*sum) ? lmb_add(w->g, *sum, dv) : dv;
}

static void differentiate_node(walk *w, size_t i)
{
    /* A copy: the array of nodes moves while the rule adds to it. */
    const lmb_node node = w->g->nodes[i];
    lmb_value dy[LMB_MAX_OUT];
    bool any = false;
    for (int o = 0; o < node.n_out; o++) {
        dy[o] = w->grad[node.out[o].id];
        any = any || lmb_is(dy[o]);
    }
    bool need[LMB_MAX_IN];
    bool wanted = false;
    for (int k = 0; k < node.n_in; k++) {
        need[k] = w->needed[node.in[k].id];
        wanted = wanted || need[k];
    }
    if (!any || !wanted || node.removed || node.op->no_gradient)
        return;
    if (node.op->grad == NULL) {
        lmb_graph_fail(w->g,
            LMB_FAIL(LMB_EUNSUPPORTED, "%s (%s) has no gradient", node.op->name,
                node.scope));
        return;
    }
    lmb_value dx[LMB_MAX_IN] = {{0}};
    const lmb_grad rule = {
        .attr = node.attr,
        .n_in = node.n_in,
        .n_out = node.n_out,
        .in = node.in,
        .out = node.out,
        .dy = dy,
        .need = need,
        .dx = dx,
    };
    /* The node's scope may have several parts: pop would leave all but one. */
    char scope[sizeof w->g->scope];
    memcpy(scope, w->g->scope, sizeof scope);
    if (node.scope[0] != '\0')
        lmb_graph_push(w->g, node.scope);
    node.op->grad(w->g, &rule);
    for (int k = 0; k < node.n_in; k++)
        if (need[k])
            accumulate(w, node.in[k], dx[k]);
    memcpy(w->g->scope, scope, sizeof scope);
}

static void run_walk(walk *w, lmb_value loss, int n, const lmb_value *wrt)
{
    for (int i = 0; i < n; i++)
        w->needed[wrt[i].id] = true;
    w->needed[0] = false;
    mark_needed(w);
    w->grad[loss.id] =
        lmb_graph_constant(w->g, lmb_graph_shape(w->g, loss), NULL, 1);
    for (size_t i = w->n_nodes; i-- > 0 && w->g->failed == LMB_OK;)
        differentiate_node(w, i);
}

void lmb_backward(
    lmb_graph *g, lmb_value loss, int n, const lmb_value *wrt, lmb_value *out)
{
    for (int i = 0; i < n; i++)
        out[i] = LMB_NONE;
    if (g->failed != LMB_OK || !lmb_is(loss))
        return;
    if (lmb_graph_rank(g, loss) != 0) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_ESHAPE, "backward: the loss has shape %s, not []",
                lmb_shape_text(&g->values[loss.id].type.shape)));
        return;
    }
    walk w = {.g = g, .n_values = g->n_values, .n_nodes = g->n_nodes};
    w.needed = lmb_alloc(w.n_values, sizeof *w.needed);
    w.grad = lmb_alloc(w.n_values, sizeof *w.grad);
    if (w.needed == NULL || w.grad == NULL) {
        lmb_graph_fail(g, LMB_FAIL(LMB_ENOMEM, "out of memory: backward"));
    } else {
        lmb_graph_push(g, "backward");
        run_walk(&w, loss, n, wrt);
        lmb_graph_pop(g);
        for (int i = 0; i < n; i++)
            out[i] = g->failed == LMB_OK ? w.grad[wrt[i].id] : LMB_NONE;
    }
    lmb_free(w.needed);
    lmb_free(w.grad);
}

static bool is_in(const lmb_param *p, int n_stores, lmb_params *const *stores)
{
    for (int i = 0; i < n_stores; i++)
        if (p != NULL && p->owner == stores[i] && p->trainable)
            return true;
    return false;
}

void lmb_backward_params(
    lmb_graph *g, lmb_value loss, int n_stores, lmb_params *const *stores)
{
    const size_t most = g->n_values;
    lmb_value *wrt = lmb_alloc(most, 2 * sizeof *wrt);
    if (wrt == NULL) {
        lmb_graph_fail(g, LMB_FAIL(LMB_ENOMEM, "out of memory: backward"));
        return;
    }
    lmb_value *grad = wrt + most;
    int n = 0;
    for (size_t i = 1; i < most; i++)
        if (is_in(g->values[i].param, n_stores, stores))
            wrt[n++] = (lmb_value){(int32_t)i};
    lmb_backward(g, loss, n, wrt, grad);
    for (int i = 0; i < n; i++)
        if (lmb_is(grad[i]))
            lmb_store_grad(g, g->values[wrt[i].id].param, grad[i]);
    lmb_free(wrt);
}
