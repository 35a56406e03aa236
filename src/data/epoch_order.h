/* epoch_order.h: which samples make up which batch of an epoch; the loader's
 * own.
 *
 * Samples are taken in order, or in that of the permutation of (seed,
 * LMB_STREAM_SHUFFLE, epoch), and wait in their group until it has a batch
 * together; incomplete batches come last, group by group, or not at all. */
#ifndef LMB_DATA_EPOCH_ORDER_H
#define LMB_DATA_EPOCH_ORDER_H

#include "base/base.h"

typedef struct lmb_epoch_order {
    int64_t n, batch, steps; /* samples; of a batch; batches of an epoch */
    uint64_t seed;
    bool shuffle, drop_last;
    const uint8_t *group; /* [n] borrowed; NULL: all are one group */
    int32_t groups;
    int64_t epoch; /* that of the arrays; -1: none yet */
    int64_t *order; /* [n] batch after batch */
    int64_t *first; /* [steps + 1] where batches begin in it */
    int64_t *shuffled; /* [n] */
    int64_t *waiting; /* [groups, batch] */
} lmb_epoch_order;

/* The fields up to `groups` are set, but for `steps`. On failure and in the
 * end: lmb__epoch_order_fini. */
lmb_status lmb__epoch_order_init(lmb_epoch_order *o) LMB_MUST_CHECK;
/* Fills order and first for an epoch, unless they are of it already. */
void lmb__epoch_order_set(lmb_epoch_order *o, int64_t epoch);
void lmb__epoch_order_fini(lmb_epoch_order *o);

#endif
