/* host_rois.h: what the host ops of two-stage detectors share: proposals,
 * RoIs, random samples. Private to src/op. */
#ifndef LMB_OP_HOST_ROIS_H
#define LMB_OP_HOST_ROIS_H

#include "detect/sample.h"
#include "op/host.h"

/* Inputs 0 and 1 are proposals: boxes [N, P, 4] and count I32 [N]. */
lmb_status lmb__want_proposals(const lmb_type *in) LMB_MUST_CHECK;
/* How many of an image's proposals there are. Errors: EINVAL if more than
 * rows. */
lmb_status lmb__proposals_count(const lmb_ref *r, int64_t image, const char *op,
    int64_t *count) LMB_MUST_CHECK;
/* rois [N rows, 5], label [N rows], box [N rows, 4], positives []. */
void lmb__rois_types(int64_t images, int64_t rows, lmb_type *out);

/* --- samples -------------------------------------------------------------- */

/* Input i is lmb_truth.draw. */
lmb_status lmb__want_draw(const lmb_type *in, int i) LMB_MUST_CHECK;
/* rows and fraction of a builder's attributes. */
lmb_status lmb__sample_check(
    const char *op, const lmb_sample_attr *a) LMB_MUST_CHECK;

/* Room to draw from `most` candidates. */
typedef struct lmb__sample {
    int32_t *match;
    bool *keep;
    uint32_t *priority;
    uint64_t *key;
} lmb__sample;
size_t lmb__sample_size(const lmb_sample_attr *a, int64_t most);
void lmb__sample_take(
    lmb__work *w, const lmb_sample_attr *a, int64_t most, lmb__sample *s);
/* Sets keep from match, n candidates of one image. */
void lmb__sample_draw(const double draw[4], const lmb_sample_attr *a,
    int64_t image, int64_t n, lmb__sample *s);

#endif
