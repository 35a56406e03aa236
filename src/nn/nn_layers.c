/* nn_layers.c: layers: ops with their parameters. */
#include "nn/nn.h"

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

lmb_value lmb_nn_conv(
    lmb_nn *nn, const char *name, lmb_value x, const lmb_conv_opt *opt)
{
    const int groups = or_one(opt->groups);
    const int64_t in = lmb_graph_dim(nn->g, x, 1);
    const lmb_shape shape =
        LMB_SHAPE(opt->out, in / groups, opt->kernel, opt->kernel);
    lmb_conv_attr attr = lmb_conv_square(or_one(opt->stride), opt->pad);
    lmb_value bias = LMB_NONE;
    attr.groups = groups;
    lmb_nn_push(nn, "%s", name);
    const lmb_value weight =
        lmb_nn_param(nn, "weight", shape, weight_rule(opt, shape), true);
    if (opt->bias)
        bias = lmb_nn_param(
            nn, "bias", LMB_SHAPE(opt->out), bias_rule(opt, shape), true);
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

lmb_value lmb_nn_batch_norm(lmb_nn *nn, const char *name, lmb_value x)
{
    const lmb_shape shape = LMB_SHAPE(lmb_graph_dim(nn->g, x, 1));
    lmb_value y = LMB_NONE;
    lmb_nn_push(nn, "%s", name);
    const lmb_value gamma =
        lmb_nn_param(nn, "weight", shape, lmb_init_constant(1), true);
    const lmb_value beta =
        lmb_nn_param(nn, "bias", shape, lmb_init_constant(0), true);
    lmb_param *mean = owner_of(nn, "running_mean", shape, 0);
    lmb_param *var = owner_of(nn, "running_var", shape, 1);
    if (mean == NULL || var == NULL)
        y = LMB_NONE;
    else if (nn->mode == LMB_MODE_TRAIN)
        y = lmb_batch_norm_train(
            nn->g, x, gamma, beta, nn->bn_eps, nn->bn_momentum, mean, var);
    else
        y = lmb_batch_norm_infer(nn->g, x, gamma, beta,
            lmb_graph_param(nn->g, mean), lmb_graph_param(nn->g, var),
            nn->bn_eps);
    lmb_nn_pop(nn);
    return y;
}

lmb_value lmb_nn_conv_bn(lmb_nn *nn, const char *conv, const char *bn,
    lmb_value x, const lmb_conv_opt *opt)
{
    return lmb_nn_batch_norm(nn, bn, lmb_nn_conv(nn, conv, x, opt));
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

void lmb_nn_head(
    lmb_nn *nn, const char *name, lmb_value pooled, lmb_value logits)
{
    (void)snprintf(nn->head, sizeof nn->head, "%s%s%.60s", nn->prefix,
        nn->prefix[0] != '\0' ? "." : "", name);
    lmb_nn_tap(nn, "pooled", pooled);
    lmb_nn_tap(nn, "logits", logits);
}
