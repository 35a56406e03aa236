/* found.c: candidates of one image; see the header. */
#include "model/found.h"

#include <math.h>

lmb_status lmb_found_init(lmb_found_list *p, int64_t capacity)
{
    *p = (lmb_found_list){.capacity = capacity};
    LMB_TRY(LMB_NEW(p->item, capacity));
    return LMB_NEW(p->place, capacity);
}

void lmb_found_fini(lmb_found_list *p)
{
    lmb_free(p->item);
    lmb_free(p->place);
    *p = (lmb_found_list){NULL, NULL, 0, 0};
}

void lmb_found_add(lmb_found_list *p, int64_t place, lmb_candidate c)
{
    LMB_ASSERT(p->count < p->capacity);
    p->place[p->count] = place;
    p->item[p->count++] = c;
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
        lmb_found_add(p, place, (lmb_candidate){.score = s, .label = label});
    }
    lmb_free(top.key);
    return LMB_OK;
}
