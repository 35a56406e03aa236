/* backbone.c: what backbones share; see the header. */
#include "model/backbone.h"

#include <math.h>

void lmb_backbone_stage(lmb_nn *nn, const lmb_model_opts *opts, int stage)
{
    nn->frozen = stage <= opts->frozen_stages;
}

int lmb_backbone_channels(const lmb_model_opts *opts, int channels)
{
    const int eights = (int)lround(channels * opts->width / 8);
    return eights > 1 ? 8 * eights : 8;
}

void lmb_backbone_build(lmb_nn *nn, lmb_backbone which,
    const lmb_model_opts *opts, lmb_value x, lmb_value c[4])
{
    nn->norm_eval = opts->norm_eval;
    if (which == LMB_BACKBONE_MV2)
        lmb_backbone_mobilenet(nn, opts, x, c);
    else
        lmb_backbone_resnet(nn, which, opts, x, c);
    nn->norm_eval = nn->frozen = false;
    for (int i = 0; i < 4; i++)
        lmb_nn_tap_at(nn, "c", i + 2, c[i]);
}
