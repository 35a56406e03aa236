/* resnet_cifar_wide.c: ResNet-18 and ResNet-50 with a stem for 32x32 images.
 *
 * conv3x3(3 -> 64)-BN-ReLU and no pooling; four stages of 64, 128, 256, 512
 * planes, strides 1, 2, 2, 2: basic blocks [2, 2, 2, 2] or bottlenecks
 * [3, 4, 6, 3]; mean over the image; linear. Taps as in resnet_cifar.c, one
 * stage more. Names are mdistiller's ("shortcut", "linear").
 * Source: He et al. 2016, arXiv:1512.03385, with the usual CIFAR stem. */
#include "model/model.h"
#include "model/resnet_blocks.h"

static const int blocks_18[] = {2, 2, 2, 2};
static const int blocks_50[] = {3, 4, 6, 3};

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    static const char *const stage[] = {"layer1", "layer2", "layer3", "layer4"};
    lmb_graph *g = nn->g;
    const int *blocks = m->depth >= 50 ? blocks_50 : blocks_18;
    const lmb_resnet_style style = {
        .bottleneck = m->depth >= 50, .shortcut = "shortcut"};
    const lmb_conv_opt stem = {
        .out = 64, .kernel = 3, .pad = 1, .kaiming = true};
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1", "bn1", x, &stem));
    lmb_nn_tap(nn, "f0", x);
    lmb_nn_tap(nn, "pre0", x);
    for (int i = 0; i < 4; i++) {
        const lmb_value pre = lmb_resnet_stage(
            nn, stage[i], x, 64 << i, blocks[i], i == 0 ? 1 : 2, &style);
        x = lmb_relu(g, pre);
        lmb_nn_tap_at(nn, "f", i + 1, x);
        lmb_nn_tap_at(nn, "pre", i + 1, pre);
    }
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits =
        lmb_nn_linear_default(nn, "linear", pooled, classes);
    lmb_nn_head(nn, "linear", pooled, logits);
    return logits;
}

#define RESNET(ident, layers) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .task = "classification", \
        .default_classes = 100, \
        .default_size = 32, \
        .default_lr = 0.05, \
        .depth = (layers), \
        .build = build, \
    }
RESNET(cifar_resnet18, 18);
RESNET(cifar_resnet50, 50);
