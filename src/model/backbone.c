/* backbone.c: what backbones share; see the header. */
#include "model/backbone.h"

#include "model/swin.h"

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

/* Attention heads are 32 channels wide, whatever `width` is. */
static void swin(lmb_nn *nn, lmb_backbone which, const lmb_model_opts *opts,
    int first, lmb_value x, lmb_value c[4])
{
    lmb_swin_opts o = which == LMB_BACKBONE_SWIN_T ? lmb_swin_t : lmb_swin_s;
    const int heads = (int)lround(o.heads[0] * opts->width);
    for (int i = 0; i < 4; i++)
        o.heads[i] = (heads > 1 ? heads : 1) << i;
    o.embed = 32 * o.heads[0];
    o.outputs = first == 2 ? 0xf : 0xe;
    o.frozen_stages = (int)opts->frozen_stages;
    if (nn->detection != NULL && nn->detection->truth != NULL) {
        o.drop_path = opts->drop_path;
        o.draw = nn->detection->truth->draw;
    }
    lmb_swin_backbone(nn, x, &o, c);
}

void lmb_backbone_build(lmb_nn *nn, lmb_backbone which,
    const lmb_model_opts *opts, int first, lmb_value x, lmb_value c[4])
{
    nn->norm_eval = opts->norm_eval;
    if (which >= LMB_BACKBONE_SWIN_T)
        swin(nn, which, opts, first, x, c);
    else if (which == LMB_BACKBONE_MV2)
        lmb_backbone_mobilenet(nn, opts, x, c);
    else if (which == LMB_BACKBONE_SV2)
        lmb_backbone_shufflenet(nn, opts, x, c);
    else
        lmb_backbone_resnet(nn, which, opts, x, c);
    nn->norm_eval = nn->frozen = false;
    for (int i = 0; i < 4; i++)
        lmb_nn_tap_at(nn, "c", i + 2, c[i]);
}
