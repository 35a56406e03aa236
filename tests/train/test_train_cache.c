/* Runs with --cache: they give the bits of runs without it, whoever kept the
 * logits and wherever they stop; and what they refuse. */
#include "equal_runs.h"

#include "backend/onednn/dnn.h"
#include "train/network.h"
#include "train/step.h"

enum { IMAGES = 152, BATCH = 16, EPOCHS = 3 };

/* The last batch of an epoch has 8 images. */
static const char *flags(const char *precision)
{
    static char text[4 * PROGRAM_PATH];
    (void)snprintf(text, sizeof text,
        "distill --student resnet8 --teacher resnet8 --teacher-weights "
        "%s/teacher/student.safetensors --teacher-mean 0.4,0.4,0.4 "
        "--teacher-std 0.3,0.3,0.3 "
        "--data idx:%s/data --method kd,dkd --batch %d --epochs %d --lr 0.02 "
        "--seed 7 --precision %s --threads 1 --log-every 1 --save-every 4 "
        "--allow-reference --force",
        program_root, program_root, BATCH, EPOCHS, precision);
    return text;
}

static void run_to_the_end(const char *options, const char *run)
{
    program p = {0};
    program_start(&p, "%s %s --out %s", flags("f32"), options, run);
    program_ends(&p, 0);
}

static int make_teacher(void **state)
{
    program p = {0};
    if (program_folder(state) != 0)
        return 1;
    write_data(IMAGES);
    program_start(&p,
        "train --model resnet8 --data idx:%s --epochs 3 --batch 16 --lr 0.02 "
        "--precision f32 --threads 1 --allow-reference --out %s",
        in_folder("data"), in_folder("teacher"));
    program_ends(&p, 0);
    run_to_the_end("", in_folder("whole"));
    return 0;
}

static const char *cache_flag(const char *name)
{
    static char text[2][3 * PROGRAM_PATH];
    static unsigned next;
    char *out = text[next++ % 2];
    (void)snprintf(out, sizeof text[0], "--cache %s", in_folder("%s", name));
    return out;
}

/* A run with that cache is the run without one. */
static void check_cached(const char *cache, int epochs)
{
    const char *run = in_folder("cached");
    run_to_the_end(cache_flag(cache), run);
    check_equal_runs(in_folder("whole"), run);
    assert_int_equal(count_files(in_folder("%s", cache), "epoch-"), epochs);
    assert_int_equal(count_files(in_folder("%s", cache), ".tmp."), 0);
    assert_int_equal(count_files(in_folder("%s", cache), ".lock"), 0);
    remove_tree(run);
}

/* --- equal to the bit ----------------------------------------------------- */

static void keeping_and_reading_change_no_bit(void **state)
{
    (void)state;
    check_cached("c", EPOCHS); /* keeps */
    check_cached("c", EPOCHS); /* reads */
}

static void another_student_and_method_read_it(void **state)
{
    (void)state;
    static const char change[] = "--student resnet20 --method pcd --lr 0.01";
    char options[4 * PROGRAM_PATH];
    run_to_the_end(change, in_folder("other"));
    (void)snprintf(options, sizeof options, "%s %s", change, cache_flag("c"));
    run_to_the_end(options, in_folder("other_cached"));
    check_equal_runs(in_folder("other"), in_folder("other_cached"));
}

static void in_bf16_too(void **state)
{
    (void)state;
    static const char *const runs[] = {"b_live", "b_keeps", "b_reads"};
    if (!lmb_dnn_has_bf16())
        skip();
    for (int i = 0; i < 3; i++) {
        program p = {0};
        program_start(&p, "%s %s --out %s", flags("bf16"),
            i > 0 ? cache_flag("b") : "", in_folder("%s", runs[i]));
        program_ends(&p, 0);
        check_equal_runs(in_folder("b_live"), in_folder("%s", runs[i]));
    }
}

/* --val-split and --fraction leave and find rows in the same files. */
static void parts_of_the_data_share_it(void **state)
{
    (void)state;
    static const char part[] = "--val-split 0.2 --fraction 0.7";
    static const char *const caches[] = {"c", "p", "p"};
    char options[4 * PROGRAM_PATH];
    run_to_the_end(part, in_folder("part"));
    for (size_t i = 0; i < LMB_COUNT(caches); i++) {
        const char *run = in_folder("part_cached");
        (void)snprintf(
            options, sizeof options, "%s %s", part, cache_flag(caches[i]));
        run_to_the_end(options, run);
        check_equal_runs(in_folder("part"), run);
        remove_tree(run);
    }
    check_cached("p", EPOCHS); /* adds what is missing */
    check_cached("p", EPOCHS);
}

/* --- stops ---------------------------------------------------------------- */

