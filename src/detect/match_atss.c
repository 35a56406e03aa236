/* match_atss.c: adaptive training sample selection; the rule is in
 * match.h. */
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

/* Mean plus unbiased deviation of the candidates' IoUs. In double, where the
 * mean of equal values is that value: they all reach it then. */
static float threshold_of(const lmb_box *anchor, const lmb_box *box,
    const int64_t *candidate, int64_t n)
{
    double sum = 0, square = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (double)lmb_detect_iou(box, &anchor[candidate[k]]);
    const double mean = sum / (double)n;
    for (int64_t k = 0; k < n; k++) {
        const double d =
            (double)lmb_detect_iou(box, &anchor[candidate[k]]) - mean;
        square += d * d;
    }
    return (float)(mean + (n > 1 ? sqrt(square / (double)(n - 1)) : 0));
}

static bool centre_inside(const lmb_box *anchor, const lmb_box *box)
{
    const float x = centre_x(anchor), y = centre_y(anchor);
    const float margin = 0.01f;
    return x - box->x0 > margin && y - box->y0 > margin &&
        box->x1 - x > margin && box->y1 - y > margin;
}

void lmb_assign_by_atss(const lmb_box *anchor, const lmb_match_levels *levels,
    lmb_truth_boxes truth, int64_t topk, lmb_atss_memory memory, int32_t *match)
{
    int64_t anchors = 0;
    for (int32_t l = 0; l < levels->n; l++)
        anchors += levels->size[l];
    for (int64_t i = 0; i < anchors; i++) {
        match[i] = LMB_MATCH_NONE;
        memory.best[i] = -1;
    }
    for (int64_t t = 0; t < truth.n && anchors > 0; t++) {
        const lmb_box *box = &truth.box[t];
        const int64_t n = find_candidates(
            anchor, levels, box, topk, memory.key, memory.candidate);
        const float least = threshold_of(anchor, box, memory.candidate, n);
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
