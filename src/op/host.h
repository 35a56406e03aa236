/* host.h: what host ops share: memory for their work, and the ground truth.
 *
 * A host op's kernel works in r->scratch, whose size its `scratch` gives, or,
 * where there is none, in a heap block of that size. Private to src/op. */
#ifndef LMB_OP_HOST_H
#define LMB_OP_HOST_H

#include "detect/match.h"
#include "op/ops.h"

/* --- memory --------------------------------------------------------------- */

typedef struct lmb__work {
    char *at, *end;
    void *own;
} lmb__work;

/* What lmb__work_take uses up, and what is the sum of it. */
size_t lmb__work_size(int64_t count, size_t size);
lmb_status lmb__work_init(
    lmb__work *w, const lmb_op *op, const lmb_ref *r) LMB_MUST_CHECK;
void *lmb__work_take(lmb__work *w, int64_t count, size_t size);
void lmb__work_fini(lmb__work *w);
/* A whole kernel: `fn` between these two. */
typedef lmb_status lmb__work_fn(const lmb_ref *r, lmb__work *w);
lmb_status lmb__work_run(
    const lmb_op *op, const lmb_ref *r, lmb__work_fn *fn) LMB_MUST_CHECK;
#define LMB__TAKE(w, p, count) ((p) = lmb__work_take((w), (count), sizeof *(p)))

/* --- shapes --------------------------------------------------------------- */

/* Input i has this rank, and this size on its last axis unless that is 0. */
lmb_status lmb__want_rank(const char *name, const lmb_type *in, int i, int rank,
    int64_t last) LMB_MUST_CHECK;
/* Inputs at, at + 1, at + 2 are boxes [N, M, 4], labels [N, M], valid [N, M].
 */
lmb_status lmb__want_truth(const lmb_type *in, int at) LMB_MUST_CHECK;
/* What an assignment gives: label [N, A], box [N, A, 4], positives []. */
void lmb__assigned_types(int64_t images, int64_t anchors, lmb_type *out);

/* --- ground truth --------------------------------------------------------- */

/* The valid boxes of one image, as f32, and their labels. */
typedef struct lmb__truth {
    lmb_box *box;
    int32_t *label;
    float *best; /* free for the assigner */
    int64_t n, most;
    int64_t image; /* that was read */
} lmb__truth;
size_t lmb__truth_size(const lmb_type *boxes);
void lmb__truth_take(lmb__work *w, const lmb_type *boxes, lmb__truth *t);
/* Reads image n of inputs at .. at + 2. Errors: EINVAL for a box that is not
 * finite or a label that is not below `classes`. */
lmb_status lmb__truth_read(const lmb_ref *r, int at, int64_t image,
    int32_t classes, const char *op, lmb__truth *t) LMB_MUST_CHECK;

/* Levels of an attribute, whose sizes add up to `rows`. Errors: EINVAL. */
lmb_status lmb__want_levels(
    int32_t levels, const int64_t *size, int64_t rows) LMB_MUST_CHECK;
lmb_match_levels lmb__levels(int32_t levels, const int64_t *size);

/* Boxes [.., 4] as f32. Errors: EINVAL for one that is not finite. */
lmb_status lmb__boxes_read(
    const double *from, int64_t n, const char *op, lmb_box *to) LMB_MUST_CHECK;

void lmb__box_write(const lmb_box *box, double to[4]);

/* Input `at`, if it is there, is sizes [N, 2]. */
lmb_status lmb__want_sizes(
    int n_in, const lmb_type *in, int at, int64_t images) LMB_MUST_CHECK;
/* Does the anchor's centre lie in the padding of image n, by the sizes in input
 * `at`? The picture's own padding, to a multiple of 32, is not meant. */
bool lmb__is_padding(
    const lmb_ref *r, int at, int64_t image, const lmb_box *anchor);

/* --- assignment ----------------------------------------------------------- */

/* Matches all places of one image; `user` is the op's own. */
typedef void lmb__match_fn(const void *user, lmb__truth *t, int32_t *match);
/* Of each image: reads its truth from inputs 1 to 3, matches, writes outputs
 * 0 to 2: labels (`classes` for background, -1 for ignored), matched boxes or
 * zeros, the number of positives. */
lmb_status lmb__assign_images(const lmb_ref *r, const char *op, int32_t classes,
    lmb__match_fn *fn, const void *user, lmb__truth *t,
    int32_t *match) LMB_MUST_CHECK;

#endif
