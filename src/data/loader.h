/* loader.h: batches of transformed pictures, made ahead by threads.
 *
 * Batch `step` of epoch `epoch` is a pure function of (seed, epoch, step) and
 * the options, whatever the number of threads: the order is the permutation
 * of (seed, LMB_STREAM_SHUFFLE, epoch), the draws of view v of sample i come
 * from (seed, LMB_STREAM_AUGMENT, epoch * views + v, i), i its place in the
 * data set that was opened: a part of a set sees the pictures of the whole.
 *
 * With `detect` all pictures of a batch have one padded size, of few
 * (detect_layout.h): pictures of like shape are batched together, in the order
 * of the permutation, or without `shuffle` in that of the data set. Which of
 * the short sides a batch has is drawn from (seed, LMB_STREAM_SHUFFLE, epoch,
 * step + 1); the other pictures of a mosaic are of the same part of the set.
 */
#ifndef LMB_DATA_LOADER_H
#define LMB_DATA_LOADER_H

#include "data/detect_transform.h"
#include "limbeck/tensor.h"

enum { LMB_MAX_VIEWS = 2 };

/* All zero but `transform` is valid. */
typedef struct lmb_loader_opts {
    int64_t batch; /* samples a batch (0: 64) */
    int32_t threads; /* worker threads; 0 loads in the calling thread */
    int32_t ahead; /* batches made ahead (0: 4, with `detect` 2) */
    uint64_t seed;
    bool shuffle;
    bool drop_last; /* leaves out an incomplete last batch */
    int64_t epochs; /* ends after this epoch number (0: never ends) */
    int32_t views; /* 1 or 2 pictures of every sample (0: 1) */
    lmb_transform transform[LMB_MAX_VIEWS]; /* one for each view */
    /* For a detector, in place of `transform`; copied; one view. */
    const lmb_detect_transform *detect;
    int64_t max_boxes; /* of a picture (0: what the data set needs) */
} lmb_loader_opts;

/* Borrowed from the loader, valid until the next call on the loader. */
typedef struct lmb_batch {
    int64_t count; /* samples; 0 = the end (only with opts.epochs) */
    int64_t epoch, step;
    bool last; /* of its epoch */
    /* [count, 3, height, width] f32; views[1] is NULL with one view */
    const lmb_tensor *views[LMB_MAX_VIEWS];
    const lmb_tensor *labels; /* [count] i32 */
    const lmb_tensor *indices; /* [count] i64, samples of the data set */
    /* With opts.detect, else NULL: M = lmb_loader_max_boxes; rows behind a
     * picture's last box are 0, their label -1. */
    const lmb_tensor *boxes; /* [count, M, 4] f32 x0 y0 x1 y1 in the view */
    const lmb_tensor *box_labels; /* [count, M] i32 */
    const lmb_tensor *box_valid; /* [count, M] f32, 1 or 0 */
    const lmb_tensor *sizes; /* [count, 2] f32 height, width without padding */
    const lmb_tensor *scales; /* [count, 2] f32 that / stored, y x */
} lmb_batch;

typedef struct lmb_loader lmb_loader;

/* The data set must outlive the loader. Errors: EINVAL options, an empty
 * data set, `detect` for one without boxes, none for one with them; ENOMEM; EIO
 * if no thread can be started. */
lmb_status lmb_loader_new(const lmb_dataset *ds, const lmb_loader_opts *opts,
    lmb_loader **out) LMB_MUST_CHECK;
/* Stops the threads; accepts NULL. */
void lmb_loader_free(lmb_loader *loader);
/* Batches in an epoch. */
int64_t lmb_loader_steps(const lmb_loader *loader);
/* With opts.detect: the heights and widths that batches have; returns how
 * many (0 without). */
int32_t lmb_loader_sizes(
    const lmb_loader *loader, int32_t out[LMB_MAX_SIZES][2]);
int64_t lmb_loader_max_boxes(const lmb_loader *loader); /* 0 without detect */
/* Pictures without boxes that detect->filter_empty leaves out. */
int64_t lmb_loader_left_out(const lmb_loader *loader);
/* The next batch will be (epoch, step): exact resume, and another pass over
 * test data. Errors: EINVAL for step outside 0 .. steps-1. */
lmb_status lmb_loader_seek(
    lmb_loader *loader, int64_t epoch, int64_t step) LMB_MUST_CHECK;
/* Waits for the next batch. A picture that cannot be read gives its error
 * (the message names it and the sample); the call after it continues with
 * the following batch. One thread at a time. */
lmb_status lmb_loader_next(lmb_loader *loader, lmb_batch *out) LMB_MUST_CHECK;

#endif
