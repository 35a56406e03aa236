/* coco_eval.h: the metrics of COCO for boxes, as pycocotools computes them.
 *
 * T. Lin et al., Microsoft COCO, 2014; https://cocodataset.org/#detection-eval.
 * Detections are matched with truths image by image, best scores first, at ten
 * IoU thresholds 0.50 .. 0.95; precision is made monotone and sampled at 101
 * recalls; AP is the mean over thresholds, recalls and categories, AR the mean
 * of the largest recalls. Sizes: small below 32^2, large above 96^2. Crowds
 * and truths of another size are ignored, and what matches them too. */
#ifndef LMB_METRIC_COCO_EVAL_H
#define LMB_METRIC_COCO_EVAL_H

#include "metric/boxes.h"

enum {
    LMB_COCO_AP,
    LMB_COCO_AP50,
    LMB_COCO_AP75,
    LMB_COCO_APS,
    LMB_COCO_APM,
    LMB_COCO_APL,
    LMB_COCO_AR1,
    LMB_COCO_AR10,
    LMB_COCO_AR100,
    LMB_COCO_ARS,
    LMB_COCO_ARM,
    LMB_COCO_ARL,
    LMB_COCO_NUMBERS,
    LMB_COCO_THRESHOLDS = 10,
    LMB_COCO_RECALLS = 101,
};
/* "AP", "AP50", ..: the keys of JSON and of tables. */
extern const char *const lmb_coco_names[LMB_COCO_NUMBERS];

/* All fractions; -1 where there is nothing to find. */
typedef struct lmb_coco_class {
    int64_t truths; /* without crowds */
    int64_t found; /* detections that were looked at: 100 an image at most */
    double ap, ap50, ap75, aps, apm, apl;
    double ar100;
    /* At IoU 0.5, recall 0, 0.01 .. 1: the precision, and the score at which
     * that recall is reached (0 behind the last). */
    double precision[LMB_COCO_RECALLS], score[LMB_COCO_RECALLS];
} lmb_coco_class;

typedef struct lmb_coco_scores {
    double number[LMB_COCO_NUMBERS];
    lmb_coco_class *classes;
    int32_t categories;
} lmb_coco_scores;

/* Images must be numbered by ascending id for ties of scores to be ordered as
 * pycocotools orders them. EINVAL: lmb_boxes_check. ENOMEM. */
lmb_status lmb_coco_eval(
    const lmb_boxes *boxes, lmb_coco_scores *out) LMB_MUST_CHECK;
void lmb_coco_scores_fini(lmb_coco_scores *scores);

#endif
