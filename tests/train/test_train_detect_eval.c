/* limbeck eval of a detector: the numbers of its run, and the same numbers
 * again from the results file that it writes. */
#include "detect_runs.h"

#include "metric/coco_eval.h"

static char weights[2 * PROGRAM_PATH], data[2 * PROGRAM_PATH];

static int make_folder(void **state)
{
    program p = {0};
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", 48, 20, SCENE_CLASSES);
    (void)snprintf(data, sizeof data, "coco:%s", in_folder("set"));
    (void)snprintf(
        weights, sizeof weights, "%s", in_folder("run/student.safetensors"));
    program_start(&p,
        "train --model " TINY_TEACHER " --data %s " TINY_FLAGS
        "--epochs 10 --optimizer adamw --lr 0.003 --out %s",
        data, in_folder("run"));
    program_ends(&p, 0);
    return 0;
}

/* The JSON that `limbeck eval` prints; free() it. */
static char *eval(const char *flags)
{
    size_t size = 0;
    program p = {.output = in_folder("out.json")};
    program_start(&p, "eval --json %s", flags);
    program_ends(&p, 0);
    return read_all(p.output, &size);
}

static const char *detector_flags(const char *more)
{
    static char text[8 * PROGRAM_PATH];
    (void)snprintf(text, sizeof text,
        "--weights %s --data %s --threads 1 --eval-batch 8 --precision f32 "
        "--allow-reference %s",
        weights, data, more);
    return text;
}

static const char *file_flags(const char *more)
{
    static char text[8 * PROGRAM_PATH];
    (void)snprintf(text, sizeof text, "--gt %s/instances_val.json --dt %s %s",
        in_folder("set"), in_folder("found.json"), more);
    return text;
}

static void check_same_numbers(const char *a, const char *b)
{
    for (int i = 0; i < LMB_COCO_NUMBERS; i++)
        assert_true(json_number(a, lmb_coco_names[i]) ==
            json_number(b, lmb_coco_names[i]));
    const char *x = strstr(a, "\"per_class\""), *y = strstr(b, "\"per_class\"");
    const size_t n = strcspn(x, "]");
    assert_true(n == strcspn(y, "]"));
    assert_memory_equal(x, y, n);
}

static void check_equal_numbers(
    const char *net, const char *run, const char *who)
{
    for (int i = 0; i < LMB_COCO_NUMBERS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%s_%s", who, lmb_coco_names[i]);
        CHECK_NEAR(
            json_number(net, lmb_coco_names[i]), json_number(run, key), 1e-12);
    }
}

/* --- tests ---------------------------------------------------------------- */

static void results_score_as_the_network_does(void **state)
{
    (void)state;
    char save[2 * PROGRAM_PATH];
    (void)snprintf(save, sizeof save, "--save %s", in_folder("found.json"));
    char *net = eval(detector_flags(save));
    char *file = eval(file_flags(""));
    check_same_numbers(net, file);
    assert_true(json_number(net, "AP50") > 0);
    CHECK_NEAR(json_number(net, "count"), 20, 0);
    /* The file's own ids, and boxes inside the pictures. */
    lmb_coco_results found = {0};
    CHECK_OK(lmb_coco_results_load(in_folder("found.json"), &found));
    assert_true(found.count > 0);
    for (int64_t i = 0; i < found.count; i++) {
        const lmb_coco_result *r = &found.items[i];
        assert_true((1000 - r->image_id) % 7 == 0 && r->image_id <= 1000);
        assert_true(r->category_id == 10 || r->category_id == 13);
        assert_true(r->box[0] >= 0 && r->box[1] >= 0 &&
            r->box[0] + r->box[2] <= SCENE_SIDE + 1e-9 &&
            r->box[1] + r->box[3] <= SCENE_SIDE + 1e-9);
    }
    lmb_coco_results_fini(&found);
    free(net);
    free(file);
}

