/* fpn.c: the feature pyramid; see the header. */
#include "model/fpn.h"

#include "model/backbone.h"

#include <stdio.h>

/* Weights start as mmdetection's (Xavier) or torchvision's (Lecun), biases at
 * 0. `name` is where the layer's parameters lie. */
static lmb_value conv(lmb_nn *nn, const lmb_fpn_rule *rule, const char *name,
    lmb_value x, int kernel, int stride)
{
    const int out = (int)lmb_detector_opts(nn)->fpn_channels;
    const lmb_shape shape =
        LMB_SHAPE(out, lmb_graph_dim(nn->g, x, 1), kernel, kernel);
    const lmb_conv_opt opt = {.out = out,
        .kernel = kernel,
        .stride = stride,
        .pad = kernel / 2,
        .bias = true,
        .weight_init_set = true,
        .weight_init = rule->layout == LMB_LAYOUT_MMDET
            ? lmb_init_xavier_uniform(shape)
            : lmb_init_lecun_uniform(shape),
        .bias_init_set = true,
        .bias_init = lmb_init_constant(0)};
    return lmb_nn_conv(nn, name, x, &opt);
}

static lmb_value numbered(lmb_nn *nn, const lmb_fpn_rule *rule,
    const char *mmdet, const char *torchvision, int i, lmb_value x, int kernel,
    int stride)
{
    char name[48];
    const bool mm = rule->layout == LMB_LAYOUT_MMDET;
    (void)snprintf(name, sizeof name, "%s.%d.%s", mm ? mmdet : torchvision, i,
        mm ? "conv" : "0");
    return conv(nn, rule, name, x, kernel, stride);
}

static void top_down(lmb_nn *nn, const lmb_fpn_rule *rule, const lmb_value *c,
    int n, lmb_value *p)
{
    lmb_value m = LMB_NONE;
    for (int i = n - 1; i >= 0; i--) {
        const lmb_value lateral =
            numbered(nn, rule, "lateral_convs", "inner_blocks", i, c[i], 1, 1);
        m = lmb_is(m)
            ? lmb_add(nn->g, lateral,
                  lmb_resize(nn->g, m, lmb_graph_dim(nn->g, lateral, 2),
                      lmb_graph_dim(nn->g, lateral, 3), LMB_RESIZE_NEAREST))
            : lateral;
        p[i] = numbered(nn, rule, "fpn_convs", "layer_blocks", i, m, 3, 1);
    }
}

static lmb_value extra_conv(
    lmb_nn *nn, const lmb_fpn_rule *rule, int i, lmb_value x)
{
    char name[32];
    if (rule->layout == LMB_LAYOUT_MMDET)
        return numbered(nn, rule, "fpn_convs", "", i, x, 3, 2);
    (void)snprintf(name, sizeof name, "extra_blocks.p%d", rule->first + i);
    return conv(nn, rule, name, x, 3, 2);
}

void lmb_fpn_build(lmb_nn *nn, const lmb_fpn_rule *rule, const lmb_value c[4],
    lmb_value p[LMB_DETECTOR_LEVELS])
{
    const lmb_pool_attr every_second = {.kernel = {1, 1}, {2, 2}, {0, 0}, true};
    const int n = 6 - rule->first; /* levels that have a c */
    LMB_ASSERT(n >= 1 && n <= 4);
    lmb_nn_push(
        nn, "%s", rule->layout == LMB_LAYOUT_MMDET ? "neck" : "backbone.fpn");
    top_down(nn, rule, c + rule->first - 2, n, p);
    for (int i = n; i < LMB_DETECTOR_LEVELS; i++) {
        lmb_value from = p[i - 1];
        if (i == n && rule->extra == LMB_FPN_ON_INPUT)
            from = c[3];
        if (i > n && rule->extra == LMB_FPN_ON_OUTPUT_RELU)
            from = lmb_relu(nn->g, from);
        p[i] = rule->extra == LMB_FPN_POOL
            ? lmb_max_pool2d(nn->g, from, &every_second)
            : extra_conv(nn, rule, i, from);
    }
    lmb_nn_pop(nn);
    for (int i = 0; i < LMB_DETECTOR_LEVELS; i++)
        lmb_nn_tap_at(nn, "p", rule->first + i, p[i]);
}

void lmb_fpn_on_backbone(const lmb_model *m, lmb_nn *nn, lmb_value x, int first,
    lmb_fpn_extra extra, lmb_value p[LMB_DETECTOR_LEVELS])
{
    const lmb_layout layout = lmb_detector_layout(m);
    const lmb_fpn_rule rule = {layout, first, extra};
    const lmb_model_opts *opts = lmb_detector_opts(nn);
    const bool torchvision = layout == LMB_LAYOUT_TORCHVISION;
    const double eps = nn->bn_eps;
    lmb_value c[4] = {{0}};
    if (opts->norm_eps >= 0) /* each value below 0 is "the row's" */
        nn->bn_eps = opts->norm_eps;
    else if (m->zero_eps && opts->norm_eval)
        nn->bn_eps = 0;
    lmb_nn_push(nn, "%s", torchvision ? "backbone.body" : "backbone");
    lmb_backbone_build(nn, (lmb_backbone)m->variant, opts, first, x, c);
    lmb_nn_pop(nn);
    nn->bn_eps = eps;
    lmb_fpn_build(nn, &rule, c, p);
}
