/* trainer.c: the loop of a run: epochs, their rows, checkpoints and
 * evaluations; run_batch.c does a batch, run_finish.c the end. */
#include "train/trainer.h"

#include "base/clock.h"
#include "train/run_cache.h"
#include "train/run_impl.h"

#include <math.h>
#include <string.h>

/* --- rows and progress ---------------------------------------------------- */

static lmb_row epoch_row(const lmb_run *run, double images_per_second)
{
    const lmb_run_state *s = &run->state;
    const double n = s->sum_images > 0 ? (double)s->sum_images : 1;
    lmb_row row = {
        .epoch = s->epoch,
        .step = s->step,
        .split = "train",
        .loss = s->sum_loss / n,
        .task = run->task,
        .n_terms = run->stage->n_terms,
        .lr = lmb_run_lr(run, s->step_in_epoch > 0 ? s->step_in_epoch - 1 : 0),
        .images_per_second = images_per_second,
        .seconds = lmb_clock_now() - run->begun,
    };
    for (int i = 0; i < run->stage->n_terms; i++) {
        row.term_name[i] = run->stage->terms[i].method->name;
        row.term[i] = s->sum_term[i] / n;
    }
    const lmb_train_step *step = run->n_steps > 0 ? run->steps[0] : NULL;
    row.n_parts = step != NULL ? step->n_parts : 0;
    for (int i = 0; i < row.n_parts; i++) {
        row.part_name[i] = step->part_name[i];
        row.part[i] = s->sum_part[i] / n;
    }
    for (int i = 0; i < LMB_MAX_SCORES; i++)
        row.score[i] = NAN;
    if (!lmb_task_is_detection(run->task))
        row.score[LMB_TOP1] = 100 * (double)s->sum_correct / n;
    return row;
}

static lmb_status write_row(lmb_run *run, const lmb_row *row)
{
    LMB_TRY(lmb_runlog_row(run->log, row));
    if (run->observer.on_row != NULL)
        run->observer.on_row(row, run->observer.user);
    return LMB_OK;
}

static void report_progress(
    lmb_run *run, double epoch_start, int64_t images_before)
{
    if (run->observer.on_step == NULL)
        return;
    const double seconds = lmb_clock_now() - epoch_start;
    const double rate = seconds > 0
        ? (double)(run->trained_images - images_before) / seconds
        : 0;
    const lmb_run_state *s = &run->state;
    const int64_t images = lmb_run_epoch_images(run);
    const int64_t total = run->config->train.epochs * images;
    const int64_t done = (s->epoch - 1) * images + s->sum_images;
    const lmb_progress p = {
        .epoch = s->epoch,
        .epochs = run->config->train.epochs,
        .step_in_epoch = s->step_in_epoch,
        .steps_per_epoch = lmb_loader_steps(run->loader),
        .so_far = epoch_row(run, rate),
        .seconds_left = rate > 0 ? (double)(total - done) / rate : NAN,
    };
    run->observer.on_step(&p, run->observer.user);
}

/* --- saving --------------------------------------------------------------- */

/* Only a state that can be gone on with is saved. */
static lmb_status check_finite(const lmb_run *run)
{
    const lmb_run_state *s = &run->state;
    const lmb_param *bad = NULL;
    for (int i = 0; i < s->n_stores && bad == NULL; i++)
        bad = lmb_params_nonfinite(s->stores[i]);
    if (bad == NULL)
        return LMB_OK;
    if (s->step == 0 && run->config->init != NULL)
        return LMB_FAIL(LMB_ENUMERIC, "%s: %s has values that are not finite",
            run->config->init, bad->name);
    return LMB_FAIL(LMB_ENUMERIC,
        "%s is not finite at epoch %lld, step %lld; the last good checkpoint "
        "is kept",
        bad->name, (long long)s->epoch, (long long)s->step);
}

static lmb_status save_state(lmb_run *run, const lmb_runlog_mark *mark)
{
    const char *path = NULL;
    LMB_TRY(check_finite(run));
    LMB_TRY(lmb_run_path(run, LMB_RUN_LAST, &path));
    run->state.mark = *mark;
    LMB_TRY(lmb_checkpoint_save(path, &run->state));
    run->saved = true;
    run->last_save = lmb_clock_now();
    if (run->observer.on_checkpoint != NULL)
        run->observer.on_checkpoint(path, run->state.step, run->observer.user);
    return LMB_OK;
}

