/* Runs of detectors that are killed or stopped anywhere, at the border of two
 * stages too, and go on to the same bits.
 *
 * LIMBECK_TEST_KILLS=N kills N runs (6) at random steps; LIMBECK_TEST_SEED=N
 * chooses others. */
#include "detect_runs.h"
#include "equal_runs.h"

#include "base/rng.h"
#include "io/weights.h"

enum { STEPS = 5, EPOCHS = 4, IMAGES = 20, BORDER = 2 };

/* Two teachers in turn, random pictures, averages, two kinds of connectors. */
static const char *flags(void)
{
    static char text[8 * PROGRAM_PATH];
    (void)snprintf(text, sizeof text,
        "distill --student " TINY_STUDENT " --teacher-weights "
        "%s/first/student.safetensors --teacher-weights "
        "%s/second/student.safetensors --data coco:%s/set --method "
        "dfmsd,mimic " TINY_FLAGS "--force --teacher-check 4 --size 96 "
        "--short-least 64 --mosaic 0.3 --jitter 0.2 --epochs %d --lr 0.005 "
        "--ema 0.9 --save-every 3 --log-every 1",
        program_root, program_root, program_root, EPOCHS);
    return text;
}

static void make_teacher(const char *model, const char *name, int seed)
{
    program p = {0};
    program_start(&p,
        "train --model %s --data coco:%s " TINY_FLAGS
        "--max-steps 4 --seed %d --out %s",
        model, in_folder("set"), seed, in_folder("%s", name));
    program_ends(&p, 0);
}

static int make_folder(void **state)
{
    program p = {0};
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", IMAGES, 8, SCENE_CLASSES);
    make_teacher(TINY_TEACHER, "first", 1);
    make_teacher(TINY("retinanet_r18_fpn", "0.1"), "second", 2);
    program_start(&p, "%s --out %s", flags(), in_folder("whole"));
    program_ends(&p, 0);
    return 0;
}

static void resume_to_the_end_of(const char *whole, const char *run)
{
    program p = {0};
    program_start(&p, "distill --resume --force --out %s", run);
    program_ends(&p, 0);
    check_equal_runs(whole, run);
    remove_tree(run);
}

static void resume_to_the_end(const char *run)
{
    resume_to_the_end_of(in_folder("whole"), run);
}

static long saved_step(const char *run)
{
    char path[2 * PROGRAM_PATH];
    lmb_weights *w = NULL;
    (void)snprintf(path, sizeof path, "%s/last.safetensors", run);
    CHECK_OK(lmb_weights_load(path, &w));
    const char *text = lmb_weights_meta_get(w, "state.step");
    assert_non_null(text);
    const long value = strtol(text, NULL, 10);
    lmb_weights_free(w);
    return value;
}

static void come_to(program *p, long step)
{
    for (long at = 0; at < step;) {
        at = program_step(p);
        if (at < 0)
            fail_msg("ended before step %ld: %s", step, p->text);
    }
}

/* Starts a run and lets it come to `step`. */
static void run_until(program *p, const char *run, long step)
{
    program_start(p, "%s --out %s", flags(), run);
    come_to(p, step);
}

static void stop_at(long step, int signal, const char *name)
{
    program p = {.write_delay = "20"};
    const char *run = in_folder("%s%ld", name, step);
    run_until(&p, run, step);
    (void)kill(p.pid, signal);
    const int status = program_wait(&p);
    if (status != (signal == SIGKILL ? 1000 : 128) + signal)
        fail_msg("exit status %d: %s", status, p.text);
    (void)printf("step %ld: saved %ld\n", step, saved_step(run));
    resume_to_the_end(run);
}

/* --- tests ---------------------------------------------------------------- */

static void killed_at_any_step_it_ends_equal(void **state)
{
    (void)state;
    const char *kills = getenv("LIMBECK_TEST_KILLS");
    const char *seed = getenv("LIMBECK_TEST_SEED");
    lmb_rng rng = lmb_rng_make(
        seed != NULL ? strtoull(seed, NULL, 10) : 1, 0x6b696c6c, 0, 0);
    const long n = kills != NULL ? strtol(kills, NULL, 10) : 6;
    for (long i = 0; i < n; i++) /* in both stages */
        stop_at(1 + i % 2 * BORDER * STEPS +
                lmb_rng_below(&rng, BORDER * STEPS - 1),
            SIGKILL, "killed");
}

/* The last step of a stage, the first of the next, the last of an epoch
 * inside it. */
static void stopped_at_the_border_of_a_stage(void **state)
{
    (void)state;
    static const long steps[] = {BORDER * STEPS - 1, BORDER * STEPS,
        BORDER * STEPS + 1, (BORDER + 1) * STEPS - 1};
    for (size_t i = 0; i < LMB_COUNT(steps); i++)
        stop_at(steps[i], SIGTERM, "stopped");
}

/* The epoch's row is written, its evaluation has begun. */
static void stopped_inside_an_evaluation(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        program p = {0};
        char line[4096];
        const char *run = in_folder("evaluating%d", i);
        program_start(&p, "%s --out %s", flags(), run);
        for (int rows = 0; rows <= i;) {
            assert_non_null(program_line(&p, line, sizeof line));
            rows += strncmp(line, "epoch", 5) == 0 &&
                strstr(line, " train ") != NULL;
        }
        (void)kill(p.pid, SIGINT);
        program_ends(&p, 128 + SIGINT);
        resume_to_the_end(run);
    }
}

/* Proposals and the regions that are drawn of them are random, too. */
static void a_two_stage_detector_goes_on(void **state)
{
    (void)state;
    char line[4 * PROGRAM_PATH];
    program p = {0};
    make_teacher(TINY_REGIONS("0.125"), "regions", 3);
    (void)snprintf(line, sizeof line,
        "distill --student " TINY_REGIONS_STUDENT " --teacher-weights "
        "%s/regions/student.safetensors --data coco:%s/set --method pcd %s "
        "--force --teacher-check 0 --epochs 2 --save-every 2 --log-every 1 "
        "--out %s/",
        program_root, program_root, TINY_FLAGS, program_root);
    program_start(&p, "%sregions1", line);
    program_ends(&p, 0);
    for (long step = 3; step < 8; step += 4) {
        program_start(&p, "%sregions2", line);
        come_to(&p, step);
        (void)kill(p.pid, SIGKILL);
        program_ends(&p, 1000 + SIGKILL);
        resume_to_the_end_of(in_folder("regions1"), in_folder("regions2"));
    }
}

/* How many threads make the pictures is no part of a run. */
static void loader_threads_change_no_bit(void **state)
{
    (void)state;
    for (int threads = 1; threads < 3; threads++) {
        program p = {0};
        const char *run = in_folder("threads%d", threads);
        program_start(
            &p, "%s --loader-threads %d --out %s", flags(), threads, run);
        program_ends(&p, 0);
        check_equal_runs(in_folder("whole"), run);
        remove_tree(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loader_threads_change_no_bit),
        cmocka_unit_test(killed_at_any_step_it_ends_equal),
        cmocka_unit_test(stopped_at_the_border_of_a_stage),
        cmocka_unit_test(stopped_inside_an_evaluation),
        cmocka_unit_test(a_two_stage_detector_goes_on),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
