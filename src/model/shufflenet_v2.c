/* shufflenet_v2.c: ShuffleNetV2 x1 for 32x32 images.
 *
 * conv1x1(3 -> 24)-BN-ReLU; stages of 116, 232, 464 channels: one down unit
 * and 3, 7, 3 basic units; conv1x1(1024)-BN-ReLU; mean over the image; linear.
 * Down unit: [dw3x3 s2-BN-1x1-BN-ReLU, 1x1-BN-ReLU-dw3x3 s2-BN-1x1-BN-ReLU];
 * basic unit: [first half of x, 1x1-BN-ReLU-dw3x3-BN-1x1-BN-ReLU of the rest];
 * both concatenate, then shuffle two groups.
 * Taps: f0 the stem, f1..f3 the stages; pre0 = f0, pre1..pre3 the last
 * concatenation before ReLU and before the shuffle, so that their channels are
 * not those of f: mdistiller's.
 * Source: Ma et al. 2018, arXiv:1807.11164; stem without pooling. */
#include "model/model.h"

static lmb_conv_opt pointwise(int out)
{
    return (lmb_conv_opt){.out = out, .kernel = 1};
}

static lmb_conv_opt depthwise(int channels, int stride)
{
    return (lmb_conv_opt){.out = channels,
        .kernel = 3,
        .stride = stride,
        .pad = 1,
        .groups = channels};
}

static lmb_value join(lmb_graph *g, lmb_value a, lmb_value b)
{
    const lmb_value both[] = {a, b};
    return lmb_concat(g, 2, both, 1);
}

static lmb_value down_unit(lmb_nn *nn, lmb_value x, int out)
{
    lmb_graph *g = nn->g;
    const int in = (int)lmb_graph_dim(g, x, 1), half = out / 2;
    const lmb_conv_opt dw_in = depthwise(in, 2), dw_half = depthwise(half, 2);
    const lmb_conv_opt pw = pointwise(half);
    lmb_value a = lmb_nn_conv_bn(nn, "conv1", "bn1", x, &dw_in);
    a = lmb_relu(g, lmb_nn_conv_bn(nn, "conv2", "bn2", a, &pw));
    lmb_value b = lmb_relu(g, lmb_nn_conv_bn(nn, "conv3", "bn3", x, &pw));
    b = lmb_nn_conv_bn(nn, "conv4", "bn4", b, &dw_half);
    b = lmb_relu(g, lmb_nn_conv_bn(nn, "conv5", "bn5", b, &pw));
    return lmb_channel_shuffle(g, join(g, a, b), 2);
}

/* *pre: the concatenation before ReLU and shuffle, not built if pre is NULL. */
static lmb_value basic_unit(lmb_nn *nn, lmb_value x, lmb_value *pre)
{
    lmb_graph *g = nn->g;
    const int channels = (int)lmb_graph_dim(g, x, 1), half = channels / 2;
    const lmb_conv_opt pw = pointwise(half), dw = depthwise(half, 1);
    const lmb_value kept = lmb_slice(g, x, 1, 0, half);
    lmb_value y = lmb_slice(g, x, 1, half, channels);
    y = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1", "bn1", y, &pw));
    y = lmb_nn_conv_bn(nn, "conv2", "bn2", y, &dw);
    y = lmb_nn_conv_bn(nn, "conv3", "bn3", y, &pw);
    if (pre != NULL)
        *pre = join(g, kept, y);
    return lmb_channel_shuffle(g, join(g, kept, lmb_relu(g, y)), 2);
}

static lmb_value stage(
    lmb_nn *nn, int number, lmb_value x, int out, int units, lmb_value *pre)
{
    lmb_nn_push(nn, "layer%d", number);
    lmb_nn_push(nn, "0");
    x = down_unit(nn, x, out);
    lmb_nn_pop(nn);
    for (int i = 1; i <= units; i++) {
        lmb_nn_push(nn, "%d", i);
        x = basic_unit(nn, x, i == units ? pre : NULL);
        lmb_nn_pop(nn);
    }
    lmb_nn_pop(nn);
    return x;
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    static const int units[] = {0, 3, 7, 3}, width[] = {0, 116, 232, 464};
    lmb_graph *g = nn->g;
    const lmb_conv_opt stem = pointwise(24), last = pointwise(1024);
    (void)m;
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1", "bn1", x, &stem));
    lmb_nn_tap(nn, "f0", x);
    lmb_nn_tap(nn, "pre0", x);
    for (int i = 1; i <= 3; i++) {
        lmb_value pre = LMB_NONE;
        x = stage(nn, i, x, width[i], units[i], &pre);
        lmb_nn_tap_at(nn, "f", i, x);
        lmb_nn_tap_at(nn, "pre", i, pre);
    }
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv2", "bn2", x, &last));
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits =
        lmb_nn_linear_default(nn, "linear", pooled, classes);
    lmb_nn_head(nn, "linear", pooled, logits);
    return logits;
}

const lmb_model lmb_model_ShuffleV2 = {
    .name = "ShuffleV2",
    .aliases = "shufflenet_v2|ShuffleNetV2",
    .task = "classification",
    .default_classes = 100,
    .default_size = 32,
    .default_lr = 0.01,
    .build = build,
};
