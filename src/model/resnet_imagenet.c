/* resnet_imagenet.c: ResNet-18, 34, 50, 101 as torchvision lays them out.
 *
 * conv7x7(3 -> 64, stride 2)-BN-ReLU, max pooling 3x3 with stride 2; four
 * stages of 64, 128, 256, 512 planes, strides 1, 2, 2, 2; mean over the image;
 * linear. A bottleneck's stride is on its 3x3 convolution.
 * Taps: f0 the stem before its pooling, f1..f4 the stages; pre0..pre4 the same
 * before their ReLU. Source: He et al. 2016, arXiv:1512.03385, table 1. */
#include "model/model.h"
#include "model/resnet_blocks.h"

static const int *blocks_of(int depth)
{
    static const int b18[] = {2, 2, 2, 2}, b34[] = {3, 4, 6, 3},
                     b101[] = {3, 4, 23, 3};
    if (depth == 18)
        return b18;
    return depth == 101 ? b101 : b34;
}

static void tap_pair(lmb_nn *nn, int i, lmb_value after, lmb_value before)
{
    lmb_nn_tap_at(nn, "f", i, after);
    lmb_nn_tap_at(nn, "pre", i, before);
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    static const char *const stage[] = {"layer1", "layer2", "layer3", "layer4"};
    lmb_graph *g = nn->g;
    const int *blocks = blocks_of(m->depth);
    const lmb_resnet_style style = {
        .bottleneck = m->depth >= 50, .shortcut = "downsample"};
    const lmb_conv_opt stem = {
        .out = 64, .kernel = 7, .stride = 2, .pad = 3, .kaiming = true};
    const lmb_pool_attr pool = {.kernel = {3, 3}, {2, 2}, {1, 1}, false};
    lmb_value pre = lmb_nn_conv_bn(nn, "conv1", "bn1", x, &stem);
    x = lmb_relu(g, pre);
    tap_pair(nn, 0, x, pre);
    x = lmb_max_pool2d(g, x, &pool);
    for (int i = 0; i < 4; i++) {
        pre = lmb_resnet_stage(
            nn, stage[i], x, 64 << i, blocks[i], i == 0 ? 1 : 2, &style);
        x = lmb_relu(g, pre);
        tap_pair(nn, i + 1, x, pre);
    }
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits = lmb_nn_linear_default(nn, "fc", pooled, classes);
    lmb_nn_head(nn, "fc", pooled, logits);
    return logits;
}

#define RESNET(ident, layers) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .task = "classification", \
        .default_classes = 1000, \
        .default_size = 224, \
        .default_lr = 0.025, \
        .depth = (layers), \
        .build = build, \
    }
RESNET(resnet18, 18);
RESNET(resnet34, 34);
RESNET(resnet50, 50);
RESNET(resnet101, 101);
