/* test_train_stages.c: what begins anew with a stage of a classifier's run:
 * warm-ups, phases, the learning rate; and what runs refuse before they start.
 */
#include "classifier_runs.h"

#include "base/log.h"
#include "train/config.h"
#include "train/run_impl.h"
#include "train/trainer.h"

enum { IMAGES = 32, STEPS = 2 };

static int make_folder(void **state)
{
    return classifier_folder(state, IMAGES);
}

/* --- opening a run -------------------------------------------------------- */

typedef struct opened {
    lmb_config config;
    lmb_run_config c;
    lmb_run *run;
} opened;

/* `rest`: methods and stages; `train`: keys of the section. */
static void configure(
    opened *o, const char *rest, const char *train, const char *out)
{
    char text[8 * PROGRAM_PATH];
    *o = (opened){0};
    const int n = snprintf(text, sizeof text,
        "student: resnet8\ndata: %s\nteachers: [{weights: %s}]\nout: %s\n%s"
        "train: {batch: 16, threads: 1, loader_threads: 0, precision: f32, "
        "teacher_check: 0, allow_reference: true, lr: 0.1, %s}\n",
        data, teacher, in_folder("%s", out), rest, train);
    assert_true(n > 0 && n < (int)sizeof text);
    CHECK_OK(lmb_config_init(&o->config));
    CHECK_OK(lmb_run_config_init(&o->c));
    CHECK_OK(lmb_config_parse(&o->config, text, (size_t)n, "run.yaml"));
    CHECK_OK(lmb_config_resolve(&o->config, &o->c));
}

static void close_run(opened *o)
{
    lmb_run_free(o->run);
    lmb_run_config_fini(&o->c);
    lmb_config_fini(&o->config);
}

static const lmb_observer nobody = {0};

static void open_run(opened *o, const char *rest, const char *train)
{
    configure(o, rest, train, "looked-at");
    CHECK_OK(lmb_run_open(&o->c, &nobody, &o->run));
}

static void refuse(const char *rest, const char *train, const char *part)
{
    opened o;
    configure(&o, rest, train, "refused");
    CHECK_ERR(lmb_run_open(&o.c, &nobody, &o.run), LMB_EINVAL, part);
    assert_false(exists(in_folder("refused")));
    close_run(&o);
}

/* --- warm-ups and phases -------------------------------------------------- */

/* Four epochs of kd, then pcd with two phases. */
#define TAUGHT(schedule) \
    "methods:\n" \
    "  - kd\n" \
    "  - {name: pcd, warmup: 2, " schedule \
    "options: {schedule: staged, directions: f2cl, stages: 2}}\n" \
    "stages:\n" \
    "  - {teacher: 0, until: 4, methods: [kd]}\n" \
    "  - {teacher: 0, methods: [pcd]}\n"

static void check_epoch(opened *o, int64_t epoch, int phase, double share)
{
    lmb_run_enter_epoch(o->run, epoch);
    assert_int_equal(o->run->phase[0], phase);
    CHECK_NEAR(
        lmb_term_share(&o->run->stage->terms[0], epoch, 10), share, 1e-15);
}

/* 5 .. 10 are the six epochs of the second stage. Asked for in any order, as by
 * a run that goes on. */
static void they_count_the_epochs_of_a_stage(void **state)
{
    (void)state;
    opened o;
    open_run(&o, TAUGHT(""), "epochs: 10");
    check_epoch(&o, 9, 1, 1);
    check_epoch(&o, 5, 0, 0.5);
    check_epoch(&o, 1, 0, 1);
    check_epoch(&o, 6, 0, 1);
    check_epoch(&o, 8, 0, 1);
    check_epoch(&o, 10, 1, 1);
    close_run(&o);
}

static void without_a_restart_those_of_the_run(void **state)
{
    (void)state;
    opened o;
    open_run(&o, TAUGHT(""), "epochs: 10, stage_restart: false");
    check_epoch(&o, 5, 0, 1);
    check_epoch(&o, 6, 0, 1);
    check_epoch(&o, 7, 1, 1);
    check_epoch(&o, 10, 1, 1);
    close_run(&o);
}

/* The weight's schedule goes over the run, whatever its stages. */
static void a_terms_schedule_is_the_runs(void **state)
{
    (void)state;
    opened o;
    open_run(&o, TAUGHT("schedule: linear, "), "epochs: 10");
    check_epoch(&o, 5, 0, 0.5 * 0.6);
    check_epoch(&o, 10, 1, 0.1);
    close_run(&o);
}

