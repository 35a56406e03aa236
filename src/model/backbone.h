/* backbone.h: classification networks without their heads, for detectors.
 *
 * Four stages with strides 4, 8, 16, 32 to the input; declares them as taps
 * c2..c5. Parameters lie under the scope that is open, with torchvision's
 * names inside (Swin: mmdetection's; ShuffleNetV2: its authors'), so that
 * published weights load by name.
 *
 * Options (lmb_model_opts): width scales all channels (to multiples of 8);
 * frozen_stages: the parameters of these parts are buffers (nn->frozen);
 * norm_eval: running statistics in training, too. */
#ifndef LMB_MODEL_BACKBONE_H
#define LMB_MODEL_BACKBONE_H

#include "model/model.h"

typedef enum lmb_backbone {
    LMB_BACKBONE_R18,
    LMB_BACKBONE_R34,
    LMB_BACKBONE_R50,
    LMB_BACKBONE_R101,
    LMB_BACKBONE_X50, /* ResNeXt 32x4d */
    LMB_BACKBONE_X101, /* ResNeXt 32x4d */
    LMB_BACKBONE_X101_64, /* ResNeXt 64x4d */
    LMB_BACKBONE_MV2,
    LMB_BACKBONE_SV2,
    LMB_BACKBONE_SWIN_T,
    LMB_BACKBONE_SWIN_S,
} lmb_backbone;

/* first: 2 or 3, the first stage that is wanted, of c[0] = c2 .. c[3] = c5
 * (Swin's outputs have a norm of their own; c[0] is LMB_NONE if not wanted). */
void lmb_backbone_build(lmb_nn *nn, lmb_backbone which,
    const lmb_model_opts *opts, int first, lmb_value x, lmb_value c[4]);

/* The families; called by lmb_backbone_build alone. Stage i (0: the stem) is
 * opened by lmb_backbone_stage(nn, opts, i), which sets nn->frozen. */
void lmb_backbone_resnet(lmb_nn *nn, lmb_backbone which,
    const lmb_model_opts *opts, lmb_value x, lmb_value c[4]);
void lmb_backbone_mobilenet(
    lmb_nn *nn, const lmb_model_opts *opts, lmb_value x, lmb_value c[4]);
void lmb_backbone_shufflenet(
    lmb_nn *nn, const lmb_model_opts *opts, lmb_value x, lmb_value c[4]);
void lmb_backbone_stage(lmb_nn *nn, const lmb_model_opts *opts, int stage);
/* channels * width, to the nearest multiple of 8, 8 at least. */
int lmb_backbone_channels(const lmb_model_opts *opts, int channels);

#endif
