/* data.h: labelled pictures, for classification or detection: data sets, views
 * of them.
 *
 * A data set is read-only after it is opened; every function that takes a
 * const lmb_dataset may be called from many threads at once. */
#ifndef LMB_DATA_DATA_H
#define LMB_DATA_DATA_H

#include "base/base.h"
#include "data/image.h"

typedef struct lmb_dataset lmb_dataset;

/* What number the boxes of a category of COCO have. */
typedef enum lmb_label_by {
    LMB_LABEL_BY_POSITION, /* that of its id among the ids, from 0 */
    LMB_LABEL_BY_ID, /* its id: torchvision's RetinaNet and FCOS */
    LMB_LABEL_BY_ID_1, /* its id less 1: torchvision's Faster R-CNN, whose
                          class 0 is the background */
} lmb_label_by;

/* All zero means default. */
typedef struct lmb_dataset_opts {
    uint64_t seed; /* shapes, scenes: which pictures (default 0) */
    int64_t train_count; /* shapes, scenes: of train (default 20000, 2000) */
    int64_t test_count; /* shapes, scenes: of val and test (4000, 400) */
    int32_t classes; /* shapes: 2 .. 100 (default 100); scenes: 2 .. 10 */
    int32_t side; /* scenes: 32 .. 1024 pixels (default 128) */
    const char *json; /* coco: the instances file (default: looked for) */
    const char *images; /* coco: the folder of its pictures (likewise) */
    lmb_label_by label_by; /* coco */
} lmb_dataset_opts;

/* Opens `spec` = "NAME" or "NAME:DIR" (datasets.def has the names).
 * split: "train", "test" or "val" ("valid", "validation").
 *   cifar10, cifar100, idx: train and test only.
 *   imagefolder: DIR/train/CLASS/..., DIR/val/..., DIR/test/...; "test" falls
 *   back to val/ (ImageNet); a folder without them is all "train".
 *   shapes, scenes: all three are generated, from different streams.
 *   coco, voc, yolo: train, val (valid, validation), test, which falls back
 *   to val; where the files are looked for is said at the head of each.
 * `opts` may be NULL. Errors: EINVAL spec or split; ENOTFOUND files (the
 * message lists the names looked for); EFORMAT damaged files; ENOMEM. */
lmb_status lmb_dataset_open(const char *spec, const char *split,
    const lmb_dataset_opts *opts, lmb_dataset **out) LMB_MUST_CHECK;
/* EINVAL if `spec` is not NAME or NAME:DIR with such a name, names the nearest;
 * nothing is opened. */
lmb_status lmb_dataset_check(const char *spec) LMB_MUST_CHECK;
/* Accepts NULL. A data set with views alive lives on until they are freed. */
void lmb_dataset_free(lmb_dataset *ds);

/* The rows of datasets.def: name and one line of help, or NULL at i >= count;
 * for `list datasets`. */
const char *lmb_dataset_row_name(int i);
const char *lmb_dataset_row_help(int i);

const char *lmb_dataset_name(const lmb_dataset *ds); /* "cifar100" */
int64_t lmb_dataset_count(const lmb_dataset *ds);
int32_t lmb_dataset_classes(const lmb_dataset *ds);
/* `classes` names, or NULL if the files have none. Borrowed. */
const char *const *lmb_dataset_class_names(const lmb_dataset *ds);
/* false if the pictures differ in size (height and width are then 0). */
bool lmb_dataset_size(
    const lmb_dataset *ds, int32_t *height_out, int32_t *width_out);
/* Height of a network's input: that of the pictures, if they have one size;
 * else, and width as well, what lmb_transform_default cuts from them: 224
 * until it is set. Views made later inherit it.
 * EINVAL: outside 8 .. 4096, or the pictures have one size, and another. */
lmb_status lmb_dataset_set_input(lmb_dataset *ds, int64_t size) LMB_MUST_CHECK;
int32_t lmb_dataset_input(const lmb_dataset *ds);
/* True if this split is kept for the final number: choosing a checkpoint or
 * an option on it has to be said. */
bool lmb_dataset_is_test(const lmb_dataset *ds);
/* Usual per-channel mean and deviation of pixel / 255. */
void lmb_dataset_mean_std(
    const lmb_dataset *ds, double mean_out[3], double std_out[3]);
/* XXH64 over labels and pixels (pictures in memory) or over names, labels and
 * file sizes, and over boxes: for manifests and caches. */