static void voc_metrics_agree_too(void **state)
{
    (void)state;
    static const char *const metrics[] = {"--metric voc", "--metric voc07"};
    for (size_t i = 0; i < LMB_COUNT(metrics); i++) {
        char *net = eval(detector_flags(metrics[i]));
        char *file = eval(file_flags(metrics[i]));
        assert_true(json_number(net, "mAP") > 0);
        assert_true(json_number(net, "mAP") == json_number(file, "mAP"));
        free(net);
        free(file);
    }
}

/* Without --size pictures fit the sides that the file of weights names. */
static void a_run_and_eval_give_the_same_numbers(void **state)
{
    (void)state;
    size_t size = 0;
    char *net = eval(detector_flags(""));
    char *run = read_all(in_folder("run/classes.json"), &size);
    check_equal_numbers(net, run, "test");
    char *other = eval(detector_flags("--size 96"));
    assert_true(json_number(other, "AR100") != json_number(net, "AR100"));
    free(other);
    free(net);
    free(run);
}

/* --size alone keeps the ratio of the sides that the file names: here 1. */
static void a_long_side_alone_keeps_the_ratio(void **state)
{
    (void)state;
    char *alone = eval(detector_flags("--size 96"));
    char *both = eval(detector_flags("--size 96 --short-side 96"));
    char *flat = eval(detector_flags("--size 96 --short-side 48"));
    for (int i = 0; i < LMB_COCO_NUMBERS; i++)
        assert_true(json_number(alone, lmb_coco_names[i]) ==
            json_number(both, lmb_coco_names[i]));
    assert_true(json_number(alone, "AR100") != json_number(flat, "AR100"));
    free(alone);
    free(both);
    free(flat);
}

/* A teacher that sees larger pictures is tried, and its numbers beside the
 * student's are made, at its own size. (Forced: how well this one does at a
 * size that it was not made for depends on the processor's rounding.) */
static void a_teacher_is_scored_at_its_own_size(void **state)
{
    (void)state;
    size_t size = 0;
    program p = {0};
    program_start(&p,
        "distill --student " TINY_STUDENT " --teacher-weights %s --data %s "
        "--method pkd --teacher-input 1.5 " TINY_FLAGS
        "--max-steps 1 --epochs 1 --force --out %s",
        weights, data, in_folder("taught"));
    program_ends(&p, 0);
    char *run = read_all(in_folder("taught/classes.json"), &size);
    char *net = eval(detector_flags("--size 96"));
    check_equal_numbers(net, run, "teacher");
    free(net);
    free(run);
}

static void batches_and_loader_threads_change_nothing(void **state)
{
    (void)state;
    char *one = eval(detector_flags(""));
    char *two = eval(detector_flags("--eval-batch 3 --loader-threads 2"));
    for (int i = 0; i < LMB_COCO_NUMBERS; i++)
        CHECK_NEAR(json_number(one, lmb_coco_names[i]),
            json_number(two, lmb_coco_names[i]), 2e-3);
    free(one);
    free(two);
}

static void a_limit_takes_a_part(void **state)
{
    (void)state;
    char *part = eval(detector_flags("--limit 7"));
    CHECK_NEAR(json_number(part, "count"), 7, 0);
    free(part);
}

/* What the error about several files tells to do is done by `eval`, too. */
static void one_of_several_files_is_named(void **state)
{
    (void)state;
    size_t size = 0;
    program p = {0};
    char more[2 * PROGRAM_PATH];
    char *text = read_all(in_folder("set/instances_val.json"), &size);
    assert_int_equal(mkdir(in_folder("set/annotations"), 0777), 0);
    write_all(in_folder("set/annotations/instances_val.json"), text, size);
    free(text);
    program_start(&p, "eval %s", detector_flags(""));
    program_ends(&p, 2);
    assert_non_null(
        strstr(program_last_line(&p), "which? name one outright: --set "));
    assert_non_null(strstr(program_last_line(&p), "data.test.json=FILE"));
    (void)snprintf(more, sizeof more, "--limit 7 --set data.test.json=%s",
        in_folder("set/annotations/instances_val.json"));
    char *named = eval(detector_flags(more));
    CHECK_NEAR(json_number(named, "count"), 7, 0);
    free(named);
    remove_tree(in_folder("set/annotations"));
}

