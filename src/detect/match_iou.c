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

/* Among the best of a box, does the anchor match it or its own best? */
static void match_best(const lmb_box *anchor, lmb_truth_boxes truth,
    const lmb_iou_rule *rule, const float *best, int32_t *match)
{
    const float area = lmb_detect_area(anchor);
    int32_t taken = LMB_MATCH_NONE, own = LMB_MATCH_NONE;
    float most = 0;
    for (int64_t t = 0; t < truth.n; t++) {
        const lmb_box *box = &truth.box[t];
        const float iou =
            lmb_detect_iou_of(box, lmb_detect_area(box), anchor, area);
        if (best[t] > 0 && best[t] >= (float)rule->least && iou == best[t])
            taken = (int32_t)t;
        if (iou > most) {
            most = iou;
            own = (int32_t)t;
        }
    }
    if (taken >= 0)
        *match = rule->low_quality == LMB_LOW_QUALITY_OWN ? own : taken;
}

void lmb_assign_by_iou(const lmb_box *anchor, int64_t n, lmb_truth_boxes truth,
    const lmb_iou_rule *rule, float *best, int32_t *match)
{
    for (int64_t t = 0; t < truth.n; t++)
        best[t] = 0;
    for (int64_t i = 0; i < n; i++)
        match[i] = match_one(&anchor[i], truth, rule, best);
    for (int64_t i = 0; rule->low_quality != LMB_LOW_QUALITY_OFF && i < n; i++)
        match_best(&anchor[i], truth, rule, best, &match[i]);
}