/* Starts a run and lets it come to `step`. */
static void run_until(program *p, const char *cache, const char *run, long step)
{
    program_start(p, "%s %s --out %s", flags("f32"), cache_flag(cache), run);
    for (long at = 0; at < step;) {
        at = program_step(p);
        if (at < 0)
            fail_msg("ended before step %ld: %s", step, p->text);
    }
}

static void stop_and_resume(const char *cache, long step, int signal)
{
    program p = {.write_delay = "100"};
    const char *run = in_folder("stopped");
    run_until(&p, cache, run, step);
    (void)kill(p.pid, signal);
    assert_int_not_equal(program_wait(&p), 0);
    p.write_delay = NULL;
    program_start(&p, "distill --resume --force --out %s", run);
    program_ends(&p, 0);
    check_equal_runs(in_folder("whole"), run);
    assert_int_equal(count_files(in_folder("%s", cache), ".tmp."), 0);
    remove_tree(run);
}

/* The epoch of the stop is in nobody's hands as a whole: it is not kept. */
static void a_stopped_run_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    stop_and_resume("s", 14, SIGTERM);
    assert_true(exists(in_folder("s/epoch-0001.safetensors")));
    assert_false(exists(in_folder("s/epoch-0002.safetensors")));
    assert_true(exists(in_folder("s/epoch-0003.safetensors")));
    stop_and_resume("s", 17, SIGKILL);
    stop_and_resume("c", 16, SIGTERM); /* whole: read after the stop */
    check_cached("s", EPOCHS);
    check_cached("s", EPOCHS);
}

/* A run may go on with another cache, or with none. */
static void a_run_goes_on_without_it(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        program p = {.write_delay = "100"};
        const char *run = in_folder("without");
        run_until(&p, "c", run, 12);
        (void)kill(p.pid, SIGTERM);
        program_ends(&p, 128 + SIGTERM);
        program_start(&p, "distill --resume --force %s --out %s",
            i == 0 ? "--set train.cache=" : cache_flag("x"), run);
        program_ends(&p, 0);
        check_equal_runs(in_folder("whole"), run);
        remove_tree(run);
    }
}

static void two_at_once_share_a_folder(void **state)
{
    (void)state;
    program a = {0}, b = {0};
    program_start(&a, "%s %s --out %s", flags("f32"), cache_flag("two"),
        in_folder("run_a"));
    program_start(&b, "%s %s --out %s", flags("f32"), cache_flag("two"),
        in_folder("run_b"));
    program_ends(&a, 0);
    program_ends(&b, 0);
    check_equal_runs(in_folder("whole"), in_folder("run_a"));
    check_equal_runs(in_folder("whole"), in_folder("run_b"));
    check_cached("two", EPOCHS);
}

/* --- in the run's own folder ---------------------------------------------- */

static void a_cache_may_lie_in_the_run(void **state)
{
    (void)state;
    const char *run = in_folder("own");
    run_to_the_end(cache_flag("own/deep/cache"), run);
    check_equal_runs(in_folder("whole"), run);
    assert_int_equal(
        count_files(in_folder("own/deep/cache"), "epoch-"), EPOCHS);
    check_cached("own/deep/cache", EPOCHS); /* another run reads it */
    remove_tree(run);
    stop_and_resume("stopped/cache", 14, SIGTERM);
}

/* Neither a new start nor --resume finds anything in its way. */
static void a_run_that_fails_takes_its_cache_along(void **state)
{
    (void)state;
    program p = {.file_limit = 100000}; /* less than a checkpoint needs */
    const char *run = in_folder("own");
    program_start(
        &p, "%s %s --out %s", flags("f32"), cache_flag("own/deep/cache"), run);
    program_ends(&p, 1);
    assert_non_null(strstr(program_last_line(&p), "last.safetensors"));
    assert_false(exists(run));
    p.file_limit = 0;
    program_start(&p, "%s %s --method fitnet --out %s", flags("f32"),
        cache_flag("own/cache"), run);
    program_ends(&p, 2);
    assert_false(exists(run));
}

/* --- what is refused ------------------------------------------------------ */

static void check_refused(const char *options, int status, const char *part)
{
    program p = {0};
    program_start(&p, "%s %s %s --out %s", flags("f32"), cache_flag("c"),
        options, in_folder("refused"));
    const int found = program_wait(&p);
    const char *line = program_last_line(&p);
    if (found != status || strstr(line, part) == NULL)
        fail_msg("%s: exit status %d: '%s', not %d: '%s'", options, found, line,
            status, part);
    assert_false(exists(in_folder("refused")));
}

static void another_identity_is_an_error(void **state)
{
    (void)state;
    char weights[2 * PROGRAM_PATH];
    (void)snprintf(weights, sizeof weights, "--set teachers.0.weights=%s",
        in_folder("whole/student.safetensors"));
    check_refused("--seed 8", 1, "made with seed '7', this run has '8'");
    check_refused("--batch 8", 1, "made with batch '16', this run has '8'");
    check_refused("--augment none", 1, "made with crop '1'");
    check_refused("--teacher-std 0.5,0.5,0.5", 1, "made with teacher_std '");
    check_refused(weights, 1,
        "c/cache.json: the cache was made with "
        "teacher_xxh64 '");
    if (lmb_dnn_has_bf16())
        check_refused("--precision bf16", 1, "precision 'f32'");
}

