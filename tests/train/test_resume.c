/* Runs that are killed, stopped or out of disk, and go on to the same bits.
 *
 * LIMBECK_TEST_KILLS=N kills N runs at random steps (15) and N / 3 inside the
 * write of a checkpoint (5); LIMBECK_TEST_SEED=N chooses others. */
#include "equal_runs.h"

#include "backend/onednn/dnn.h"
#include "base/rng.h"
#include "io/weights.h"

enum { STEPS = 10, EPOCHS = 4, IMAGES = 152, BATCH = 16 };

/* All kinds of state: two networks, a connector, momentum, averages. */
static const char *flags_in(const char *folder)
{
    static char text[4 * PROGRAM_PATH];
    (void)snprintf(text, sizeof text,
        "distill --student resnet8 --teacher resnet8 --teacher-weights "
        "%s/teacher/student.safetensors --data idx:%s/data --method kd,fitnet "
        "--batch %d --epochs %d --lr 0.02 --save-every 3 --ema 0.9 --seed 7 "
        "--precision f32 --threads 1 --log-every 1 --allow-reference",
        folder, folder, BATCH, EPOCHS);
    return text;
}

static const char *flags(void)
{
    return flags_in(program_root);
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
    program_start(&p, "%s --out %s", flags(), in_folder("whole"));
    program_ends(&p, 0);
    return 0;
}

/* --- going on ------------------------------------------------------------- */

static void resume_to_the_end_of(const char *whole, const char *run)
{
    program p = {0};
    program_start(&p, "distill --resume --out %s", run);
    program_ends(&p, 0);
    check_equal_runs(whole, run);
    remove_tree(run);
}

static void resume_to_the_end(const char *run)
{
    resume_to_the_end_of(in_folder("whole"), run);
}

/* A number of the checkpoint's state. */
static long checkpoint_number(const char *run, const char *key)
{
    char path[2 * PROGRAM_PATH];
    lmb_weights *w = NULL;
    (void)snprintf(path, sizeof path, "%s/last.safetensors", run);
    CHECK_OK(lmb_weights_load(path, &w));
    const char *text = lmb_weights_meta_get(w, key);
    assert_non_null(text);
    const long value = strtol(text, NULL, 10);
    lmb_weights_free(w);
    return value;
}

static long wanted_kills(void)
{
    const char *text = getenv("LIMBECK_TEST_KILLS");
    return text != NULL ? strtol(text, NULL, 10) : 15;
}

static lmb_rng random_of(uint64_t test)
{
    const char *text = getenv("LIMBECK_TEST_SEED");
    return lmb_rng_make(
        text != NULL ? strtoull(text, NULL, 10) : 1, 0x6b696c6c, test, 0);
}

/* --- tests ---------------------------------------------------------------- */

static void loader_threads_change_no_bit(void **state)
{
    (void)state;
    static const int threads[] = {0, 2, 4};
    for (size_t i = 0; i < LMB_COUNT(threads); i++) {
        program p = {0};
        const char *run = in_folder("threads%d", threads[i]);
        program_start(
            &p, "%s --loader-threads %d --out %s", flags(), threads[i], run);
        program_ends(&p, 0);
        check_equal_runs(in_folder("whole"), run);
        remove_tree(run);
    }
}

static void another_seed_gives_other_weights(void **state)
{
    (void)state;
    program p = {0};
    const char *run = in_folder("seed8");
    program_start(&p, "%s --seed 8 --out %s", flags(), run);
    program_ends(&p, 0);
    char *x = metrics_of(in_folder("whole")), *y = metrics_of(run);
    assert_string_not_equal(x, y);
    free(x);
    free(y);
    remove_tree(run);
}

/* Starts a run and lets it come to `step`, then waits `ms` more. */
static void run_until(program *p, const char *run, long step, double ms)
{
    program_start(p, "%s --out %s", flags(), run);
    for (long at = 0; at < step;) {
        at = program_step(p);
        if (at < 0)
            fail_msg("ended before step %ld: %s", step, p->text);
    }
    wait_ms(ms);
}

/* Whether it was killed before it came to its end. */
static bool killed_in_time(program *p)
{
    (void)kill(p->pid, SIGKILL);
    const int status = program_wait(p);
    if (status != 0 && status != 1000 + SIGKILL)
        fail_msg("exit status %d: %s", status, p->text);
    return status != 0;
}

