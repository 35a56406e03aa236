/* nn_layers.c: layers: ops with their parameters. */
#include "nn/nn.h"

#include "op/op_detect.h"

#include <stdio.h>

static int or_one(int value)
{
    return value > 0 ? value : 1;
}

static lmb_init weight_rule(const lmb_conv_opt *opt, lmb_shape shape)
{
    if (opt->weight_init_set)
        return opt->weight_init;
    return opt->kaiming ? lmb_init_kaiming_fan_out(shape)
                        : lmb_init_torch_default(shape);
}

static lmb_init bias_rule(const lmb_conv_opt *opt, lmb_shape weight)
{
    if (opt->bias_init_set)
        return opt->bias_init;
    return opt->kaiming ? lmb_init_constant(0) : lmb_init_torch_default(weight);
}

static lmb_conv_attr conv_attr(const lmb_conv_opt *opt)
{
    lmb_conv_attr attr = lmb_conv_square(or_one(opt->stride), opt->pad);
    attr.groups = or_one(opt->groups);
    return attr;
}

static lmb_value conv_weight(lmb_nn *nn, lmb_value x, const lmb_conv_opt *opt)
{
    const int64_t in = lmb_graph_dim(nn->g, x, 1);
    const lmb_shape shape =
        LMB_SHAPE(opt->out, in / or_one(opt->groups), opt->kernel, opt->kernel);
    return lmb_nn_param(nn, "weight", shape, weight_rule(opt, shape), true);
}

lmb_value lmb_nn_conv(
    lmb_nn *nn, const char *name, lmb_value x, const lmb_conv_opt *opt)
{
    const lmb_conv_attr attr = conv_attr(opt);
    lmb_value bias = LMB_NONE;
    lmb_nn_push(nn, "%s", name);
    const lmb_value weight = conv_weight(nn, x, opt);
    if (opt->bias)
        bias = lmb_nn_param(nn, "bias", LMB_SHAPE(opt->out),
            bias_rule(opt, lmb_graph_shape(nn->g, weight)), true);
    const lmb_value y = lmb_conv2d(nn->g, x, weight, bias, &attr);
    lmb_nn_pop(nn);
    return y;
}

/* Running statistics are buffers that the training op writes: it wants the
 * parameter, not a value of the graph. */
static lmb_param *owner_of(
    lmb_nn *nn, const char *name, lmb_shape shape, double start)
{
    char full[256];
    lmb_param *param = NULL;
    if (lmb_graph_status(nn->g) != LMB_OK)
        return NULL;
    (void)snprintf(full, sizeof full, "%s.%s", nn->prefix, name);
    lmb_graph_fail(nn->g,
        lmb_params_add(
            nn->params, full, &shape, lmb_init_constant(start), false, &param));
    return param;
}

typedef struct norm {
    lmb_value gamma, beta;
    lmb_param *mean, *var; /* NULL: the graph has failed */
} norm;

static norm norm_open(lmb_nn *nn, const char *name, int64_t channels)
{
    const lmb_shape shape = LMB_SHAPE(channels);
    norm n;
    lmb_nn_push(nn, "%s", name);
    n.gamma = lmb_nn_param(nn, "weight", shape, lmb_init_constant(1), true);
    n.beta = lmb_nn_param(nn, "bias", shape, lmb_init_constant(0), true);
    n.mean = owner_of(nn, "running_mean", shape, 0);
    n.var = owner_of(nn, "running_var", shape, 1);
    return n;
}

static bool batch_statistics(const lmb_nn *nn)
{
    return nn->mode == LMB_MODE_TRAIN && !nn->frozen && !nn->norm_eval;
}

lmb_value lmb_nn_batch_norm(lmb_nn *nn, const char *name, lmb_value x)
{
    lmb_value y = LMB_NONE;
    const norm n = norm_open(nn, name, lmb_graph_dim(nn->g, x, 1));
    if (n.mean == NULL || n.var == NULL)
        y = LMB_NONE;
    else if (batch_statistics(nn))
        y = lmb_batch_norm_train(nn->g, x, n.gamma, n.beta, nn->bn_eps,
            nn->bn_momentum, n.mean, n.var);
    else
        y = lmb_batch_norm_infer(nn->g, x, n.gamma, n.beta,
            lmb_graph_param(nn->g, n.mean), lmb_graph_param(nn->g, n.var),
            nn->bn_eps);
    lmb_nn_pop(nn);
    return y;
}

