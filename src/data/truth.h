/* truth.h: the boxes of a detection set while it is read; not for others.
 *
 * A reader adds a picture, then its boxes, then the next picture; `finish`
 * closes the set. Boxes are clipped to their picture; those that are empty
 * then are left out and counted (lmb_dataset_notes). */
#ifndef LMB_DATA_TRUTH_H
#define LMB_DATA_TRUTH_H

#include "data/dataset.h"

struct lmb_truth_table {
    int64_t pictures, boxes;
    int64_t *first; /* [pictures + 1]: picture i has boxes first[i] .. */
    int64_t *image_ids; /* [pictures] */
    int32_t (*sizes)[2]; /* [pictures] height, width */
    const char **paths; /* [pictures], or NULL */
    float (*corners)[4]; /* [boxes] */
    int32_t *labels;
    uint8_t *crowd;
    float *area;
    int64_t *category_ids; /* [classes] */
    int64_t empty, clipped; /* boxes left out; cut by more than a pixel */
    const char *notes, *file; /* file: of COCO, in the data set's arena */
    size_t capacity_[8];
};

/* One box of a file. */
typedef struct lmb_box_row {
    double corner[4]; /* x0 y0 x1 y1 in pixels, finite */
    int32_t label;
    bool crowd;
    double area; /* negative: that of the box */
} lmb_box_row;

/* ds->classes is set. Category ids are label + `base`. */
lmb_status lmb__truth_new(lmb_dataset *ds, int64_t base) LMB_MUST_CHECK;
void lmb__truth_free(lmb_truth_table *table); /* accepts NULL */
/* `path` lives in the data set's arena (NULL: the pixels are in memory). */
lmb_status lmb__truth_picture(lmb_dataset *ds, const char *path, int64_t id,
    int32_t height, int32_t width) LMB_MUST_CHECK;
/* A box of the picture added last. */
lmb_status lmb__truth_box(
    lmb_dataset *ds, const lmb_box_row *row) LMB_MUST_CHECK;
/* Count, paths, labels, hash and notes of the data set. ENOTFOUND if a
 * picture is missing; EFORMAT if there is none at all (`source` named). */
lmb_status lmb__truth_finish(
    lmb_dataset *ds, const char *source) LMB_MUST_CHECK;
/* EFORMAT if the decoded picture i has another size than the files say. */
lmb_status lmb__truth_check_size(
    const lmb_dataset *ds, int64_t i, const lmb_image *image) LMB_MUST_CHECK;

#endif