/* After the first checkpoint, away from the first and last steps of epochs. */
static void killed_at_any_step_it_ends_equal(void **state)
{
    (void)state;
    lmb_rng rng = random_of(1);
    for (long i = 0; i < wanted_kills();) {
        program p = {0};
        const char *run = in_folder("killed%ld", i);
        const long epoch = lmb_rng_below(&rng, EPOCHS);
        const long step = epoch * STEPS + 4 + lmb_rng_below(&rng, STEPS - 5);
        const double ms = 3 * lmb_rng_uniform(&rng);
        run_until(&p, run, step, ms);
        const bool hit = killed_in_time(&p);
        const long saved = checkpoint_number(run, "state.step");
        (void)printf("killed after step %ld + %.2f ms; saved: %ld%s\n", step,
            ms, saved, hit ? "" : "; missed");
        assert_true(saved > 0);
        i += hit;
        resume_to_the_end(run);
    }
}

/* Killed again and again, it still comes to the same end. */
static void killed_many_times_it_ends_equal(void **state)
{
    (void)state;
    program p = {.write_delay = "10"};
    lmb_rng rng = random_of(2);
    const char *run = in_folder("chain");
    run_until(&p, run, 4, 0);
    for (int i = 0; i < 4; i++) {
        (void)kill(p.pid, SIGKILL);
        program_ends(&p, 1000 + SIGKILL);
        program_start(&p, "distill --resume --log-every 1 --out %s", run);
        for (uint32_t k = 4 + lmb_rng_below(&rng, 3); k > 0; k--)
            assert_true(program_step(&p) > 0);
    }
    (void)kill(p.pid, SIGKILL);
    program_ends(&p, 1000 + SIGKILL);
    resume_to_the_end(run);
}

/* Waits until the n-th checkpoint is being written; false if it ended. */
static bool wait_for_write(const char *run, uint32_t n)
{
    bool before = false;
    for (int ms = 0; ms < 30000; ms++) {
        const bool now = count_files(run, "last.safetensors.tmp.") > 0;
        if (now && !before && --n == 0)
            return true;
        before = now;
        wait_ms(1);
    }
    return false;
}

static void killed_inside_a_write_it_ends_equal(void **state)
{
    (void)state;
    lmb_rng rng = random_of(3);
    for (long i = 0; i < (wanted_kills() + 2) / 3;) {
        program p = {.write_delay = "25"};
        const char *run = in_folder("write%ld", i);
        const double ms = 45 * lmb_rng_uniform(&rng);
        program_start(&p, "%s --out %s", flags(), run);
        assert_true(wait_for_write(run, 3 + lmb_rng_below(&rng, 8)));
        wait_ms(ms);
        (void)kill(p.pid, SIGKILL);
        program_ends(&p, 1000 + SIGKILL);
        const bool hit = count_files(run, "last.safetensors.tmp.") == 1;
        (void)printf("killed %.1f ms into a write; saved: %ld%s\n", ms,
            checkpoint_number(run, "state.step"), hit ? "" : "; missed");
        i += hit;
        resume_to_the_end(run);
    }
}

static void killed_before_the_first_checkpoint_it_begins_again(void **state)
{
    (void)state;
    program p = {.write_delay = "200"};
    const char *run = in_folder("early");
    program_start(&p, "%s --out %s", flags(), run);
    assert_true(wait_for_write(run, 1));
    (void)kill(p.pid, SIGKILL);
    program_ends(&p, 1000 + SIGKILL);
    assert_int_equal(count_files(run, "last.safetensors.tmp."), 1);
    resume_to_the_end(run);
}

static void killed_after_the_last_step_it_ends_equal(void **state)
{
    (void)state;
    program p = {.write_delay = "25"};
    const char *run = in_folder("late");
    run_until(&p, run, EPOCHS * STEPS, 60);
    (void)printf("%s\n", killed_in_time(&p) ? "killed" : "missed");
    resume_to_the_end(run);
}

static void a_signal_ends_the_step_and_saves(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM};
    lmb_rng rng = random_of(4);
    for (size_t i = 0; i < LMB_COUNT(signals); i++) {
        program p = {.write_delay = "20"};
        const char *run = in_folder("stopped%zu", i);
        const long step = 2 + lmb_rng_below(&rng, EPOCHS * STEPS - 12);
        run_until(&p, run, step, 0);
        (void)kill(p.pid, signals[i]);
        program_ends(&p, 128 + signals[i]);
        assert_true(checkpoint_number(run, "state.step") >= step);
        assert_non_null(strstr(program_last_line(&p), "--resume goes on"));
        assert_int_equal(count_files(run, ".tmp."), 0);
        resume_to_the_end(run);
    }
}

