/* Memory of whole runs: out of it at any moment, flat over epochs, and none
 * asked for by a steady step. */
#include "classifier_runs.h"
#include "memory_runs.h"

enum { IMAGES = 40, BATCH = 16 };

static int make_folder(void **state)
{
    return classifier_folder(state, IMAGES);
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

static void memory_is_flat(void **state)
{
    (void)state;
    lmb_run_config c = {0};
    CHECK_OK(configure(&c, in_folder("flat")));
    check_flat(&c, 9);
    lmb_run_config_fini(&c);
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
