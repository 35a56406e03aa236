/* Stages of a run: a switch changes nothing but what it names, however the
 * stages were asked for. */
#include "detect_runs.h"
#include "equal_runs.h"

#include "io/weights.h"
#include "tensor/shape.h"

enum { IMAGES = 12 };

/* Batch norm keeps its statistics: then weights are all that training moves.
 */
#define FROZEN \
    "retinanet_r18_fpn:width=0.0625,fpn_channels=32,head_convs=1," \
    "frozen_stages=-1"

static void make_teacher(const char *name, int seed)
{
    program p = {0};
    program_start(&p,
        "train --model " TINY_TEACHER " --data coco:%s " TINY_FLAGS
        "--max-steps 2 --seed %d --out %s",
        in_folder("set"), seed, in_folder("%s", name));
    program_ends(&p, 0);
}

static int make_folder(void **state)
{
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", IMAGES, 4, SCENE_CLASSES);
    make_teacher("near", 1);
    make_teacher("far", 2);
    return 0;
}

static const char *near_weights(void)
{
    return in_folder("near/student.safetensors");
}

static const char *far_weights(void)
{
    return in_folder("far/student.safetensors");
}

/* ROOT/run.yaml: the two teachers, the tiny student, and what else is said. */
static void write_config(const char *rest)
{
    char text[8 * PROGRAM_PATH];
    const int n = snprintf(text, sizeof text,
        "student: \"" FROZEN "\"\n"
        "data: coco:%s\n"
        "teachers:\n"
        "  - {weights: %s}\n"
        "  - {weights: %s}\n"
        "%s",
        in_folder("set"), near_weights(), far_weights(), rest);
    assert_true(n > 0 && n < (int)sizeof text);
    write_all(in_folder("run.yaml"), text, (size_t)n);
}

/* Runs it as ROOT/name; returns what it has said. */
static const char *distil(program *p, const char *name, const char *flags)
{
    program_start(p,
        "distill --config %s " TINY_FLAGS "--force --teacher-check 0 "
        "--warmup-epochs 0 --lr 0.005 %s --out %s",
        in_folder("run.yaml"), flags, in_folder("%s", name));
    program_ends(p, 0);
    return p->text;
}

/* The tensors of two files, but for metadata. */
static void check_same_weights(const char *a, const char *b)
{
    lmb_weights *x = NULL, *y = NULL;
    CHECK_OK(lmb_weights_load(a, &x));
    CHECK_OK(lmb_weights_load(b, &y));
    assert_int_equal(x->count, y->count);
    for (size_t i = 0; i < x->count; i++) {
        const lmb_tensor *u = x->items[i].tensor;
        const lmb_tensor *v = lmb_weights_find(y, x->items[i].name);
        assert_non_null(v);
        assert_true(lmb_shape_equal(&u->shape, &v->shape));
        const size_t n = (size_t)lmb_shape_count(&u->shape);
        if (memcmp(u->data, v->data, n * lmb_dtype_size(u->dtype)) != 0)
            fail_msg("%s differs", x->items[i].name);
    }
    lmb_weights_free(x);
    lmb_weights_free(y);
}

/* --- tests ---------------------------------------------------------------- */

/* The first stage is the run that it would be alone, and the switch itself
 * leaves the student as it is: the second learns nothing, at a rate of 0. */
static void the_student_carries_over(void **state)
{
    (void)state;
    program p = {0};
    write_config("methods: [pkd]\nstages:\n  - {teacher: 0, until: 2}\n"
                 "  - {teacher: 1, lr: 0}\n");
    distil(&p, "two", "--epochs 4");
    check_said(&p, "stage 1    epochs 1 to 2");
    check_said(&p, "stage 2    epochs 3 to 4, lr 0");
    write_config("methods: [pkd]\nstages: [{teacher: 0}]\n");
    distil(&p, "one", "--epochs 2");
    check_same_weights(in_folder("one/student.safetensors"),
        in_folder("two/student.safetensors"));
}

/* Two stages that differ in nothing are the run without stages; also those of
 * methods that learn parts of their own (mgd's generators). */
static void equal_stages_are_one(void **state)
{
    (void)state;
    program p = {0};
    const char *flags = "--epochs 4 --stage-restart=false --ema 0.9";
    write_config("methods: [pkd, mgd, mimic]\nstages: [{teacher: 1}]\n");
    distil(&p, "single", flags);
    write_config("methods: [pkd, mgd, mimic]\nstages:\n"
                 "  - {teacher: 1, until: 1}\n  - {teacher: 1}\n");
    distil(&p, "double", flags);
    check_equal_runs(in_folder("single"), in_folder("double"));
}

/* What is configured and never acts: a method of no stage, a module of later
 * stages than the method's. */
static void idle_parts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *want;
    } cases[] = {
        {"methods: [pkd, dfmsd]\nstages: [{teacher: 0, methods: [pkd]}]\n",
            "none has the method dfmsd"},
        {"methods: [pkd, dfmsd]\nstages:\n  - {teacher: 0}\n"
         "  - {teacher: 1, methods: [pkd]}\n",
            "the last with dfmsd is 1"},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        program p = {0};
        write_config(cases[i].config);
        program_start(&p, "distill --config %s --epochs 2 --out %s",
            in_folder("run.yaml"), in_folder("idle"));
        program_ends(&p, 2);
        check_said(&p, cases[i].want);
    }
}

