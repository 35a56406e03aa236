/* nms.c: greedy suppression; see nms.h. */
#include "detect/nms.h"

static bool suppressed(lmb_nms_boxes b, double threshold, int64_t i,
    const int64_t *kept, int64_t n_kept)
{
    const float area = lmb_detect_area(&b.box[i]);
    for (int64_t k = 0; k < n_kept; k++) {
        const lmb_box *other = &b.box[kept[k]];
        if (b.group != NULL && b.group[i] != b.group[kept[k]])
            continue;
        if ((double)lmb_detect_iou_of(
                other, lmb_detect_area(other), &b.box[i], area) > threshold)
            return true;
    }
    return false;
}

int64_t lmb_nms(
    lmb_nms_boxes boxes, double threshold, int64_t capacity, int64_t *kept)
{
    int64_t n = 0;
    for (int64_t i = 0; i < boxes.n && n < capacity; i++)
        if (!suppressed(boxes, threshold, i, kept, n))
            kept[n++] = i;
    return n;
}