static void methods_on_features_are_an_error(void **state)
{
    (void)state;
    check_refused("--method fitnet", 2,
        "fitnet compares the teacher's f2, and a cache holds its logits alone");
    check_refused("--method rkd", 2, "rkd compares the teacher's pooled");
    program p = {0};
    program_start(&p, "train --model resnet8 --data idx:%s %s --out %s",
        in_folder("data"), cache_flag("c"), in_folder("refused"));
    program_ends(&p, 2);
    assert_non_null(strstr(p.text, "unknown flag --cache"));
}

/* Both have a lock there, and files of their own. */
static void the_runs_folder_itself_is_an_error(void **state)
{
    (void)state;
    check_refused(cache_flag("refused"), 2, "the run's own folder");
}

static void damage_is_an_error(void **state)
{
    (void)state;
    size_t size = 0;
    const char *path = in_folder("c/epoch-0001.safetensors");
    char *good = read_all(path, &size);
    write_all(path, good, size - 1);
    check_refused("", 1, "c/epoch-0001.safetensors: damaged: ");
    good[size - 20] ^= 1;
    write_all(path, good, size);
    program p = {0};
    program_start(&p, "%s %s --out %s", flags("f32"), cache_flag("c"),
        in_folder("damaged"));
    program_ends(&p, 1);
    assert_non_null(
        strstr(program_last_line(&p), "c/epoch-0001.safetensors: damaged: "));
    good[size - 20] ^= 1;
    write_all(path, good, size);
    free(good);
    check_cached("c", EPOCHS);
}

/* --- the step ------------------------------------------------------------- */

static int64_t step_macs(
    lmb_network *student, lmb_network *teacher, lmb_teacher_logits logits)
{
    lmb_term term = {.weight = 1};
    lmb_train_step *s = NULL;
    CHECK_OK(lmb_method_get("kd", &term.method));
    CHECK_OK(lmb_method_new(term.method, 0, NULL, NULL, &term.state));
    CHECK_OK(lmb_params_new(LMB_F32, &term.params));
    const lmb_step_spec spec = {
        .batch = 2,
        .height = 32,
        .width = 32,
        .samples = 2,
        .student = student,
        .teacher = teacher,
        .terms = &term,
        .n_terms = teacher != NULL,
        .task_weight = 1,
        .teacher_logits = logits,
        .allow_reference = true,
    };
    CHECK_OK(lmb_train_step_new(&spec, &s));
    const int64_t macs = lmb_plan_describe(s->plan).conv_macs;
    lmb_train_step_free(s);
    lmb_params_free(term.params);
    lmb_method_free(term.method, term.state);
    return macs;
}

static void with_logits_given_the_teacher_is_not_run(void **state)
{
    (void)state;
    const lmb_model *model = NULL;
    lmb_network student = {0}, teacher = {0};
    CHECK_OK(lmb_model_get("resnet8", &model));
    CHECK_OK(lmb_network_new(model, 10, 32, LMB_F32, &student));
    CHECK_OK(lmb_network_new(model, 10, 32, LMB_F32, &teacher));
    const int64_t plain = step_macs(&student, NULL, LMB_LOGITS_LIVE);
    const int64_t live = step_macs(&student, &teacher, LMB_LOGITS_LIVE);
    assert_true(live > plain);
    assert_true(step_macs(&student, &teacher, LMB_LOGITS_KEPT) == live);
    assert_true(step_macs(&student, &teacher, LMB_LOGITS_GIVEN) == plain);
    lmb_network_fini(&student);
    lmb_network_fini(&teacher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_logits_given_the_teacher_is_not_run),
        cmocka_unit_test(keeping_and_reading_change_no_bit),
        cmocka_unit_test(another_student_and_method_read_it),
        cmocka_unit_test(in_bf16_too),
        cmocka_unit_test(parts_of_the_data_share_it),
        cmocka_unit_test(a_stopped_run_goes_on_to_the_same_bits),
        cmocka_unit_test(a_run_goes_on_without_it),
        cmocka_unit_test(two_at_once_share_a_folder),
        cmocka_unit_test(a_cache_may_lie_in_the_run),
        cmocka_unit_test(a_run_that_fails_takes_its_cache_along),
        cmocka_unit_test(another_identity_is_an_error),
        cmocka_unit_test(methods_on_features_are_an_error),
        cmocka_unit_test(the_runs_folder_itself_is_an_error),
        cmocka_unit_test(damage_is_an_error),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_teacher, program_folder_remove);
    return failed + lmb_test_leaks();
}
