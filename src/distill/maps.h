/* maps.h: formulas on feature maps [N, C, H, W] that several methods share. */
#ifndef LMB_DISTILL_MAPS_H
#define LMB_DISTILL_MAPS_H

#include "op/op.h"

/* Mean and unbiased deviation of each channel over N, H and W: [1, C, 1, 1].
 * The deviation of a single number is 0. */
typedef struct lmb_moments {
    lmb_value mean, std;
} lmb_moments;
lmb_moments lmb_map_moments(lmb_graph *g, lmb_value x);

/* (x - mean) / (std + 1e-6) by channel. Cao et al., "PKD", arXiv:2207.02039,
 * section 3.2, with the 1e-6 of mmrazor's code. */
lmb_value lmb_map_standardize(lmb_graph *g, lmb_value x);

/* 0.5 mean (n(s) - n(t))^2, n = lmb_map_standardize: (M - 1) / M times the
 * mean of 1 - r over the channels, r Pearson's correlation over M = N H W. */
lmb_value lmb_map_pearson(lmb_graph *g, lmb_value s, lmb_value t);

/* sum (a - b)^2 / N. */
lmb_value lmb_map_squares(lmb_graph *g, lmb_value a, lmb_value b);

#endif
