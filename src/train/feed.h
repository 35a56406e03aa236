/* feed.h: the graph inputs that a method fills itself before each step
 * (random masks, schedules), with the memory they are read from. */
#ifndef LMB_TRAIN_FEED_H
#define LMB_TRAIN_FEED_H

#include "distill/method.h"
#include "plan/plan.h"

/* One for each term of each plan. All zero: a method without `feed`. */
typedef struct lmb_feeds {
    int n;
    lmb_dtype dtype; /* of the plan: F32 or F64 */
    struct lmb_fed {
        lmb_value input;
        const char *name; /* the graph's */
        bool real; /* else I32 */
        int64_t count;
        void *data;
        bool filled;
    } * fed;
} lmb_feeds;

/* The inputs of g that were made after `after`, the last input before the
 * method's build (LMB_NONE: all), with zeroed memory for each. */
lmb_status lmb_feeds_init(lmb_feeds *f, const lmb_graph *g, lmb_value after,
    lmb_dtype dtype) LMB_MUST_CHECK;
void lmb_feeds_fini(lmb_feeds *f);
/* Points the plan's inputs at the memory; once for each plan. */
lmb_status lmb_feeds_bind(const lmb_feeds *f, lmb_plan *plan) LMB_MUST_CHECK;
/* Calls the method's `feed` with `at`, whose size, set and user are replaced.
 * EINVAL if it sets what is not there or leaves an input unset. */
lmb_status lmb_feeds_run(lmb_feeds *f, const lmb_method *m, void *state,
    const lmb_feed *at) LMB_MUST_CHECK;

#endif
