/* box_files.h: files of COCO as the metrics of detection take them. */
#ifndef LMB_TRAIN_BOX_FILES_H
#define LMB_TRAIN_BOX_FILES_H

#include "io/coco_json.h"
#include "metric/boxes.h"

typedef struct lmb_box_files {
    lmb_coco truth; /* category c of boxes is truth.categories[c] */
    lmb_boxes boxes; /* images by ascending id */
    lmb_gt_box *gt;
    lmb_dt_box *dt;
    /* Detections of categories that the truth does not have: left out, as
     * pycocotools does; and annotations with the id 0 (metric/boxes.h). */
    int64_t left_out, zero_ids;
} lmb_box_files;

/* Instances and results of any tool. EFORMAT also where a detection's image is
 * not among the instances'. lmb_box_files_fini. */
lmb_status lmb_box_files_load(
    const char *truth, const char *results, lmb_box_files *out) LMB_MUST_CHECK;
void lmb_box_files_fini(lmb_box_files *files);

/* An annotation as the metrics take it; its image is number `image`. */
lmb_gt_box lmb_box_of_annotation(const lmb_coco_annotation *a, int32_t image);

#endif
