/* dataset.h: what the files of single data sets share; not for others.
 *
 * A data set is one of three kinds: pictures in memory (pixels), files
 * (paths) or a view of another one (parent, indices). */
#ifndef LMB_DATA_DATASET_H
#define LMB_DATA_DATASET_H

#include "data/data.h"

#include <stdatomic.h>

typedef enum lmb_split {
    LMB_SPLIT_TRAIN,
    LMB_SPLIT_VAL,
    LMB_SPLIT_TEST,
} lmb_split;

typedef struct lmb_dataset_row {
    const char *name;
    const char *help;
    bool needs_dir;
    bool has_ids; /* opts.json, .images and .label_by mean something */
    /* Fills `ds`, which holds zeros, a name and an arena. On failure the
     * caller frees what was filled in. */
    lmb_status (*open)(const char *dir, lmb_split split,
        const lmb_dataset_opts *opts, lmb_dataset *ds);
} lmb_dataset_row;

/* The boxes of a detection set (truth.h fills it). */
typedef struct lmb_truth_table lmb_truth_table;

struct lmb_dataset {
    const char *name;
    atomic_int refs;
    lmb_arena *arena; /* names and paths */
    int64_t count;
    int32_t classes;
    const char *const *class_names;
    int32_t height, width; /* 0: they differ */
    int32_t input; /* then: side of what is cut from them; 0: the usual */
    bool is_test;
    double mean[3], std[3];
    uint64_t hash;
    int32_t *labels;
    size_t capacity; /* of labels and pixels, in samples */
    uint8_t *pixels; /* [count, height, width, 3] */
    const char *const *paths; /* [count] */
    lmb_truth_table *truth; /* NULL: classification */
    lmb_dataset *parent;
    int64_t *indices;
};

/* Empty, with an arena; `name` is borrowed. */
lmb_status lmb__dataset_new(const char *name, lmb_dataset **out) LMB_MUST_CHECK;
/* One more picture in memory: *pixels_out is its place (height and width are
 * set already), valid until the next push. */
lmb_status lmb__dataset_push(
    lmb_dataset *ds, int32_t label, uint8_t **pixels_out) LMB_MUST_CHECK;
/* Hash of labels and pixels. */
void lmb__dataset_hash_memory(lmb_dataset *ds);
void lmb__dataset_stats(
    lmb_dataset *ds, const double mean[3], const double std[3]);
void lmb__dataset_stats_imagenet(lmb_dataset *ds);
/* "DIR/a/b"; lives in the data set's arena. */
lmb_status lmb__dataset_path(lmb_dataset *ds, const char *dir, const char *name,
    const char **out) LMB_MUST_CHECK;
/* Class names from a text file, one a line; ENOTFOUND if there is none,
 * EFORMAT if their number is not ds->classes. */
lmb_status lmb__dataset_read_names(
    lmb_dataset *ds, const char *path) LMB_MUST_CHECK;

#endif
