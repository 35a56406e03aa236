/* Memory of whole runs: out of it at any moment, flat over epochs, and none
 * asked for by a steady step.
 *
 * LIMBECK_TEST_SWEEP=1 fails every single allocation; usually a few hundred,
 * spread over all of them. */
#include "program.h"

#include "backend/onednn/dnn.h"
#include "train/network.h"
#include "train/trainer.h"

/* The sanitizers are slow, and keep what is freed. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1, FAILURES = 15 };
#else
enum { SANITIZED = 0, FAILURES = 150 };
#endif

enum { IMAGES = 40, BATCH = 16 };

static char teacher[2 * PROGRAM_PATH], data[2 * PROGRAM_PATH];

/* A teacher that need know nothing. */
static int make_folder(void **state)
{
    const lmb_model *model = NULL;
    lmb_network net = {0};
    if (program_folder(state) != 0)
        return 1;
    write_data(IMAGES);
    (void)snprintf(data, sizeof data, "idx:%s", in_folder("data"));
    (void)snprintf(
        teacher, sizeof teacher, "%s", in_folder("teacher.safetensors"));
    CHECK_OK(lmb_model_get("resnet8", &model));
    CHECK_OK(lmb_network_new(model, 4, 16, LMB_F32, &net));
    lmb_params_init(net.params, 3);
    CHECK_OK(lmb_network_save(&net, NULL, 16, 0, teacher));
    lmb_network_fini(&net);
    return 0;
}

/* Two methods of different kinds, averages, everything that a run may have. */
static lmb_status configure(lmb_run_config *c, const char *out)
{
    LMB_TRY(lmb_run_config_init(c));
    c->student = "resnet8";
    c->data = data;
    c->teachers[0].weights = teacher;
    c->n_teachers = 1;
    c->methods[0] = (lmb_method_config){.name = "fitnet"};
    c->methods[1] = (lmb_method_config){.name = "pcd"};
    for (int i = 0; i < 2; i++)
        c->methods[i].weight = c->methods[i].warmup = NAN;
    c->n_methods = 2;
    c->train.epochs = 2;
    c->train.batch = BATCH;
    c->train.lr = 0.01;
    c->train.ema = 0.9;
    c->train.threads = 1;
    c->train.loader_threads = 0;
    c->train.precision = LMB_PRECISION_F32;
    c->train.val_split = 0.2;
    c->train.eval_batch = 16;
    c->train.save_every = 1;
    c->train.teacher_check = 16;
    c->train.allow_reference = true;
    c->force = true;
    c->out = out;
    return LMB_OK;
}

static lmb_status run_config(
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
static lmb_status run_once(const char *out, int64_t steps, bool resume)
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
static void prepare(const char *out, bool resume)
{
    remove_tree(out);
    if (resume)
        CHECK_OK(run_once(out, 1, false));
}

static int64_t stride_of(int64_t all)
{
    return getenv("LIMBECK_TEST_SWEEP") != NULL ? 1 : 1 + all / FAILURES;
}

static void sweep(const char *name, bool resume)
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

static void out_of_memory_in_a_new_run(void **state)
{
    (void)state;
    sweep("new", false);
}

static void out_of_memory_in_a_resumed_run(void **state)
{
    (void)state;
    sweep("resumed", true);
}

/* After a failure the checkpoint is whole: the run goes on with it. */
static void out_of_memory_does_not_harm_the_checkpoint(void **state)
{
    (void)state;
    const char *out = in_folder("whole");
    prepare(out, true);
    for (int64_t n = 5; n < 4000; n += 14000 / FAILURES) {
        lmb_alloc_fail_at(n);
        const lmb_status st = run_once(out, 1, true);
        lmb_alloc_fail_at(-1);
        assert_true(st == LMB_ENOMEM || st == LMB_OK);
    }
    CHECK_OK(run_once(out, 2, true));
}

/* --- flat ----------------------------------------------------------------- */

typedef struct watch {
    int64_t blocks, asked; /* alive, and asked for, after a step */
    int64_t steps;
    double resident[2]; /* pages after epochs 3 and 12 */
} watch;

static double resident_pages(void)
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
static void watch_step(const lmb_progress *p, void *user)
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

static void watch_row(const lmb_row *row, void *user)
{
    watch *w = user;
    if (row->epoch == 3)
        w->resident[0] = resident_pages();
    if (row->epoch == 12)
        w->resident[1] = resident_pages();
}

static void memory_is_flat(void **state)
{
    (void)state;
    watch w = {0};
    const lmb_observer observer = {
        .on_step = watch_step, .on_row = watch_row, .user = &w};
    lmb_run_config c = {0};
    CHECK_OK(configure(&c, in_folder("flat")));
    c.train.epochs = 12;
    c.train.save_every = 0;
    c.train.allow_reference = !lmb_dnn_available();
    c.train.loader_threads = 1;
    CHECK_OK(run_config(&c, &observer));
    lmb_run_config_fini(&c);
    (void)printf("resident pages: %.0f after 3 epochs, %.0f after 12; %lld "
                 "steps asked for nothing\n",
        w.resident[0], w.resident[1], (long long)w.steps);
    assert_true(w.steps >= 9 || !lmb_dnn_available());
    if (w.resident[0] > 0 && w.resident[1] > 0 && !SANITIZED)
        CHECK_NEAR(w.resident[1] / w.resident[0], 1, 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_flat),
        cmocka_unit_test(out_of_memory_in_a_new_run),
        cmocka_unit_test(out_of_memory_in_a_resumed_run),
        cmocka_unit_test(out_of_memory_does_not_harm_the_checkpoint),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
