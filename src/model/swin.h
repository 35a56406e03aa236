/* swin.h: Swin transformers as backbones of detectors. */
#ifndef LMB_MODEL_SWIN_H
#define LMB_MODEL_SWIN_H

#include "nn/nn.h"

typedef struct lmb_swin_opts {
    int embed; /* channels of the first stage: 96 */
    int depth[4], heads[4]; /* {2, 2, 6, 2}, {3, 6, 12, 24} */
    int window; /* 7 */
    uint32_t outputs; /* bit i: stage_out[i] is wanted, and normalised */
    /* -1 none; 0: the patch embedding does not learn; i: stages 0 .. i - 1
     * and their output norms do not either. */
    int frozen_stages;
    /* Training: the last block is left out for an image with this probability,
     * earlier ones with less, rising from 0 (stochastic depth); 0: never. */
    double drop_path;
    lmb_value draw; /* I32 [4], as in lmb_truth; NONE: no drop path */
} lmb_swin_opts;

extern const lmb_swin_opts lmb_swin_t, lmb_swin_s; /* all outputs, no drop */

/* Swin under mmdetection's names and definition ("patch_embed.projection",
 * "stages.0.blocks.0.attn.w_msa.qkv", "norm0"), below nn's prefix; push
 * "backbone" before. x [N, 3, H, W] of any size. stage_out[i]: [N, embed << i,
 * ceil(H / (4 << i)), ..], LMB_NONE if it is not wanted. */
void lmb_swin_backbone(
    lmb_nn *nn, lmb_value x, const lmb_swin_opts *opts, lmb_value stage_out[4]);

#endif
