/* boxes.c: boxes checked, ordered and compared. */
#include "metric/boxes.h"

#include <math.h>
#include <stdlib.h>

/* --- checks */

static bool finite4(const double box[4])
{
    return isfinite(box[0]) && isfinite(box[1]) && isfinite(box[2]) &&
        isfinite(box[3]);
}

static bool in_range(const lmb_boxes *b, int32_t image, int32_t category)
{
    return image >= 0 && image < b->images && category >= 0 &&
        category < b->categories;
}

static lmb_status check_one(const lmb_boxes *b, const char *what, int64_t i,
    bool is_finite, int32_t image, int32_t category)
{
    if (!is_finite)
        return LMB_FAIL(
            LMB_EINVAL, "%s %lld is not finite", what, (long long)i);
    if (!in_range(b, image, category))
        return LMB_FAIL(LMB_EINVAL,
            "%s %lld has image %d of %d, category %d of %d", what, (long long)i,
            (int)image, (int)b->images, (int)category, (int)b->categories);
    return LMB_OK;
}

lmb_status lmb_boxes_check(const lmb_boxes *b)
{
    if (b->n_gt > INT32_MAX || b->n_dt > INT32_MAX)
        return LMB_FAIL(LMB_EINVAL, "more than 2^31 - 1 boxes");
    for (int64_t i = 0; i < b->n_gt; i++)
        LMB_TRY(check_one(b, "true box", i,
            finite4(b->gt[i].box) && isfinite(b->gt[i].area), b->gt[i].image,
            b->gt[i].category));
    for (int64_t i = 0; i < b->n_dt; i++)
        LMB_TRY(check_one(b, "found box", i,
            finite4(b->dt[i].box) && isfinite(b->dt[i].score), b->dt[i].image,
            b->dt[i].category));
    return LMB_OK;
}

/* --- order */

typedef struct key {
    int32_t category, image;
    double score;
    int32_t index;
} key;

/* The index decides last, so that any sort is stable. */
static int compare_keys(const void *a, const void *b)
{
    const key *x = a, *y = b;
    if (x->category != y->category)
        return x->category < y->category ? -1 : 1;
    if (x->image != y->image)
        return x->image < y->image ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static void sort_keys(key *keys, int64_t n, int32_t *index)
{
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (int64_t i = 0; i < n; i++)
        index[i] = keys[i].index;
}

lmb_status lmb_sort_scores(const double *scores, int64_t n, int32_t *place)
{
    key *keys = NULL;
    LMB_TRY(LMB_NEW(keys, n));
    for (int64_t i = 0; i < n; i++)
        keys[i] = (key){0, 0, scores[i], (int32_t)i};
    sort_keys(keys, n, place);
    lmb_free(keys);
    return LMB_OK;
}

static void count_to_first(int64_t *first, int32_t categories)
{
    for (int32_t c = 0; c < categories; c++)
        first[c + 1] += first[c];
}

static lmb_status order_both(lmb_box_order *o, const lmb_boxes *b, key *keys)
{
    const int64_t categories = (int64_t)b->categories + 1;
    LMB_TRY(LMB_NEW(o->gt, b->n_gt));
    LMB_TRY(LMB_NEW(o->dt, b->n_dt));
    LMB_TRY(LMB_NEW(o->gt_first, categories));
    LMB_TRY(LMB_NEW(o->dt_first, categories));
    for (int64_t i = 0; i < b->n_gt; i++) {
        keys[i] = (key){b->gt[i].category, b->gt[i].image, 0, (int32_t)i};
        o->gt_first[b->gt[i].category + 1]++;
    }
    sort_keys(keys, b->n_gt, o->gt);
    for (int64_t i = 0; i < b->n_dt; i++) {
        keys[i] = (key){
            b->dt[i].category, b->dt[i].image, b->dt[i].score, (int32_t)i};
        o->dt_first[b->dt[i].category + 1]++;
    }
    sort_keys(keys, b->n_dt, o->dt);
    count_to_first(o->gt_first, b->categories);
    count_to_first(o->dt_first, b->categories);
    return LMB_OK;
}

lmb_status lmb_box_order_init(lmb_box_order *o, const lmb_boxes *b)
{
    key *keys = NULL;
    *o = (lmb_box_order){0};
    LMB_TRY(LMB_NEW(keys, b->n_gt > b->n_dt ? b->n_gt : b->n_dt));
    const lmb_status st = order_both(o, b, keys);
    if (st != LMB_OK)
        lmb_box_order_fini(o);
    lmb_free(keys);
    return st;
}

void lmb_box_order_fini(lmb_box_order *o)
{
    lmb_free(o->gt);
    lmb_free(o->dt);
    lmb_free(o->gt_first);
    lmb_free(o->dt_first);
    *o = (lmb_box_order){0};
}

bool lmb_box_group_next(const lmb_boxes *b, const lmb_box_order *o,
    int32_t category, lmb_box_group *g)
{
    const int64_t gt_end = o->gt_first[category + 1];
    const int64_t dt_end = o->dt_first[category + 1];
    g->gt += g->n_gt;
    g->dt += g->n_dt;
    g->n_gt = g->n_dt = 0;
    g->image = INT32_MAX;
    if (g->gt < gt_end)
        g->image = b->gt[o->gt[g->gt]].image;
    if (g->dt < dt_end && b->dt[o->dt[g->dt]].image < g->image)
        g->image = b->dt[o->dt[g->dt]].image;
    while (g->gt + g->n_gt < gt_end &&
        b->gt[o->gt[g->gt + g->n_gt]].image == g->image)
        g->n_gt++;
    while (g->dt + g->n_dt < dt_end &&
        b->dt[o->dt[g->dt + g->n_dt]].image == g->image)
        g->n_dt++;
    return g->n_gt + g->n_dt > 0;
}

/* --- overlap */

double lmb_box_overlap(const double d[4], const double t[4], bool crowd)
{
    const double w = fmin(d[0] + d[2], t[0] + t[2]) - fmax(d[0], t[0]);
    const double h = fmin(d[1] + d[3], t[1] + t[3]) - fmax(d[1], t[1]);
    if (w <= 0 || h <= 0)
        return 0;
    const double both = w * h;
    const double found = d[2] * d[3];
    return both / (crowd ? found : found + t[2] * t[3] - both);
}
