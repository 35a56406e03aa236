/* run_open.c: opening a run: networks, the teacher's check, directory,
 * resume; run_data.c, run_start.c and run_stages.c do the rest. */
#include "train/class_names.h"
#include "train/pictures.h"
#include "train/run_cache.h"
#include "train/run_impl.h"

#include "backend/cpu/threads.h"
#include "backend/onednn/dnn.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "data/hash.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int input_size(const lmb_run *run)
{
    return lmb_dataset_is_detection(run->opened)
        ? (int)run->config->pictures.size
        : run->train_transform.height;
}

/* --- networks ------------------------------------------------------------- */

/* All pictures, of training and of evaluations, fit the same sides. */
static lmb_status set_sides(lmb_run *run)
{
    lmb_detect_transform t;
    lmb_network *net = &run->student;
    if (!lmb_dataset_is_detection(run->train_data))
        return LMB_OK;
    LMB_TRY(lmb_picture_transform(&run->config->pictures, run->train_data,
        false, net->mean, net->std, &t));
    net->side[0] = t.long_side;
    net->side[1] = t.short_side[0];
    return LMB_OK;
}

/* Detectors' defaults are for backbones that have learned. One that is drawn
 * learns as a whole, unless the name says what is frozen: so a run that is told
 * nothing trains something. */
static lmb_status free_drawn_backbone(
    const lmb_run_config *c, lmb_model_spec *spec)
{
    if (spec->model->postprocess == NULL || c->init != NULL ||
        lmb_says_frozen(c->student))
        return LMB_OK;
    lmb_str text = {0};
    lmb_str_printf(&text, "%s%cfrozen_stages=-1,norm_eval=false", spec->text,
        strchr(spec->text, ':') != NULL ? ',' : ':');
    lmb_status st = lmb_str_status(&text);
    if (st == LMB_OK)
        st = lmb_model_spec_parse(text.text, spec);
    lmb_str_fini(&text);
    if (st == LMB_OK)
        lmb_log_line(LMB_LOG_INFO,
            "student    its backbone is drawn (no --init), so all of it "
            "learns: frozen_stages=-1,norm_eval=false");
    return st;
}

static lmb_status open_student(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    if (c->student == NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "no network to train: --student NAME (limbeck list models)");
    lmb_model_spec spec;
    LMB_TRY(lmb_model_spec_parse(c->student, &spec));
    LMB_TRY(free_drawn_backbone(c, &spec));
    run->task = lmb_task_find(spec.model->task);
    const bool boxes = lmb_dataset_is_detection(run->opened);
    if (boxes != lmb_task_is_detection(run->task))
        return LMB_FAIL(LMB_EINVAL, "%s is for %s, and %s is for %s", spec.text,
            spec.model->task, c->data, boxes ? "detection" : "classification");
    const int classes = lmb_dataset_classes(run->train_data);
    if (c->classes != 0 && c->classes != classes)
        return LMB_FAIL(LMB_EINVAL,
            "--classes %lld, but the data has %d classes",
            (long long)c->classes, classes);
    LMB_TRY(lmb_network_make(
        &spec, classes, input_size(run), LMB_F32, &run->student));
    lmb_dataset_mean_std(run->train_data, run->student.mean, run->student.std);
    return set_sides(run);
}

/* A teacher does worse on pictures of a size that it never saw. */
static void warn_of_size(
    const lmb_run *run, const lmb_teacher_config *t, int expects)
{
    const double factor = t->input > 0 ? t->input : 1;
    const int size = lmb_task_is_detection(run->task) ? run->student.side[0]
                                                      : input_size(run);
    const double gets = size * factor;
    if (expects > 0 && gets > 0 && fabs(gets / expects - 1) > 0.1)
        lmb_log_line(LMB_LOG_WARNING,
            "teacher %s was made for pictures of %d, and gets %.0f (--size, "
            "--teacher-input)",
            t->weights, expects, gets);
}

