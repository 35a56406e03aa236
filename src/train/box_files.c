/* box_files.c: ids of COCO's files become indexes of the metrics. */
#include "train/box_files.h"

#include <string.h>

/* rank[i]: image i's place by ascending id. */
static lmb_status rank_images(const lmb_coco *coco, int32_t **out)
{
    LMB_TRY(LMB_NEW(*out, coco->n_images));
    for (int64_t i = 0; i < coco->n_images; i++)
        (*out)[coco->by_id[i]] = (int32_t)i;
    return LMB_OK;
}

lmb_gt_box lmb_box_of_annotation(const lmb_coco_annotation *a, int32_t image)
{
    lmb_gt_box gt = {
        .area = a->area,
        .image = image,
        .category = a->category,
        .crowd = a->crowd,
        .difficult = a->difficult,
        .id_zero = a->id == 0,
    };
    memcpy(gt.box, a->box, sizeof gt.box);
    return gt;
}

static lmb_status add_truths(lmb_box_files *f, const int32_t *rank)
{
    const lmb_coco *coco = &f->truth;
    LMB_TRY(LMB_NEW(f->gt, coco->n_annotations));
    for (int64_t i = 0; i < coco->n_annotations; i++) {
        const lmb_coco_annotation *a = &coco->annotations[i];
        f->gt[i] = lmb_box_of_annotation(a, rank[a->image]);
        f->zero_ids += f->gt[i].id_zero;
    }
    f->boxes.n_gt = coco->n_annotations;
    return LMB_OK;
}

static lmb_status add_found(lmb_box_files *f, const int32_t *rank,
    const lmb_coco_results *results, const char *name)
{
    LMB_TRY(LMB_NEW(f->dt, results->count));
    for (int64_t i = 0; i < results->count; i++) {
        const lmb_coco_result *r = &results->items[i];
        const int32_t image = lmb_coco_find_image(&f->truth, r->image_id);
        const int32_t category =
            lmb_coco_find_category(&f->truth, r->category_id);
        if (image < 0)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: detection %lld: no image of the ground truth has the id "
                "%lld",
                name, (long long)i + 1, (long long)r->image_id);
        if (category < 0) {
            f->left_out++;
            continue;
        }
        lmb_dt_box *dt = &f->dt[f->boxes.n_dt++];
        memcpy(dt->box, r->box, sizeof dt->box);
        dt->score = r->score;
        dt->image = rank[image];
        dt->category = category;
    }
    return LMB_OK;
}

static lmb_status convert(
    lmb_box_files *f, const lmb_coco_results *results, const char *name)
{
    int32_t *rank = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(rank_images(&f->truth, &rank), st, done);
    LMB_GOTO(add_truths(f, rank), st, done);
    LMB_GOTO(add_found(f, rank, results, name), st, done);
    f->boxes.gt = f->gt;
    f->boxes.dt = f->dt;
    f->boxes.images = (int32_t)f->truth.n_images;
    f->boxes.categories = (int32_t)f->truth.n_categories;
done:
    lmb_free(rank);
    return st;
}

lmb_status lmb_box_files_load(
    const char *truth, const char *results, lmb_box_files *out)
{
    lmb_coco_results found = {0};
    lmb_status st = LMB_OK;
    *out = (lmb_box_files){0};
    LMB_GOTO(lmb_coco_load(truth, &out->truth), st, done);
    LMB_GOTO(lmb_coco_results_load(results, &found), st, done);
    LMB_GOTO(convert(out, &found, results), st, done);
done:
    if (st != LMB_OK)
        lmb_box_files_fini(out);
    lmb_coco_results_fini(&found);
    return st;
}

void lmb_box_files_fini(lmb_box_files *files)
{
    lmb_coco_fini(&files->truth);
    lmb_free(files->gt);
    lmb_free(files->dt);
    *files = (lmb_box_files){0};
}
