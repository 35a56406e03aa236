/* confusion.c: greedy pairs of one image after the other. */
#include "metric/confusion.h"

typedef struct pair {
    int32_t gt, dt;
} pair;

typedef struct work {
    const lmb_boxes *boxes;
    double iou, score;
    /* The same boxes as if of one class, so that groups are images. */
    lmb_gt_box *gt;
    lmb_dt_box *dt;
    lmb_box_order order;
    bool *gt_done, *dt_done; /* by index */
    pair *pairs; /* of one image */
    double *overlap;
    int32_t *place;
    size_t pairs_capacity, overlap_capacity, place_capacity;
    int64_t n_pairs;
} work;

static void work_fini(work *w)
{
    lmb_box_order_fini(&w->order);
    lmb_free(w->gt);
    lmb_free(w->dt);
    lmb_free(w->gt_done);
    lmb_free(w->dt_done);
    lmb_free(w->pairs);
    lmb_free(w->overlap);
    lmb_free(w->place);
    *w = (work){0};
}

static lmb_status work_init(work *w)
{
    const lmb_boxes *b = w->boxes;
    LMB_TRY(LMB_NEW(w->gt, b->n_gt));
    LMB_TRY(LMB_NEW(w->dt, b->n_dt));
    LMB_TRY(LMB_NEW(w->gt_done, b->n_gt));
    LMB_TRY(LMB_NEW(w->dt_done, b->n_dt));
    for (int64_t i = 0; i < b->n_gt; i++) {
        w->gt[i] = b->gt[i];
        w->gt[i].category = 0;
    }
    for (int64_t i = 0; i < b->n_dt; i++) {
        w->dt[i] = b->dt[i];
        w->dt[i].category = 0;
    }
    const lmb_boxes one = {w->gt, w->dt, b->n_gt, b->n_dt, b->images, 1};
    return lmb_box_order_init(&w->order, &one);
}

static bool left_out(const lmb_gt_box *gt)
{
    return gt->crowd || gt->difficult;
}

/* --- one image */

static lmb_status add_pair(work *w, int32_t gt, int32_t dt, double overlap)
{
    LMB_TRY(LMB_GROW(w->pairs, w->n_pairs, w->pairs_capacity));
    LMB_TRY(LMB_GROW(w->overlap, w->n_pairs, w->overlap_capacity));
    LMB_TRY(LMB_GROW(w->place, w->n_pairs, w->place_capacity));
    w->overlap[w->n_pairs] = overlap;
    w->pairs[w->n_pairs++] = (pair){gt, dt};
    return LMB_OK;
}

/* Pairs that overlap enough; a detection on a truth that is left out is kept
 * for the case that nothing else takes it. */
static lmb_status collect_pairs(work *w, const lmb_box_group *g)
{
    w->n_pairs = 0;
    for (int64_t i = g->dt; i < g->dt + g->n_dt; i++) {
        const int32_t dt = w->order.dt[i];
        if (w->dt[dt].score < w->score)
            continue;
        for (int64_t k = g->gt; k < g->gt + g->n_gt; k++) {
            const int32_t gt = w->order.gt[k];
            const double overlap =
                lmb_box_overlap(w->dt[dt].box, w->gt[gt].box, w->gt[gt].crowd);
            if (overlap >= w->iou)
                LMB_TRY(add_pair(w, gt, dt, overlap));
        }
    }
    return LMB_OK;
}

static void take_pairs(work *w, lmb_confusion *out)
{
    const int64_t columns = (int64_t)out->categories + 1;
    for (int64_t i = 0; i < w->n_pairs; i++) {
        const pair p = w->pairs[w->place[i]];
        if (w->dt_done[p.dt] || w->gt_done[p.gt] || left_out(&w->gt[p.gt]))
            continue;
        w->dt_done[p.dt] = w->gt_done[p.gt] = true;
        out->count[w->boxes->gt[p.gt].category * columns +
            w->boxes->dt[p.dt].category]++;
    }
    for (int64_t i = 0; i < w->n_pairs; i++)
        if (left_out(&w->gt[w->pairs[i].gt]))
            w->dt_done[w->pairs[i].dt] = true;
}

static void count_rest(work *w, const lmb_box_group *g, lmb_confusion *out)
{
    const int64_t columns = (int64_t)out->categories + 1;
    for (int64_t i = g->gt; i < g->gt + g->n_gt; i++) {
        const int32_t gt = w->order.gt[i];
        if (!w->gt_done[gt] && !left_out(&w->gt[gt]))
            out->count[w->boxes->gt[gt].category * columns + columns - 1]++;
    }
    for (int64_t i = g->dt; i < g->dt + g->n_dt; i++) {
        const int32_t dt = w->order.dt[i];
        if (!w->dt_done[dt] && w->dt[dt].score >= w->score)
            out->count[(columns - 1) * columns + w->boxes->dt[dt].category]++;
    }
}

/* --- all images */

static lmb_status count_all(work *w, lmb_confusion *out)
{
    const int64_t columns = (int64_t)w->boxes->categories + 1;
    const lmb_boxes one = {
        w->gt, w->dt, w->boxes->n_gt, w->boxes->n_dt, w->boxes->images, 1};
    lmb_box_group g = {-1, 0, 0, 0, 0};
    LMB_TRY(LMB_NEW(out->count, columns * columns));
    out->categories = w->boxes->categories;
    while (lmb_box_group_next(&one, &w->order, 0, &g)) {
        LMB_TRY(collect_pairs(w, &g));
        LMB_TRY(lmb_sort_scores(w->overlap, w->n_pairs, w->place));
        take_pairs(w, out);
        count_rest(w, &g, out);
    }
    return LMB_OK;
}

lmb_status lmb_confusion_eval(
    const lmb_boxes *boxes, double iou, double score, lmb_confusion *out)
{
    work w = {.boxes = boxes, .iou = iou, .score = score};
    lmb_status st = LMB_OK;
    *out = (lmb_confusion){0};
    if (!(iou > 0 && iou <= 1))
        return LMB_FAIL(LMB_EINVAL,
            "confusion: the IoU threshold %g is not in 0 .. 1", iou);
    LMB_TRY(lmb_boxes_check(boxes));
    LMB_GOTO(work_init(&w), st, done);
    LMB_GOTO(count_all(&w, out), st, done);
done:
    if (st != LMB_OK)
        lmb_confusion_fini(out);
    work_fini(&w);
    return st;
}

void lmb_confusion_fini(lmb_confusion *confusion)
{
    lmb_free(confusion->count);
    *confusion = (lmb_confusion){0};
}
