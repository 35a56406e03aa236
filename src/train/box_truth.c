/* box_truth.c: from the boxes of a data set, or of its COCO file, to those of
 * the metrics. Images are numbered by ascending id, which is the order in which
 * pycocotools takes detections of equal score. */
#include "train/box_truth.h"

#include "train/box_files.h"

#include <stdlib.h>

/* --- the order of images */

typedef struct place {
    int64_t id, index;
} place;

static int by_id(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static lmb_status rank_images(const lmb_dataset *data, int32_t *rank)
{
    const int64_t n = lmb_dataset_count(data);
    place *places = NULL;
    LMB_TRY(LMB_NEW(places, n));
    for (int64_t i = 0; i < n; i++)
        places[i] = (place){lmb_dataset_image_id(data, i), i};
    qsort(places, (size_t)n, sizeof *places, by_id);
    for (int64_t k = 0; k < n; k++)
        rank[places[k].index] = (int32_t)k;
    lmb_free(places);
    return LMB_OK;
}

/* --- boxes of the set */

static void add_set_box(
    lmb_box_truth *out, const lmb_ground_truth *t, int64_t k, int32_t image)
{
    const float *b = t->boxes + 4 * k;
    out->gt[out->n_gt++] = (lmb_gt_box){
        .box = {b[0], b[1], (double)b[2] - b[0], (double)b[3] - b[1]},
        .area = t->area[k],
        .image = image,
        .category = t->labels[k],
        .crowd = t->crowd[k] != 0,
    };
}

static lmb_status take_set(const lmb_dataset *data, lmb_box_truth *out)
{
    size_t capacity = 0;
    for (int64_t i = 0; i < lmb_dataset_count(data); i++) {
        lmb_ground_truth t;
        LMB_TRY(lmb_dataset_truth(data, i, &t));
        for (int64_t k = 0; k < t.count; k++) {
            LMB_TRY(LMB_GROW(out->gt, (size_t)out->n_gt, capacity));
            add_set_box(out, &t, k, out->rank[i]);
        }
    }
    return LMB_OK;
}

/* --- boxes of the file */

static lmb_status take_picture(const lmb_dataset *data, const char *file,
    const lmb_coco *coco, int64_t i, lmb_box_truth *out, size_t *capacity)
{
    const int64_t id = lmb_dataset_image_id(data, i);
    const int32_t image = lmb_coco_find_image(coco, id);
    if (image < 0)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: image %lld is gone from it since the data were opened", file,
            (long long)id);
    const lmb_coco_image *from = &coco->images[image];
    for (int64_t k = 0; k < from->count; k++) {
        const lmb_coco_annotation *a =
            &coco->annotations[coco->by_image[from->first + k]];
        const int64_t category = coco->categories[a->category].id;
        LMB_TRY(LMB_GROW(out->gt, (size_t)out->n_gt, *capacity));
        lmb_gt_box *to = &out->gt[out->n_gt++];
        *to = lmb_box_of_annotation(a, out->rank[i]);
        to->category = lmb_dataset_category_label(data, category);
        if (to->category < 0)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: category %lld is new in it since the data were opened",
                file, (long long)category);
    }
    return LMB_OK;
}

static lmb_status take_file(
    const lmb_dataset *data, const char *file, lmb_box_truth *out)
{
    lmb_coco coco = {0};
    size_t capacity = 0;
    lmb_status st = LMB_OK;
    LMB_TRY(lmb_coco_load(file, &coco));
    for (int64_t i = 0; i < lmb_dataset_count(data) && st == LMB_OK; i++)
        st = take_picture(data, file, &coco, i, out, &capacity);
    lmb_coco_fini(&coco);
    return st;
}

/* --- all together */

lmb_status lmb_box_truth_load(const lmb_dataset *data, lmb_box_truth *out)
{
    const char *file = lmb_dataset_truth_file(data);
    lmb_box_truth t = {
        .images = (int32_t)lmb_dataset_count(data),
        .categories = lmb_dataset_classes(data),
    };
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(t.rank, t.images), st, failed);
    LMB_GOTO(rank_images(data, t.rank), st, failed);
    LMB_GOTO(file != NULL ? take_file(data, file, &t) : take_set(data, &t), st,
        failed);
    *out = t;
    return LMB_OK;
failed:
    lmb_box_truth_fini(&t);
    return st;
}

void lmb_box_truth_fini(lmb_box_truth *truth)
{
    lmb_free(truth->gt);
    lmb_free(truth->rank);
    *truth = (lmb_box_truth){0};
}

lmb_status lmb_box_truth_with(const lmb_box_truth *truth, const lmb_dt_box *dt,
    int64_t n_dt, lmb_boxes *out, lmb_dt_box **owned)
{
    LMB_TRY(LMB_NEW(*owned, n_dt > 0 ? n_dt : 1));
    for (int64_t i = 0; i < n_dt; i++) {
        (*owned)[i] = dt[i];
        (*owned)[i].image = truth->rank[dt[i].image];
    }
    *out = (lmb_boxes){
        .gt = truth->gt,
        .dt = *owned,
        .n_gt = truth->n_gt,
        .n_dt = n_dt,
        .images = truth->images,
        .categories = truth->categories,
    };
    return LMB_OK;
}
