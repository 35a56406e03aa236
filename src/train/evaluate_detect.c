/* evaluate_detect.c: a detector over a data set: COCO's numbers. */
#include "train/detector.h"

#include "base/clock.h"
#include "data/loader.h"
#include "train/pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct found {
    lmb_dt_box *items;
    size_t count, capacity;
} found;

/* --- running over the set ------------------------------------------------- */

static double clamp(double v, double most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

lmb_dt_box lmb_detected_stored(const lmb_detected *from, const float scale[2],
    const int32_t size[2], int64_t image)
{
    const double x0 = clamp(from->box[0] / scale[1], size[1]);
    const double y0 = clamp(from->box[1] / scale[0], size[0]);
    const double x1 = clamp(from->box[2] / scale[1], size[1]);
    const double y1 = clamp(from->box[3] / scale[0], size[0]);
    return (lmb_dt_box){
        .box = {x0, y0, x1 - x0, y1 - y0},
        .score = from->score,
        .image = (int32_t)image,
        .category = from->label,
    };
}

static lmb_status take_batch(
    lmb_detector *d, const lmb_dataset *data, const lmb_batch *batch, found *f)
{
    const int64_t *index = batch->indices->data;
    const float *scale = batch->scales->data;
    for (int64_t i = 0; i < batch->count; i++) {
        const lmb_detected *items = NULL;
        int64_t n = 0;
        int32_t size[2] = {0, 0};
        (void)lmb_dataset_picture_size(data, index[i], &size[0], &size[1]);
        LMB_TRY(lmb_detector_take(d, i, &items, &n));
        for (int64_t k = 0; k < n; k++) {
            LMB_TRY(LMB_GROW(f->items, f->count, f->capacity));
            f->items[f->count++] =
                lmb_detected_stored(&items[k], scale + 2 * i, size, index[i]);
        }
    }
    return LMB_OK;
}

static void tell(
    const lmb_dataset *data, const lmb_eval_spec *spec, int64_t done)
{
    if (spec->on_images != NULL)
        spec->on_images(done, lmb_dataset_count(data), spec->user);
}

static lmb_status run_batches(lmb_detector *d, const lmb_dataset *data,
    const lmb_eval_spec *spec, lmb_loader *loader, found *f)
{
    int64_t done = 0;
    tell(data, spec, done);
    for (int64_t i = 0; i < lmb_loader_steps(loader); i++) {
        lmb_batch batch;
        if (spec->stop != NULL && *spec->stop != 0)
            return LMB_FAIL(LMB_EINTERRUPTED, "stopped inside an evaluation");
        LMB_TRY(lmb_loader_next(loader, &batch));
        LMB_TRY(lmb_detector_run(d, batch.views[0], batch.sizes));
        LMB_TRY(take_batch(d, data, &batch, f));
        done += batch.count;
        tell(data, spec, done);
    }
    return LMB_OK;
}

lmb_status lmb_detect_all(lmb_detector *d, const lmb_dataset *data,
    const lmb_eval_spec *spec, lmb_dt_box **out, int64_t *count)
{
    lmb_detect_transform transform;
    lmb_loader *loader = NULL;
    found f = {0};
    lmb_status st = LMB_OK;
    LMB_TRY(lmb_picture_transform(
        &spec->pictures, data, false, spec->mean, spec->std, &transform));
    const lmb_loader_opts opts = {
        .batch = lmb_eval_batch(spec->batch, true),
        .threads = spec->loader_threads,
        .detect = &transform,
    };
    LMB_TRY(lmb_loader_new(data, &opts, &loader));
    LMB_GOTO(run_batches(d, data, spec, loader, &f), st, done);
    *out = f.items;
    *count = (int64_t)f.count;
    f.items = NULL;
done:
    lmb_free(f.items);
    lmb_loader_free(loader);
    return st;
}

/* --- the numbers ---------------------------------------------------------- */

static lmb_status score(const lmb_box_truth *truth, const lmb_dt_box *dt,
    int64_t n_dt, lmb_eval_result *r)
{
    lmb_dt_box *ranked = NULL;
    lmb_boxes boxes;
    lmb_coco_scores scores = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_box_truth_with(truth, dt, n_dt, &boxes, &ranked), st, done);
    LMB_GOTO(lmb_coco_eval(&boxes, &scores), st, done);
    LMB_GOTO(LMB_NEW(r->class_count, r->classes), st, done);
    LMB_GOTO(LMB_NEW(r->class_ap, r->classes), st, done);
    memcpy(r->score, scores.number, sizeof r->score);
    for (int32_t c = 0; c < r->classes; c++) {
        r->class_count[c] = scores.classes[c].truths;
        r->class_ap[c] = scores.classes[c].ap;
    }
done:
    lmb_coco_scores_fini(&scores);
    lmb_free(ranked);
    return st;
}

lmb_status lmb_detector_evaluate(lmb_detector *d, const lmb_dataset *data,
    const lmb_box_truth *truth, const lmb_eval_spec *spec, lmb_eval_result *out)
{
    const double start = lmb_clock_now();
    lmb_eval_result r = {
        .classes = truth->categories,
        .count = lmb_dataset_count(data),
        .loss = NAN,
    };
    LMB_TRY(lmb_detect_all(d, data, spec, &r.found, &r.n_found));
    const lmb_status st = score(truth, r.found, r.n_found, &r);
    r.seconds = lmb_clock_now() - start;
    if (st != LMB_OK) {
        lmb_eval_fini(&r);
        return st;
    }
    if (!spec->keep_found) {
        lmb_free(r.found);
        r.found = NULL;
        r.n_found = 0;
    }
    *out = r;
    return LMB_OK;
}
