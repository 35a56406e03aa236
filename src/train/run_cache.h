/* run_cache.h: a run's use of the knowledge cache (cache.h). Without --cache
 * all of these do nothing. */
#ifndef LMB_TRAIN_RUN_CACHE_H
#define LMB_TRAIN_RUN_CACHE_H

#include "train/trainer.h"

typedef struct lmb_run_cache lmb_run_cache;

/* After data, networks, methods and loader, before the first step. */
lmb_status lmb_run_cache_open(lmb_run *run) LMB_MUST_CHECK;
void lmb_run_cache_free(lmb_run_cache *c); /* accepts NULL */
/* Around the steps of the run's epoch. */
lmb_status lmb_run_cache_enter(lmb_run *run) LMB_MUST_CHECK;
lmb_status lmb_run_cache_leave(lmb_run *run) LMB_MUST_CHECK;
/* A batch: looks for its logits; which step is to be run on it; before that
 * step; after it. */
lmb_status lmb_run_cache_find(
    lmb_run *run, const lmb_batch *batch) LMB_MUST_CHECK;
lmb_teacher_logits lmb_run_cache_use(const lmb_run *run);
lmb_status lmb_run_cache_give(
    lmb_run *run, lmb_train_step *step) LMB_MUST_CHECK;
lmb_status lmb_run_cache_keep(
    lmb_run *run, lmb_train_step *step, const lmb_batch *batch) LMB_MUST_CHECK;

#endif
