/* vgg.c: VGG with batch norm for small images.
 *
 * Five blocks of conv3x3(bias)-BN-ReLU; max pooling 2x2 after the first three
 * (and the fourth if the image has 64 pixels or more); mean over the image;
 * one linear layer. Taps: f0..f4 the blocks, pre1..pre4 the same before their
 * last ReLU, but pre0 = f0, as mdistiller has it.
 * Source: Simonyan and Zisserman 2015, arXiv:1409.1556, table 1, with one
 * linear layer in place of three. */
#include "model/model.h"

#include <stdio.h>

static const int widths[5] = {64, 128, 256, 512, 512};
enum { VGG8, VGG11, VGG13, VGG16, VGG19 };
static const int convs[][5] = {
    [VGG8] = {1, 1, 1, 1, 1},
    [VGG11] = {1, 1, 2, 2, 2},
    [VGG13] = {2, 2, 2, 2, 2},
    [VGG16] = {2, 2, 3, 3, 3},
    [VGG19] = {2, 2, 4, 4, 4},
};

/* Layers are numbered 0 conv, 1 BN, 2 ReLU, 3 conv, ...; no last ReLU. */
static lmb_value block(lmb_nn *nn, int number, lmb_value x, int out, int n)
{
    const lmb_conv_opt conv = {
        .out = out, .kernel = 3, .pad = 1, .bias = true, .kaiming = true};
    lmb_nn_push(nn, "block%d", number);
    for (int i = 0; i < n; i++) {
        char name[2][16];
        (void)snprintf(name[0], sizeof name[0], "%d", 3 * i);
        (void)snprintf(name[1], sizeof name[1], "%d", 3 * i + 1);
        if (i > 0)
            x = lmb_relu(nn->g, x);
        x = lmb_nn_conv_bn(nn, name[0], name[1], x, &conv);
    }
    lmb_nn_pop(nn);
    return x;
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_pool_attr pool = {.kernel = {2, 2}, {2, 2}, {0, 0}, false};
    const int pools = lmb_graph_dim(g, x, 2) >= 64 ? 4 : 3;
    for (int i = 0; i < 5; i++) {
        const lmb_value pre = block(nn, i, x, widths[i], convs[m->variant][i]);
        x = lmb_relu(g, pre);
        lmb_nn_tap_at(nn, "f", i, x);
        lmb_nn_tap_at(nn, "pre", i, i == 0 ? x : pre);
        if (i < pools)
            x = lmb_max_pool2d(g, x, &pool);
    }
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits = lmb_nn_linear(nn, "classifier", pooled, classes,
        lmb_init_normal(0, 0.01), lmb_init_constant(0));
    lmb_nn_head(nn, "classifier", pooled, logits);
    return logits;
}

#define VGG(ident, kind) \
    const lmb_model lmb_model_##ident = { \
        .name = #ident, \
        .aliases = #ident "_bn", \
        .task = "classification", \
        .default_classes = 100, \
        .default_size = 32, \
        .default_lr = 0.05, \
        .variant = (kind), \
        .build = build, \
    }
VGG(vgg8, VGG8);
VGG(vgg11, VGG11);
VGG(vgg13, VGG13);
VGG(vgg16, VGG16);
VGG(vgg19, VGG19);
