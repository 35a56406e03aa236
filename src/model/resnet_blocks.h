/* resnet_blocks.h: residual blocks and stages that end in a ReLU.
 *
 * basic:       x -> conv3x3(stride)-BN-ReLU-conv3x3-BN
 * bottleneck:  x -> conv1x1-BN-ReLU-conv3x3(stride)-BN-ReLU-conv1x1-BN, four
 *              times as wide at its end
 * y = ReLU(branch + shortcut); the shortcut is x, or conv1x1(stride)-BN where
 * stride or channels change. Source: He et al. 2016, arXiv:1512.03385,
 * figures 2 and 5, with the stride of a bottleneck on its 3x3 convolution
 * unless the style says otherwise.
 * Groups: Xie et al. 2017, arXiv:1611.05431, table 1. */
#ifndef LMB_MODEL_RESNET_BLOCKS_H
#define LMB_MODEL_RESNET_BLOCKS_H

#include "nn/nn.h"

typedef struct lmb_resnet_style {
    bool bottleneck;
    const char *shortcut; /* its name: "downsample" or "shortcut" */
    /* ResNeXt: the 3x3 convolution of a bottleneck has `groups` groups of
     * planes * group_width / 64 channels; 0: one group of `planes`. */
    int groups, group_width;
    bool early_stride; /* on a bottleneck's first 1x1 convolution */
} lmb_resnet_style;

/* One block; returns the sum before the last ReLU. */
lmb_value lmb_resnet_block(lmb_nn *nn, lmb_value x, int planes, int stride,
    const lmb_resnet_style *style);
/* `blocks` blocks named "<name>.0", ..., the first with the stride. Returns
 * the last sum before its ReLU; the caller applies that. */
lmb_value lmb_resnet_stage(lmb_nn *nn, const char *name, lmb_value x,
    int planes, int blocks, int stride, const lmb_resnet_style *style);

#endif