#define STAGED(options) \
    "methods: [{name: pcd, options: {schedule: staged" options "}}]\n"

static void every_phase_needs_an_epoch(void **state)
{
    (void)state;
    opened o;
    refuse(STAGED(""), "epochs: 5",
        "pcd: 5 epochs with a warm-up of 20 reach 1 of 6 phases: each needs an "
        "epoch");
    refuse(STAGED(""), "epochs: 20", "reach 1 of 6");
    refuse(STAGED(""), "epochs: 25", "25 epochs with a warm-up of 20 reach 5");
    refuse(STAGED(", phase_epochs: 5"), "epochs: 40", "reach 4 of 6 phases");
    open_run(&o, STAGED(""), "epochs: 26");
    close_run(&o);
    open_run(&o, STAGED(""), "epochs: 26, max_steps: 1");
    close_run(&o);
    open_run(&o, STAGED(", phase_groups: 2"), "epochs: 1");
    close_run(&o);
}

static void in_each_stage_that_begins_anew(void **state)
{
    (void)state;
    opened o;
    const char *short_one =
        "methods: [{name: pcd, warmup: 1, options: {schedule: staged}}]\n"
        "stages: [{teacher: 0, until: 8}, {teacher: 0}]\n";
    refuse(short_one, "epochs: 12",
        "pcd: 4 epochs of stage 2 with a warm-up of 1 reach 3 of 6 phases");
    open_run(&o, short_one, "epochs: 12, stage_restart: false");
    close_run(&o);
    /* The first phases would fall into a stage of another method. */
    refuse(TAUGHT(""), "epochs: 6, stage_restart: false",
        "pcd: 6 epochs with a warm-up of 2 reach 1 of 2 phases");
}

/* --- the learning rate ---------------------------------------------------- */

#define TWO_STAGES \
    "methods: [kd]\nstages: [{teacher: 0, until: 4}, {teacher: 0}]\n"

static char said[1024];

static void keep_said(lmb_log_level level, const char *text, void *user)
{
    (void)user;
    if (level == LMB_LOG_WARNING)
        (void)snprintf(said, sizeof said, "%s", text);
}

/* Rates of the eight epochs, as powers of ten below 0.1. */
static void check_rates(const char *train, const int *want)
{
    opened o;
    said[0] = '\0';
    lmb_log_set(keep_said, NULL);
    open_run(&o, TWO_STAGES, train);
    lmb_log_set(NULL, NULL);
    for (int epoch = 8; epoch >= 1; epoch--) {
        lmb_run_enter_epoch(o.run, epoch);
        o.run->state.epoch = epoch;
        CHECK_NEAR(
            lmb_run_lr(o.run, 0), 0.1 * pow(0.1, want[epoch - 1]), 1e-15);
    }
    close_run(&o);
}

static void decays_count_within_each_stage(void **state)
{
    static const int each[] = {0, 0, 1, 2, 0, 0, 1, 2};
    static const int once[] = {0, 0, 1, 2, 2, 2, 2, 2};
    static const int none[] = {0, 0, 0, 0, 0, 0, 0, 0};
    (void)state;
    check_rates("epochs: 8, decay_epochs: [2, 3]", each);
    check_rates("epochs: 8, decay_epochs: [2, 3], stage_restart: false", once);
    check_rates("epochs: 8, decay_epochs: []", none);
    assert_string_equal(said, "");
}

/* A list for the whole run. */
static void decays_beyond_a_stage_are_the_runs(void **state)
{
    static const int whole[] = {0, 0, 1, 1, 1, 1, 2, 2};
    static const int border[] = {0, 0, 0, 0, 1, 1, 1, 1};
    (void)state;
    check_rates("epochs: 8, decay_epochs: [2, 6]", whole);
    assert_non_null(strstr(said,
        "decay_epochs: 6 is not within the 4 epochs of stage 1: they count "
        "over the whole run"));
    check_rates("epochs: 8, decay_epochs: [4]", border);
    assert_non_null(strstr(said, "decay_epochs: 4 is not within"));
}

/* As every file of mdistiller has some. */
static void a_cosine_has_no_use_for_decays(void **state)
{
    (void)state;
    opened o;
    double rate[8];
    said[0] = '\0';
    lmb_log_set(keep_said, NULL);
    open_run(&o, TWO_STAGES,
        "epochs: 8, schedule: cosine, decay_epochs: [150, 180, 210]");
    lmb_log_set(NULL, NULL);
    for (int epoch = 1; epoch <= 8; epoch++) {
        lmb_run_enter_epoch(o.run, epoch);
        o.run->state.epoch = epoch;
        rate[epoch - 1] = lmb_run_lr(o.run, 0);
    }
    for (int i = 0; i < 4; i++)
        CHECK_NEAR(rate[i], rate[4 + i], 1e-15);
    assert_true(rate[3] < rate[0]);
    assert_string_equal(said, "");
    close_run(&o);
}

