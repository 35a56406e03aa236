/* attention.h: where a feature map is active, as weights of mean 1. */
#ifndef LMB_DISTILL_ATTENTION_H
#define LMB_DISTILL_ATTENTION_H

#include "op/op.h"

/* Of a map [N, C, H, W]: Yang et al., FGD, arXiv:2111.11837, eq. 3-6. */
typedef struct lmb_attention {
    lmb_value space; /* [N, 1, H, W]: H W softmax_hw(mean_c |F| / t) */
    lmb_value channel; /* [N, C, 1, 1]: C softmax_c(mean_hw |F| / t) */
} lmb_attention;
lmb_attention lmb_attend(lmb_graph *g, lmb_value x, double temperature);

/* weight D^gamma over its mean in each image, D [N, ..] >= 0 of the shape of
 * weight: so the mean stays 1. Neither gets gradient. */
lmb_value lmb_reweigh(
    lmb_graph *g, lmb_value weight, lmb_value gap, double gamma);

#endif
