/* dual_mask.h: dual feature masking of one pyramid level, the core of DMKD and
 * DFMSD: places and channels chosen by the teacher's attention are hidden from
 * the student's map, and two generators complete it to the teacher's. */
#ifndef LMB_DISTILL_DUAL_MASK_H
#define LMB_DISTILL_DUAL_MASK_H

#include "distill/levels.h"
#include "distill/masking.h"

enum { LMB_RULE_QUANTILE, LMB_RULE_THRESHOLD };
enum { LMB_FUSE_SOFTMAX, LMB_FUSE_LOSSES, LMB_FUSE_SUM };

/* What can be set of it; rows of LMB_DUAL_MASK_OPTS. */
typedef struct lmb_dual_mask {
    double temperature; /* of the attention */
    double ratio_space, ratio_channel; /* quantile: the share hidden */
    double threshold_space, threshold_channel;
    int32_t rule, polarity, fusion;
} lmb_dual_mask;

/* How a mask is strengthened (MES): filled by the caller for each level. */
typedef struct lmb_emphasis {
    lmb_value gap_space, gap_channel; /* reweigh the attention; LMB_NONE: no */
    double gamma;
    double softness; /* > 0: soft masks */
} lmb_emphasis;

/* The two masks of a teacher's map: [N, 1, H, W] and [N, C, 1, 1]. */
typedef struct lmb_masks {
    lmb_value space, channel;
} lmb_masks;
lmb_masks lmb_dual_masks(lmb_graph *g, const lmb_dual_mask *o,
    const lmb_emphasis *e, lmb_value teacher);

/* sum (R - target)^2 / N for R made of source [N, C, H, W] behind the masks.
 * Trained parts: nn's prefix + .generation_space, .generation_channel and
 * .fusion [2] (softmax and losses). */
lmb_value lmb_dual_mask_loss(lmb_nn *nn, const lmb_dual_mask *o,
    const lmb_masks *masks, lmb_value source, lmb_value target);

#define LMB_DUAL_MASK_NUMBER(state_type, field, text, value, least, most) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_F64, \
        .offset = offsetof(state_type, mask.field), .def = (value), \
        .low = (least), .high = (most) \
    }
#define LMB_DUAL_MASK_CHOICE(state_type, field, text, all) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_ENUM, \
        .offset = offsetof(state_type, mask.field), .choices = (all) \
    }
/* Rows of an option table whose state has a field lmb_dual_mask mask. */
#define LMB_DUAL_MASK_OPTS(state_type) \
    LMB_DUAL_MASK_NUMBER(state_type, temperature, \
        "softmax temperature of the teacher's attention", 0.5, 0.01, 1000), \
        LMB_DUAL_MASK_CHOICE(state_type, rule, \
            "hide a fixed share by rank, or all at or above a threshold", \
            "quantile|threshold"), \
        LMB_DUAL_MASK_CHOICE(state_type, polarity, \
            "which places and channels are hidden", "important|unimportant"), \
        LMB_DUAL_MASK_NUMBER(state_type, ratio_space, \
            "quantile: share of the places hidden (two-stage: 0.45)", 0.65, 0, \
            1), \
        LMB_DUAL_MASK_NUMBER(state_type, ratio_channel, \
            "quantile: share of the channels hidden (two-stage: 0.45)", 0.65, \
            0, 1), \
        LMB_DUAL_MASK_NUMBER(state_type, threshold_space, \
            "threshold: on the spatial attention, whose mean is 1", 1, 0, \
            1e6), \
        LMB_DUAL_MASK_NUMBER(state_type, threshold_channel, \
            "threshold: on the channel attention, whose mean is 1", 1, 0, \
            1e6), \
        LMB_DUAL_MASK_CHOICE(state_type, fusion, \
            "one map of both by learned weights, two losses by learned " \
            "weights, or the sum of both maps", \
            "softmax|losses|sum")

#endif
