/* graph.c: building graphs: leaves, nodes, sticky errors, scopes. */
#include "graph/graph.h"

#include "graph/ir.h"

#include <stdio.h>
#include <string.h>

lmb_status lmb_graph_new(lmb_graph **out)
{
    lmb_graph *g = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(g, 1));
    LMB_GOTO(lmb_arena_new(&g->arena), st, failed);
    LMB_GOTO(LMB_GROW(g->values, g->n_values, g->values_capacity), st, failed);
    g->values[0].node = -1; /* id 0 is "no value": a real scalar */
    g->n_values = 1;
    *out = g;
    return LMB_OK;
failed:
    lmb_graph_free(g);
    return st;
}

void lmb_graph_free(lmb_graph *g)
{
    if (g == NULL)
        return;
    lmb_arena_free(g->arena);
    lmb_free(g->values);
    lmb_free(g->nodes);
    lmb_free(g->error);
    lmb_free(g);
}

lmb_status lmb_graph_status(const lmb_graph *g)
{
    if (g->failed == LMB_OK)
        return LMB_OK;
    return LMB_FAIL(g->failed, "%s", g->error != NULL ? g->error : "?");
}

/* Does the message begin with the scope itself: "pcd: ..", "pcd.stages: .."? */
static bool names_scope(const char *scope)
{
    const char *text = lmb_last_error();
    const size_t n = strlen(scope);
    return strncmp(text, scope, n) == 0 && (text[n] == ':' || text[n] == '.');
}

void lmb_graph_fail(lmb_graph *g, lmb_status st)
{
    if (st == LMB_OK || g->failed != LMB_OK)
        return;
    g->failed = st;
    if (g->scope[0] != '\0' && !names_scope(g->scope) &&
        lmb__wrap(st, "%s", g->scope) != st)
        return;
    g->error = lmb_strdup(lmb_last_error());
}

void *lmb_graph_memory(lmb_graph *g, size_t size)
{
    void *block = lmb_arena_alloc(g->arena, size);
    if (block == NULL)
        lmb_graph_fail(g, LMB_FAIL(LMB_ENOMEM, "out of memory: graph"));
    return block;
}

/* --- leaves --------------------------------------------------------------- */

static lmb_value add_value(lmb_graph *g, const lmb_value_info *info)
{
    if (g->failed != LMB_OK)
        return LMB_NONE;
    const lmb_status st = LMB_GROW(g->values, g->n_values, g->values_capacity);
    if (st != LMB_OK) {
        lmb_graph_fail(g, st);
        return LMB_NONE;
    }
    g->values[g->n_values] = *info;
    return (lmb_value){(int32_t)g->n_values++};
}

static bool good_type(
    lmb_graph *g, const char *what, lmb_dtype dtype, const lmb_shape *shape)
{
    if ((dtype == LMB_F32 || dtype == LMB_I32) && shape->rank >= 0 &&
        shape->rank <= LMB_MAX_RANK && lmb_shape_count(shape) >= 0)
        return true;
    lmb_graph_fail(g,
        LMB_FAIL(LMB_ESHAPE, "%s: %s %s is not a type of the graph", what,
            lmb_dtype_name(dtype), lmb_shape_text(shape)));
    return false;
}

lmb_value lmb_graph_input(
    lmb_graph *g, const char *name, lmb_dtype dtype, lmb_shape shape)
{
    if (!good_type(g, name, dtype, &shape))
        return LMB_NONE;
    lmb_value_info info = {
        .type = {dtype, shape},
        .leaf = LMB_LEAF_INPUT,
        .node = -1,
        .name = lmb_arena_strdup(g->arena, name),
    };
    if (info.name == NULL)
        lmb_graph_fail(g, LMB_FAIL(LMB_ENOMEM, "out of memory: graph"));
    return add_value(g, &info);
}

lmb_value lmb_graph_next_input(const lmb_graph *g, lmb_value after)
{
    for (size_t i = (size_t)after.id + 1; i < g->n_values; i++)
        if (g->values[i].leaf == LMB_LEAF_INPUT)
            return (lmb_value){(int32_t)i};
    return LMB_NONE;
}

const char *lmb_graph_input_name(const lmb_graph *g, lmb_value input)
{
    return g->values[input.id].name;
}

lmb_value lmb_graph_param(lmb_graph *g, lmb_param *param)
{
    for (size_t i = 1; i < g->n_values; i++)
        if (g->values[i].param == param)
            return (lmb_value){(int32_t)i};
    const lmb_value_info info = {
        .type = {LMB_F32, param->shape},
        .leaf = LMB_LEAF_PARAM,
        .node = -1,
        .param = param,
    };
    return add_value(g, &info);
}

lmb_value lmb_graph_constant(
    lmb_graph *g, lmb_shape shape, const double *data, double fill)
{
    if (!good_type(g, "constant", LMB_F32, &shape))
        return LMB_NONE;
    lmb_value_info info = {
        .type = {LMB_F32, shape},
        .leaf = LMB_LEAF_CONSTANT,
        .node = -1,
        .fill = fill,
    };
    if (data != NULL) {
        const size_t size = (size_t)lmb_shape_count(&shape) * sizeof *data;
        double *copy = lmb_graph_memory(g, size);
        if (copy == NULL)
            return LMB_NONE;
        memcpy(copy, data, size);
        info.constant = copy;
    }
    return add_value(g, &info);
}

