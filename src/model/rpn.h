/* rpn.h: the region proposal network: objectness and boxes on p2..p6.
 *
 * conv3x3-ReLU, then 1x1 convolutions to one logit and four offsets for each
 * of 3 anchors a place (8 strides large, ratios 1/2, 1, 2). Positive: IoU >=
 * 0.7 or a box's best (from 0.3 on); background: < 0.3; of each image
 * opts->rpn_samples anchors are drawn, half of them positive at most. With S
 * drawn ones of all images, L = sum bce / S + sum |offsets| / S.
 * Source: Ren et al. 2015, arXiv:1506.01497, section 3.1. Layouts as
 * mmdetection's, or torchvision's (anchors and steps in whole pixels, smooth
 * L1 with its corner at 1/9, twice as many proposals in training). */
#ifndef LMB_MODEL_RPN_H
#define LMB_MODEL_RPN_H

#include "model/detector.h"

/* Declares taps "rpn.cls.p2".., "rpn.box.p2"..; adds losses "rpn_cls" and
 * "rpn_box" in training. LMB_NONE in `out` if there is no nn->detection. */
void lmb_rpn_build(lmb_nn *nn, lmb_layout layout, const int64_t input[2],
    const lmb_value p[LMB_DETECTOR_LEVELS], lmb_proposals *out);

#endif
