/* box_truth.h: the boxes of a detection set as the metrics take them. */
#ifndef LMB_TRAIN_BOX_TRUTH_H
#define LMB_TRAIN_BOX_TRUTH_H

#include "data/data.h"
#include "metric/coco_eval.h"

typedef struct lmb_box_truth {
    lmb_gt_box *gt;
    int64_t n_gt;
    int32_t *rank; /* picture i of the set is image rank[i]: by ascending id */
    int32_t images, categories;
} lmb_box_truth;

/* Of a set of COCO the boxes that its file has, so that the numbers are those
 * of pycocotools on that file; of others the set's. lmb_box_truth_fini. */
lmb_status lmb_box_truth_load(
    const lmb_dataset *data, lmb_box_truth *out) LMB_MUST_CHECK;
void lmb_box_truth_fini(lmb_box_truth *truth);

/* The truth with detections whose image is the picture's place in the set:
 * what coco_eval and voc_eval take. *out borrows from truth and from *owned,
 * the caller's: lmb_free. */
lmb_status lmb_box_truth_with(const lmb_box_truth *truth, const lmb_dt_box *dt,
    int64_t n_dt, lmb_boxes *out, lmb_dt_box **owned) LMB_MUST_CHECK;

#endif