/* Stopped on the last step of an epoch, the epoch's row is still to come. */
static void a_signal_on_the_last_step_of_an_epoch(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        program p = {.write_delay = "20"};
        const char *run = in_folder("border%d", i);
        run_until(&p, run, STEPS * (1 + 2 * i) - 1, 0);
        (void)kill(p.pid, SIGTERM);
        program_ends(&p, 128 + SIGTERM);
        resume_to_the_end(run);
    }
}

/* The epoch's row is written, its evaluation has begun. */
static void a_signal_inside_an_evaluation(void **state)
{
    (void)state;
    program p = {0};
    const char *whole = in_folder("whole1");
    program_start(&p, "%s --eval-batch 1 --out %s", flags(), whole);
    program_ends(&p, 0);
    for (int i = 0; i < 3; i++) {
        char line[4096];
        const char *run = in_folder("evaluating%d", i);
        program_start(&p, "%s --eval-batch 1 --out %s", flags(), run);
        for (int rows = 0; rows <= i;) {
            assert_non_null(program_line(&p, line, sizeof line));
            rows += strncmp(line, "epoch", 5) == 0 &&
                strstr(line, " train ") != NULL;
        }
        (void)kill(p.pid, SIGINT);
        program_ends(&p, 128 + SIGINT);
        (void)printf("stopped at step %ld of epoch %d\n",
            checkpoint_number(run, "state.step_in_epoch"), i + 1);
        resume_to_the_end_of(whole, run);
    }
}

static void a_second_signal_leaves_at_once(void **state)
{
    (void)state;
    program p = {.write_delay = "3000"};
    struct timespec begin, end;
    const char *run = in_folder("twice");
    program_start(&p, "%s --out %s", flags(), run);
    assert_true(wait_for_write(run, 1));
    (void)kill(p.pid, SIGINT);
    wait_ms(50);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    (void)kill(p.pid, SIGINT);
    program_ends(&p, 128 + SIGINT);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 2);
    resume_to_the_end(run);
}

static void a_full_disk_leaves_the_old_checkpoint(void **state)
{
    (void)state;
    program p = {.write_delay = "100"}; /* stops before the epoch ends */
    size_t size = 0, after = 0;
    const char *run = in_folder("full");
    const char *last = in_folder("full/last.safetensors");
    run_until(&p, run, 5, 0);
    (void)kill(p.pid, SIGTERM);
    program_ends(&p, 128 + SIGTERM);
    char *before = read_all(last, &size);
    p.file_limit = 100000; /* less than a checkpoint needs */
    assert_true(size > p.file_limit);
    program_start(&p, "distill --resume --out %s", run);
    program_ends(&p, 1);
    const char *line = program_last_line(&p);
    assert_non_null(strstr(line, last));
    assert_non_null(strstr(line, "the old file is untouched"));
    char *now = read_all(last, &after);
    assert_int_equal(size, after);
    assert_memory_equal(before, now, size);
    assert_int_equal(count_files(run, ".tmp."), 0);
    free(before);
    free(now);
    resume_to_the_end(run);
}

static void a_full_disk_at_the_start_leaves_nothing(void **state)
{
    (void)state;
    program p = {.file_limit = 100000};
    const char *run = in_folder("never");
    program_start(&p, "%s --out %s", flags(), run);
    program_ends(&p, 1);
    assert_non_null(strstr(program_last_line(&p), "last.safetensors"));
    assert_false(exists(run));
    /* A folder that was there stays. */
    assert_int_equal(mkdir(run, 0777), 0);
    program_start(&p, "%s --out %s", flags(), run);
    program_ends(&p, 1);
    assert_int_equal(rmdir(run), 0);
}

static void two_cannot_go_on_with_one_run(void **state)
{
    (void)state;
    program p = {.write_delay = "30"}, other = {0};
    const char *run = in_folder("shared");
    run_until(&p, run, 2, 0);
    program_start(&other, "distill --resume --out %s", run);
    program_ends(&other, 1);
    assert_non_null(strstr(program_last_line(&other), "another process"));
    program_ends(&p, 0);
    check_equal_runs(in_folder("whole"), run);
    remove_tree(run);
}

/* --- what a run knows of itself ------------------------------------------- */

/* The whole line that holds `key`, the n-th one from 0; free() it. */
static char *line_of(const char *path, const char *key, int n)
{
    size_t size = 0;
    char *text = read_all(path, &size), *at = text;
    for (at = strstr(at, key); at != NULL && n-- > 0;)
        at = strstr(at + 1, key);
    char *line = at != NULL ? strdup(at) : NULL;
    free(text);
    if (line != NULL)
        line[strcspn(line, "\n")] = '\0';
    return line;
}

