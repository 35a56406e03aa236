/* fpn.h: the feature pyramid of detectors.
 *
 *   l_i = conv1x1(c_i);  m_i = l_i + nearest(m_{i+1});  p_i = conv3x3(m_i)
 * and levels above the last: by convolutions of stride 2 on c5 or p5, or by
 * picking every second place of p5. All have opts->fpn_channels channels.
 * Declares taps p2.. of the outputs of the 3x3 convolutions (and the extra
 * levels). Source: Lin et al. 2017, arXiv:1612.03144, section 3; extra levels
 * arXiv:1708.02002 (on c5), arXiv:1904.01355 (on p5). */
#ifndef LMB_MODEL_FPN_H
#define LMB_MODEL_FPN_H

#include "model/detector.h"

typedef enum lmb_fpn_extra {
    LMB_FPN_POOL, /* p6 = p5 at stride 2 */
    LMB_FPN_ON_INPUT, /* p6 = conv(c5), p7 = conv(p6) */
    LMB_FPN_ON_OUTPUT, /* p6 = conv(p5), p7 = conv(p6) */
    LMB_FPN_ON_OUTPUT_RELU, /* p6 = conv(p5), p7 = conv(relu(p6)) */
} lmb_fpn_extra;

typedef struct lmb_fpn_rule {
    lmb_layout layout; /* mmdetection's "neck", torchvision's "backbone.fpn" */
    int first; /* 2: c2..c5; 3: c3..c5 */
    lmb_fpn_extra extra;
} lmb_fpn_rule;

/* Always five levels: p2..p6 or p3..p7. */
void lmb_fpn_build(lmb_nn *nn, const lmb_fpn_rule *rule, const lmb_value c[4],
    lmb_value p[LMB_DETECTOR_LEVELS]);
/* The row's backbone with a pyramid on it. */
void lmb_fpn_on_backbone(const lmb_model *m, lmb_nn *nn, lmb_value x, int first,
    lmb_fpn_extra extra, lmb_value p[LMB_DETECTOR_LEVELS]);

#endif
