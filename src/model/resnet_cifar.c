/* resnet_cifar.c: the ResNets of depth 6n + 2 for 32x32 images.
 *
 * conv3x3(3 -> w0)-BN-ReLU; three stages of n basic blocks of w1, w2, w3
 * channels, strides 1, 2, 2; mean over the image; linear. Widths 16, 16, 32,
 * 64, or 32, 64, 128, 256 for the x4 networks.
 * Taps: f0 the stem, f1..f3 the stages; pre0 = f0, pre1..pre3 the last sums
 * before their ReLU. Names and shortcuts (1x1 convolutions) are mdistiller's.
 * Source: He et al. 2016, arXiv:1512.03385, section 4.2. */
#include "model/model.h"
#include "model/resnet_blocks.h"

enum { NARROW, WIDE };
static const int widths[][4] = {
    [NARROW] = {16, 16, 32, 64},
    [WIDE] = {32, 64, 128, 256},
};
static const lmb_resnet_style style = {.shortcut = "downsample"};

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    static const char *const stage[] = {"", "layer1", "layer2", "layer3"};
    lmb_graph *g = nn->g;
    const int *w = widths[m->variant];
    const lmb_conv_opt stem = {
        .out = w[0], .kernel = 3, .pad = 1, .kaiming = true};
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1", "bn1", x, &stem));
    lmb_nn_tap(nn, "f0", x);
    lmb_nn_tap(nn, "pre0", x);
    for (int i = 1; i <= 3; i++) {
        const lmb_value pre = lmb_resnet_stage(
            nn, stage[i], x, w[i], (m->depth - 2) / 6, i == 1 ? 1 : 2, &style);
        x = lmb_relu(g, pre);
        lmb_nn_tap_at(nn, "f", i, x);
        lmb_nn_tap_at(nn, "pre", i, pre);
    }
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits = lmb_nn_linear_default(nn, "fc", pooled, classes);
    lmb_nn_head(nn, "fc", pooled, logits);
    return logits;
}

#define RESNET(ident, layers, kind) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .task = "classification", \
        .default_classes = 100, \
        .default_size = 32, \
        .default_lr = 0.05, \
        .depth = (layers), \
        .variant = (kind), \
        .build = build, \
    }
RESNET(resnet8, 8, NARROW);
RESNET(resnet14, 14, NARROW);
RESNET(resnet20, 20, NARROW);
RESNET(resnet32, 32, NARROW);
RESNET(resnet44, 44, NARROW);
RESNET(resnet56, 56, NARROW);
RESNET(resnet110, 110, NARROW);
RESNET(resnet8x4, 8, WIDE);
RESNET(resnet32x4, 32, WIDE);
