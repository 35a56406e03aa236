/* match_points.c: points to boxes by place and size; the rule is in
 * match.h. */
#include "detect/match.h"

#include <math.h>

typedef struct place {
    float x, y, reach; /* reach: radius * stride, or infinite */
    float low, high; /* range of the level */
} place;

static float smaller(float a, float b)
{
    return a < b ? a : b;
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

/* Inside the box, near enough to its centre, and of the level's size? */
static bool takes(const place *p, const lmb_box *b)
{
    const float left = p->x - b->x0, top = p->y - b->y0;
    const float right = b->x1 - p->x, bottom = b->y1 - p->y;
    const float least = smaller(smaller(left, right), smaller(top, bottom));
    const float most = larger(larger(left, right), larger(top, bottom));
    const float dx = fabsf(p->x - (b->x0 + b->x1) / 2);
    const float dy = fabsf(p->y - (b->y0 + b->y1) / 2);
    return least > 0 && dx < p->reach && dy < p->reach && most >= p->low &&
        most <= p->high;
}

static int32_t smallest(const place *p, lmb_truth_boxes truth)
{
    float least = INFINITY;
    int32_t at = LMB_MATCH_NONE;
    for (int64_t t = 0; t < truth.n; t++) {
        const float area = lmb_detect_area(&truth.box[t]);
        if (area < least && takes(p, &truth.box[t])) {
            least = area;
            at = (int32_t)t;
        }
    }
    return at;
}

void lmb_assign_by_points(const float *point, const lmb_points_rule *rule,
    lmb_truth_boxes truth, int32_t *match)
{
    int64_t i = 0;
    for (int32_t l = 0; l < rule->levels.n; l++) {
        place p = {.low = (float)rule->range[l][0],
            .high = (float)rule->range[l][1],
            .reach = rule->radius > 0 ? (float)(rule->radius * rule->stride[l])
                                      : INFINITY};
        for (const int64_t end = i + rule->levels.size[l]; i < end; i++) {
            p.x = point[2 * i];
            p.y = point[2 * i + 1];
            match[i] = smallest(&p, truth);
        }
    }
}
