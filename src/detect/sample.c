/* sample.c: drawing by priorities; see sample.h. */
#include "detect/sample.h"

#include "base/rng.h"

void lmb_sample_priorities(
    const lmb_sample_draw *draw, int64_t n, uint32_t *priority)
{
    lmb_rng rng = lmb_rng_make(draw->seed, LMB_STREAM_SAMPLE, draw->step,
        (uint64_t)draw->sampler << 32 | draw->image);
    for (int64_t i = 0; i < n; i++)
        priority[i] = lmb_rng_u32(&rng);
}

/* Keeps the first `most` of one kind; how many there were comes back. */
static int64_t keep_some(const int32_t *match, const uint32_t *priority,
    int64_t n, bool positive, lmb_top top, bool *keep)
{
    for (int64_t i = 0; i < n; i++)
        if (positive ? match[i] >= 0 : match[i] == LMB_MATCH_NONE)
            lmb_top_push(&top, lmb_top_key(priority[i], i));
    for (int64_t k = 0; k < top.count; k++)
        keep[lmb_top_index(top.key[k])] = true;
    return top.count;
}

void lmb_sample(const int32_t *match, const uint32_t *priority, int64_t n,
    const lmb_sample_rule *rule, uint64_t *key, bool *keep)
{
    const int64_t most = (int64_t)((double)rule->rows * rule->fraction);
    for (int64_t i = 0; i < n; i++)
        keep[i] = false;
    const int64_t positives =
        keep_some(match, priority, n, true, (lmb_top){key, most, 0}, keep);
    (void)keep_some(match, priority, n, false,
        (lmb_top){key, rule->rows - positives, 0}, keep);
}