static lmb_status check_fit(
    const lmb_run *run, int i, const lmb_weights_about *about)
{
    const lmb_teacher_config *t = &run->config->teachers[i];
    const lmb_network *net = &run->teachers[i];
    if (lmb_network_detects(net) != lmb_network_detects(&run->student))
        return LMB_FAIL(LMB_EINVAL,
            "teacher %s is for %s, the student for %s: they must be of one "
            "task",
            t->weights, net->model->task, run->student.model->task);
    if (net->classes != run->student.classes)
        return LMB_FAIL(LMB_EINVAL,
            "teacher %s has %d classes, the data %d: they must be the same%s",
            t->weights, net->classes, run->student.classes,
            lmb_dataset_label_hint(run->opened, net->classes));
    if (run->has_checkpoint) /* it was checked when the run began */
        return LMB_OK;
    return lmb_check_class_names(
        t->weights, about, run->opened, run->config->force);
}

static lmb_status open_teacher(lmb_run *run, int i)
{
    const lmb_teacher_config *t = &run->config->teachers[i];
    lmb_network *net = &run->teachers[i];
    if (t->weights == NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "teacher %s has no weights: "
            "--teacher-weights FILE",
            t->model != NULL ? t->model : "");
    lmb_weights_about about = {0};
    LMB_TRY(lmb_network_load(t->weights, t->model, t->has_norm ? t->mean : NULL,
        t->has_norm ? t->std : NULL, run->student.mean, run->student.std,
        input_size(run), net, &about));
    run->n_teachers = i + 1;
    warn_of_size(run, t, about.size);
    lmb_network_expect_rgb(net, about.channels);
    const lmb_status st = check_fit(run, i, &about);
    lmb_weights_about_fini(&about);
    return st;
}

static lmb_status open_teachers(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    if (c->n_teachers == 0 && c->n_methods > 0)
        return LMB_FAIL(LMB_EUSAGE,
            "a method needs a teacher: --teacher NAME --teacher-weights FILE");
    for (int i = 0; i < c->n_teachers; i++)
        LMB_TRY(open_teacher(run, i));
    return LMB_OK;
}

/* --- precision, threads --------------------------------------------------- */

/* What a run was begun in, it goes on in: "auto" said so on a machine that may
 * have been another one. Its manifest knows (older ones may not). */
static lmb_status precision_of_run(lmb_run *run, int32_t *asked)
{
    static const char *const names[] = {"auto", "f32", "bf16"};
    int32_t begun = LMB_PRECISION_AUTO;
    if (!run->has_checkpoint || run->looked_at)
        return LMB_OK;
    LMB_TRY(lmb_manifest_precision(run->config->out, &begun));
    if (begun == LMB_PRECISION_AUTO || begun == *asked)
        return LMB_OK;
    if (*asked != LMB_PRECISION_AUTO)
        return LMB_FAIL(LMB_EUSAGE,
            "train.precision: %s was begun in %s, not in %s: leave it out, or "
            "start a new run",
            run->config->out, names[begun], names[*asked]);
    if (begun == LMB_PRECISION_BF16 && !lmb_dnn_has_bf16())
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "train.precision: auto: %s was begun in bf16, and this CPU has "
            "neither AVX512_BF16 nor AMX: it can only go on where one is",
            run->config->out);
    *asked = begun;
    return LMB_OK;
}

static lmb_status set_precision(lmb_run *run)
{
    int32_t asked = run->config->train.precision;
    LMB_TRY(precision_of_run(run, &asked));
    if (asked == LMB_PRECISION_BF16 && !lmb_dnn_has_bf16())
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "precision bf16: this CPU has neither AVX512_BF16 nor AMX");
    run->bf16 = asked == LMB_PRECISION_BF16 ||
        (asked == LMB_PRECISION_AUTO && lmb_dnn_fast_bf16());
    run->threads = lmb_set_threads((int)run->config->train.threads);
    return LMB_OK;
}

/* --- the teacher's check -------------------------------------------------- */

