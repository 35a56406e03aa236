/* test_last_steps.c: the end of an epoch and of a run: a last batch of one
 * picture, and a stop on the last step of all. */
#include "classifier_runs.h"

#include "train/run_impl.h"
#include "train/trainer.h"

enum { IMAGES = 17, BATCH = 16 };

static int make_folder(void **state)
{
    return classifier_folder(state, IMAGES);
}

static void configure(lmb_run_config *c, const char *out)
{
    CHECK_OK(lmb_run_config_init(c));
    c->student = "resnet8";
    c->data = data;
    c->train.epochs = 1;
    c->train.batch = BATCH;
    c->train.lr = 0.01;
    c->train.momentum = 0;
    c->train.weight_decay = 0;
    c->train.threads = 1;
    c->train.loader_threads = 0;
    c->train.precision = LMB_PRECISION_F32;
    c->train.eval_batch = 16;
    c->train.teacher_check = 0;
    c->train.allow_reference = true;
    c->out = out;
}

/* --- a stop on the last step ---------------------------------------------- */

static volatile sig_atomic_t stop;

static void stop_at_once(const lmb_progress *p, void *user)
{
    (void)p;
    (void)user;
    stop = 1;
}

static lmb_status run_once(const char *out, bool stops, bool resume)
{
    lmb_run_config c = {0};
    lmb_run *run = NULL;
    lmb_run_result result = {0};
    const lmb_observer observer = {
        .on_step = stops ? stop_at_once : NULL, .stop = &stop};
    stop = 0;
    configure(&c, out);
    c.train.max_steps = 1; /* of the two of an epoch */
    c.resume = resume;
    CHECK_OK(lmb_run_open(&c, &observer, &run));
    lmb_status st = lmb_run_train(run);
    if (st == LMB_OK)
        st = lmb_run_finish(run, &result);
    lmb_run_result_fini(&result);
    lmb_run_free(run);
    lmb_run_config_fini(&c);
    return st;
}

/* The rows of the epoch that max_steps cuts off come on resume. */
static void a_stop_on_the_last_step_loses_no_row(void **state)
{
    (void)state;
    CHECK_OK(run_once(in_folder("unbroken"), false, false));
    assert_int_equal(
        run_once(in_folder("stopped"), true, false), LMB_EINTERRUPTED);
    assert_false(exists(in_folder("stopped/best.safetensors")));
    CHECK_OK(run_once(in_folder("stopped"), false, true));
    check_same_file(in_folder("unbroken/best.safetensors"),
        in_folder("stopped/best.safetensors"));
    size_t size = 0;
    char *rows = read_all(in_folder("stopped/metrics.jsonl"), &size);
    assert_non_null(strstr(rows, "\"split\": \"train\""));
    assert_non_null(strstr(rows, "\"loss_ce\""));
    assert_non_null(strstr(rows, "\"split\": \"test\""));
    free(rows);
    /* Once more changes nothing. */
    CHECK_OK(run_once(in_folder("stopped"), false, true));
    check_same_file(in_folder("unbroken/best.safetensors"),
        in_folder("stopped/best.safetensors"));
}

/* --- a last batch of one -------------------------------------------------- */

/* Maps of one place have no deviation in a batch of one picture. */
static void a_last_batch_that_cannot_be_trained_on_is_refused(void **state)
{
    (void)state;
    lmb_run_config c = {0};
    lmb_run *run = NULL;
    const lmb_observer none = {0};
    configure(&c, in_folder("refused"));
    c.student = "resnet18";
    CHECK_ERR(lmb_run_open(&c, &none, &run), LMB_ESHAPE,
        "the last batch of an epoch has 1 pictures");
    assert_false(exists(in_folder("refused")));
    c.train.batch = IMAGES;
    CHECK_OK(lmb_run_open(&c, &none, &run));
    lmb_run_free(run);
    lmb_run_config_fini(&c);
}

static void weights_after(int64_t steps, const char *out, float *w, size_t most)
{
    lmb_run_config c = {0};
    lmb_run *run = NULL;
    const lmb_observer none = {0};
    configure(&c, out);
    c.teachers[0].weights = teacher;
    c.n_teachers = 1;
    c.methods[0] =
        (lmb_method_config){.name = "rkd", .weight = 1, .warmup = NAN};
    c.n_methods = 1;
    c.ce_weight = 0;
    c.train.max_steps = steps;
    CHECK_OK(lmb_run_open(&c, &none, &run));
    CHECK_OK(lmb_run_train(run));
    assert_true((size_t)lmb_params_data_size(run->state.stores[0]) <= most);
    memcpy(w, lmb_params_data(run->state.stores[0]),
        (size_t)lmb_params_data_size(run->state.stores[0]) * sizeof *w);
    lmb_run_free(run);
    lmb_run_config_fini(&c);
}

/* One sample has no relations: its step has no gradient, and does not take that
 * of the step before. */
static void a_step_without_gradient_moves_nothing(void **state)
{
    (void)state;
    enum { MOST = 100000 };
    float *one = calloc(MOST, sizeof *one), *two = calloc(MOST, sizeof *two);
    assert_non_null(one);
    assert_non_null(two);
    weights_after(1, in_folder("one"), one, MOST);
    weights_after(2, in_folder("two"), two, MOST);
    assert_memory_equal(one, two, MOST * sizeof *one);
    free(one);
    free(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_on_the_last_step_loses_no_row),
        cmocka_unit_test(a_last_batch_that_cannot_be_trained_on_is_refused),
        cmocka_unit_test(a_step_without_gradient_moves_nothing),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
