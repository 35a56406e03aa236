/* found.c: from scores and boxes to detections; see the header. */
#include "model/found.h"

#include "detect/top.h"

#include <math.h>

lmb_status lmb_found_init(lmb_found_list *p, int64_t capacity)
{
    *p = (lmb_found_list){.capacity = capacity};
    return LMB_NEW(p->list, capacity);
}

void lmb_found_fini(lmb_found_list *p)
{
    lmb_free(p->list);
    *p = (lmb_found_list){NULL, 0, 0};
}

void lmb_found_add(
    lmb_found_list *p, int64_t place, int32_t label, float score, lmb_box box)
{
    LMB_ASSERT(p->count < p->capacity);
    p->list[p->count++] = (lmb_found){place, label, score, box};
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* Logits below cannot pass: most places are sorted out without an exp. */
static float lowest_logit(const lmb_found_rule *rule)
{
    const double s = rule->factor == LMB_FOUND_ROOT ? rule->score * rule->score
                                                    : rule->score;
    return s > 0 && s < 1 ? (float)(log(s / (1 - s)) - 1e-3) : -INFINITY;
}

typedef struct level {
    const float *logits, *factor;
    int64_t first, n;
    int32_t classes;
} level;

static float score_of(
    const level *l, int64_t place, float logit, const lmb_found_rule *rule)
{
    const float s = sigmoid(logit);
    if (rule->factor != LMB_FOUND_ROOT)
        return s;
    return sqrtf(s * sigmoid(l->factor[place]));
}

/* The best of a level as keys over place * classes + label. */
static void push_level(const level *l, const lmb_found_rule *rule, lmb_top *top)
{
    const float low = lowest_logit(rule);
    for (int64_t i = 0; i < l->n; i++) {
        const float *row = l->logits + (l->first + i) * l->classes;
        for (int32_t k = 0; k < l->classes; k++) {
            if (!(row[k] >= low))
                continue;
            const float s = score_of(l, l->first + i, row[k], rule);
            if (s > (float)rule->score)
                lmb_top_push(
                    top, lmb_top_key(lmb_top_rank(s), i * l->classes + k));
        }
    }
}

lmb_status lmb_found_level(lmb_found_list *p, const float *logits,
    const float *factor, int64_t first, int64_t n, int32_t classes,
    const lmb_found_rule *rule)
{
    const level l = {logits, factor, first, n, classes};
    int64_t count = 0;
    if (!lmb_mul_i64(n, classes, &count) || count > INT32_MAX)
        return LMB_FAIL(LMB_EINVAL,
            "a level of %lld places and %d classes has too many scores",
            (long long)n, (int)classes);
    lmb_top top = {.capacity = rule->top < count ? rule->top : count};
    LMB_TRY(LMB_NEW(top.key, top.capacity));
    push_level(&l, rule, &top);
    lmb_top_sort(&top);
    for (int64_t i = 0; i < top.count; i++) {
        const int64_t at = lmb_top_index(top.key[i]);
        const int64_t place = first + at / classes;
        const int32_t label = (int32_t)(at % classes);
        float s = score_of(&l, place, logits[place * classes + label], rule);
        if (rule->factor == LMB_FOUND_AFTER)
            s *= sigmoid(factor[place]);
        lmb_found_add(p, place, label, s, (lmb_box){0, 0, 0, 0});
    }
    lmb_free(top.key);
    return LMB_OK;
}

static bool suppressed(const lmb_box *box, const int32_t *label, int64_t i,
    float threshold, const int64_t *keep, int64_t kept)
{
    const float area = lmb_detect_area(&box[i]);
    for (int64_t k = 0; k < kept; k++) {
        const lmb_box *better = &box[keep[k]];
        if (label[keep[k]] == label[i] &&
            lmb_detect_iou_of(better, lmb_detect_area(better), &box[i], area) >
                threshold)
            return true;
    }
    return false;
}

static int64_t nms(const lmb_box *box, const int32_t *label, int64_t n,
    double threshold, int64_t most, int64_t *keep)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < n && kept < most; i++)
        if (!suppressed(box, label, i, (float)threshold, keep, kept))
            keep[kept++] = i;
    return kept;
}

static bool usable(const lmb_found *c)
{
    return c->score == c->score && lmb_detect_finite(&c->box);
}

/* The list sorted, best first: order[i] is a place in it. */
static int64_t sort(const lmb_found_list *p, uint64_t *key)
{
    lmb_top top = {.key = key, .capacity = p->count};
    for (int64_t i = 0; i < p->count; i++)
        if (usable(&p->list[i]))
            lmb_top_push(&top, lmb_top_key(lmb_top_rank(p->list[i].score), i));
    lmb_top_sort(&top);
    return top.count;
}

lmb_status lmb_found_finish(lmb_found_list *p, const lmb_found_rule *rule)
{
    uint64_t *key = NULL;
    lmb_found *sorted = NULL;
    lmb_box *box = NULL;
    int32_t *label = NULL;
    int64_t *keep = NULL, n = 0;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(key, p->count), st, done);
    LMB_GOTO(LMB_NEW(sorted, p->count), st, done);
    LMB_GOTO(LMB_NEW(box, p->count), st, done);
    LMB_GOTO(LMB_NEW(label, p->count), st, done);
    LMB_GOTO(LMB_NEW(keep, p->count), st, done);
    n = sort(p, key);
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = p->list[lmb_top_index(key[i])];
        box[i] = sorted[i].box;
        label[i] = sorted[i].label;
    }
    p->count = nms(box, label, n, rule->nms,
        rule->per_image < n ? rule->per_image : n, keep);
    for (int64_t i = 0; i < p->count; i++)
        p->list[i] = sorted[keep[i]];
done:
    lmb_free(key);
    lmb_free(sorted);
    lmb_free(box);
    lmb_free(label);
    lmb_free(keep);
    return st;
}