lmb_eval_spec lmb_run_eval_spec(const lmb_run *run)
{
    const lmb_train_opts *t = &run->config->train;
    lmb_picture_opts pictures = run->config->pictures;
    pictures.size = run->student.side[0];
    pictures.short_side = run->student.side[1];
    return (lmb_eval_spec){
        .batch = t->eval_batch,
        .loader_threads = (int32_t)t->loader_threads,
        .bf16 = run->bf16,
        .allow_reference = t->allow_reference,
        .pictures = pictures,
        .stop = run->observer.stop,
        .on_images = run->observer.on_images,
        .user = run->observer.user,
    };
}

lmb_eval_spec lmb_run_teacher_spec(const lmb_run *run, int i)
{
    lmb_eval_spec spec = lmb_run_eval_spec(run);
    const double factor = run->config->teachers[i].input;
    if (factor > 0 && lmb_task_is_detection(run->task)) {
        spec.pictures.size = lrint(factor * (double)spec.pictures.size);
        spec.pictures.short_side =
            lrint(factor * (double)spec.pictures.short_side);
    } else if (factor > 0) {
        spec.input_factor = factor;
    }
    return spec;
}

/* Three deviations above guessing, or it is guessing, unless so few images
 * tell nothing: then half of the way to all. A detector that finds nothing at
 * all has an AP of almost 0. */
static double chance_level(const lmb_run *run, double images)
{
    const double chance = 1.0 / run->student.classes;
    if (lmb_task_is_detection(run->task))
        return 1e-3;
    if (run->student.classes == 1)
        return -1;
    return 100 *
        fmin(chance + 3 * sqrt(chance * (1 - chance) / images),
            (1 + chance) / 2);
}

static lmb_status check_teacher(lmb_run *run, int i)
{
    lmb_eval_spec spec = lmb_run_teacher_spec(run, i);
    spec.limit = run->config->train.teacher_check;
    lmb_eval_result r = {0};
    LMB_TRY(lmb_evaluate(&run->teachers[i], run->chosen, &spec, &r));
    run->teacher_score[i] = r.score[0];
    run->teacher_checked = r.count;
    lmb_eval_fini(&r);
    /* Without boxes in the sample there is no AP, and nothing to be said. */
    const bool none =
        lmb_task_is_detection(run->task) && run->teacher_score[i] < 0;
    if (run->config->force || none ||
        run->teacher_score[i] > chance_level(run, (double)run->teacher_checked))
        return LMB_OK;
    return LMB_FAIL(LMB_EFORMAT,
        "teacher %s has %s %.*f on %lld images, no better than chance: wrong "
        "weights, class order or normalisation? (--force goes on)",
        run->config->teachers[i].weights, run->task->score[0],
        run->task->digits, run->teacher_score[i],
        (long long)run->teacher_checked);
}

static lmb_status check_teachers(lmb_run *run)
{
    for (int i = 0; i < LMB_MAX_TEACHERS; i++)
        run->teacher_score[i] = NAN;
    /* A run that goes on was checked when it began. */
    for (int i = 0; i < run->n_teachers && !run->has_checkpoint; i++)
        if (run->config->train.teacher_check > 0)
            LMB_TRY(check_teacher(run, i));
    return LMB_OK;
}

/* --- state ---------------------------------------------------------------- */

lmb_optim_opts lmb_run_optim_opts(const lmb_train_opts *t)
{
    return (lmb_optim_opts){
        .kind = (lmb_optim_kind)t->optimizer,
        .momentum = t->momentum,
        .weight_decay = t->weight_decay,
        .nesterov = t->nesterov,
        .beta1 = t->beta1,
        .beta2 = t->beta2,
        .eps = t->eps,
    };
}