lmb_status lmb_run_save(lmb_run *run)
{
    lmb_runlog_mark now = {0};
    LMB_TRY(lmb_runlog_mark_now(run->log, &now));
    return save_state(run, &now);
}

/* Saves; the row of the epoch, if it is written, will come again. */
static lmb_status stop_here(lmb_run *run, const lmb_runlog_mark *mark)
{
    LMB_TRY(mark != NULL ? save_state(run, mark) : lmb_run_save(run));
    return LMB_FAIL(LMB_EINTERRUPTED,
        "stopped at epoch %lld, step %lld; --resume goes on",
        (long long)run->state.epoch, (long long)run->state.step);
}

static bool time_to_save(const lmb_run *run)
{
    const lmb_train_opts *t = &run->config->train;
    return (t->save_every > 0 && run->state.step % t->save_every == 0) ||
        (t->save_minutes > 0 &&
            lmb_clock_now() - run->last_save >= 60 * t->save_minutes);
}

/* --- evaluation ----------------------------------------------------------- */

static void swap_floats(float *a, float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* With averaged weights on, they are what is evaluated and saved. */
void lmb_run_swap_average(lmb_run *run)
{
    lmb_run_state *s = &run->state;
    if (s->ema == NULL)
        return;
    lmb_params *store = s->stores[0];
    swap_floats(lmb_params_data(store), s->ema, lmb_params_data_size(store));
    swap_floats(lmb_params_buffers(store), s->ema_buffers,
        lmb_params_buffers_size(store));
    lmb_params_touch(store);
}

lmb_status lmb_run_save_student(lmb_run *run, const char *name)
{
    const char *path = NULL;
    const lmb_network *net = &run->student;
    const bool boxes = lmb_task_is_detection(run->task);
    LMB_TRY(lmb_run_path(run, name, &path));
    return lmb_network_save(net, run->train_data,
        boxes ? net->side[0] : run->train_transform.height, net->side[1], path);
}

static lmb_status evaluate_student(lmb_run *run, lmb_eval_result *out)
{
    if (run->evaluator == NULL) {
        const lmb_eval_spec spec = lmb_run_eval_spec(run);
        LMB_TRY(lmb_evaluator_new(&run->student, run->chosen, &spec,
            run->workspace, &run->evaluator));
    }
    lmb_params_touch(run->student.params);
    return lmb_evaluator_run(run->evaluator, out);
}

static lmb_status note_accuracy(lmb_run *run, const lmb_eval_result *r)
{
    lmb_run_state *s = &run->state;
    memcpy(s->last, r->score, sizeof s->last);
    if (s->best_epoch == 0 || r->score[0] > s->best[0]) {
        memcpy(s->best, r->score, sizeof s->best);
        s->best_epoch = s->epoch;
        LMB_TRY(lmb_run_save_student(run, LMB_RUN_BEST));
    }
    lmb_row row = {
        .epoch = s->epoch,
        .step = s->step,
        .split = run->chosen == run->test ? "test" : "val",
        .loss = r->loss,
        .task = run->task,
        .lr = NAN,
        .images_per_second = (double)r->count / r->seconds,
        .seconds = lmb_clock_now() - run->begun,
    };
    if (!lmb_task_is_detection(run->task)) {
        row.part_name[row.n_parts] = "ce";
        row.part[row.n_parts++] = r->loss;
    }
    memcpy(row.score, r->score, sizeof row.score);
    return write_row(run, &row);
}

static lmb_status evaluate_epoch(lmb_run *run)
{
    lmb_eval_result r = {0};
    lmb_run_swap_average(run);
    lmb_status st = evaluate_student(run, &r);
    if (st == LMB_OK)
        st = note_accuracy(run, &r);
    lmb_run_swap_average(run);
    lmb_eval_fini(&r);
    return st;
}

/* --- epochs --------------------------------------------------------------- */

static bool stopped(const lmb_run *run)
{
    return run->observer.stop != NULL && *run->observer.stop != 0;
}

static bool out_of_steps(const lmb_run *run)
{
    const int64_t most = run->config->train.max_steps;
    return most > 0 && run->state.step >= most;
}

static lmb_status train_steps(lmb_run *run)
{
    lmb_run_state *s = &run->state;
    const double start = lmb_clock_now();
    const int64_t images = run->trained_images;
    const int64_t steps = lmb_loader_steps(run->loader);
    while (s->step_in_epoch < steps && !out_of_steps(run)) {
        LMB_TRY(lmb_run_batch(run));
        report_progress(run, start, images);
        if (s->step_in_epoch < steps && time_to_save(run))
            LMB_TRY(lmb_run_save(run));
        if (stopped(run)) {
            run->train_seconds += lmb_clock_now() - start;
            return stop_here(run, NULL);
        }
    }
    const double seconds = lmb_clock_now() - start;
    run->train_seconds += seconds;
    /* All steps of the epoch may have been made before the run was stopped. */
    const int64_t trained = run->trained_images - images;
    const lmb_row row = epoch_row(
        run, trained > 0 && seconds > 0 ? (double)trained / seconds : NAN);
    LMB_TRY(lmb_runlog_mark_now(run->log, &run->before_row));
    return write_row(run, &row);
}

static void next_epoch(lmb_run_state *s)
{
    s->epoch++;
    s->step_in_epoch = 0;
    s->sum_loss = 0;
    memset(s->sum_part, 0, sizeof s->sum_part);
    memset(s->sum_term, 0, sizeof s->sum_term);
    s->sum_images = s->sum_correct = 0;
}

/* Resumed behind the last step of an epoch, or of the run (max_steps), its row
 * is still to come, and a compiled step knows the parts of the loss by name. */
static lmb_status know_parts(lmb_run *run)
{
    int64_t size[3];
    lmb_train_step *step = NULL;
    const bool steps_left =
        run->state.step_in_epoch < lmb_loader_steps(run->loader) &&
        !out_of_steps(run);
    if (run->n_steps > 0 || steps_left)
        return LMB_OK;
    lmb_run_usual_size(run, size);
    return lmb_run_step_for(run, size, &step);
}

/* A stage that begins: fresh optimisers; its connectors have a store of their
 * own (run_stages.c). Only at the border itself, so that a run resumed inside
 * the stage goes on. */
static void begin_stage(lmb_run *run)
{
    lmb_run_state *s = &run->state;
    if (run->stage == run->stages || !run->config->train.stage_restart ||
        s->epoch != run->stage->first || s->step_in_epoch != 0)
        return;
    for (int i = 0; i < s->n_stores; i++)
        lmb_optim_reset(s->optims[i]);
}

static lmb_status train_epoch(lmb_run *run)
{
    const lmb_train_opts *t = &run->config->train;
    lmb_run_state *s = &run->state;
    LMB_TRY(lmb_run_cache_enter(run));
    lmb_run_enter_epoch(run, s->epoch);
    begin_stage(run);
    LMB_TRY(know_parts(run));
    LMB_TRY(train_steps(run));
    LMB_TRY(lmb_run_cache_leave(run));
    const bool last = s->epoch == t->epochs || out_of_steps(run);
    if (s->epoch % t->eval_every == 0 || last) {
        const lmb_status st = evaluate_epoch(run);
        if (st == LMB_EINTERRUPTED)
            return stop_here(run, &run->before_row);
        LMB_TRY(st);
    }
    next_epoch(s);
    return lmb_run_save(run);
}

lmb_status lmb_run_train(lmb_run *run)
{
    lmb_run_state *s = &run->state;
    if (run->observer.on_start != NULL)
        LMB_TRY(run->observer.on_start(run, run->observer.user));
    if (s->epoch > run->config->train.epochs)
        return LMB_OK; /* resumed after its end */
    /* A stop may fall on the last step of an epoch, before its row. */
    if (s->step_in_epoch < lmb_loader_steps(run->loader))
        LMB_TRY(lmb_loader_seek(run->loader, s->epoch, s->step_in_epoch));
    else
        LMB_TRY(lmb_loader_seek(run->loader, s->epoch + 1, 0));
    if (s->step == 0)
        LMB_TRY(lmb_run_save(run));
    /* max_steps may fall inside an epoch, whose rows are then still to come. */
    while (s->epoch <= run->config->train.epochs &&
        (!out_of_steps(run) || s->step_in_epoch > 0))
        LMB_TRY(train_epoch(run));
    return LMB_OK;
}
