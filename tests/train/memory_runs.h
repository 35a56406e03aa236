/* memory_runs.h: whole runs under watch: out of memory at any moment, flat over
 * epochs, and steady steps that ask for nothing.
 *
 * LIMBECK_TEST_SWEEP=1 fails every single allocation; usually a few hundred,
 * spread over all of them. */
#ifndef LMB_TEST_MEMORY_RUNS_H
#define LMB_TEST_MEMORY_RUNS_H

#include "program.h"

#include "backend/onednn/dnn.h"
#include "train/trainer.h"

/* The sanitizers are slow, and keep what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1, FAILURES = 15 };
#else
enum { SANITIZED = 0, FAILURES = 150 };
#endif
static int64_t failures_wanted = FAILURES; /* fewer, where runs are slow */

/* The test's own: everything of a run but `resume` and `max_steps`. */
static lmb_status configure(lmb_run_config *c, const char *out);

static inline lmb_status run_config(
    const lmb_run_config *c, const lmb_observer *observer)
{
    lmb_run *run = NULL;
    lmb_run_result result = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_run_open(c, observer, &run), st, done);
    LMB_GOTO(lmb_run_train(run), st, done);
    LMB_GOTO(lmb_run_finish(run, &result), st, done);
done:
    lmb_run_result_fini(&result);
    lmb_run_free(run);
    return st;
}

/* Opens, takes `steps` steps, saves at each; `resume` goes on with it. */
static inline lmb_status run_once(const char *out, int64_t steps, bool resume)
{
    const lmb_observer none = {0};
    lmb_run_config c = {0};
    lmb_status st = configure(&c, out);
    c.train.max_steps = steps;
    c.resume = resume;
    if (st == LMB_OK)
        st = run_config(&c, &none);
    lmb_run_config_fini(&c);
    return st;
}

/* --- out of memory -------------------------------------------------------- */

/* The folder as it was; a resumed run finds its first step there. */
static inline void prepare(const char *out, bool resume)
{
    remove_tree(out);
    if (resume)
        CHECK_OK(run_once(out, 1, false));
}

static inline int64_t stride_of(int64_t all)
{
    return getenv("LIMBECK_TEST_SWEEP") != NULL ? 1 : 1 + all / failures_wanted;
}

static inline void sweep(const char *name, bool resume)
{
    const char *out = in_folder("%s", name);
    const int64_t steps = resume ? 2 : 1;
    prepare(out, resume);
    const int64_t before = lmb_alloc_total();
    CHECK_OK(run_once(out, steps, resume));
    const int64_t all = lmb_alloc_total() - before;
    const int64_t stride = stride_of(all);
    const int64_t live = lmb_alloc_live();
    int64_t n = 0, failures = 0;
    for (; n < all; n += stride) {
        prepare(out, resume);
        lmb_alloc_fail_at(n);
        const lmb_status st = run_once(out, steps, resume);
        const bool failed = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        if (failed && st != LMB_ENOMEM)
            fail_msg("allocation %lld of %lld: status %d: %s", (long long)n,
                (long long)all, (int)st, lmb_last_error());
        if (lmb_alloc_live() != live)
            fail_msg("allocation %lld of %lld: %lld blocks are left",
                (long long)n, (long long)all,
                (long long)(lmb_alloc_live() - live));
        assert_int_equal(count_files(out, ".tmp."), 0);
        failures += failed;
    }
    (void)printf("%s: %lld of %lld allocations failed\n", name,
        (long long)failures, (long long)all);
    assert_true(failures > 0);
}

/* --- flat ----------------------------------------------------------------- */

typedef struct watch {
    int64_t blocks, asked; /* alive, and asked for, after a step */
    int64_t steps;
    double resident[2]; /* pages after epochs 3 and 12 */
} watch;

static inline double resident_pages(void)
{
    long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%ld %ld", &size, &resident) != 2)
        resident = 0;
    if (f != NULL)
        (void)fclose(f);
    return (double)resident;
}

/* From the second epoch on, all plans are made. */
static inline void watch_step(const lmb_progress *p, void *user)
{
    watch *w = user;
    /* Kernels ask for nothing; the reference asks for scratch. */
    if (p->epoch > 2 && p->step_in_epoch > 1 && lmb_dnn_available()) {
        assert_int_equal(lmb_alloc_total(), w->asked);
        assert_int_equal(lmb_alloc_live(), w->blocks);
        w->steps++;
    }
    w->asked = lmb_alloc_total();
    w->blocks = lmb_alloc_live();
}

static inline void watch_row(const lmb_row *row, void *user)
{
    watch *w = user;
    if (row->epoch == 3)
        w->resident[0] = resident_pages();
    if (row->epoch == 12)
        w->resident[1] = resident_pages();
}

/* A run of 12 epochs; `least`: how many steps must have asked for nothing. */
static inline void check_flat(lmb_run_config *c, int64_t least)
{
    watch w = {0};
    const lmb_observer observer = {
        .on_step = watch_step, .on_row = watch_row, .user = &w};
    c->train.epochs = 12;
    c->train.save_every = 0;
    c->train.allow_reference = !lmb_dnn_available();
    c->train.loader_threads = 1;
    CHECK_OK(run_config(c, &observer));
    (void)printf("resident pages: %.0f after 3 epochs, %.0f after 12; %lld "
                 "steps asked for nothing\n",
        w.resident[0], w.resident[1], (long long)w.steps);
    assert_true(w.steps >= least || !lmb_dnn_available());
    if (w.resident[0] > 0 && w.resident[1] > 0 && !SANITIZED)
        CHECK_NEAR(w.resident[1] / w.resident[0], 1, 0.02);
}

#endif