static lmb_status open_state(lmb_run *run)
{
    const lmb_train_opts *t = &run->config->train;
    lmb_run_state *s = &run->state;
    const lmb_optim_opts opts = lmb_run_optim_opts(t);
    for (int i = 0; i < s->n_stores; i++)
        LMB_TRY(lmb_optim_new(&opts, s->stores[i], &s->optims[i]));
    if (t->ema > 0) {
        const size_t n = (size_t)lmb_params_data_size(s->stores[0]);
        const size_t m = (size_t)lmb_params_buffers_size(s->stores[0]);
        float *data = NULL;
        float *buffers = NULL;
        LMB_TRY(LMB_NEW(data, n));
        s->ema = data;
        LMB_TRY(LMB_NEW(buffers, m));
        s->ema_buffers = buffers;
        memcpy(data, lmb_params_data(s->stores[0]), n * sizeof *data);
        memcpy(buffers, lmb_params_buffers(s->stores[0]), m * sizeof *buffers);
    }
    s->epoch = 1;
    s->threads = run->threads;
    s->best[0] = -1;
    return LMB_OK;
}

static void hash_text(uint64_t *h, const char *fmt, ...) LMB_PRINTF(2, 3);

static void hash_text(uint64_t *h, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    *h = (*h ^ lmb_hash(text)) * 0x9E3779B97F4A7C15u;
}

void lmb_run_hash_store(uint64_t *h, const lmb_params *store)
{
    const size_t size = lmb_dtype_size(lmb_params_dtype(store));
    lmb_params *s = (lmb_params *)(uintptr_t)store;
    *h = lmb_xxh64(
        lmb_params_data(s), (size_t)lmb_params_data_size(store) * size, *h);
    *h = lmb_xxh64(lmb_params_buffers(s),
        (size_t)lmb_params_buffers_size(store) * size, *h);
}

static void hash_pictures(uint64_t *h, const lmb_picture_opts *p)
{
    hash_text(h, "%lld %lld %lld %a %a %a %a %lld %d", (long long)p->size,
        (long long)p->short_side, (long long)p->short_least,
        p->flip < 0 ? LMB_USUAL_FLIP : p->flip, p->jitter, p->hue, p->mosaic,
        (long long)p->max_sizes, (int)p->filter_empty);
}

/* What must be equal for a resumed run to be the same run. */
static lmb_status hash_config(lmb_run *run)
{
    uint64_t h = 1;
    const lmb_run_config *c = run->config;
    hash_text(&h, "%s %llx %llx", run->student.text,
        (unsigned long long)lmb_dataset_hash(run->train_data),
        (unsigned long long)lmb_dataset_hash(run->chosen));
    for (int i = 0; i < run->n_teachers; i++) {
        const lmb_network *t = &run->teachers[i];
        hash_text(&h, "%s %a %a %a %a %a %a", t->text, t->mean[0], t->mean[1],
            t->mean[2], t->std[0], t->std[1], t->std[2]);
        if (c->teachers[i].input > 0)
            hash_text(&h, "%a", c->teachers[i].input);
        lmb_run_hash_store(&h, t->params);
    }
    lmb_str stages = {0};
    const lmb_status st = lmb_run_hash_stages(run, &stages);
    if (st == LMB_OK && stages.length > 0)
        h = lmb_xxh64(stages.text, stages.length, h);
    lmb_str_fini(&stages);
    LMB_TRY(st);
    const lmb_train_opts *t = &c->train;
    hash_text(&h, "%lld %lld %a %a %d %d %a %a %a %lld %d %d",
        (long long)t->epochs, (long long)t->batch, t->momentum, t->weight_decay,
        (int)t->nesterov, (int)t->optimizer, t->beta1, t->beta2, t->eps,
        (long long)t->seed, (int)t->augment, (int)run->bf16);
    hash_text(&h, "%a %a", t->clip_norm, t->ema);
    const lmb_picture_opts *p = &c->pictures;
    if (lmb_task_is_detection(run->task) || p->flip >= 0 || p->jitter > 0 ||
        p->hue > 0)
        hash_pictures(&h, p);
    (void)snprintf(run->state.config_hash, sizeof run->state.config_hash,
        "%016llx", (unsigned long long)h);
    return LMB_OK;
}

