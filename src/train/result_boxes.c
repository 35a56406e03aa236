/* result_boxes.c: what a finished run of a detector leaves for the report.
 *
 * truth.json (COCO instances of the test split), detections.json and
 * teacher_detections.json (COCO results; of the last stage's teacher), so that
 * any tool can score them without the data set and finds the run's numbers; and
 * samples/ID.jpg, a few of the pictures, small. */
#include "train/result_boxes.h"

#include "base/file.h"
#include "base/str.h"
#include "io/coco_json.h"
#include "train/box_truth.h"

#include <math.h>
#include <string.h>

enum { SAMPLES = 12, SAMPLE_SIDE = 480, QUALITY = 88 };

/* --- truth.json ----------------------------------------------------------- */

/* Names live in `coco->arena`, which has the digits of those without. */
static lmb_status add_categories(const lmb_dataset *ds, lmb_coco *coco)
{
    const char *const *names = lmb_dataset_class_names(ds);
    coco->n_categories = lmb_dataset_classes(ds);
    LMB_TRY(LMB_NEW(coco->categories, coco->n_categories));
    for (int32_t c = 0; c < (int32_t)coco->n_categories; c++) {
        lmb_coco_category *to = &coco->categories[c];
        to->id = lmb_dataset_category_id(ds, c);
        to->name = names != NULL
            ? names[c]
            : lmb_arena_printf(coco->arena, "%lld", (long long)to->id);
        if (to->name == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: names");
    }
    return LMB_OK;
}

/* Images by ascending id, as the truth of the metrics counts them. */
static lmb_status add_images(
    const lmb_dataset *ds, const lmb_box_truth *truth, lmb_coco *coco)
{
    coco->n_images = truth->images;
    LMB_TRY(LMB_NEW(coco->images, coco->n_images));
    for (int64_t i = 0; i < coco->n_images; i++) {
        lmb_coco_image *to = &coco->images[truth->rank[i]];
        to->id = lmb_dataset_image_id(ds, i);
        to->file_name = lmb_dataset_picture_path(ds, i);
        (void)lmb_dataset_picture_size(ds, i, &to->height, &to->width);
    }
    return LMB_OK;
}

static lmb_status add_boxes(const lmb_box_truth *truth, lmb_coco *coco)
{
    coco->n_annotations = truth->n_gt;
    LMB_TRY(LMB_NEW(coco->annotations, truth->n_gt));
    for (int64_t k = 0; k < truth->n_gt; k++) {
        const lmb_gt_box *from = &truth->gt[k];
        lmb_coco_annotation *to = &coco->annotations[k];
        *to = (lmb_coco_annotation){
            .id = from->id_zero ? 0 : k + 1,
            .area = from->area,
            .image = from->image,
            .category = from->category,
            .crowd = from->crowd,
            .difficult = from->difficult,
        };
        memcpy(to->box, from->box, sizeof to->box);
    }
    return LMB_OK;
}

static lmb_status save_truth(const char *path, const lmb_dataset *ds)
{
    lmb_coco coco = {0};
    lmb_box_truth truth = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_arena_new(&coco.arena), st, done);
    LMB_GOTO(lmb_box_truth_load(ds, &truth), st, done);
    LMB_GOTO(add_categories(ds, &coco), st, done);
    LMB_GOTO(add_images(ds, &truth, &coco), st, done);
    LMB_GOTO(add_boxes(&truth, &coco), st, done);
    LMB_GOTO(lmb_coco_save(path, &coco), st, done);
done:
    lmb_box_truth_fini(&truth);
    lmb_coco_fini(&coco);
    return st;
}

/* --- detections ----------------------------------------------------------- */

