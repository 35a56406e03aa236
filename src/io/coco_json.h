/* coco_json.h: the JSON files of COCO: instances (ground truth) and results.
 *
 * https://cocodataset.org/#format-data and #format-results. Files are read as
 * streams: memory holds what is kept, never the text. Segmentations, licences
 * and unknown keys are passed over. Ids may be sparse; indexes here count from
 * 0. A null is as good as a missing key. Errors: ENOTFOUND, EIO, ENOMEM;
 * EFORMAT names the file and the place or the id. */
#ifndef LMB_IO_COCO_JSON_H
#define LMB_IO_COCO_JSON_H

#include "base/base.h"

typedef struct lmb_coco_image {
    int64_t id;
    const char *file_name; /* NULL: the file does not say */
    int32_t width, height; /* 0: the file does not say */
    int64_t first, count; /* its annotations: by_image[first ..] */
} lmb_coco_image;

typedef struct lmb_coco_category {
    int64_t id;
    const char *name; /* the id's digits if the file does not say */
} lmb_coco_category;

typedef struct lmb_coco_annotation {
    int64_t id;
    double box[4]; /* x, y, width, height in pixels; any finite numbers */
    double area; /* of the segmentation; of the box if the file does not say */
    int32_t image, category; /* indexes */
    bool crowd; /* iscrowd */
    bool difficult; /* "difficult" or "ignore", as converters from VOC write */
} lmb_coco_annotation;

typedef struct lmb_coco {
    lmb_coco_image *images; /* in the file's order */
    lmb_coco_category *categories; /* by ascending id */
    lmb_coco_annotation *annotations; /* in the file's order */
    int64_t n_images, n_categories, n_annotations;
    int32_t *by_image; /* annotations image by image, else in their order */
    int32_t *by_id; /* images by ascending id */
    lmb_arena *arena; /* of the texts */
} lmb_coco;

/* Reads an instances file. Errors beyond syntax: an id that comes twice, an
 * annotation of an unknown image or category, a bbox that is not four finite
 * numbers. `annotations` and `categories` may be missing. lmb_coco_fini. */
lmb_status lmb_coco_load(const char *path, lmb_coco *out) LMB_MUST_CHECK;
lmb_status lmb_coco_parse(const void *bytes, size_t size, const char *name,
    lmb_coco *out) LMB_MUST_CHECK;
void lmb_coco_fini(lmb_coco *coco);
/* Indexes of ids, or -1. */
int32_t lmb_coco_find_image(const lmb_coco *coco, int64_t id);
int32_t lmb_coco_find_category(const lmb_coco *coco, int64_t id);
/* Writes an instances file (by_image and by_id are not looked at). */
lmb_status lmb_coco_save(const char *path, const lmb_coco *coco) LMB_MUST_CHECK;

/* One detection, with the ids of the file. */
typedef struct lmb_coco_result {
    int64_t image_id, category_id;
    double box[4], score; /* x, y, width, height */
} lmb_coco_result;

typedef struct lmb_coco_results {
    lmb_coco_result *items; /* in the file's order */
    int64_t count;
} lmb_coco_results;

/* Reads a results file: a list of image_id, category_id, bbox and score. */
lmb_status lmb_coco_results_load(
    const char *path, lmb_coco_results *out) LMB_MUST_CHECK;
lmb_status lmb_coco_results_parse(const void *bytes, size_t size,
    const char *name, lmb_coco_results *out) LMB_MUST_CHECK;
void lmb_coco_results_fini(lmb_coco_results *results);
lmb_status lmb_coco_results_save(
    const char *path, const lmb_coco_results *results) LMB_MUST_CHECK;

#endif
