/* coco_match.c: which detection finds which truth, as pycocotools decides it.
 *
 * For an image, a range of areas and a threshold: detections choose by falling
 * score, each the free truth of largest IoU, the later one of equals. Truths
 * that count come first; one that is ignored is taken only if none of them
 * will do. A crowd is never used up. */
#include "metric/coco_impl.h"

#include <math.h>

static const double area_range[LMB_COCO_AREAS][2] = {
    {0, 1e10}, {0, 1024}, {1024, 9216}, {9216, 1e10}};

double lmb__coco_threshold(int t)
{
    const double step = (0.95 - 0.5) / (LMB_COCO_THRESHOLDS - 1);
    return t == LMB_COCO_THRESHOLDS - 1 ? 0.95 : t * step + 0.5;
}

static bool outside(double area, int range)
{
    return area < area_range[range][0] || area > area_range[range][1];
}

/* One image of one category. */
typedef struct image {
    const lmb_boxes *boxes;
    const int32_t *gt; /* indexes of its truths */
    int64_t n_gt, n_dt;
    const int32_t *dt;
    lmb_coco_match *match; /* of its detections */
} image;

/* --- working memory */

static lmb_status reserve_gt(lmb_coco_matches *m, size_t n)
{
    if (n <= m->gt_capacity)
        return LMB_OK;
    m->gt_capacity = 0;
    lmb_free(m->order);
    lmb_free(m->ignored);
    lmb_free(m->taken);
    m->order = NULL;
    m->ignored = m->taken = NULL;
    LMB_TRY(LMB_NEW(m->order, 2 * n));
    LMB_TRY(LMB_NEW(m->ignored, 2 * n));
    LMB_TRY(LMB_NEW(m->taken, 2 * n));
    m->gt_capacity = 2 * n;
    return LMB_OK;
}

static lmb_status reserve_iou(lmb_coco_matches *m, size_t n)
{
    if (n <= m->iou_capacity)
        return LMB_OK;
    m->iou_capacity = 0;
    lmb_free(m->iou);
    m->iou = NULL;
    LMB_TRY(LMB_NEW(m->iou, 2 * n));
    m->iou_capacity = 2 * n;
    return LMB_OK;
}

void lmb__coco_matches_fini(lmb_coco_matches *m)
{
    lmb_free(m->items);
    lmb_free(m->iou);
    lmb_free(m->order);
    lmb_free(m->ignored);
    lmb_free(m->taken);
    *m = (lmb_coco_matches){0};
}

/* --- matching */

static void fill_iou(lmb_coco_matches *m, const image *im)
{
    for (int64_t d = 0; d < im->n_dt; d++)
        for (int64_t g = 0; g < im->n_gt; g++) {
            const lmb_gt_box *gt = &im->boxes->gt[im->gt[g]];
            m->iou[d * im->n_gt + g] = lmb_box_overlap(
                im->boxes->dt[im->dt[d]].box, gt->box, gt->crowd);
        }
}

/* Sets ignored and order; counts what is not ignored. */
static void sort_truths(lmb_coco_matches *m, const image *im, int area)
{
    int64_t n = 0;
    for (int64_t g = 0; g < im->n_gt; g++) {
        const lmb_gt_box *gt = &im->boxes->gt[im->gt[g]];
        m->ignored[g] = gt->crowd || outside(gt->area, area);
        if (!m->ignored[g])
            m->order[n++] = (int32_t)g;
    }
    m->truths[area] += n;
    for (int64_t g = 0; g < im->n_gt; g++)
        if (m->ignored[g])
            m->order[n++] = (int32_t)g;
}

/* The truth that a detection takes, or -1. */
static int32_t choose(const lmb_coco_matches *m, const image *im,
    const double *iou, double threshold)
{
    double best = fmin(threshold, 1 - 1e-10);
    int32_t chosen = -1;
    for (int64_t i = 0; i < im->n_gt; i++) {
        const int32_t g = m->order[i];
        if (m->taken[g] && !im->boxes->gt[im->gt[g]].crowd)
            continue;
        if (chosen >= 0 && !m->ignored[chosen] && m->ignored[g])
            break;
        if (iou[g] < best)
            continue;
        best = iou[g];
        chosen = g;
    }
    return chosen;
}

static void match_at(lmb_coco_matches *m, const image *im, int area, int t)
{
    const double threshold = lmb__coco_threshold(t);
    const uint16_t bit = (uint16_t)(1u << t);
    for (int64_t g = 0; g < im->n_gt; g++)
        m->taken[g] = false;
    for (int64_t d = 0; d < im->n_dt; d++) {
        const int32_t g = choose(m, im, m->iou + d * im->n_gt, threshold);
        if (g < 0)
            continue;
        m->taken[g] = true;
        if (!im->boxes->gt[im->gt[g]].id_zero)
            im->match[d].matched[area] |= bit;
        if (m->ignored[g])
            im->match[d].ignored[area] |= bit;
    }
}

/* What found nothing and is of another size does not count. */
static void ignore_other_sizes(const image *im, int area)
{
    for (int64_t d = 0; d < im->n_dt; d++) {
        const double *box = im->boxes->dt[im->dt[d]].box;
        if (outside(box[2] * box[3], area))
            im->match[d].ignored[area] |= (uint16_t)~im->match[d].matched[area];
    }
}

static lmb_status match_image(lmb_coco_matches *m, const image *im)
{
    LMB_TRY(reserve_gt(m, (size_t)im->n_gt));
    LMB_TRY(reserve_iou(m, (size_t)(im->n_gt * im->n_dt)));
    fill_iou(m, im);
    for (int area = 0; area < LMB_COCO_AREAS; area++) {
        sort_truths(m, im, area);
        for (int t = 0; t < LMB_COCO_THRESHOLDS && im->n_gt > 0; t++)
            match_at(m, im, area, t);
        ignore_other_sizes(im, area);
    }
    return LMB_OK;
}

/* --- one category */

static lmb_status add_detections(lmb_coco_matches *m, const image *im)
{
    for (int64_t d = 0; d < im->n_dt; d++) {
        LMB_TRY(LMB_GROW(m->items, m->count, m->capacity));
        m->items[m->count++] = (lmb_coco_match){
            .score = im->boxes->dt[im->dt[d]].score, .rank = (int32_t)d};
    }
    return LMB_OK;
}

lmb_status lmb__coco_match(lmb_coco_matches *m, const lmb_boxes *boxes,
    const lmb_box_order *order, int32_t category)
{
    lmb_box_group group = {
        -1, order->gt_first[category], 0, order->dt_first[category], 0};
    m->count = 0;
    for (int area = 0; area < LMB_COCO_AREAS; area++)
        m->truths[area] = 0;
    while (lmb_box_group_next(boxes, order, category, &group)) {
        const int64_t first = m->count;
        image im = {.boxes = boxes,
            .gt = order->gt + group.gt,
            .dt = order->dt + group.dt,
            .n_gt = group.n_gt,
            .n_dt = group.n_dt < LMB_COCO_MOST ? group.n_dt : LMB_COCO_MOST};
        LMB_TRY(add_detections(m, &im));
        im.match = m->items + first;
        LMB_TRY(match_image(m, &im));
    }
    return LMB_OK;
}