/* w' = w s, b' = beta - mean s, s = gamma / sqrt(var + eps). */
static lmb_value folded(lmb_nn *nn, const char *name, lmb_value x, lmb_value w,
    const lmb_conv_attr *attr)
{
    lmb_graph *g = nn->g;
    lmb_value y = LMB_NONE;
    const int64_t out = lmb_graph_dim(g, w, 0);
    const norm n = norm_open(nn, name, out);
    if (n.mean != NULL && n.var != NULL) {
        const lmb_value var = lmb_graph_param(g, n.var);
        const lmb_value s = lmb_mul(g, n.gamma,
            lmb_reciprocal(g, lmb_sqrt(g, lmb_shift(g, var, nn->bn_eps))));
        const lmb_value bias =
            lmb_sub(g, n.beta, lmb_mul(g, lmb_graph_param(g, n.mean), s));
        const lmb_value scaled =
            lmb_mul(g, w, lmb_reshape(g, s, LMB_SHAPE(out, 1, 1, 1)));
        y = lmb_conv2d(g, x, scaled, bias, attr);
    }
    lmb_nn_pop(nn);
    return y;
}

lmb_value lmb_nn_conv_bn(lmb_nn *nn, const char *conv, const char *bn,
    lmb_value x, const lmb_conv_opt *opt)
{
    if (nn->mode != LMB_MODE_TRAIN || batch_statistics(nn) || opt->bias)
        return lmb_nn_batch_norm(nn, bn, lmb_nn_conv(nn, conv, x, opt));
    const lmb_conv_attr attr = conv_attr(opt);
    lmb_nn_push(nn, "%s", conv);
    const lmb_value w = conv_weight(nn, x, opt);
    lmb_nn_pop(nn);
    return folded(nn, bn, x, w, &attr);
}

lmb_value lmb_nn_group_norm(
    lmb_nn *nn, const char *name, lmb_value x, int groups)
{
    const lmb_shape shape = LMB_SHAPE(lmb_graph_dim(nn->g, x, 1));
    lmb_nn_push(nn, "%s", name);
    const lmb_value gamma =
        lmb_nn_param(nn, "weight", shape, lmb_init_constant(1), true);
    const lmb_value beta =
        lmb_nn_param(nn, "bias", shape, lmb_init_constant(0), true);
    const lmb_value y =
        lmb_group_norm(nn->g, x, gamma, beta, groups, nn->bn_eps);
    lmb_nn_pop(nn);
    return y;
}

lmb_value lmb_nn_layer_norm(lmb_nn *nn, const char *name, lmb_value x)
{
    const lmb_shape shape = LMB_SHAPE(lmb_graph_dim(nn->g, x, -1));
    lmb_nn_push(nn, "%s", name);
    const lmb_value gamma =
        lmb_nn_param(nn, "weight", shape, lmb_init_constant(1), true);
    const lmb_value beta =
        lmb_nn_param(nn, "bias", shape, lmb_init_constant(0), true);
    const lmb_value y = lmb_layer_norm(nn->g, x, gamma, beta, nn->bn_eps);
    lmb_nn_pop(nn);
    return y;
}

lmb_value lmb_nn_linear(lmb_nn *nn, const char *name, lmb_value x, int out,
    lmb_init weight, lmb_init bias)
{
    const int64_t in = lmb_graph_dim(nn->g, x, 1);
    lmb_nn_push(nn, "%s", name);
    const lmb_value w =
        lmb_nn_param(nn, "weight", LMB_SHAPE(out, in), weight, true);
    const lmb_value b = lmb_nn_param(nn, "bias", LMB_SHAPE(out), bias, true);
    const lmb_value y = lmb_linear(nn->g, x, w, b);
    lmb_nn_pop(nn);
    return y;
}

lmb_value lmb_nn_linear_default(
    lmb_nn *nn, const char *name, lmb_value x, int out)
{
    const lmb_init rule =
        lmb_init_torch_default(LMB_SHAPE(out, lmb_graph_dim(nn->g, x, 1)));
    return lmb_nn_linear(nn, name, x, out, rule, rule);
}

lmb_value lmb_nn_linear_whole(lmb_nn *nn, const char *name, lmb_value x,
    int out, lmb_init weight, lmb_init bias)
{
    const int64_t c = lmb_graph_dim(nn->g, x, 1);
    const int64_t h = lmb_graph_dim(nn->g, x, 2);
    const int64_t w = lmb_graph_dim(nn->g, x, 3);
    const lmb_conv_attr attr = lmb_conv_square(1, 0);
    lmb_nn_push(nn, "%s", name);
    const lmb_value matrix =
        lmb_nn_param(nn, "weight", LMB_SHAPE(out, c * h * w), weight, true);
    const lmb_value b = lmb_nn_param(nn, "bias", LMB_SHAPE(out), bias, true);
    const lmb_value kernel =
        lmb_reshape(nn->g, matrix, LMB_SHAPE(out, c, h, w));
    const lmb_value y = lmb_conv2d(nn->g, x, kernel, b, &attr);
    lmb_nn_pop(nn);
    return y;
}

void lmb_nn_head(
    lmb_nn *nn, const char *name, lmb_value pooled, lmb_value logits)
{
    (void)snprintf(nn->head, sizeof nn->head, "%s%s%.60s", nn->prefix,
        nn->prefix[0] != '\0' ? "." : "", name);
    lmb_nn_tap(nn, "pooled", pooled);
    lmb_nn_tap(nn, "logits", logits);
}
