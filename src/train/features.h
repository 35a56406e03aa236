/* features.h: a page of what a run's networks look at: attention, masks and
 * differences on the levels of the feature pyramid, over pictures. */
#ifndef LMB_TRAIN_FEATURES_H
#define LMB_TRAIN_FEATURES_H

#include "train/run_config.h"

/* Opens the run of `config` (resume is set) as it was saved, runs its student
 * and its teachers on `images` pictures of the set that the best epoch was
 * chosen on, spread evenly, and writes the page, whole or not at all.
 * EUNSUPPORTED: a run for classification. */
lmb_status lmb_features_write(const char *path, const lmb_run_config *config,
    int64_t images) LMB_MUST_CHECK;

#endif
