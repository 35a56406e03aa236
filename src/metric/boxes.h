/* boxes.h: true and found boxes, as the metrics of detection take them. */
#ifndef LMB_METRIC_BOXES_H
#define LMB_METRIC_BOXES_H

#include "base/base.h"

/* Boxes are x, y, width, height in pixels, in double: areas and overlaps are
 * compared with fixed thresholds, and must round as in other tools. */
typedef struct lmb_gt_box {
    double box[4];
    double area; /* decides small, medium, large; of the mask if there is one */
    int32_t image, category; /* indexes */
    bool crowd; /* a region of many objects: matches any number of boxes */
    bool difficult; /* VOC: finding it counts neither for nor against */
    /* Its annotation has the id 0. pycocotools marks a match by the id of the
     * annotation, so it takes such a match for none, and so does coco_eval. */
    bool id_zero;
} lmb_gt_box;

typedef struct lmb_dt_box {
    double box[4], score;
    int32_t image, category;
} lmb_dt_box;

typedef struct lmb_boxes {
    const lmb_gt_box *gt;
    const lmb_dt_box *dt;
    int64_t n_gt, n_dt;
    int32_t images, categories; /* indexes are below these */
} lmb_boxes;

/* Where an index is out of range or a number not finite: EINVAL names it. */
lmb_status lmb_boxes_check(const lmb_boxes *boxes) LMB_MUST_CHECK;

/* The boxes by category, in it by image; detections of one image by descending
 * score, else in their order. */
typedef struct lmb_box_order {
    int32_t *gt, *dt; /* indexes into boxes->gt and dt */
    int64_t *gt_first, *dt_first; /* category c: first[c] .. first[c + 1] - 1 */
} lmb_box_order;
lmb_status lmb_box_order_init(
    lmb_box_order *order, const lmb_boxes *boxes) LMB_MUST_CHECK;
void lmb_box_order_fini(lmb_box_order *order);

/* The boxes of one image in one category: parts of order->gt and ->dt. */
typedef struct lmb_box_group {
    int32_t image;
    int64_t gt, n_gt, dt, n_dt; /* where they begin; how many */
} lmb_box_group;
/* Moves to the category's next image that has boxes; starts from
 * {-1, gt_first[c], 0, dt_first[c], 0}. False behind the last. */
bool lmb_box_group_next(const lmb_boxes *boxes, const lmb_box_order *order,
    int32_t category, lmb_box_group *group);

/* Sorts n scores downwards, equals in their order: place[i] is where the i-th
 * of them was. */
lmb_status lmb_sort_scores(
    const double *scores, int64_t n, int32_t *place) LMB_MUST_CHECK;

/* Intersection over union of x, y, width, height; over the area of `found`
 * alone where the truth is a crowd. Empty intersections give 0. */
double lmb_box_overlap(
    const double found[4], const double truth[4], bool crowd);

#endif
