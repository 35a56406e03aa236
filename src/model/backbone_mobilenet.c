/* backbone_mobilenet.c: MobileNetV2 as a backbone, with torchvision's names.
 *
 * conv3x3(3 -> 32, stride 2)-BN-ReLU6, then 17 inverted residuals in seven
 * groups; the outputs are the linear ones of groups 2, 3, 5 and 7 (24, 32, 96
 * and 320 channels at strides 4, 8, 16, 32), as mmdetection takes them; the
 * last 1x1 convolution of the classifier is left out. Stage 0 is the stem with
 * the first group. Source: Sandler et al. 2018, arXiv:1801.04381, table 2. */
#include "model/backbone.h"

#include <stdio.h>

static const struct {
    int expand, out, blocks, stride, stage, output; /* output 0: none */
} groups[] = {
    {1, 16, 1, 1, 0, 0},
    {6, 24, 2, 2, 1, 2},
    {6, 32, 3, 2, 2, 3},
    {6, 64, 4, 2, 3, 0},
    {6, 96, 3, 1, 3, 4},
    {6, 160, 3, 2, 4, 0},
    {6, 320, 1, 1, 4, 5},
};

/* "<name>.0" and "<name>.1": a convolution and its norm. */
static lmb_value conv_bn6(lmb_nn *nn, const char *name, lmb_value x, int out,
    int kernel, int stride, int conv_groups)
{
    const lmb_conv_opt opt = {.out = out,
        .kernel = kernel,
        .stride = stride,
        .pad = kernel / 2,
        .groups = conv_groups,
        .kaiming = true};
    lmb_nn_push(nn, "%s", name);
    const lmb_value y = lmb_nn_conv_bn(nn, "0", "1", x, &opt);
    lmb_nn_pop(nn);
    return lmb_relu6(nn->g, y);
}

static lmb_value inverted_residual(
    lmb_nn *nn, lmb_value x, int expand, int out, int stride)
{
    const int in = (int)lmb_graph_dim(nn->g, x, 1), mid = in * expand;
    const lmb_conv_opt narrow = {.out = out, .kernel = 1, .kaiming = true};
    char conv[16], bn[16];
    int at = 0;
    lmb_value y = x;
    lmb_nn_push(nn, "conv");
    if (expand > 1)
        y = conv_bn6(nn, "0", y, mid, 1, 1, 1), at = 1;
    y = conv_bn6(nn, at == 0 ? "0" : "1", y, mid, 3, stride, mid);
    (void)snprintf(conv, sizeof conv, "%d", at + 1);
    (void)snprintf(bn, sizeof bn, "%d", at + 2);
    y = lmb_nn_conv_bn(nn, conv, bn, y, &narrow);
    lmb_nn_pop(nn);
    return stride == 1 && in == out ? lmb_add(nn->g, x, y) : y;
}

void lmb_backbone_mobilenet(
    lmb_nn *nn, const lmb_model_opts *opts, lmb_value x, lmb_value c[4])
{
    int layer = 1;
    lmb_backbone_stage(nn, opts, 0);
    x = conv_bn6(nn, "features.0", x, lmb_backbone_channels(opts, 32), 3, 2, 1);
    for (size_t i = 0; i < LMB_COUNT(groups); i++) {
        lmb_backbone_stage(nn, opts, groups[i].stage);
        for (int j = 0; j < groups[i].blocks; j++) {
            lmb_nn_push(nn, "features.%d", layer++);
            x = inverted_residual(nn, x, groups[i].expand,
                lmb_backbone_channels(opts, groups[i].out),
                j == 0 ? groups[i].stride : 1);
            lmb_nn_pop(nn);
        }
        if (groups[i].output >= 2)
            c[groups[i].output - 2] = x;
    }
}
