/* mobilenet_v1.c: MobileNet for 224x224 images.
 *
 * conv3x3(3 -> 32, stride 2)-BN-ReLU, then thirteen separable layers: depth
 * wise conv3x3(stride)-BN-ReLU, conv1x1-BN-ReLU; mean over the image; linear.
 * Taps: f0..f3 after layers 3, 5, 11, 13; pre0..pre3 before their ReLU. Names
 * are mdistiller's ("model.3.4.weight").
 * Source: Howard et al. 2017, arXiv:1704.04861, table 1. */
#include "model/model.h"

static const struct {
    int out, stride, tap; /* tap -1: none */
} layers[] = {
    {64, 1, -1},
    {128, 2, -1},
    {128, 1, 0},
    {256, 2, -1},
    {256, 1, 1},
    {512, 2, -1},
    {512, 1, -1},
    {512, 1, -1},
    {512, 1, -1},
    {512, 1, -1},
    {512, 1, 2},
    {1024, 2, -1},
    {1024, 1, 3},
};

/* Returns the value before the last ReLU. */
static lmb_value separable(lmb_nn *nn, lmb_value x, int out, int stride)
{
    const int in = (int)lmb_graph_dim(nn->g, x, 1);
    const lmb_conv_opt depthwise = {
        .out = in, .kernel = 3, .stride = stride, .pad = 1, .groups = in};
    const lmb_conv_opt pointwise = {.out = out, .kernel = 1};
    x = lmb_relu(nn->g, lmb_nn_conv_bn(nn, "0", "1", x, &depthwise));
    return lmb_nn_conv_bn(nn, "3", "4", x, &pointwise);
}

static lmb_value build(const lmb_model *m, lmb_nn *nn, lmb_value x, int classes)
{
    lmb_graph *g = nn->g;
    const lmb_conv_opt stem = {.out = 32, .kernel = 3, .stride = 2, .pad = 1};
    (void)m;
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "model.0.0", "model.0.1", x, &stem));
    for (size_t i = 0; i < LMB_COUNT(layers); i++) {
        lmb_nn_push(nn, "model.%zu", i + 1);
        const lmb_value pre = separable(nn, x, layers[i].out, layers[i].stride);
        lmb_nn_pop(nn);
        x = lmb_relu(g, pre);
        if (layers[i].tap >= 0) {
            lmb_nn_tap_at(nn, "f", layers[i].tap, x);
            lmb_nn_tap_at(nn, "pre", layers[i].tap, pre);
        }
    }
    const lmb_value pooled = lmb_global_avg_pool(g, x);
    const lmb_value logits = lmb_nn_linear_default(nn, "fc", pooled, classes);
    lmb_nn_head(nn, "fc", pooled, logits);
    return logits;
}

const lmb_model lmb_model_mobilenet_v1 = {
    .name = "mobilenet_v1",
    .aliases = "MobileNetV1",
    .task = "classification",
    .default_classes = 1000,
    .default_size = 224,
    .default_lr = 0.025,
    .build = build,
};
