/* run_data.c: the data of a run: splits, parts of them, what they must have in
 * common, and the loader. */
#include "train/pictures.h"
#include "train/run_impl.h"

#include "base/log.h"

#include <string.h>

static lmb_status open_split(const lmb_run *run, bool train, lmb_dataset **out)
{
    LMB_TRY(lmb_run_config_data(run->config, train, out));
    if (lmb_dataset_notes(*out)[0] != '\0')
        lmb_log_line(LMB_LOG_WARNING, "%s: %s", train ? "train" : "test",
            lmb_dataset_notes(*out));
    return LMB_OK;
}

/* A part held out, a fraction of the rest. */
static lmb_status cut_data(lmb_run *run)
{
    const lmb_train_opts *t = &run->config->train;
    const uint64_t seed = (uint64_t)t->seed;
    run->train_data = run->opened;
    if (t->val_split > 0) {
        LMB_TRY(lmb_dataset_split(
            run->opened, t->val_split, seed, &run->rest, &run->held));
        run->train_data = run->rest;
        run->chosen = run->held;
    }
    if (t->fraction < 1) {
        LMB_TRY(lmb_dataset_fraction((lmb_dataset *)(uintptr_t)run->train_data,
            t->fraction, seed, &run->fraction));
        run->train_data = run->fraction;
    }
    return LMB_OK;
}

/* With a part held out a data set may do without a test split. */
static lmb_status open_test(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    const lmb_status st = open_split(run, false, &run->test);
    const bool none = st == LMB_ENOTFOUND || st == LMB_EINVAL;
    if (none && run->chosen == NULL)
        return lmb__wrap(st, "no test split (--val-split F holds one out)");
    const bool named =
        c->test_split != NULL || c->test_json != NULL || c->test_images != NULL;
    if (st != LMB_OK && (!none || named))
        return st;
    if (st != LMB_OK)
        lmb_log_line(LMB_LOG_WARNING,
            "no test split, the part held out is what the run ends on: %s",
            lmb_last_error());
    if (run->chosen == NULL)
        run->chosen = run->test;
    return LMB_OK;
}

/* Boxes of two files are told apart by the places of their categories. */
static lmb_status check_categories(const lmb_dataset *a, const lmb_dataset *b)
{
    const int32_t n = lmb_dataset_classes(a);
    const char *const *x = lmb_dataset_class_names(a);
    const char *const *y = lmb_dataset_class_names(b);
    if (lmb_dataset_classes(b) != n)
        return LMB_FAIL(LMB_EINVAL,
            "the split to train on has %d classes, the one to test on %d: they "
            "must be the same",
            (int)n, (int)lmb_dataset_classes(b));
    for (int32_t k = 0; k < n && x != NULL && y != NULL; k++)
        if (strcmp(x[k], y[k]) != 0)
            return LMB_FAIL(LMB_EINVAL,
                "class %d is '%s' in the split to train on and '%s' in the one "
                "to test on: they must be the same",
                (int)k, x[k], y[k]);
    return LMB_OK;
}

static void set_transform(lmb_run *run)
{
    const int32_t augment = run->config->train.augment;
    run->train_transform =
        lmb_transform_default(run->train_data, augment != LMB_AUGMENT_NONE);
    if (augment == LMB_AUGMENT_STRONG)
        lmb_transform_strong(&run->train_transform);
    const lmb_picture_opts *o = &run->config->pictures;
    lmb_transform *t = &run->train_transform;
    if (o->flip >= 0)
        t->flip = o->flip;
    if (o->jitter > 0)
        t->brightness = t->contrast = t->saturation = o->jitter;
    if (o->hue > 0)
        t->hue = o->hue;
}

lmb_status lmb_run_open_data(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    if (c->data == NULL)
        return LMB_FAIL(
            LMB_EUSAGE, "no data set: --data NAME:DIR (limbeck list datasets)");
    LMB_TRY(open_split(run, true, &run->opened));
    LMB_TRY(cut_data(run));
    LMB_TRY(open_test(run));
    if (lmb_dataset_is_detection(run->opened))
        return run->test != NULL ? check_categories(run->opened, run->test)
                                 : LMB_OK;
    set_transform(run);
    return LMB_OK;
}

/* --- the loader */

/* Sooner than at the picture itself; a mosaic of four may still overflow. */
static lmb_status check_max_boxes(const lmb_run *run)
{
    const int64_t most = run->config->pictures.max_boxes;
    for (int64_t i = 0; i < lmb_dataset_count(run->train_data); i++) {
        lmb_ground_truth t;
        int64_t n = 0;
        LMB_TRY(lmb_dataset_truth(run->train_data, i, &t));
        for (int64_t k = 0; k < t.count; k++)
            n += t.crowd[k] == 0;
        if (most > 0 && n > most)
            return LMB_FAIL(LMB_EINVAL,
                "data.max_boxes: %lld, but picture %lld has %lld boxes (0: "
                "what the data need)",
                (long long)most, (long long)i, (long long)n);
    }
    return LMB_OK;
}

int64_t lmb_run_epoch_images(const lmb_run *run)
{
    return lmb_dataset_count(run->train_data) -
        lmb_loader_left_out(run->loader);
}

lmb_status lmb_run_open_loader(lmb_run *run)
{
    const lmb_train_opts *t = &run->config->train;
    for (int c = 0; c < 3; c++) {
        run->train_transform.mean[c] = run->student.mean[c];
        run->train_transform.std[c] = run->student.std[c];
    }
    lmb_detect_transform detect;
    lmb_loader_opts opts = {
        .batch = t->batch,
        .threads = (int32_t)t->loader_threads,
        .seed = (uint64_t)t->seed,
        .shuffle = true,
        .views = 1,
        .transform = {run->train_transform},
    };
    if (lmb_task_is_detection(run->task)) {
        LMB_TRY(lmb_picture_transform(&run->config->pictures, run->train_data,
            true, run->student.mean, run->student.std, &detect));
        LMB_TRY(check_max_boxes(run));
        opts.detect = &detect;
        opts.max_boxes = run->config->pictures.max_boxes;
    }
    return lmb_loader_new(run->train_data, &opts, &run->loader);
}