/* A fresh optimiser and fresh connectors make another run of the same. */
static void a_restart_begins_anew(void **state)
{
    (void)state;
    program p = {0};
    write_config("methods: [pkd, mimic]\nstages:\n  - {teacher: 1, until: 1}\n"
                 "  - {teacher: 1}\n");
    distil(&p, "restarted", "--epochs 4 --ema 0.9");
    char *x = metrics_of(in_folder("double"));
    char *y = metrics_of(in_folder("restarted"));
    assert_string_not_equal(x, y);
    free(x);
    free(y);
}

/* Teachers in turn by repeated flags, by numbers, and from the run's own
 * config.yaml: one run. */
static void all_spellings_are_one_run(void **state)
{
    (void)state;
    program p = {0};
    write_config("methods: [dfmsd]\nstages:\n  - {teacher: 0, until: 1}\n"
                 "  - {teacher: 1}\n");
    distil(&p, "numbers", "--epochs 2");
    program_start(&p,
        "distill --student " FROZEN " --teacher %s --teacher-weights %s "
        "--teacher %s --teacher-weights %s --data coco:%s --method dfmsd %s "
        "--force --teacher-check 0 --warmup-epochs 0 --lr 0.005 --epochs 2 "
        "--out %s",
        TINY_TEACHER, near_weights(), TINY_TEACHER, far_weights(),
        in_folder("set"), TINY_FLAGS, in_folder("flags"));
    program_ends(&p, 0);
    check_equal_runs(in_folder("numbers"), in_folder("flags"));
    program_start(&p, "distill --config %s --force --out %s",
        in_folder("numbers/config.yaml"), in_folder("again"));
    program_ends(&p, 0);
    check_equal_runs(in_folder("numbers"), in_folder("again"));
}

static void methods_of_a_stage(void **state)
{
    (void)state;
    program p = {0};
    size_t size = 0;
    write_config("methods: [pkd, mimic]\nstages:\n"
                 "  - {teacher: 0, until: 1, methods: [mimic]}\n"
                 "  - {teacher: 1, methods: [pkd]}\n");
    distil(&p, "methods", "--epochs 2");
    char *text = read_all(in_folder("methods/metrics.jsonl"), &size);
    char *second = strstr(text, "\"epoch\": 2");
    assert_non_null(second);
    assert_non_null(strstr(second, "loss_pkd"));
    assert_null(strstr(second, "loss_mimic"));
    *second = '\0';
    assert_non_null(strstr(text, "loss_mimic"));
    assert_null(strstr(text, "loss_pkd"));
    free(text);
}

static void check_tables(const program *p)
{
    check_said(p, "loss       1 detection + 2 mimic (stage 1)\n");
    check_said(p, "loss       1 detection + 10 pkd (stages 2 to 3)\n");
    check_said(p, "pairs of taps (student <- teacher), stage 1:\nmimic: ");
    check_said(p, "pairs of taps (student <- teacher), stages 2 to 3:\npkd: ");
}

/* The table before the first step names what each stage compares, once where
 * stages in a row do the same; and in a run that goes on, too. */
static void each_stage_has_its_pairs(void **state)
{
    (void)state;
    program p = {0};
    write_config("methods: [pkd, mimic]\nstages:\n"
                 "  - {teacher: 0, until: 1, methods: [mimic]}\n"
                 "  - {teacher: 0, until: 2, methods: [pkd]}\n"
                 "  - {teacher: 1, methods: [pkd]}\n");
    distil(&p, "tables", "--epochs 4 --max-steps 5");
    check_tables(&p);
    program_start(&p, "distill --resume --force --out %s", in_folder("tables"));
    program_ends(&p, 0);
    check_said(&p, "resumed    at step 5");
    check_tables(&p);
    write_config("methods: [pkd]\nstages:\n  - {teacher: 0, until: 1}\n"
                 "  - {teacher: 1}\n");
    distil(&p, "alike", "--epochs 2");
    check_said(&p, "loss       1 detection + 10 pkd\n");
    check_said(&p, "pairs of taps (student <- teacher):\npkd: ");
}

/* With one teacher dfmsd has two equal stages, unless sal says no. */
static void dfmsd_has_two_stages(void **state)
{
    (void)state;
    static const char *const switches[] = {
        "", "--set method.sal=false", "--set method.mes=off"};
    for (size_t i = 0; i < LMB_COUNT(switches); i++) {
        program p = {0};
        const char *run = in_folder("dfmsd%zu", i);
        program_start(&p,
            "distill --student " TINY_STUDENT " --teacher-weights %s --data "
            "coco:%s --method dfmsd " TINY_FLAGS "--force --teacher-check 0 "
            "--epochs 4 --max-steps 7 %s --out %s",
            near_weights(), in_folder("set"), switches[i], run);
        program_ends(&p, 0);
        const bool two = strstr(p.text, "stage 1    epochs 1 to 2") != NULL &&
            strstr(p.text, "stage 2    epochs 3 to 4") != NULL;
        assert_int_equal(two, i != 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_student_carries_over),
        cmocka_unit_test(equal_stages_are_one),
        cmocka_unit_test(idle_parts_are_refused),
        cmocka_unit_test(a_restart_begins_anew),
        cmocka_unit_test(all_spellings_are_one_run),
        cmocka_unit_test(methods_of_a_stage),
        cmocka_unit_test(each_stage_has_its_pairs),
        cmocka_unit_test(dfmsd_has_two_stages),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
