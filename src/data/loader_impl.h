/* loader_impl.h: the loader's state; for loader.c (threads, what the caller
 * sees) and loader_batch.c (which samples, and their pixels). */
#ifndef LMB_DATA_LOADER_IMPL_H
#define LMB_DATA_LOADER_IMPL_H

#include "data/detect_batch.h"
#include "data/detect_layout.h"
#include "data/epoch_order.h"
#include "data/loader.h"

#include <pthread.h>

enum { LMB_LOADER_MESSAGE = 1024 };

typedef struct lmb_loader_slot {
    int64_t count, epoch, step;
    bool last;
    lmb_tensor *views[LMB_MAX_VIEWS], *labels, *indices;
    lmb_detect_batch detect;
    int64_t next; /* first sample that no thread has taken */
    int64_t left; /* samples not done yet */
    int64_t error_at; /* lowest sample that failed, or -1 */
    lmb_status status;
    char message[LMB_LOADER_MESSAGE];
} lmb_loader_slot;

typedef struct lmb_loader_worker {
    lmb_loader *loader;
    pthread_t thread;
    lmb_scratch scratch;
} lmb_loader_worker;

struct lmb_loader {
    const lmb_dataset *ds;
    lmb_loader_opts opts;
    lmb_normalizer normalizer[LMB_MAX_VIEWS];
    lmb_detect_transform detect; /* opts.detect points to it */
    lmb_detect_layout layout;
    int64_t max_boxes;
    int64_t *samples; /* [order.n] those of the data set that are shown */
    lmb_epoch_order order; /* of positions in `samples` */
    int64_t chunk;
    pthread_mutex_t mutex;
    pthread_cond_t work, ready;
    bool has_locks;
    lmb_loader_worker
        *workers; /* at least one: without threads its scratch is used */
    int32_t started;
    bool stop, paused;
    int32_t busy; /* threads at work on a chunk */
    int64_t epoch, step; /* of the batch planned next */
    int64_t planned; /* batches planned */
    int64_t taken; /* batches whose chunks are all taken */
    int64_t handed; /* batches given to the caller */
    int64_t returned; /* batches the caller is done with */
    lmb_loader_slot *slots;
    int64_t slot_count;
};

/* The options are complete (no zero means default any more). */
lmb_status lmb__loader_check(
    const lmb_dataset *ds, const lmb_loader_opts *o) LMB_MUST_CHECK;
/* Samples, their order, sizes of batches, slots: all but locks and threads.
 * l->ds and l->opts are set; lmb_loader_free also after a failure. */
lmb_status lmb__loader_prepare(lmb_loader *l) LMB_MUST_CHECK;
void lmb__loader_slot_fini(lmb_loader_slot *s);
/* Writes down batch (l->epoch, l->step) and moves on. */
void lmb__loader_plan(lmb_loader *l);
/* Makes samples [first, end) of a slot; returns the first that failed, with
 * its status, or -1. */
int64_t lmb__loader_run(const lmb_loader *l, const lmb_loader_slot *s,
    int64_t first, int64_t end, lmb_scratch *scratch, lmb_status *st);

#endif
