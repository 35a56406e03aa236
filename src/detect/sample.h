/* sample.h: a random part of the positives and the background.
 *
 * Every index gets a priority from a counted stream, so what is drawn depends
 * on (seed, step, image, sampler) alone. Of the positives those with the
 * largest priorities are kept, floor(rows * fraction) at most; of the
 * background as many as are missing to `rows`. mmdetection's RandomSampler,
 * torchvision's BalancedPositiveNegativeSampler. */
#ifndef LMB_DETECT_SAMPLE_H
#define LMB_DETECT_SAMPLE_H

#include "detect/match.h"

typedef struct lmb_sample_draw {
    uint64_t seed, step;
    uint32_t sampler, image;
} lmb_sample_draw;
void lmb_sample_priorities(
    const lmb_sample_draw *draw, int64_t n, uint32_t *priority);

typedef struct lmb_sample_rule {
    int64_t rows;
    double fraction; /* 0 .. 1 */
} lmb_sample_rule;
/* match: as in match.h. key: rows. keep[i]: was i drawn? Of equal
 * priorities the lower index is drawn first. */
void lmb_sample(const int32_t *match, const uint32_t *priority, int64_t n,
    const lmb_sample_rule *rule, uint64_t *key, bool *keep);

#endif
