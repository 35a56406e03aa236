/* backbone_resnet.c: ResNet and ResNeXt as backbones.
 *
 * conv7x7(stride 2)-BN-ReLU, max pooling, four stages of residual blocks; the
 * outputs are those after ReLU. Sources: He et al. 2016, arXiv:1512.03385,
 * table 1; Xie et al. 2017, arXiv:1611.05431. */
#include "model/backbone.h"
#include "model/resnet_blocks.h"

typedef struct shape_of {
    int blocks[4];
    lmb_resnet_style style;
} shape_of;

static const shape_of shapes[] = {
    [LMB_BACKBONE_R18] = {{2, 2, 2, 2}, {false, "downsample", 0, 0, false}},
    [LMB_BACKBONE_R34] = {{3, 4, 6, 3}, {false, "downsample", 0, 0, false}},
    [LMB_BACKBONE_R50] = {{3, 4, 6, 3}, {true, "downsample", 0, 0, false}},
    [LMB_BACKBONE_R101] = {{3, 4, 23, 3}, {true, "downsample", 0, 0, false}},
    [LMB_BACKBONE_X50] = {{3, 4, 6, 3}, {true, "downsample", 32, 4, false}},
    [LMB_BACKBONE_X101] = {{3, 4, 23, 3}, {true, "downsample", 32, 4, false}},
    [LMB_BACKBONE_X101_64] = {{3, 4, 23, 3},
        {true, "downsample", 64, 4, false}},
};

void lmb_backbone_resnet(lmb_nn *nn, lmb_backbone which,
    const lmb_model_opts *opts, lmb_value x, lmb_value c[4])
{
    static const char *const stage[] = {"layer1", "layer2", "layer3", "layer4"};
    lmb_graph *g = nn->g;
    const shape_of *s = &shapes[which];
    lmb_resnet_style style = s->style;
    style.early_stride = opts->style == LMB_RESNET_CAFFE;
    const lmb_conv_opt stem = {.out = lmb_backbone_channels(opts, 64),
        .kernel = 7,
        .stride = 2,
        .pad = 3,
        .kaiming = true};
    const lmb_pool_attr pool = {.kernel = {3, 3}, {2, 2}, {1, 1}, false};
    lmb_backbone_stage(nn, opts, 0);
    x = lmb_relu(g, lmb_nn_conv_bn(nn, "conv1", "bn1", x, &stem));
    x = lmb_max_pool2d(g, x, &pool);
    for (int i = 0; i < 4; i++) {
        lmb_backbone_stage(nn, opts, i + 1);
        x = lmb_relu(g,
            lmb_resnet_stage(nn, stage[i], x,
                lmb_backbone_channels(opts, 64 << i), s->blocks[i],
                i == 0 ? 1 : 2, &style));
        c[i] = x;
    }
}