static void check_same_line(const char *path, const char *key, const char *want)
{
    char *line = line_of(path, key, 0);
    assert_non_null(line);
    assert_string_equal(line, want);
    free(line);
}

/* The first state is that of step 0. A run that goes on from it is a resumed
 * one as any other: its teacher was tried, its first weights were read. */
static void killed_before_the_second_checkpoint_it_is_resumed(void **state)
{
    (void)state;
    program p = {.write_delay = "400"};
    size_t size = 0;
    char run[2 * PROGRAM_PATH], init[2 * PROGRAM_PATH];
    char manifest[2 * PROGRAM_PATH];
    (void)snprintf(run, sizeof run, "%s", in_folder("zero"));
    (void)snprintf(init, sizeof init, "%s", in_folder("init.safetensors"));
    (void)snprintf(
        manifest, sizeof manifest, "%s", in_folder("zero/manifest.json"));
    char *text = read_all(in_folder("teacher/student.safetensors"), &size);
    write_all(init, text, size);
    free(text);
    program_start(&p, "%s --init %s --out %s", flags(), init, run);
    assert_true(program_step(&p) > 0);
    (void)kill(p.pid, SIGKILL);
    program_ends(&p, 1000 + SIGKILL);
    assert_int_equal(checkpoint_number(run, "state.step"), 0);
    char *score = line_of(manifest, "\"teacher_top1\"", 0);
    char *checked = line_of(manifest, "\"teacher_checked\"", 0);
    char *digest = line_of(manifest, "\"sha256\"", 0); /* of init */
    assert_true(score != NULL && checked != NULL && digest != NULL);
    assert_null(strstr(score, "null"));
    assert_int_equal(remove(init), 0);
    p.write_delay = NULL;
    program_start(&p, "distill --resume --out %s", run);
    program_ends(&p, 0);
    assert_non_null(strstr(p.text, "resumed    at step 0"));
    assert_null(strstr(p.text, "was not tried"));
    check_same_line(manifest, "\"teacher_top1\"", score);
    check_same_line(manifest, "\"teacher_checked\"", checked);
    check_same_line(manifest, "\"sha256\"", digest);
    char *session = line_of(manifest, "\"start_step\"", 1);
    assert_non_null(session);
    free(session);
    free(score);
    free(checked);
    free(digest);
    remove_tree(run);
}

/* --- files that are elsewhere --------------------------------------------- */

static void stop_at_step(program *p, const char *line, const char *run)
{
    program_start(p, "%s --out %s", line, run);
    for (long at = 0; at < 5;) {
        at = program_step(p);
        if (at < 0)
            fail_msg("ended early: %s", p->text);
    }
    (void)kill(p->pid, SIGTERM);
    program_ends(p, 128 + SIGTERM);
}

/* The paths of its configuration count from the folder that it began in. */
static void a_run_goes_on_from_another_folder(void **state)
{
    (void)state;
    program p = {.write_delay = "20", .folder = program_root};
    const char *run = in_folder("there");
    stop_at_step(&p, flags_in("."), "there");
    p.folder = "/";
    program_start(&p, "distill --resume --out %s", run);
    program_ends(&p, 0);
    check_equal_runs(in_folder("whole"), run);
    /* Spelt otherwise they are the same files. */
    p.folder = NULL;
    program_start(&p,
        "distill --resume --out %s --data idx:%s/./data --teacher-weights "
        "%s/../%s/teacher/student.safetensors",
        run, program_root, program_root, strrchr(program_root, '/') + 1);
    program_ends(&p, 0);
    remove_tree(run);
}

/* Data that lie elsewhere by now are those of the run if they are equal. */
static void data_may_have_been_moved(void **state)
{
    (void)state;
    program p = {.write_delay = "20"};
    const char *run = in_folder("moved"), *copy = in_folder("copy");
    const char *other = in_folder("other");
    assert_int_equal(mkdir(copy, 0777), 0);
    write_idx(copy, "train", IMAGES, 4);
    write_idx(copy, "t10k", 40, 4);
    assert_int_equal(mkdir(other, 0777), 0);
    write_idx(other, "train", IMAGES + 4, 4);
    write_idx(other, "t10k", 40, 4);
    stop_at_step(&p, flags(), run);
    program_start(&p, "distill --resume --data idx:%s --out %s", other, run);
    program_ends(&p, 1);
    assert_non_null(strstr(program_last_line(&p), "made with other data"));
    program_start(&p, "distill --resume --data shapes --out %s", run);
    program_ends(&p, 2);
    assert_non_null(strstr(program_last_line(&p), "data.spec: the run to"));
    program_start(&p, "distill --resume --data idx:%s --out %s", copy, run);
    program_ends(&p, 0);
    check_equal_runs(in_folder("whole"), run);
    remove_tree(run);
    remove_tree(copy);
    remove_tree(other);
}

