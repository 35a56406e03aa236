/* resnet_blocks.c: residual blocks; see the header. */
#include "model/resnet_blocks.h"

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

static lmb_value basic(lmb_nn *nn, lmb_value x, int planes, int stride)
{
    const lmb_conv_opt first = conv(planes, 3, stride);
    const lmb_conv_opt second = conv(planes, 3, 1);
    const lmb_value y = lmb_nn_conv_bn(nn, "conv1", "bn1", x, &first);
    return lmb_nn_conv_bn(nn, "conv2", "bn2", lmb_relu(nn->g, y), &second);
}

static lmb_value bottleneck(lmb_nn *nn, lmb_value x, int planes, int stride,
    const lmb_resnet_style *style)
{
    const int width = planes * style->group_width / 64;
    const int inner =
        style->groups > 0 ? (width > 0 ? width : 1) * style->groups : planes;
    const bool early = style->early_stride;
    const lmb_conv_opt reduce = conv(inner, 1, early ? stride : 1);
    lmb_conv_opt middle = conv(inner, 3, early ? 1 : stride);
    const lmb_conv_opt expand = conv(4 * planes, 1, 1);
    middle.groups = style->groups;
    lmb_value y = lmb_nn_conv_bn(nn, "conv1", "bn1", x, &reduce);
    y = lmb_nn_conv_bn(nn, "conv2", "bn2", lmb_relu(nn->g, y), &middle);
    return lmb_nn_conv_bn(nn, "conv3", "bn3", lmb_relu(nn->g, y), &expand);
}

lmb_value lmb_resnet_block(lmb_nn *nn, lmb_value x, int planes, int stride,
    const lmb_resnet_style *style)
{
    const int out = style->bottleneck ? 4 * planes : planes;
    const lmb_value y = style->bottleneck
        ? bottleneck(nn, x, planes, stride, style)
        : basic(nn, x, planes, stride);
    lmb_value skip = x;
    if (stride != 1 || lmb_graph_dim(nn->g, x, 1) != out) {
        const lmb_conv_opt project = conv(out, 1, stride);
        lmb_nn_push(nn, "%s", style->shortcut);
        skip = lmb_nn_conv_bn(nn, "0", "1", x, &project);
        lmb_nn_pop(nn);
    }
    return lmb_add(nn->g, y, skip);
}

lmb_value lmb_resnet_stage(lmb_nn *nn, const char *name, lmb_value x,
    int planes, int blocks, int stride, const lmb_resnet_style *style)
{
    lmb_nn_push(nn, "%s", name);
    for (int i = 0; i < blocks; i++) {
        const lmb_value in = i > 0 ? lmb_relu(nn->g, x) : x;
        lmb_nn_push(nn, "%d", i);
        x = lmb_resnet_block(nn, in, planes, i > 0 ? 1 : stride, style);
        lmb_nn_pop(nn);
    }
    lmb_nn_pop(nn);
    return x;
}
