/* models.c: the table of networks, and what a network is in numbers. */
#include "model/model.h"

#include "base/str.h"
#include "graph/ir.h"
#include "op/ops.h"

#include <stdio.h>
#include <string.h>

#define LMB_MODEL(name, file) extern const lmb_model lmb_model_##name;
#include "model/models.def"
#undef LMB_MODEL

static const lmb_model *const table[] = {
#define LMB_MODEL(name, file) &lmb_model_##name,
#include "model/models.def"
#undef LMB_MODEL
};

const lmb_model *const *lmb_models(int *count)
{
    *count = (int)LMB_COUNT(table);
    return table;
}

/* Is `name` one of the words of "a|b|c"? */
static bool among(const char *words, const char *name)
{
    char word[64];
    while (words != NULL && *words != '\0') {
        const size_t length = strcspn(words, "|");
        (void)snprintf(word, sizeof word, "%.*s", (int)length, words);
        if (lmb_str_equal_nocase(word, name))
            return true;
        words += length + (words[length] == '|' ? 1 : 0);
    }
    return false;
}

const lmb_model *lmb_model_find(const char *name)
{
    for (size_t i = 0; i < LMB_COUNT(table); i++)
        if (lmb_str_equal_nocase(table[i]->name, name))
            return table[i];
    for (size_t i = 0; i < LMB_COUNT(table); i++)
        if (among(table[i]->aliases, name))
            return table[i];
    return NULL;
}

lmb_status lmb_model_get(const char *name, const lmb_model **out)
{
    const char *names[LMB_COUNT(table)];
    const lmb_model *found = lmb_model_find(name);
    if (found != NULL) {
        *out = found;
        return LMB_OK;
    }
    for (size_t i = 0; i < LMB_COUNT(table); i++)
        names[i] = table[i]->name;
    const char *near = lmb_str_nearest(name, names, LMB_COUNT(names));
    if (near != NULL)
        return LMB_FAIL(
            LMB_EINVAL, "there is no model '%s'; did you mean %s?", name, near);
    return LMB_FAIL(LMB_EINVAL,
        "there is no model '%s'; `limbeck list models` shows all", name);
}

/* --- numbers ------------------------------------------------------------- */

/* Multiply-adds of a node: each output element is a sum of so many products. */
static int64_t node_macs(const lmb_graph *g, const lmb_node *node)
{
    const lmb_shape y = g->values[node->out[0].id].type.shape;
    if (node->op == &lmb_op_conv2d) {
        const lmb_shape w = g->values[node->in[1].id].type.shape;
        return lmb_shape_count(&y) * w.dim[1] * w.dim[2] * w.dim[3];
    }
    if (node->op == &lmb_op_matmul) {
        const lmb_shape a = g->values[node->in[0].id].type.shape;
        const lmb_matmul_attr *attr = node->attr;
        return lmb_shape_count(&y) * a.dim[a.rank - (attr->ta ? 2 : 1)];
    }
    return 0;
}

static void count_nodes(const lmb_graph *g, lmb_model_info *info)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        info->macs += node_macs(g, &g->nodes[i]);
        info->convs += g->nodes[i].op == &lmb_op_conv2d ? 1 : 0;
    }
}

static void copy_taps(const lmb_nn *nn, lmb_model_info *info)
{
    info->n_taps = nn->n_taps;
    for (int i = 0; i < nn->n_taps; i++) {
        (void)snprintf(info->taps[i].name, sizeof info->taps[i].name, "%s",
            nn->taps[i].name);
        info->taps[i].shape = lmb_graph_shape(nn->g, nn->taps[i].value);
    }
    (void)snprintf(info->head, sizeof info->head, "%.63s", nn->head);
}

static lmb_status describe(const lmb_model *m, const lmb_model_opts *of,
    int classes, int size, lmb_model_info *out)
{
    lmb_graph *g = NULL;
    lmb_params *params = NULL;
    lmb_nn nn;
    lmb_model_opts opts = *of;
    lmb_detection detection = {0};
    lmb_status st = LMB_OK;
    const int k = classes > 0 ? classes : m->default_classes;
    const int s = size > 0 ? size : m->default_size;
    *out = (lmb_model_info){0};
    LMB_GOTO(lmb_graph_new(&g), st, done);
    LMB_GOTO(lmb_params_new(LMB_F32, &params), st, done);
    lmb_nn_init(&nn, g, params, LMB_MODE_EVAL);
    opts.frozen_stages = -1; /* frozen parameters are counted, too */
    nn.options = &opts;
    nn.detection = m->postprocess != NULL ? &detection : NULL;
    detection.sizes = lmb_graph_constant(g, LMB_SHAPE(1, 2), NULL, s);
    (void)m->build(m, &nn,
        lmb_graph_input(g, "images", LMB_F32, LMB_SHAPE(1, 3, s, s)), k);
    LMB_GOTO(lmb_graph_status(g), st, done);
    out->parameters = lmb_params_trainable(params);
    count_nodes(g, out);
    copy_taps(&nn, out);
done:
    lmb_params_free(params);
    lmb_graph_free(g);
    return st;
}

lmb_status lmb_model_describe(
    const lmb_model *m, int classes, int size, lmb_model_info *out)
{
    lmb_model_opts opts;
    lmb_opt_defaults(lmb_model_opts_table, &opts);
    return describe(m, &opts, classes, size, out);
}

lmb_status lmb_model_spec_describe(
    const lmb_model_spec *spec, int classes, int size, lmb_model_info *out)
{
    return describe(spec->model, &spec->opts, classes, size, out);
}
