/* match_iou.c: assignment by the largest IoU; the rule is in match.h.
 *
 * The matrix of IoUs (200,000 anchors by 100 boxes) is not kept: the second
 * pass computes again what the first one did, to the same bits. */
#include "detect/match.h"

/* Matches one anchor; raises best[t] to its IoU with box t. */
static int32_t match_one(const lmb_box *anchor, lmb_truth_boxes truth,
    const lmb_iou_rule *rule, float *best)
{
    const float area = lmb_detect_area(anchor);
    float most = 0;
    int32_t at = 0;
    for (int64_t t = 0; t < truth.n; t++) {
        const lmb_box *box = &truth.box[t];
        const float iou =
            lmb_detect_iou_of(box, lmb_detect_area(box), anchor, area);
        if (iou > best[t])
            best[t] = iou;
        if (iou > most) {
            most = iou;
            at = (int32_t)t;
        }
    }
    if (truth.n > 0 && most >= (float)rule->positive)
        return at;
    return most < (float)rule->negative ? LMB_MATCH_NONE : LMB_MATCH_IGNORED;
}

static void take_best(const lmb_box *anchor, int64_t n, lmb_truth_boxes truth,
    const lmb_iou_rule *rule, const float *best, int32_t *match)
{
    for (int64_t i = 0; i < n; i++) {
        const float area = lmb_detect_area(&anchor[i]);
        for (int64_t t = 0; t < truth.n; t++) {
            const lmb_box *box = &truth.box[t];
            if (best[t] > 0 && best[t] >= (float)rule->least &&
                lmb_detect_iou_of(
                    box, lmb_detect_area(box), &anchor[i], area) == best[t])
                match[i] = (int32_t)t;
        }
    }
}

void lmb_assign_by_iou(const lmb_box *anchor, int64_t n, lmb_truth_boxes truth,
    const lmb_iou_rule *rule, float *best, int32_t *match)
{
    for (int64_t t = 0; t < truth.n; t++)
        best[t] = 0;
    for (int64_t i = 0; i < n; i++)
        match[i] = match_one(&anchor[i], truth, rule, best);
    if (rule->low_quality)
        take_best(anchor, n, truth, rule, best, match);
}
