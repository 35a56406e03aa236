/* shufflenet_v1.c: ShuffleNet with three groups for 32x32 images.
 *
 * conv1x1(3 -> 24)-BN-ReLU; stages of 4, 8, 4 units and 240, 480, 960
 * channels; mean over the image; linear. Unit: grouped conv1x1 to out/4-BN-
 * ReLU, channel shuffle, depthwise conv3x3(stride)-BN-ReLU, grouped conv1x1-
 * BN; y = ReLU(unit + x). The first unit of a stage has stride 2, makes
 * out - in channels and is concatenated with x, averaged 3x3 with stride 2.
 * No groups in the very first convolution, where the input has 24 channels.
 * Taps: f0 the stem, f1..f3 the stages; pre0 = f0, pre1..pre3 before ReLU.
 * Source: Zhang et al. 2018, arXiv:1707.01083; stem and ReLU as mdistiller. */
#include "model/model.h"

enum { GROUPS = 3, STEM = 24 };

/* Returns the value before the last ReLU. */
static lmb_value unit(lmb_nn *nn, lmb_value x, int out, int stride)
{
    lmb_graph *g = nn->g;
    const int mid = out / 4;
    const int groups = lmb_graph_dim(g, x, 1) == STEM ? 1 : GROUPS;
    const lmb_conv_opt first = {.out = mid, .kernel = 1, .groups = groups};
    const lmb_conv_opt depthwise = {
        .out = mid, .kernel = 3, .stride = stride, .pad = 1, .groups = mid};
    const lmb_conv_opt last = {.out = out, .kernel = 1, .groups = GROUPS};
    const lmb_pool_attr pool = {.kernel = {3, 3}, {2, 2}, {1, 1}, true};
    lmb_value y = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1", "bn1", x, &first));
    y = lmb_channel_shuffle(g, y, groups);
    y = lmb_relu(g, lmb_nn_conv_bn(nn, "conv2", "bn2", y, &depthwise));
    y = lmb_nn_conv_bn(nn, "conv3", "bn3", y, &last);
    if (stride == 1)
        return lmb_add(g, y, x);
    const lmb_value both[] = {y, lmb_avg_pool2d(g, x, &pool)};
    return lmb_concat(g, 2, both, 1);
}

static lmb_value stage(lmb_nn *nn, int number, lmb_value x, int out, int units)
{
    lmb_nn_push(nn, "layer%d", number);
    for (int i = 0; i < units; i++) {
        const int in = (int)lmb_graph_dim(nn->g, x, 1);
        if (i > 0)
            x = lmb_relu(nn->g, x);
        lmb_nn_push(nn, "%d", i);
        x = unit(nn, x, i == 0 ? out - in : out, i == 0 ? 2 : 1);
        lmb_nn_pop(nn);
    }
    lmb_nn_pop(nn);
    return x;
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    static const int units[] = {0, 4, 8, 4}, width[] = {0, 240, 480, 960};
    lmb_graph *g = nn->g;
    const lmb_conv_opt stem = {.out = STEM, .kernel = 1};
    (void)m;
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1", "bn1", x, &stem));
    lmb_nn_tap(nn, "f0", x);
    lmb_nn_tap(nn, "pre0", x);
    for (int i = 1; i <= 3; i++) {
        const lmb_value pre = stage(nn, i, x, width[i], units[i]);
        x = lmb_relu(g, pre);
        lmb_nn_tap_at(nn, "f", i, x);
        lmb_nn_tap_at(nn, "pre", i, pre);
    }
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits =
        lmb_nn_linear_default(nn, "linear", pooled, classes);
    lmb_nn_head(nn, "linear", pooled, logits);
    return logits;
}

const lmb_model lmb_model_ShuffleV1 = {
    .name = "ShuffleV1",
    .aliases = "shufflenet_v1|ShuffleNetV1",
    .task = "classification",
    .default_classes = 100,
    .default_size = 32,
    .default_lr = 0.01,
    .build = build,
};