/* As torchvision numbers classes: the ids 10 and 13 are classes 10 and 13 of
 * fourteen, or 9 and 12 of thirteen. */
static void labels_by_category_id(void **state)
{
    (void)state;
    static const char *const by[] = {"id", "id-1"};
    for (size_t i = 0; i < LMB_COUNT(by); i++) {
        size_t size = 0;
        program p = {.output = in_folder("error.txt")};
        program_start(&p,
            "train --model " TINY_STUDENT " --data %s " TINY_FLAGS
            "--epochs 2 --optimizer adamw --lr 0.003 --label-by %s --out %s",
            data, by[i], in_folder("%s", by[i]));
        program_ends(&p, 0);
        (void)snprintf(weights, sizeof weights, "%s/student.safetensors",
            in_folder("%s", by[i]));
        char more[2 * PROGRAM_PATH];
        (void)snprintf(more, sizeof more, "--label-by %s --save %s", by[i],
            in_folder("found.json"));
        char *net = eval(detector_flags(more));
        char *file = eval(file_flags(""));
        char *run = read_all(
            in_folder(i == 0 ? "id/classes.json" : "id-1/classes.json"), &size);
        for (int k = 0; k < LMB_COCO_NUMBERS; k++)
            assert_true(json_number(net, lmb_coco_names[k]) ==
                json_number(file, lmb_coco_names[k]));
        check_equal_numbers(net, run, "test");
        free(net);
        free(file);
        free(run);
        p = (program){0};
        program_start(&p, "eval %s", detector_flags(""));
        assert_int_equal(program_wait(&p), 1);
        assert_non_null(strstr(program_last_line(&p),
            i == 0 ? "--label-by id)" : "--label-by id-1)"));
    }
}

/* Boxes that leave their picture and boxes without area are mended for
 * training; the numbers are those of the file all the same. */
static void numbers_are_those_of_the_file(void **state)
{
    (void)state;
    lmb_coco coco = {0};
    char path[2 * PROGRAM_PATH];
    (void)snprintf(
        path, sizeof path, "%s", in_folder("set/instances_val.json"));
    size_t size = 0;
    char *before = read_all(path, &size);
    CHECK_OK(lmb_coco_load(path, &coco));
    coco.annotations[0].box[0] -= 20;
    coco.annotations[0].box[2] += 20;
    coco.annotations[1].box[2] = 0;
    coco.annotations[2].crowd = true;
    coco.annotations[3].difficult = true;
    CHECK_OK(lmb_coco_save(path, &coco));
    lmb_coco_fini(&coco);
    char save[2 * PROGRAM_PATH];
    (void)snprintf(save, sizeof save, "--save %s", in_folder("found.json"));
    char *net = eval(detector_flags(save));
    char *file = eval(file_flags(""));
    check_same_numbers(net, file);
    free(net);
    free(file);
    write_all(path, before, size);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_score_as_the_network_does),
        cmocka_unit_test(voc_metrics_agree_too),
        cmocka_unit_test(a_run_and_eval_give_the_same_numbers),
        cmocka_unit_test(a_long_side_alone_keeps_the_ratio),
        cmocka_unit_test(a_teacher_is_scored_at_its_own_size),
        cmocka_unit_test(batches_and_loader_threads_change_nothing),
        cmocka_unit_test(a_limit_takes_a_part),
        cmocka_unit_test(one_of_several_files_is_named),
        cmocka_unit_test(numbers_are_those_of_the_file),
        cmocka_unit_test(labels_by_category_id), /* has other weights */
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
