/* run_cache.c: a run's use of the knowledge cache.
 *
 * Rows are samples of the data set that was opened, so that runs on parts of
 * it (--val-split, --fraction) share one cache. The teacher is run live on the
 * few batches with a row that was computed in a batch of another size: the
 * last one of an epoch, and those that show samples of another's last. */
#include "train/run_cache.h"

#include "backend/onednn/dnn.h"
#include "train/build_info.h"
#include "train/cache.h"
#include "train/run_impl.h"

#include <stdio.h>
#include <string.h>

struct lmb_run_cache {
    lmb_cache *files;
    lmb_cache_mode mode;
    bool given; /* the batch's logits were found */
    /* Of one batch: */
    int64_t *rows;
    float *logits;
};

/* --- identity ------------------------------------------------------------- */

static void add_numbers(
    lmb_cache_key *key, const char *name, int n, const double *v)
{
    char text[LMB_CACHE_VALUE] = "";
    for (int i = 0; i < n; i++) {
        const size_t used = strlen(text);
        (void)snprintf(
            text + used, sizeof text - used, "%s%.17g", i > 0 ? " " : "", v[i]);
    }
    lmb_cache_key_add(key, name, "%s", text);
}

static void add_teacher(lmb_cache_key *key, const lmb_run *run)
{
    uint64_t h = 0;
    const lmb_network *t = &run->teachers[0];
    lmb_run_hash_store(&h, t->params);
    lmb_cache_key_add(key, "teacher", "%s", t->text);
    lmb_cache_key_add(key, "teacher_xxh64", "%016llx", (unsigned long long)h);
    add_numbers(key, "teacher_mean", 3, t->mean);
    add_numbers(key, "teacher_std", 3, t->std);
    const double input = run->config->teachers[0].input;
    if (input > 0 && input != 1) /* caches of 1 do not name it */
        add_numbers(key, "teacher_input", 1, &input);
    lmb_cache_key_add(key, "classes", "%d", t->classes);
    lmb_cache_key_add(key, "precision", "%s", run->bf16 ? "bf16" : "f32");
}

static void add_data(lmb_cache_key *key, const lmb_run *run)
{
    const lmb_run_config *c = run->config;
    lmb_cache_key_add(key, "data", "%s", lmb_dataset_name(run->opened));
    lmb_cache_key_add(
        key, "split", "%s", c->train_split != NULL ? c->train_split : "train");
    lmb_cache_key_add(key, "data_xxh64", "%016llx",
        (unsigned long long)lmb_dataset_hash(run->opened));
    lmb_cache_key_add(
        key, "samples", "%lld", (long long)lmb_dataset_count(run->opened));
    lmb_cache_key_add(key, "seed", "%lld", (long long)c->train.seed);
    lmb_cache_key_add(key, "views", "1");
}

static void add_transform(lmb_cache_key *key, const lmb_transform *t)
{
    const double jitter[] = {t->brightness, t->contrast, t->saturation, t->hue};
    lmb_cache_key_add(key, "height", "%d", (int)t->height);
    lmb_cache_key_add(key, "width", "%d", (int)t->width);
    lmb_cache_key_add(key, "crop", "%d", (int)t->crop);
    lmb_cache_key_add(key, "pad", "%d", (int)t->pad);
    lmb_cache_key_add(key, "resize", "%d", (int)t->resize);
    add_numbers(key, "scale", 2, t->scale);
    add_numbers(key, "ratio", 2, t->ratio);
    add_numbers(key, "flip", 1, &t->flip);
    add_numbers(key, "jitter", 4, jitter);
    lmb_cache_key_add(key, "randaugment", "%d", (int)t->randaugment);
    add_numbers(key, "cutout", 1, &t->cutout);
    add_numbers(key, "mean", 3, t->mean);
    add_numbers(key, "std", 3, t->std);
}

/* Sums of convolutions are ordered by what kernels were chosen for. */
static void add_build(lmb_cache_key *key, const lmb_run *run)
{
    lmb_build_info info;
    lmb_build_info_get(&info);
    lmb_cache_key_add(
        key, "batch", "%lld", (long long)run->config->train.batch);
    lmb_cache_key_add(key, "threads", "%d", run->threads);
    lmb_cache_key_add(key, "limbeck", "%s", info.version);
    lmb_cache_key_add(key, "compiler", "%s", info.compiler);
    lmb_cache_key_add(key, "dnn", "%s", info.dnn);
    lmb_cache_key_add(key, "dnn_isa", "%#x", lmb_dnn_isa());
    lmb_cache_key_add(key, "cpu_level", "%s", info.cpu_level);
}

