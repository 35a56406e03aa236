/* pass_conv.c: conv2d -> [add] -> relu becomes one node.
 *
 * Runs after differentiation: the backward of relu reads its output and the
 * backward of a convolution reads its input, so the fusion is always valid
 * where nobody else reads what lies between. */
#include "plan/pass.h"

static bool same_shape(const lmb_graph *g, lmb_value a, lmb_value b)
{
    const lmb_shape x = lmb_graph_shape(g, a);
    const lmb_shape y = lmb_graph_shape(g, b);
    return lmb_shape_equal(&x, &y);
}

/* With both inputs of the addition convolutions, only the later one can take
 * the other as its residual: `i` must come after the residual's maker. */
static lmb_value residual_of(
    const lmb_graph *g, const lmb_node *add, lmb_value y, size_t i)
{
    if (((const lmb_binary_attr *)add->attr)->kind != LMB_BINARY_ADD ||
        add->in[0].id == add->in[1].id ||
        !same_shape(g, add->in[0], add->in[1]))
        return LMB_NONE;
    const lmb_value other = add->in[add->in[0].id == y.id ? 1 : 0];
    return g->values[other.id].node < (int32_t)i ? other : LMB_NONE;
}

static void fuse(lmb_graph *g, const lmb_uses *u, size_t i)
{
    lmb_node *conv = &g->nodes[i];
    lmb_value in[4] = {conv->in[0], conv->in[1],
        conv->n_in > 2 ? conv->in[2] : LMB_NONE, LMB_NONE};
    lmb_value y = conv->out[0];
    lmb_node *add = lmb_only_user(g, u, y, &lmb_op_binary);
    if (add != NULL) {
        in[3] = residual_of(g, add, y, i);
        if (!lmb_is(in[3]))
            return;
        y = add->out[0];
    }
    lmb_node *relu = lmb_only_user(g, u, y, &lmb_op_relu);
    if (relu == NULL && add == NULL)
        return;
    if (relu != NULL) {
        ((lmb_conv_attr *)conv->attr)->relu = true;
        y = relu->out[0];
        relu->removed = true;
    }
    if (add != NULL)
        add->removed = true;
    lmb_set_inputs(g, conv, 4, in);
    lmb_take_output(g, conv, 0, y);
}

lmb_status lmb_pass_fuse_conv(lmb_graph *g, int n_keep, const lmb_value *keep)
{
    lmb_uses u;
    LMB_TRY(lmb_uses_make(g, n_keep, keep, &u));
    for (size_t i = 0; i < g->n_nodes; i++) {
        const lmb_node *node = &g->nodes[i];
        if (node->op == &lmb_op_conv2d && node->n_in <= 3 && !node->removed)
            fuse(g, &u, i);
    }
    lmb_uses_fini(&u);
    return lmb_graph_status(g);
}