/* With a part held out the test split is what only the end looks at. */
static void another_test_split_is_an_error(void **state)
{
    (void)state;
    program p = {.write_delay = "20"};
    char line[8 * PROGRAM_PATH];
    const char *run = in_folder("held"), *other = in_folder("other");
    assert_int_equal(mkdir(other, 0777), 0);
    write_idx(other, "train", IMAGES, 4);
    write_idx(other, "t10k", 44, 4);
    (void)snprintf(line, sizeof line, "%s --val-split 0.2", flags());
    stop_at_step(&p, line, run);
    program_start(&p, "distill --resume --data idx:%s --out %s", other, run);
    program_ends(&p, 1);
    assert_non_null(strstr(program_last_line(&p), "another test split"));
    program_start(&p, "distill --resume --out %s", run);
    program_ends(&p, 0);
    remove_tree(run);
    remove_tree(other);
}

/* --- what a machine decides ----------------------------------------------- */

/* Puts `to` in place of the last `from` in a file. */
static void replace_in(const char *path, const char *from, const char *to)
{
    size_t size = 0;
    char *text = read_all(path, &size), *at = NULL;
    char *out = calloc(size + strlen(to) + 1, 1);
    for (char *next = strstr(text, from); next != NULL;
         next = strstr(next + 1, from))
        at = next;
    assert_true(at != NULL && out != NULL);
    *at = '\0';
    (void)strcat(strcat(strcat(out, text), to), at + strlen(from));
    write_all(path, out, strlen(out));
    free(out);
    free(text);
}

/* As begun by "auto" where that was f32, which it need not be here. */
static void auto_goes_on_in_what_the_run_was_begun_in(void **state)
{
    (void)state;
    program p = {.write_delay = "20"};
    char config[2 * PROGRAM_PATH], manifest[2 * PROGRAM_PATH];
    const char *run = in_folder("auto");
    (void)snprintf(config, sizeof config, "%s/config.yaml", run);
    (void)snprintf(manifest, sizeof manifest, "%s/manifest.json", run);
    stop_at_step(&p, flags(), run);
    replace_in(config, "  precision: f32", "  precision: auto");
    program_start(&p, "distill --resume --precision bf16 --out %s", run);
    program_ends(&p, 2);
    assert_non_null(
        strstr(program_last_line(&p), "was begun in f32, not in bf16"));
    if (!lmb_dnn_has_bf16()) {
        replace_in(
            manifest, "\"precision\": \"f32\"", "\"precision\": \"bf16\"");
        program_start(&p, "distill --resume --out %s", run);
        program_ends(&p, 1);
        assert_non_null(strstr(program_last_line(&p),
            "was begun in bf16, and this CPU has neither"));
        replace_in(
            manifest, "\"precision\": \"bf16\"", "\"precision\": \"f32\"");
    }
    program_start(&p, "distill --resume --precision f32 --out %s", run);
    (void)program_step(&p);
    (void)kill(p.pid, SIGTERM);
    (void)program_wait(&p);
    resume_to_the_end(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loader_threads_change_no_bit),
        cmocka_unit_test(another_seed_gives_other_weights),
        cmocka_unit_test(killed_at_any_step_it_ends_equal),
        cmocka_unit_test(killed_many_times_it_ends_equal),
        cmocka_unit_test(killed_inside_a_write_it_ends_equal),
        cmocka_unit_test(killed_before_the_first_checkpoint_it_begins_again),
        cmocka_unit_test(killed_before_the_second_checkpoint_it_is_resumed),
        cmocka_unit_test(killed_after_the_last_step_it_ends_equal),
        cmocka_unit_test(a_run_goes_on_from_another_folder),
        cmocka_unit_test(data_may_have_been_moved),
        cmocka_unit_test(another_test_split_is_an_error),
        cmocka_unit_test(auto_goes_on_in_what_the_run_was_begun_in),
        cmocka_unit_test(a_signal_ends_the_step_and_saves),
        cmocka_unit_test(a_signal_on_the_last_step_of_an_epoch),
        cmocka_unit_test(a_signal_inside_an_evaluation),
        cmocka_unit_test(a_second_signal_leaves_at_once),
        cmocka_unit_test(a_full_disk_leaves_the_old_checkpoint),
        cmocka_unit_test(a_full_disk_at_the_start_leaves_nothing),
        cmocka_unit_test(two_cannot_go_on_with_one_run),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_teacher, program_folder_remove);
    return failed + lmb_test_leaks();
}