lmb_status lmb_found_save(
    const char *path, const lmb_dataset *ds, const lmb_dt_box *found, int64_t n)
{
    lmb_coco_results out = {.count = n};
    LMB_TRY(LMB_NEW(out.items, n > 0 ? n : 1));
    for (int64_t k = 0; k < n; k++) {
        const lmb_dt_box *from = &found[k];
        lmb_coco_result *to = &out.items[k];
        to->image_id = lmb_dataset_image_id(ds, from->image);
        to->category_id = lmb_dataset_category_id(ds, from->category);
        to->score = from->score;
        memcpy(to->box, from->box, sizeof to->box);
    }
    const lmb_status st = lmb_coco_results_save(path, &out);
    lmb_coco_results_fini(&out);
    return st;
}

/* --- samples -------------------------------------------------------------- */

static lmb_status save_jpeg(const char *path, const lmb_image *image)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    LMB_TRY(lmb_image_encode_jpeg(image, QUALITY, &bytes, &size));
    const lmb_status st = lmb_file_write(path, bytes, size);
    lmb_free(bytes);
    return st;
}

static lmb_status save_sample(
    const char *dir, const lmb_dataset *ds, int64_t i, lmb_scratch *scratch)
{
    lmb_image image, small;
    lmb_str path = {0};
    void *rgb = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(lmb_dataset_image(ds, i, scratch, &image));
    const int32_t side =
        image.height > image.width ? image.height : image.width;
    const double scale = side > SAMPLE_SIDE ? (double)SAMPLE_SIDE / side : 1;
    small.height = (int32_t)fmax(1, round(image.height * scale));
    small.width = (int32_t)fmax(1, round(image.width * scale));
    LMB_TRY(lmb_scratch_get(scratch, LMB_SLOT_A,
        3 * (size_t)small.height * (size_t)small.width, &rgb));
    LMB_TRY(lmb_image_resize(
        &image, NULL, small.height, small.width, scratch, rgb));
    small.rgb = rgb;
    lmb_str_printf(
        &path, "%s/%lld.jpg", dir, (long long)lmb_dataset_image_id(ds, i));
    LMB_GOTO(lmb_str_status(&path), st, done);
    LMB_GOTO(save_jpeg(path.text, &small), st, done);
done:
    lmb_str_fini(&path);
    return st;
}

/* The first picture with boxes in each of SAMPLES equal parts of the set. */
static lmb_status save_samples(const char *dir, const lmb_dataset *ds)
{
    const int64_t n = lmb_dataset_count(ds);
    lmb_scratch scratch = {0};
    lmb_status st = lmb_make_dirs(dir);
    for (int64_t k = 0; k < SAMPLES && st == LMB_OK; k++) {
        const int64_t end = (k + 1) * n / SAMPLES;
        for (int64_t i = k * n / SAMPLES; i < end && st == LMB_OK; i++) {
            lmb_ground_truth t;
            st = lmb_dataset_truth(ds, i, &t);
            if (st != LMB_OK || t.count == 0)
                continue;
            st = save_sample(dir, ds, i, &scratch);
            break;
        }
    }
    lmb_scratch_fini(&scratch);
    return st;
}

/* --- all of it ------------------------------------------------------------ */

static lmb_status save_all(lmb_arena *arena, const char *dir,
    const lmb_dataset *test, const lmb_run_result *r)
{
    const char *path[4];
    static const char *const name[4] = {
        LMB_RUN_TRUTH, LMB_RUN_FOUND, LMB_RUN_TEACHER_FOUND, LMB_RUN_SAMPLES};
    for (int i = 0; i < 4; i++) {
        path[i] = lmb_arena_printf(arena, "%s/%s", dir, name[i]);
        if (path[i] == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    }
    LMB_TRY(save_truth(path[0], test));
    LMB_TRY(
        lmb_found_save(path[1], test, r->student.found, r->student.n_found));
    if (r->teacher.count > 0)
        LMB_TRY(lmb_found_save(
            path[2], test, r->teacher.found, r->teacher.n_found));
    return save_samples(path[3], test);
}

lmb_status lmb_result_save_boxes(
    const char *dir, const lmb_dataset *test, const lmb_run_result *r)
{
    lmb_arena *arena = NULL;
    LMB_TRY(lmb_arena_new(&arena));
    const lmb_status st = save_all(arena, dir, test, r);
    lmb_arena_free(arena);
    return st;
}
