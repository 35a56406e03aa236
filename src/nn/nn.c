/* nn.c: the building site: name prefix, taps, parameters. */
#include "nn/nn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void lmb_nn_init(lmb_nn *nn, lmb_graph *g, lmb_params *params, lmb_mode mode)
{
    *nn = (lmb_nn){
        .g = g,
        .params = params,
        .mode = mode,
        .bn_eps = 1e-5,
        .bn_momentum = 0.1,
    };
}

void lmb_nn_push(lmb_nn *nn, const char *fmt, ...)
{
    char name[64];
    va_list args;
    va_start(args, fmt);
    const int length = vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    const size_t old = strlen(nn->prefix);
    LMB_ASSERT(nn->depth < LMB_NN_DEPTH);
    nn->marks[nn->depth++] = (int16_t)old;
    lmb_graph_push(nn->g, name);
    if (length < 0 || (size_t)length >= sizeof name ||
        old + (size_t)length + 2 > sizeof nn->prefix) {
        lmb_graph_fail(nn->g,
            LMB_FAIL(
                LMB_EINVAL, "%s.%s: the name is too long", nn->prefix, name));
        return;
    }
    (void)snprintf(nn->prefix + old, sizeof nn->prefix - old, "%s%s",
        old > 0 ? "." : "", name);
}

void lmb_nn_pop(lmb_nn *nn)
{
    LMB_ASSERT(nn->depth > 0);
    nn->prefix[nn->marks[--nn->depth]] = '\0';
    lmb_graph_pop(nn->g);
}

void lmb_nn_tap(lmb_nn *nn, const char *name, lmb_value v)
{
    if (!lmb_is(v))
        return; /* the graph has failed */
    if (nn->n_taps == LMB_MAX_TAPS || strlen(name) >= sizeof nn->taps[0].name) {
        lmb_graph_fail(nn->g,
            LMB_FAIL(LMB_EINVAL, "tap %s: at most %d taps with short names",
                name, LMB_MAX_TAPS));
        return;
    }
    (void)snprintf(
        nn->taps[nn->n_taps].name, sizeof nn->taps[0].name, "%s", name);
    nn->taps[nn->n_taps++].value = v;
}

void lmb_nn_tap_at(lmb_nn *nn, const char *name, int i, lmb_value v)
{
    char full[32];
    (void)snprintf(full, sizeof full, "%.12s%d", name, i);
    lmb_nn_tap(nn, full, v);
}

lmb_value lmb_nn_tap_find(const lmb_nn *nn, const char *name)
{
    for (int i = 0; i < nn->n_taps; i++)
        if (strcmp(nn->taps[i].name, name) == 0)
            return nn->taps[i].value;
    return LMB_NONE;
}

lmb_value lmb_nn_param(lmb_nn *nn, const char *name, lmb_shape shape,
    lmb_init init, bool trainable)
{
    char full[256];
    lmb_param *param = NULL;
    /* After a failure shapes are made up: no parameters of such shapes. */
    if (lmb_graph_status(nn->g) != LMB_OK)
        return LMB_NONE;
    (void)snprintf(full, sizeof full, "%s%s%.60s", nn->prefix,
        nn->prefix[0] != '\0' ? "." : "", name);
    const lmb_status st = lmb_params_add(
        nn->params, full, &shape, init, trainable && !nn->frozen, &param);
    if (st != LMB_OK) {
        lmb_graph_fail(nn->g, st);
        return LMB_NONE;
    }
    return lmb_graph_param(nn->g, param);
}
