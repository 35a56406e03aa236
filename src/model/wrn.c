/* wrn.c: wide residual networks, activation before convolution.
 *
 * WRN-d-k: conv3x3(3 -> 16); three groups of (d - 4) / 6 blocks of 16k, 32k,
 * 64k channels, strides 1, 2, 2; BN-ReLU; mean over the image; linear.
 * Block: h = ReLU(BN(x)); y = conv3x3(ReLU(BN(conv3x3(h, stride)))); out = y +
 * x, or y + conv1x1(h, stride) without BN where the channels change.
 * Taps: f0 the stem, f1..f3 the groups' raw sums (signed: no ReLU); pre0 = f0,
 * pre1..pre3 = BN(f1..f3) by the batch norm that comes next in the network.
 * Pooled features are after the ReLU. mdistiller makes the pre taps with second
 * calls of these batch norms, which in training move their running statistics
 * twice a step (by 0.19 in all); here that happens only if nn->want_pre says
 * that somebody reads them.
 * Source: Zagoruyko and Komodakis 2016, arXiv:1605.07146. */
#include "model/model.h"

#include <stdio.h>

static lmb_conv_opt conv(int out, int kernel, int stride)
{
    return (lmb_conv_opt){
        .out = out,
        .kernel = kernel,
        .stride = stride,
        .pad = kernel / 2,
        .kaiming = true,
    };
}

/* Also gives BN(x), the value before the first ReLU. */
static lmb_value block(
    lmb_nn *nn, lmb_value x, int out, int stride, lmb_value *normed)
{
    lmb_graph *g = nn->g;
    const lmb_conv_opt first = conv(out, 3, stride), second = conv(out, 3, 1);
    const lmb_conv_opt project = conv(out, 1, stride);
    *normed = lmb_nn_batch_norm(nn, "bn1", x);
    const lmb_value h = lmb_relu(g, *normed);
    lmb_value y = lmb_nn_conv_bn(nn, "conv1", "bn2", h, &first);
    y = lmb_nn_conv(nn, "conv2", lmb_relu(g, y), &second);
    if (lmb_graph_dim(g, x, 1) != out)
        x = lmb_nn_conv(nn, "convShortcut", h, &project);
    return lmb_add(g, y, x);
}

static lmb_value group(lmb_nn *nn, int number, lmb_value x, int out, int blocks,
    lmb_value *first_normed)
{
    lmb_nn_push(nn, "block%d.layer", number);
    for (int i = 0; i < blocks; i++) {
        lmb_value normed;
        lmb_nn_push(nn, "%d", i);
        x = block(nn, x, out, i == 0 && number > 1 ? 2 : 1, &normed);
        lmb_nn_pop(nn);
        if (i == 0)
            *first_normed = normed;
    }
    lmb_nn_pop(nn);
    return x;
}

/* Tap pre<i> of features f: `normed`, or the same value from a second call of
 * the batch norm "<scope>bn1". */
static void tap_pre(
    lmb_nn *nn, int i, const char *scope, lmb_value f, lmb_value normed)
{
    char name[40];
    if (nn->want_pre && nn->mode == LMB_MODE_TRAIN) {
        (void)snprintf(name, sizeof name, "%sbn1", scope);
        normed = lmb_nn_batch_norm(nn, name, f);
    }
    lmb_nn_tap_at(nn, "pre", i, normed);
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_conv_opt stem = conv(16, 3, 1);
    /* The groups' features, and what the batch norm after each makes. */
    lmb_value f[4], normed[4] = {LMB_NONE};
    f[0] = lmb_nn_conv(nn, "conv1", x, &stem);
    lmb_nn_tap(nn, "f0", f[0]);
    lmb_nn_tap(nn, "pre0", f[0]);
    for (int i = 1; i <= 3; i++) {
        f[i] = group(nn, i, f[i - 1], (8 << i) * m->width, (m->depth - 4) / 6,
            &normed[i - 1]);
        lmb_nn_tap_at(nn, "f", i, f[i]);
    }
    normed[3] = lmb_nn_batch_norm(nn, "bn1", f[3]);
    tap_pre(nn, 1, "block2.layer.0.", f[1], normed[1]);
    tap_pre(nn, 2, "block3.layer.0.", f[2], normed[2]);
    tap_pre(nn, 3, "", f[3], normed[3]);
    const lmb_value pooled = lmb_global_avg_pool(g, lmb_relu(g, normed[3]));
    const lmb_shape weight = LMB_SHAPE(classes, lmb_graph_dim(g, pooled, 1));
    const lmb_value logits = lmb_nn_linear(nn, "fc", pooled, classes,
        lmb_init_torch_default(weight), lmb_init_constant(0));
    lmb_nn_head(nn, "fc", pooled, logits);
    return logits;
}

#define WRN(layers, factor) \
    const lmb_model lmb_model_wrn_##layers##_##factor = { \
        .name = "wrn_" #layers "_" #factor, \
        .aliases = "wrn-" #layers "-" #factor, \
        .task = "classification", \
        .default_classes = 100, \
        .default_size = 32, \
        .default_lr = 0.05, \
        .depth = (layers), \
        .width = (factor), \
        .build = build, \
    }
WRN(16, 1);
WRN(16, 2);
WRN(16, 4);
WRN(28, 2);
WRN(28, 4);
WRN(40, 1);
WRN(40, 2);
WRN(40, 4);
