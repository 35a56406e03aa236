/* head_dense.c: towers of dense heads; see the header. */
#include "model/head_dense.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double lmb_dense_prior_bias(void)
{
    return -log((1 - 0.01) / 0.01);
}

static lmb_conv_opt conv3x3(int out, bool bias, double start)
{
    return (lmb_conv_opt){
        .out = out,
        .kernel = 3,
        .pad = 1,
        .bias = bias,
        .weight_init_set = true,
        .weight_init = lmb_init_normal(0, 0.01),
        .bias_init_set = true,
        .bias_init = lmb_init_constant(start),
    };
}

/* Convolution and norm of one layer, without its ReLU. */
static lmb_value layer(lmb_nn *nn, const lmb_tower *t, int i, lmb_value x)
{
    char name[48];
    const lmb_conv_opt opt =
        conv3x3((int)lmb_detector_opts(nn)->fpn_channels, t->bias, 0);
    (void)snprintf(
        name, sizeof name, "%s%d%s", t->conv[0], t->step * i, t->conv[1]);
    x = lmb_nn_conv(nn, name, x, &opt);
    if (t->norm[0] == NULL)
        return x;
    (void)snprintf(name, sizeof name, "%s%d%s", t->norm[0],
        t->step * i + t->norm_shift, t->norm[1]);
    return lmb_nn_group_norm(nn, name, x, 32);
}

static void declare(
    lmb_nn *nn, const char *tap, int level, int number, int last, lmb_value x)
{
    char name[24];
    (void)snprintf(name, sizeof name, "%s.feat%d", tap, number);
    lmb_detector_taps(nn, name, level, 1, &x);
    (void)snprintf(name, sizeof name, "%s.feat", tap);
    if (number == last)
        lmb_detector_taps(nn, name, level, 1, &x);
}

/* tap, level: where the layers' outputs are declared; NULL: nowhere. */
static lmb_value build_tower(lmb_nn *nn, const lmb_tower *tower, int from,
    lmb_value x, const char *tap, int level)
{
    const int n = (int)lmb_detector_opts(nn)->head_convs;
    if (from > 0)
        x = lmb_relu(nn->g, x);
    lmb_nn_push(nn, "%s", tower->scope);
    for (int i = from; i < n; i++) {
        x = layer(nn, tower, i, x);
        if (tap != NULL && i < n - 1)
            declare(nn, tap, level, i + 1, n - 1, x);
        x = lmb_relu(nn->g, x);
    }
    lmb_nn_pop(nn);
    return x;
}

lmb_value lmb_tower_build(
    lmb_nn *nn, const lmb_tower *tower, int from, lmb_value x)
{
    return build_tower(nn, tower, from, x, NULL, 0);
}

void lmb_dense_towers(lmb_nn *nn, const lmb_tower *cls, const lmb_tower *box,
    int first, const lmb_value p[LMB_DETECTOR_LEVELS], lmb_dense_features *out)
{
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++) {
        out->cls[i] = build_tower(nn, cls, 0, p[i], "cls", first + i);
        out->box[i] = build_tower(nn, box, 0, p[i], "box", first + i);
    }
}

lmb_value lmb_dense_predict(lmb_nn *nn, const char *scope, const char *name,
    lmb_value x, int out, double bias)
{
    const lmb_conv_opt opt = conv3x3(out, true, bias);
    lmb_nn_push(nn, "%s", scope);
    const lmb_value y = lmb_nn_conv(nn, name, x, &opt);
    lmb_nn_pop(nn);
    return y;
}

lmb_value lmb_dense_scale(lmb_nn *nn, const char *scope, int level, lmb_value y)
{
    lmb_nn_push(nn, "%s.scales.%d", scope, level);
    const lmb_value scale =
        lmb_nn_param(nn, "scale", LMB_SCALAR, lmb_init_constant(1), true);
    lmb_nn_pop(nn);
    return lmb_mul(nn->g, y, scale);
}

lmb_tail lmb_dense_tail(
    lmb_nn *nn, const char *name, int after, int first_level, int *level)
{
    const int n = (int)lmb_detector_opts(nn)->head_convs;
    const bool cls = strncmp(name, "cls.p", 5) == 0;
    const bool named = (cls || strncmp(name, "box.p", 5) == 0) &&
        name[5] >= '0' && name[5] <= '9' && name[6] == '\0';
    *level = named ? name[5] - '0' - first_level : -1;
    if (*level < 0 || *level >= LMB_DETECTOR_LEVELS) {
        lmb_graph_fail(
            nn->g, LMB_FAIL(LMB_EINVAL, "the detector has no head %s", name));
        return LMB_TAIL_NONE;
    }
    if (after < 1 || after > n) {
        lmb_graph_fail(nn->g,
            LMB_FAIL(LMB_EINVAL,
                "head of %s: its tower has %d convolutions, none to start "
                "after %d (option after)",
                name, n, after));
        return LMB_TAIL_NONE;
    }
    return cls ? LMB_TAIL_CLS : LMB_TAIL_BOX;
}