uint64_t lmb_dataset_hash(const lmb_dataset *ds);

/* 0 .. classes-1; i in 0 .. count-1. What splits are balanced by: in a
 * detection set that of the picture's classes which has the fewest boxes in
 * the set, or -1 without boxes. */
int32_t lmb_dataset_label(const lmb_dataset *ds, int64_t i);
/* Picture i. The pixels live in the data set or in `scratch` (one per
 * thread): valid until the next call with the same scratch. Errors: EINVAL i;
 * EFORMAT, EIO, ENOTFOUND with the file's name. */
lmb_status lmb_dataset_image(const lmb_dataset *ds, int64_t i,
    lmb_scratch *scratch, lmb_image *out) LMB_MUST_CHECK;

/* --- detection ------------------------------------------------------------ */

/* Boxes of one picture; borrowed from the data set. */
typedef struct lmb_ground_truth {
    int64_t count;
    const float *boxes; /* [count, 4] x0 y0 x1 y1, pixels as stored */
    const int32_t *labels; /* [count] 0 .. classes-1 */
    const uint8_t *crowd; /* [count] 1: neither hit nor miss (COCO's crowd
                             regions, VOC's difficult objects) */
    const float *area; /* [count] COCO: of the mask; else of the box */
} lmb_ground_truth;

bool lmb_dataset_is_detection(const lmb_dataset *ds);
/* Boxes are inside their picture and not empty. EINVAL i, or a set for
 * classification. */
lmb_status lmb_dataset_truth(
    const lmb_dataset *ds, int64_t i, lmb_ground_truth *out) LMB_MUST_CHECK;
/* COCO: the file's own id; else the position in the split, from 1. */
int64_t lmb_dataset_image_id(const lmb_dataset *ds, int64_t i);
/* COCO: the file's own id; YOLO: the label; else the label + 1. Classes that
 * stand for an id that the file has not (lmb_label_by) have that id. */
int64_t lmb_dataset_category_id(const lmb_dataset *ds, int32_t label);
/* The label of a category id, or -1. */
int32_t lmb_dataset_category_label(const lmb_dataset *ds, int64_t id);
/* What to say to weights that tell `classes` classes apart where the set has
 * another number of them: text for the end of a message, "" if nothing
 * helps. */
const char *lmb_dataset_label_hint(const lmb_dataset *ds, int classes);
/* COCO: the instances file that the set was read from, with its boxes as they
 * are (here they are clipped and in float); else NULL. */
const char *lmb_dataset_truth_file(const lmb_dataset *ds);
/* The file of picture i, or NULL if it is in memory. */
const char *lmb_dataset_picture_path(const lmb_dataset *ds, int64_t i);
/* Size of picture i; false if it is not known without decoding it. A
 * detection set knows it, and a picture of another size is an error. */
bool lmb_dataset_picture_size(
    const lmb_dataset *ds, int64_t i, int32_t *height_out, int32_t *width_out);
/* What was left out or mended on opening, one line; "" if nothing was. */
const char *lmb_dataset_notes(const lmb_dataset *ds);

/* --- views: keep their parent alive, share its pixels --------------------- */

/* Sample j of the view is sample indices[j] of `ds` (copied; any order,
 * repeats allowed). Errors: EINVAL for an index outside 0 .. count-1. */
lmb_status lmb_dataset_subset(lmb_dataset *ds, const int64_t *indices,
    int64_t n, lmb_dataset **out) LMB_MUST_CHECK;
/* --val-split: of each class, round(fraction * size) samples chosen by
 * (seed, LMB_STREAM_SPLIT) go to `held_out`, the others to `rest_out`, both
 * in the order of `ds`. 0 < fraction < 1; EINVAL if a part would be empty.
 * Neither part is a test set unless `ds` is. */
lmb_status lmb_dataset_split(lmb_dataset *ds, double fraction, uint64_t seed,
    lmb_dataset **rest_out, lmb_dataset **held_out) LMB_MUST_CHECK;
/* Class-balanced part of `ds` (at least one sample a class), chosen from a
 * stream apart from that of lmb_dataset_split. 0 < fraction <= 1. */
lmb_status lmb_dataset_fraction(lmb_dataset *ds, double fraction, uint64_t seed,
    lmb_dataset **out) LMB_MUST_CHECK;
/* Position in the data set that was opened, through all views. */
int64_t lmb_dataset_root_index(const lmb_dataset *ds, int64_t i);

#endif
