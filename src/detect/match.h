/* match.h: which box of the ground truth an anchor or a point is to find.
 *
 * All work on one image and write match[i] = index of a truth box,
 * LMB_MATCH_NONE (background) or LMB_MATCH_IGNORED. Truth boxes are finite;
 * without any, everything is background. Callers leave crowds and ignored
 * boxes out. Scratch is the caller's, its sizes as told here. */
#ifndef LMB_DETECT_MATCH_H
#define LMB_DETECT_MATCH_H

#include "detect/box.h"
#include "detect/top.h"

enum { LMB_MATCH_NONE = -1, LMB_MATCH_IGNORED = -2 };

typedef struct lmb_truth_boxes {
    const lmb_box *box;
    int64_t n;
} lmb_truth_boxes;

/* What becomes of the anchors that are the best of a truth box (all that tie),
 * if that IoU is >= least and > 0. */
typedef enum lmb_low_quality {
    LMB_LOW_QUALITY_OFF,
    /* The box takes them; later boxes take from earlier ones. mmdetection's
     * MaxIoUAssigner with gt_max_assign_all. */
    LMB_LOW_QUALITY_TAKE,
    /* Each matches the box that it meets most itself. torchvision's Matcher
     * with allow_low_quality_matches. */
    LMB_LOW_QUALITY_OWN,
} lmb_low_quality;

/* Largest IoU: >= positive matches (the first of equals), < negative is
 * background, else ignored; then low quality. Thresholds are compared in f32.
 * Unlike here, a box that no anchor meets takes all anchors that meet none in
 * both libraries, with least 0. */
typedef struct lmb_iou_rule {
    double positive, negative, least;
    int32_t low_quality;
} lmb_iou_rule;
/* best: truth.n floats. */
void lmb_assign_by_iou(const lmb_box *anchor, int64_t n, lmb_truth_boxes truth,
    const lmb_iou_rule *rule, float *best, int32_t *match);

enum { LMB_MATCH_LEVELS = 6 };
typedef struct lmb_match_levels {
    int32_t n;
    int64_t size[LMB_MATCH_LEVELS]; /* anchors or points of each */
} lmb_match_levels;

/* ATSS, arXiv:1912.02424, algorithm 1: candidates of a truth box are the topk
 * anchors of each level whose centres are nearest to its own (the first of
 * equals); positive are those with IoU >= mean + deviation (unbiased; 0 of a
 * single one) of the candidates' IoUs, whose centre lies inside by more than
 * 0.01; an anchor that several take goes to the largest IoU.
 * Anchors that are NaN are no candidates of any box.
 * key: topk, candidate: LMB_MATCH_LEVELS * topk, best: n elements. */
typedef struct lmb_atss_memory {
    uint64_t *key;
    int64_t *candidate;
    float *best;
} lmb_atss_memory;
void lmb_assign_by_atss(const lmb_box *anchor, const lmb_match_levels *levels,
    lmb_truth_boxes truth, int64_t topk, lmb_atss_memory memory,
    int32_t *match);

/* The valuable region of localisation distillation: region[i] is the largest
 * IoU of anchor i with the truth boxes for which gamma h <= d < h, else 0; h is
 * the box's threshold in lmb_assign_by_atss, and
 *   d = |a and b| / |a| - |centres|^2 / |diagonal of the hull|^2, a the anchor.
 * arXiv:2102.12252, algorithm 1, in the form of its authors' code, whose DIoU
 * divides by the anchor's area, not by the union. The same memory. */
void lmb_valuable_by_atss(const lmb_box *anchor, const lmb_match_levels *levels,
    lmb_truth_boxes truth, int64_t topk, float gamma, lmb_atss_memory memory,
    float *region);

/* FCOS, arXiv:1904.01355, section 3: a point takes the smallest box (the
 * first of equals) that it lies inside of, within radius * stride of the
 * centre on both axes if radius > 0, and whose largest distance to a side is
 * in the level's range, ends included. point: x y of each. */
typedef struct lmb_points_rule {
    lmb_match_levels levels;
    double stride[LMB_MATCH_LEVELS], range[LMB_MATCH_LEVELS][2];
    double radius;
} lmb_points_rule;
void lmb_assign_by_points(const float *point, const lmb_points_rule *rule,
    lmb_truth_boxes truth, int32_t *match);

#endif
