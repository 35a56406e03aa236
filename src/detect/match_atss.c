/* match_atss.c: adaptive training sample selection, and the region around it
 * that localisation distillation takes; the rules are in match.h. */
#include "detect/match.h"

#include <math.h>

static float centre_x(const lmb_box *b)
{
    return (b->x0 + b->x1) / 2;
}

static float centre_y(const lmb_box *b)
{
    return (b->y0 + b->y1) / 2;
}

/* Appends the topk anchors of each level that are nearest to the box. */
static int64_t find_candidates(const lmb_box *anchor,
    const lmb_match_levels *levels, const lmb_box *box, int64_t topk,
    uint64_t *key, int64_t *candidate)
{
    const float x = centre_x(box), y = centre_y(box);
    int64_t n = 0, first = 0;
    for (int32_t l = 0; l < levels->n; l++) {
        lmb_top top = {key, topk, 0};
        for (int64_t i = first; i < first + levels->size[l]; i++) {
            if (isnan(anchor[i].x0))
                continue;
            const float dx = centre_x(&anchor[i]) - x;
            const float dy = centre_y(&anchor[i]) - y;
            lmb_top_push(
                &top, lmb_top_key(lmb_top_rank(-sqrtf(dx * dx + dy * dy)), i));
        }
        lmb_top_sort(&top);
        for (int64_t k = 0; k < top.count; k++)
            candidate[n++] = lmb_top_index(top.key[k]);
        first += levels->size[l];
    }
    return n;
}

/* Mean plus unbiased deviation of the IoUs of the box's n candidates, which
 * are left in the memory. In double, where the mean of equal values is that
 * value: they all reach it then. */
static float threshold_of(const lmb_box *anchor, const lmb_match_levels *levels,
    const lmb_box *box, int64_t topk, const lmb_atss_memory *memory, int64_t *n)
{
    const int64_t *candidate = memory->candidate;
    double sum = 0, square = 0;
    *n = find_candidates(
        anchor, levels, box, topk, memory->key, memory->candidate);
    for (int64_t k = 0; k < *n; k++)
        sum += (double)lmb_detect_iou(box, &anchor[candidate[k]]);
    if (*n == 0)
        return INFINITY;
    const double mean = sum / (double)*n;
    for (int64_t k = 0; k < *n; k++) {
        const double d =
            (double)lmb_detect_iou(box, &anchor[candidate[k]]) - mean;
        square += d * d;
    }
    return (float)(mean + (*n > 1 ? sqrt(square / (double)(*n - 1)) : 0));
}

static bool centre_inside(const lmb_box *anchor, const lmb_box *box)
{
    const float x = centre_x(anchor), y = centre_y(anchor);
    const float margin = 0.01f;
    return x - box->x0 > margin && y - box->y0 > margin &&
        box->x1 - x > margin && box->y1 - y > margin;
}

static int64_t count_anchors(const lmb_match_levels *levels)
{
    int64_t anchors = 0;
    for (int32_t l = 0; l < levels->n; l++)
        anchors += levels->size[l];
    return anchors;
}

void lmb_assign_by_atss(const lmb_box *anchor, const lmb_match_levels *levels,
    lmb_truth_boxes truth, int64_t topk, lmb_atss_memory memory, int32_t *match)
{
    const int64_t anchors = count_anchors(levels);
    for (int64_t i = 0; i < anchors; i++) {
        match[i] = LMB_MATCH_NONE;
        memory.best[i] = -1;
    }
    for (int64_t t = 0; t < truth.n && anchors > 0; t++) {
        const lmb_box *box = &truth.box[t];
        int64_t n = 0;
        const float least =
            threshold_of(anchor, levels, box, topk, &memory, &n);
        for (int64_t k = 0; k < n; k++) {
            const int64_t i = memory.candidate[k];
            const float iou = lmb_detect_iou(box, &anchor[i]);
            if (iou >= least && centre_inside(&anchor[i], box) &&
                iou > memory.best[i]) {
                memory.best[i] = iou;
                match[i] = (int32_t)t;
            }
        }
    }
}

/* --- the valuable region -------------------------------------------------- */

static float nearness(const lmb_box *a, const lmb_box *b)
{
    const float least = 1e-6f;
    const float w = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0);
    const float h = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0);
    const float inter = fmaxf(w, 0) * fmaxf(h, 0);
    const float dx = (b->x0 + b->x1) - (a->x0 + a->x1);
    const float dy = (b->y0 + b->y1) - (a->y0 + a->y1);
    const float hull_w = fmaxf(a->x1, b->x1) - fminf(a->x0, b->x0);
    const float hull_h = fmaxf(a->y1, b->y1) - fminf(a->y0, b->y0);
    const float hull = hull_w * hull_w + hull_h * hull_h;
    return inter / fmaxf(lmb_detect_area(a), least) -
        (dx * dx / 4 + dy * dy / 4) / fmaxf(hull, least);
}

void lmb_valuable_by_atss(const lmb_box *anchor, const lmb_match_levels *levels,
    lmb_truth_boxes truth, int64_t topk, float gamma, lmb_atss_memory memory,
    float *region)
{
    const int64_t anchors = count_anchors(levels);
    for (int64_t i = 0; i < anchors; i++)
        region[i] = 0;
    for (int64_t t = 0; t < truth.n && anchors > 0; t++) {
        const lmb_box *box = &truth.box[t];
        int64_t n = 0;
        const float most = threshold_of(anchor, levels, box, topk, &memory, &n);
        for (int64_t i = 0; i < anchors; i++) {
            if (isnan(anchor[i].x0))
                continue;
            const float d = nearness(&anchor[i], box);
            if (d < most && d >= gamma * most)
                region[i] = fmaxf(region[i], lmb_detect_iou(box, &anchor[i]));
        }
    }
}