/* The plan has the epochs of the run after which a stage's rate falls. */
static void the_plan_says_when(void **state)
{
    (void)state;
    program p = {0};
    char yaml[8 * PROGRAM_PATH];
    const int n = snprintf(yaml, sizeof yaml,
        "student: resnet8\ndata: %s\nteachers: [{weights: %s}]\n" TWO_STAGES
        "train: {epochs: 8, lr: 0.1, batch: 16, teacher_check: 0}\n",
        data, teacher);
    assert_true(n > 0 && n < (int)sizeof yaml);
    write_all(in_folder("run.yaml"), yaml, (size_t)n);
    program_start(&p,
        "distill --config %s --decay-epochs 2,3 --max-steps 1 --threads 1 "
        "--precision f32 --allow-reference --out %s",
        in_folder("run.yaml"), in_folder("planned"));
    program_ends(&p, 0);
    assert_non_null(strstr(
        p.text, "stage 1    epochs 1 to 4, lr 0.1 times 0.1 after 2, 3"));
    assert_non_null(strstr(
        p.text, "stage 2    epochs 5 to 8, lr 0.1 times 0.1 after 6, 7"));
}

/* --- going on ------------------------------------------------------------- */

typedef struct stopper {
    int64_t left;
    volatile sig_atomic_t stop;
} stopper;

static void count_down(const lmb_progress *p, void *user)
{
    stopper *s = user;
    (void)p;
    if (--s->left == 0)
        s->stop = 1;
}

/* Trains for at most so many steps; ends the run if that is all. */
static lmb_status train(const char *out, int64_t steps, bool resume)
{
    opened o;
    stopper s = {.left = steps};
    lmb_run_result result = {0};
    const lmb_observer observer = {
        .on_step = count_down, .user = &s, .stop = &s.stop};
    configure(&o,
        "methods:\n"
        "  - kd\n"
        "  - {name: pcd, warmup: 2,\n"
        "     options: {schedule: staged, directions: f2cl, stages: 2}}\n"
        "stages:\n"
        "  - {teacher: 0, until: 2, methods: [kd]}\n"
        "  - {teacher: 0, until: 4, methods: [kd]}\n"
        "  - {teacher: 0, methods: [pcd]}\n",
        "epochs: 8, decay_epochs: [1]", out);
    o.c.resume = resume;
    CHECK_OK(lmb_run_open(&o.c, &observer, &o.run));
    lmb_status st = lmb_run_train(o.run);
    if (st == LMB_OK)
        st = lmb_run_finish(o.run, &result);
    lmb_run_result_fini(&result);
    close_run(&o);
    return st;
}

/* Inside the last stage's warm-up, and in its second phase. */
static void a_run_stopped_inside_a_stage_goes_on(void **state)
{
    static const int64_t steps[] = {4 * STEPS + 1, 7 * STEPS + 1};
    (void)state;
    CHECK_OK(train("whole", 1000, false));
    for (size_t i = 0; i < LMB_COUNT(steps); i++) {
        char name[32], file[64];
        (void)snprintf(name, sizeof name, "stopped%d", (int)i);
        (void)snprintf(file, sizeof file, "%s/student.safetensors", name);
        assert_int_equal(train(name, steps[i], false), LMB_EINTERRUPTED);
        CHECK_OK(train(name, 1000, true));
        check_same_file(
            in_folder("whole/student.safetensors"), in_folder("%s", file));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_count_the_epochs_of_a_stage),
        cmocka_unit_test(without_a_restart_those_of_the_run),
        cmocka_unit_test(a_terms_schedule_is_the_runs),
        cmocka_unit_test(every_phase_needs_an_epoch),
        cmocka_unit_test(in_each_stage_that_begins_anew),
        cmocka_unit_test(decays_count_within_each_stage),
        cmocka_unit_test(decays_beyond_a_stage_are_the_runs),
        cmocka_unit_test(a_cosine_has_no_use_for_decays),
        cmocka_unit_test(the_plan_says_when),
        cmocka_unit_test(a_run_stopped_inside_a_stage_goes_on),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