/* --- the directory -------------------------------------------------------- */

lmb_status lmb_run_path(const lmb_run *run, const char *name, const char **out)
{
    *out =
        lmb_arena_printf(run->config->arena, "%s/%s", run->config->out, name);
    if (*out == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    return LMB_OK;
}

#define LOCK ".lock"

/* One process at a time; what a killed one was writing goes. */
static lmb_status take_directory(lmb_run *run)
{
    LMB_TRY(lmb_run_path(run, LOCK, &run->lock_path));
    LMB_TRY(lmb_lock_take(run->lock_path, &run->lock));
    lmb_remove_temporaries(run->config->out);
    return LMB_OK;
}

static lmb_status check_no_run(lmb_run *run)
{
    const char *config = NULL;
    LMB_TRY(lmb_run_path(run, LMB_RUN_CONFIG, &config));
    if (!lmb_path_exists(config))
        return LMB_OK;
    return LMB_FAIL(LMB_EUSAGE,
        "%s exists: --resume goes on with it, another --out starts anew",
        run->config->out);
}

/* An empty folder, as a mounted one may be, is as good as none. */
static lmb_status check_is_new(lmb_run *run)
{
    const char *out = run->config->out;
    run->found_directory = lmb_dir_is_empty(out);
    if (run->found_directory || !lmb_path_exists(out))
        return LMB_OK;
    LMB_TRY(check_no_run(run));
    return LMB_FAIL(LMB_EUSAGE,
        "%s exists and is no run (no " LMB_RUN_CONFIG
        "): another --out, or remove it",
        out);
}

/* Before the long work: is there what --resume needs, and nothing else's? */
static lmb_status check_directory(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    const char *last = NULL;
    if (c->out == NULL)
        return LMB_FAIL(LMB_EUSAGE, "where to? --out RUN");
    if (!c->resume)
        return check_is_new(run);
    LMB_TRY(lmb_run_path(run, LMB_RUN_LAST, &last));
    if (!lmb_path_is_dir(c->out))
        return LMB_FAIL(
            LMB_ENOTFOUND, "%s: nothing to resume: no such run", c->out);
    /* Killed before its first checkpoint, a run begins again. */
    run->has_checkpoint = lmb_path_exists(last);
    if (run->looked_at && !run->has_checkpoint)
        return LMB_FAIL(
            LMB_ENOTFOUND, "%s: no step of it has been saved yet", c->out);
    return run->looked_at ? LMB_OK : take_directory(run);
}

static lmb_status make_directory(lmb_run *run)
{
    if (run->config->resume || run->made_directory)
        return LMB_OK;
    if (run->found_directory) {
        /* Another may have begun in it since it was looked at: that one's
         * files are not ours to remove. */
        LMB_TRY(take_directory(run));
        LMB_TRY(check_no_run(run));
        run->made_directory = true;
        return LMB_OK;
    }
    LMB_TRY(lmb_make_new_dir(run->config->out));
    run->made_directory = true;
    return take_directory(run);
}

/* A cache may lie in the directory, which is made first then. Each has files
 * and a lock of its own. */
static lmb_status open_cache(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    if (c->cache == NULL)
        return LMB_OK;
    LMB_TRY(make_directory(run));
    if (lmb_path_same(c->cache, c->out))
        return LMB_FAIL(LMB_EUSAGE,
            "--cache %s: the run's own folder; one in it will do, as %s/cache",
            c->cache, c->out);
    return lmb_run_cache_open(run);
}

static lmb_status open_directory(lmb_run *run)
{
    const lmb_run_config *c = run->config;
    const char *last = NULL;
    LMB_TRY(make_directory(run));
    if (!run->has_checkpoint)
        return lmb_runlog_open(c->out, NULL, &run->log);
    LMB_TRY(lmb_run_path(run, LMB_RUN_LAST, &last));
    LMB_TRY(lmb_checkpoint_load(last, &run->state));
    if (run->state.threads > 0 && run->state.threads != run->threads)
        lmb_log_line(LMB_LOG_WARNING,
            "%s: made with %lld threads, goes on with %d (--threads): its "
            "numbers will be near those of an unbroken run, not equal",
            last, (long long)run->state.threads, run->threads);
    run->state.threads = run->threads;
    run->start_step = run->state.step;
    run->saved = true;
    if (run->looked_at)
        return LMB_OK;
    return lmb_runlog_open(c->out, &run->state.mark, &run->log);
}

/* A run that ends before its first checkpoint leaves nothing behind. */
static void close_directory(lmb_run *run)
{
    lmb_lock_drop(run->lock_path, run->lock);
    if (!run->made_directory || run->saved)
        return;
    if (run->config->cache != NULL)
        lmb_remove_below(run->config->out, run->config->cache);
    if (run->found_directory)
        lmb_remove_files(run->config->out);
    else
        lmb_remove_dir(run->config->out);
}

/* --- all together --------------------------------------------------------- */

static lmb_status open_run(lmb_run *run)
{
    LMB_TRY(check_directory(run));
    LMB_TRY(set_precision(run));
    LMB_TRY(lmb_run_open_data(run));
    LMB_TRY(open_student(run));
    LMB_TRY(open_teachers(run));
    LMB_TRY(lmb_run_start(run));
    LMB_TRY(lmb_run_open_loader(run));
    LMB_TRY(lmb_run_open_stages(run));
    LMB_TRY(check_teachers(run));
    LMB_TRY(lmb_workspace_new(&run->workspace));
    LMB_TRY(open_cache(run));
    LMB_TRY(lmb_run_open_connectors(run));
    LMB_TRY(open_state(run));
    if (!run->looked_at)
        LMB_TRY(hash_config(run));
    return open_directory(run);
}

static lmb_status make_run(const lmb_run_config *config,
    const lmb_observer *observer, bool looked_at, lmb_run **out)
{
    lmb_run *run = NULL;
    LMB_TRY(LMB_NEW(run, 1));
    run->config = config;
    run->observer = *observer;
    run->looked_at = looked_at;
    run->lock = -1;
    run->begun = run->last_save = lmb_clock_now();
    const lmb_status st = open_run(run);
    if (st != LMB_OK) {
        lmb_run_free(run);
        return st;
    }
    *out = run;
    return LMB_OK;
}

lmb_status lmb_run_open(
    const lmb_run_config *config, const lmb_observer *observer, lmb_run **out)
{
    return make_run(config, observer, false, out);
}

lmb_status lmb_run_look(const lmb_run_config *config, lmb_run **out)
{
    const lmb_observer nobody = {0};
    LMB_ASSERT(config->resume);
    return make_run(config, &nobody, true, out);
}

void lmb_run_free(lmb_run *run)
{
    if (run == NULL)
        return;
    char kept[2048]; /* why it ended: logs may fail to close, too */
    (void)snprintf(kept, sizeof kept, "%s", lmb_last_error());
    lmb_runlog_free(run->log);
    lmb_run_cache_free(run->cache);
    close_directory(run);
    lmb__restore(kept);
    lmb_evaluator_free(run->evaluator);
    lmb_loader_free(run->loader);
    for (int i = 0; i < run->n_steps; i++)
        lmb_train_step_free(run->steps[i]);
    lmb_workspace_free(run->workspace);
    for (int i = 0; i < run->state.n_stores; i++)
        lmb_optim_free(run->state.optims[i]);
    lmb_free(run->state.ema);
    lmb_free(run->state.ema_buffers);
    lmb_run_fini_stages(run);
    for (int i = 0; i < run->n_teachers; i++)
        lmb_network_fini(&run->teachers[i]);
    lmb_network_fini(&run->student);
    lmb_dataset_free(run->test);
    lmb_dataset_free(run->fraction);
    lmb_dataset_free(run->held);
    lmb_dataset_free(run->rest);
    lmb_dataset_free(run->opened);
    lmb_free(run);
}
