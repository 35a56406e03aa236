/* backbone_shufflenet.c: ShuffleNetV2 as a backbone, with the names of its
 * authors' code (megvii-model/ShuffleNet-Series) and of FastestDet, whose
 * weights for COCO load as they are.
 *
 * conv3x3(3 -> 24, stride 2)-BN-ReLU, max pool; stages 2, 3, 4 of 4, 8, 4
 * units. The first unit of a stage has stride 2 and takes its whole input into
 * both branches; the others give the even channels to the left branch, which
 * passes them on, and the odd ones to the main branch. Outputs: the pooled
 * stem (24 channels, stride 4) and the stages. Stage 1 of `frozen_stages` is
 * the stem, too. width: 0.5, 1, 1.5 and 2 are the paper's networks; others
 * scale the one of width 1 to multiples of 8.
 * Source: Ma et al. 2018, arXiv:1807.11164, table 5. */
#include "model/backbone.h"

enum { STAGES = 3, STEM = 24 };

static const struct {
    double width;
    int channels[STAGES];
} sizes[] = {
    {0.5, {48, 96, 192}},
    {1.0, {116, 232, 464}},
    {1.5, {176, 352, 704}},
    {2.0, {244, 488, 976}},
};

static int stage_channels(const lmb_model_opts *opts, int stage)
{
    for (size_t i = 0; i < LMB_COUNT(sizes); i++)
        if (opts->width == sizes[i].width)
            return sizes[i].channels[stage];
    return lmb_backbone_channels(opts, sizes[1].channels[stage]);
}

static lmb_conv_opt pointwise(int out)
{
    return (lmb_conv_opt){.out = out, .kernel = 1, .kaiming = true};
}

static lmb_conv_opt depthwise(int channels, int stride)
{
    return (lmb_conv_opt){.out = channels,
        .kernel = 3,
        .stride = stride,
        .pad = 1,
        .groups = channels,
        .kaiming = true};
}

static lmb_value main_branch(
    lmb_nn *nn, lmb_value x, int mid, int out, int stride)
{
    const lmb_conv_opt first = pointwise(mid), dw = depthwise(mid, stride);
    const lmb_conv_opt last = pointwise(out);
    lmb_nn_push(nn, "branch_main");
    x = lmb_relu(nn->g, lmb_nn_conv_bn(nn, "0", "1", x, &first));
    x = lmb_nn_conv_bn(nn, "3", "4", x, &dw);
    x = lmb_relu(nn->g, lmb_nn_conv_bn(nn, "5", "6", x, &last));
    lmb_nn_pop(nn);
    return x;
}

static lmb_value left_branch(lmb_nn *nn, lmb_value x)
{
    const int in = (int)lmb_graph_dim(nn->g, x, 1);
    const lmb_conv_opt dw = depthwise(in, 2), pw = pointwise(in);
    lmb_nn_push(nn, "branch_proj");
    x = lmb_nn_conv_bn(nn, "0", "1", x, &dw);
    x = lmb_relu(nn->g, lmb_nn_conv_bn(nn, "2", "3", x, &pw));
    lmb_nn_pop(nn);
    return x;
}

static lmb_value unit(lmb_nn *nn, lmb_value x, int out, int stride)
{
    lmb_graph *g = nn->g;
    const int in = (int)lmb_graph_dim(g, x, 1), mid = out / 2;
    lmb_value both[2];
    if (stride == 2) {
        both[0] = left_branch(nn, x);
        both[1] = main_branch(nn, x, mid, out - in, 2);
    } else {
        /* groups of two: all even channels, then all odd ones */
        x = lmb_channel_shuffle(g, x, mid);
        both[0] = lmb_slice(g, x, 1, 0, mid);
        both[1] = main_branch(nn, lmb_slice(g, x, 1, mid, in), mid, mid, 1);
    }
    return lmb_concat(g, 2, both, 1);
}

void lmb_backbone_shufflenet(
    lmb_nn *nn, const lmb_model_opts *opts, lmb_value x, lmb_value c[4])
{
    static const int units[STAGES] = {4, 8, 4};
    const lmb_conv_opt stem = {
        .out = STEM, .kernel = 3, .stride = 2, .pad = 1, .kaiming = true};
    const lmb_pool_attr pool = {.kernel = {3, 3}, {2, 2}, {1, 1}, false};
    lmb_backbone_stage(nn, opts, 0);
    lmb_nn_push(nn, "first_conv");
    x = lmb_relu(nn->g, lmb_nn_conv_bn(nn, "0", "1", x, &stem));
    lmb_nn_pop(nn);
    x = c[0] = lmb_max_pool2d(nn->g, x, &pool);
    for (int s = 0; s < STAGES; s++) {
        lmb_backbone_stage(nn, opts, s + 2);
        for (int i = 0; i < units[s]; i++) {
            lmb_nn_push(nn, "stage%d.%d", s + 2, i);
            x = unit(nn, x, stage_channels(opts, s), i == 0 ? 2 : 1);
            lmb_nn_pop(nn);
        }
        c[s + 1] = x;
    }
}