lmb_value lmb_graph_index_constant(
    lmb_graph *g, lmb_shape shape, const int32_t *data)
{
    if (!good_type(g, "constant", LMB_I32, &shape))
        return LMB_NONE;
    const int64_t count = lmb_shape_count(&shape);
    double *copy = lmb_graph_memory(g, (size_t)count * sizeof *copy);
    if (copy == NULL)
        return LMB_NONE;
    for (int64_t i = 0; i < count; i++)
        copy[i] = data[i];
    const lmb_value_info info = {
        .type = {LMB_I32, shape},
        .leaf = LMB_LEAF_CONSTANT,
        .node = -1,
        .constant = copy,
    };
    return add_value(g, &info);
}

lmb_value lmb_graph_scalar(lmb_graph *g, double value)
{
    return lmb_graph_constant(g, LMB_SCALAR, NULL, value);
}

/* --- questions ------------------------------------------------------------ */

lmb_type lmb_graph_type(const lmb_graph *g, lmb_value v)
{
    return g->values[v.id].type;
}

lmb_shape lmb_graph_shape(const lmb_graph *g, lmb_value v)
{
    return g->values[v.id].type.shape;
}

int lmb_graph_rank(const lmb_graph *g, lmb_value v)
{
    return g->values[v.id].type.shape.rank;
}

int64_t lmb_graph_dim(const lmb_graph *g, lmb_value v, int axis)
{
    const lmb_shape *s = &g->values[v.id].type.shape;
    if (axis < 0)
        axis += s->rank;
    return axis >= 0 && axis < s->rank ? s->dim[axis] : 1;
}

/* --- scopes --------------------------------------------------------------- */

void lmb_graph_push(lmb_graph *g, const char *scope)
{
    const size_t used = strlen(g->scope);
    (void)snprintf(g->scope + used, sizeof g->scope - used, "%s%s",
        used > 0 ? "/" : "", scope);
}

void lmb_graph_pop(lmb_graph *g)
{
    char *slash = strrchr(g->scope, '/');
    *(slash != NULL ? slash : g->scope) = '\0';
}

/* --- nodes ---------------------------------------------------------------- */

static lmb_status infer(const lmb_graph *g, const lmb_op *op, const void *attr,
    int n_in, const lmb_value *in, lmb_type *out)
{
    if (n_in < op->min_in || n_in > op->max_in || n_in > LMB_MAX_IN)
        return LMB_FAIL(LMB_EINVAL, "%d inputs, not %d to %d", n_in, op->min_in,
            op->max_in);
    lmb_type types[LMB_MAX_IN];
    for (int i = 0; i < n_in; i++) {
        if (lmb_is(in[i])) {
            types[i] = g->values[in[i].id].type;
        } else if (i >= op->min_in) {
            types[i] = (lmb_type){.shape = {.rank = -1}};
        } else {
            return LMB_FAIL(LMB_EINVAL, "input %d is missing", i);
        }
    }
    LMB_TRY(op->shape(attr, n_in, types, out));
    for (int o = 0; o < op->n_out; o++)
        if (lmb_shape_count(&out[o].shape) < 0)
            return LMB_FAIL(LMB_ESHAPE, "output %s is too large",
                lmb_shape_text(&out[o].shape));
    return LMB_OK;
}

static lmb_status add_node(lmb_graph *g, const lmb_op *op, const void *attr,
    int n_in, const lmb_value *in, lmb_node *node)
{
    node->op = op;
    node->n_in = n_in;
    node->n_out = op->n_out;
    node->attr =
        lmb_arena_copy(g->arena, attr, attr != NULL ? op->attr_size : 0);
    node->in = lmb_arena_copy(g->arena, in, (size_t)n_in * sizeof *in);
    node->out =
        lmb_arena_alloc(g->arena, (size_t)op->n_out * sizeof *node->out);
    node->scope = lmb_arena_strdup(g->arena, g->scope);
    if (node->attr == NULL || node->in == NULL || node->out == NULL ||
        node->scope == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: graph");
    return LMB_GROW(g->nodes, g->n_nodes, g->nodes_capacity);
}

void lmb_graph_apply(lmb_graph *g, const lmb_op *op, const void *attr, int n_in,
    const lmb_value *in, lmb_value *out)
{
    for (int o = 0; o < op->n_out; o++)
        out[o] = LMB_NONE;
    if (g->failed != LMB_OK)
        return;
    lmb_type types[LMB_MAX_OUT];
    lmb_status st = infer(g, op, attr, n_in, in, types);
    if (st != LMB_OK) {
        lmb_graph_fail(g, lmb__wrap(st, "%s", op->name));
        return;
    }
    lmb_node node = {0};
    st = add_node(g, op, attr, n_in, in, &node);
    if (st != LMB_OK) {
        lmb_graph_fail(g, st);
        return;
    }
    for (int o = 0; o < op->n_out; o++) {
        const lmb_value_info info = {
            .type = types[o],
            .node = (int32_t)g->n_nodes,
            .slot = o,
        };
        out[o] = node.out[o] = add_value(g, &info);
    }
    g->nodes[g->n_nodes++] = node;
}

lmb_value lmb_graph_apply1(lmb_graph *g, const lmb_op *op, const void *attr,
    int n_in, const lmb_value *in)
{
    lmb_value out[LMB_MAX_OUT];
    lmb_graph_apply(g, op, attr, n_in, in, out);
    return out[0];
}
