/* swin_block.h: what Swin transformers are built of: tokens, attention in
 * windows, blocks, merging of patches. Used by swin.c alone.
 *
 * Two definitions are in use; weights of one do not fit the other:
 *   torchvision   no shift along an axis that has one window; a merged token's
 *                 channels are [column, row, C]
 *   mmdetection   always shifts; channels are [C, row, column]
 * Sources: Liu et al. 2021, arXiv:2103.14030, section 3; torchvision 0.29
 * swin_transformer.py; mmdetection 3 backbones/swin.py. */
#ifndef LMB_MODEL_SWIN_BLOCK_H
#define LMB_MODEL_SWIN_BLOCK_H

#include "nn/nn.h"

/* Images of h x w tokens: v is [n h w, c], row-major over n, y, x. */
typedef struct lmb_tokens {
    lmb_value v;
    int64_t n, h, w, c;
} lmb_tokens;

/* x [N, C, H, W] and back. */
lmb_tokens lmb_tokens_of(lmb_graph *g, lmb_value x);
lmb_value lmb_tokens_image(lmb_graph *g, lmb_tokens t);
lmb_tokens lmb_tokens_norm(lmb_nn *nn, const char *name, lmb_tokens t);

/* What the blocks of a stage share. */
typedef struct lmb_swin_stage {
    lmb_nn *nn;
    bool mmdetection; /* names and definition, see above */
    int heads, window;
    lmb_value draw; /* of drop path: NONE: none is done */
    /* Made once for the stage: which row of the bias table a pair of places
     * uses [window^4, heads]; 0 or -100 for each window's pairs, in shifted
     * blocks [windows, 1, window^2, window^2]. */
    lmb_value index, mask;
} lmb_swin_stage;

/* shift: 0 or window / 2. `drop`: probability that the block's branches are
 * left out for an image; `number` counts the blocks of the network. */
lmb_tokens lmb_swin_block(
    lmb_swin_stage *s, lmb_tokens x, int shift, double drop, int number);
/* Four tokens to one of twice the channels; odd sizes are padded. */
lmb_tokens lmb_swin_merge(lmb_nn *nn, lmb_tokens x, bool mmdetection);

#endif
