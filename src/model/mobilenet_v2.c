/* mobilenet_v2.c: MobileNetV2 of half width for 32x32 images.
 *
 * conv3x3(3 -> 16, stride 2)-BN-ReLU; seven groups of inverted residuals;
 * conv1x1(160 -> 1280)-BN-ReLU; mean over the image; linear. An inverted
 * residual of t, out, stride: conv1x1 to t times the channels-BN-ReLU, depth
 * wise conv3x3(stride)-BN-ReLU, conv1x1(out)-BN, plus x where the shapes
 * agree. ReLU, not ReLU6, and an expansion layer even for t = 1: mdistiller's.
 * Taps: f0 the stem, f1..f4 the linear outputs of groups 1, 2, 4, 6.
 * Source: Sandler et al. 2018, arXiv:1801.04381, table 2. */
#include "model/model.h"

static const struct {
    int expand, out, blocks, stride, tap; /* tap 0: none */
} groups[] = {
    {1, 8, 1, 1, 0},
    {6, 12, 2, 1, 1},
    {6, 16, 3, 2, 2},
    {6, 32, 4, 2, 0},
    {6, 48, 3, 1, 3},
    {6, 80, 3, 2, 0},
    {6, 160, 1, 1, 4},
};

static lmb_value inverted_residual(
    lmb_nn *nn, lmb_value x, int expand, int out, int stride)
{
    lmb_graph *g = nn->g;
    const int in = (int)lmb_graph_dim(g, x, 1), mid = in * expand;
    const lmb_conv_opt widen = {.out = mid, .kernel = 1, .kaiming = true};
    const lmb_conv_opt depthwise = {.out = mid,
        .kernel = 3,
        .stride = stride,
        .pad = 1,
        .groups = mid,
        .kaiming = true};
    const lmb_conv_opt narrow = {.out = out, .kernel = 1, .kaiming = true};
    lmb_nn_push(nn, "conv");
    lmb_value y = lmb_relu(g, lmb_nn_conv_bn(nn, "0", "1", x, &widen));
    y = lmb_relu(g, lmb_nn_conv_bn(nn, "3", "4", y, &depthwise));
    y = lmb_nn_conv_bn(nn, "6", "7", y, &narrow);
    lmb_nn_pop(nn);
    return stride == 1 && in == out ? lmb_add(g, x, y) : y;
}

static lmb_value all_groups(lmb_nn *nn, lmb_value x)
{
    for (size_t i = 0; i < LMB_COUNT(groups); i++) {
        lmb_nn_push(nn, "blocks.%zu", i);
        for (int j = 0; j < groups[i].blocks; j++) {
            lmb_nn_push(nn, "%d", j);
            x = inverted_residual(nn, x, groups[i].expand, groups[i].out,
                j == 0 ? groups[i].stride : 1);
            lmb_nn_pop(nn);
        }
        lmb_nn_pop(nn);
        if (groups[i].tap > 0)
            lmb_nn_tap_at(nn, "f", groups[i].tap, x);
    }
    return x;
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_conv_opt stem = {
        .out = 16, .kernel = 3, .stride = 2, .pad = 1, .kaiming = true};
    const lmb_conv_opt last = {.out = 1280, .kernel = 1, .kaiming = true};
    (void)m;
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1.0", "conv1.1", x, &stem));
    lmb_nn_tap(nn, "f0", x);
    x = all_groups(nn, x);
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv2.0", "conv2.1", x, &last));
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits = lmb_nn_linear(nn, "classifier.0", pooled, classes,
        lmb_init_normal(0, 0.01), lmb_init_constant(0));
    lmb_nn_head(nn, "classifier.0", pooled, logits);
    return logits;
}

const lmb_model lmb_model_MobileNetV2 = {
    .name = "MobileNetV2",
    .aliases = "mobile_half",
    .task = "classification",
    .default_classes = 100,
    .default_size = 32,
    .default_lr = 0.01,
    .build = build,
};
