/* nms.c: greedy suppression; see nms.h. */
#include "detect/nms.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LANES = LMB_NMS_LANES };

/* x > limit_of(t) exactly where (double)x > t, for every float x. */
static float limit_of(double threshold)
{
    const float near = (float)threshold;
    return (double)near > threshold ? nextafterf(near, -INFINITY) : near;
}

/* Does a box of the tile suppress this one? The arithmetic is that of
 * lmb_detect_iou_of. */
static bool tile_suppresses(
    const lmb_nms_tile *t, const lmb_box *b, int32_t group, float limit)
{
    const float area = lmb_detect_area(b);
    int32_t hit[LANES];
    for (int k = 0; k < LANES; k++) {
        const float w = (t->x1[k] < b->x1 ? t->x1[k] : b->x1) -
            (t->x0[k] > b->x0 ? t->x0[k] : b->x0);
        const float h = (t->y1[k] < b->y1 ? t->y1[k] : b->y1) -
            (t->y0[k] > b->y0 ? t->y0[k] : b->y0);
        const float inter = w * h;
        const float all = t->area[k] + area - inter;
        const float iou = inter / (all > 1e-6f ? all : 1e-6f);
        hit[k] = (w > 0) & (h > 0) & (iou > limit) & (t->group[k] == group);
    }
    int32_t any = 0;
    for (int k = 0; k < LANES; k++)
        any |= hit[k];
    return any != 0;
}

/* Lanes without a box meet nothing. */
static void tile_clear(lmb_nms_tile *t)
{
    memset(t, 0, sizeof *t);
    for (int k = 0; k < LANES; k++) {
        t->x0[k] = t->y0[k] = FLT_MAX;
        t->x1[k] = t->y1[k] = -FLT_MAX;
    }
}

static void tile_set(lmb_nms_tile *t, int k, const lmb_box *b, int32_t group)
{
    t->x0[k] = b->x0;
    t->y0[k] = b->y0;
    t->x1[k] = b->x1;
    t->y1[k] = b->y1;
    t->area[k] = lmb_detect_area(b);
    t->group[k] = group;
}

int64_t lmb_nms(lmb_nms_boxes boxes, double threshold, int64_t capacity,
    lmb_nms_tile *tile, int64_t *kept)
{
    const float limit = limit_of(threshold);
    int64_t n = 0;
    for (int64_t i = 0; i < boxes.n && n < capacity; i++) {
        const int32_t group = boxes.group != NULL ? boxes.group[i] : 0;
        bool out = false;
        for (int64_t t = 0; t * LANES < n && !out; t++)
            out = tile_suppresses(&tile[t], &boxes.box[i], group, limit);
        if (out)
            continue;
        if (n % LANES == 0)
            tile_clear(&tile[n / LANES]);
        tile_set(&tile[n / LANES], (int)(n % LANES), &boxes.box[i], group);
        kept[n++] = i;
    }
    return n;
}