static void make_key(lmb_cache_key *key, const lmb_run *run)
{
    lmb_cache_key_add(key, "limbeck_cache", "1");
    add_teacher(key, run);
    add_data(key, run);
    add_transform(key, &run->train_transform);
    add_build(key, run);
}

/* --- opening -------------------------------------------------------------- */

static lmb_status open_files(lmb_run *run, lmb_run_cache *c)
{
    const int64_t n = lmb_dataset_count(run->train_data);
    lmb_cache_key *key = NULL;
    int64_t *needed = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(key, 1), st, done);
    LMB_GOTO(LMB_NEW(needed, n), st, done);
    for (int64_t i = 0; i < n; i++)
        needed[i] = lmb_dataset_root_index(run->train_data, i);
    make_key(key, run);
    LMB_GOTO(
        lmb_cache_open(run->config->cache, key, lmb_dataset_count(run->opened),
            run->teachers[0].classes, n, needed, &c->files),
        st, done);
done:
    lmb_free(needed);
    lmb_free(key);
    return st;
}

lmb_status lmb_run_cache_open(lmb_run *run)
{
    const int64_t batch = run->config->train.batch;
    bool complete = false;
    if (run->config->cache == NULL)
        return LMB_OK;
    if (lmb_task_is_detection(run->task))
        return LMB_FAIL(LMB_EUSAGE,
            "--cache %s: a cache holds the logits of classification, and %s "
            "is a detector",
            run->config->cache, run->student.model->name);
    if (run->n_teachers > 1)
        return LMB_FAIL(LMB_EUSAGE,
            "--cache %s: a cache holds the logits of one teacher, not of %d",
            run->config->cache, run->n_teachers);
    if (run->stage->n_terms == 0)
        return LMB_FAIL(LMB_EUSAGE,
            "--cache %s: a cache holds a teacher's logits, and no method "
            "reads them",
            run->config->cache);
    LMB_TRY(LMB_NEW(run->cache, 1));
    lmb_run_cache *c = run->cache;
    LMB_TRY(LMB_NEW(c->rows, batch));
    LMB_TRY(LMB_NEW(c->logits, batch * run->teachers[0].classes));
    LMB_TRY(open_files(run, c));
    /* The first step declares connectors and is likely the one to be run. */
    LMB_TRY(lmb_cache_find(c->files, 1, &complete));
    c->given = complete;
    return LMB_OK;
}

void lmb_run_cache_free(lmb_run_cache *c)
{
    if (c == NULL)
        return;
    lmb_cache_free(c->files);
    lmb_free(c->rows);
    lmb_free(c->logits);
    lmb_free(c);
}

/* --- running -------------------------------------------------------------- */

lmb_status lmb_run_cache_enter(lmb_run *run)
{
    const lmb_run_state *s = &run->state;
    if (run->cache == NULL)
        return LMB_OK;
    return lmb_cache_enter(
        run->cache->files, s->epoch, s->step_in_epoch == 0, &run->cache->mode);
}

lmb_status lmb_run_cache_leave(lmb_run *run)
{
    if (run->cache == NULL || run->cache->mode != LMB_CACHE_WRITE)
        return LMB_OK;
    return lmb_cache_commit(run->cache->files);
}

lmb_status lmb_run_cache_find(lmb_run *run, const lmb_batch *batch)
{
    lmb_run_cache *c = run->cache;
    if (c == NULL)
        return LMB_OK;
    const int64_t *index = batch->indices->data;
    for (int64_t i = 0; i < batch->count; i++)
        c->rows[i] = lmb_dataset_root_index(run->train_data, index[i]);
    c->given = false;
    if (c->mode != LMB_CACHE_READ)
        return LMB_OK;
    return lmb_cache_read(
        c->files, batch->count, c->rows, c->logits, &c->given);
}

lmb_teacher_logits lmb_run_cache_use(const lmb_run *run)
{
    if (run->cache == NULL)
        return LMB_LOGITS_LIVE;
    return run->cache->given ? LMB_LOGITS_GIVEN : LMB_LOGITS_KEPT;
}

lmb_status lmb_run_cache_give(lmb_run *run, lmb_train_step *step)
{
    if (lmb_run_cache_use(run) != LMB_LOGITS_GIVEN)
        return LMB_OK;
    return lmb_plan_set(
        step->plan, step->teacher_logits, LMB_F32, run->cache->logits);
}

lmb_status lmb_run_cache_keep(
    lmb_run *run, lmb_train_step *step, const lmb_batch *batch)
{
    lmb_run_cache *c = run->cache;
    if (c == NULL || c->mode != LMB_CACHE_WRITE)
        return LMB_OK;
    LMB_TRY(
        lmb_plan_read(step->plan, step->teacher_logits, LMB_F32, c->logits));
    return lmb_cache_write(c->files, batch->count, c->rows, c->logits);
}
