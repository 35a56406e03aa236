/* checkpoint.h: the whole state of a run in one safetensors file.
 *
 * Store 0 is the student, the others are the connectors of terms, of all stages
 * in turn. Names: "student/NAME" (parameters and buffers), "method/I/NAME" (of
 * store I + 1), "optim/S/SLOT" (flat optimiser state of store S), "ema/data"
 * and "ema/buffers" (flat). Everything else is text metadata. Random numbers
 * need no state. Written whole or not at all (file.h). */
#ifndef LMB_TRAIN_CHECKPOINT_H
#define LMB_TRAIN_CHECKPOINT_H

#include "optim/optim.h"
#include "train/runlog.h"

enum { LMB_MAX_STORES = 1 + LMB_MAX_TERMS * LMB_MAX_STAGES };

typedef struct lmb_run_state {
    lmb_params *stores[LMB_MAX_STORES]; /* student, terms of all stages */
    lmb_optim *optims[LMB_MAX_STORES];
    int n_stores;
    void *ema, *ema_buffers; /* NULL: off; of the student's sizes */
    /* Where the next step is. */
    int64_t epoch, step_in_epoch, step;
    /* Sums over the epoch so far, so that a resumed epoch's row is equal. */
    double sum_loss, sum_part[LMB_MAX_PARTS], sum_term[LMB_MAX_TERMS];
    int64_t sum_images, sum_correct;
    double best[LMB_MAX_SCORES], last[LMB_MAX_SCORES];
    int64_t best_epoch;
    lmb_runlog_mark mark;
    int64_t threads; /* the sums of convolutions depend on it; 0: not known */
    char config_hash[20]; /* of what must not change on resume; "": any */
} lmb_run_state;

lmb_status lmb_checkpoint_save(
    const char *path, const lmb_run_state *s) LMB_MUST_CHECK;
/* Fills a state whose stores, optimisers and EMA exist already. All or
 * nothing. Errors: EFORMAT for another network, method or config. */
lmb_status lmb_checkpoint_load(
    const char *path, lmb_run_state *s) LMB_MUST_CHECK;

#endif
