/* What a finished run of a detector leaves to be seen: truth, detections and
 * samples, its report, and the features of its networks. */
#include "detect_runs.h"

#include "base/file.h"
#include "metric/coco_eval.h"
#include "train/config.h"
#include "train/features.h"
#include "train/features_maps.h"

static char data[2 * PROGRAM_PATH], dir[2 * PROGRAM_PATH];

static void train(const char *fmt, ...) LMB_PRINTF(1, 2);

static void train(const char *fmt, ...)
{
    char text[8 * PROGRAM_PATH];
    program p = {0};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    program_start(&p, "%s --data %s --optimizer adamw --lr 0.003 " TINY_FLAGS,
        text, data);
    program_ends(&p, 0);
}

/* A teacher, and a student that two stages of DFMSD teach. */
static int make_folder(void **state)
{
    char first[2 * PROGRAM_PATH];
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", 48, 20, SCENE_CLASSES);
    (void)snprintf(data, sizeof data, "coco:%s", in_folder("set"));
    (void)snprintf(first, sizeof first, "%s", in_folder("teacher"));
    (void)snprintf(dir, sizeof dir, "%s", in_folder("run"));
    train("train --model " TINY_TEACHER " --epochs 6 --out %s", first);
    train("distill --student " TINY_STUDENT
          " --teacher-weights %s/student.safetensors --teacher-weights "
          "%s/student.safetensors --method dfmsd --force --epochs 2 --out %s",
        first, first, dir);
    return 0;
}

static const char *in_run(const char *name)
{
    return in_folder("run/%s", name);
}

static char *output_of(const char *args)
{
    size_t size = 0;
    program p = {.output = in_folder("out.json")};
    program_start(&p, "%s", args);
    program_ends(&p, 0);
    return read_all(p.output, &size);
}

static void any_tool_can_score_the_files(void **state)
{
    (void)state;
    char args[8 * PROGRAM_PATH];
    size_t size = 0;
    char *classes = read_all(in_run("classes.json"), &size);
    static const char *const found[] = {
        "detections.json", "teacher_detections.json"};
    static const char *const which[] = {"test", "teacher"};
    for (int k = 0; k < 2; k++) {
        (void)snprintf(args, sizeof args,
            "eval --json --gt %s/instances_val.json --dt %s", in_folder("set"),
            in_run(found[k]));
        char *file = output_of(args);
        (void)snprintf(args, sizeof args, "eval --json --gt %s --dt %s",
            in_run("truth.json"), in_run(found[k]));
        char *own = output_of(args);
        for (int i = 0; i < LMB_COCO_NUMBERS; i++) {
            char key[32];
            const char *name = lmb_coco_names[i];
            (void)snprintf(key, sizeof key, "%s_%s", which[k], name);
            const double want = json_number(classes, key);
            CHECK_NEAR(json_number(own, name), want, 1e-12);
            CHECK_NEAR(json_number(own, name), json_number(file, name), 0);
        }
        free(file);
        free(own);
    }
    assert_int_equal(count_files(in_run("samples"), ".jpg"), 12);
    free(classes);
}

static void must_hold(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("the page lacks '%s'", part);
}

static void the_report_needs_no_data(void **state)
{
    (void)state;
    char args[4 * PROGRAM_PATH];
    size_t size = 0;
    assert_int_equal(rename(in_folder("set"), in_folder("gone")), 0);
    (void)snprintf(args, sizeof args, "report %s --json", dir);
    char *json = output_of(args);
    char *page = read_all(in_run("report.html"), &size);
    assert_int_equal(rename(in_folder("gone"), in_folder("set")), 0);
    must_hold(json, "\"confusion\": [[");
    must_hold(json, "\"task\": \"detection\"");
    must_hold(page, "teacher of run");
    must_hold(page, "precision over recall at IoU 0.5, by class");
    must_hold(page, "data:image/jpeg;base64,/9j/");
    must_hold(page, "<figcaption>teacher</figcaption>");
    free(json);
    free(page);
}

static void features_are_drawn_and_the_run_is_untouched(void **state)
{
    (void)state;
    char args[4 * PROGRAM_PATH];
    size_t size = 0, before_size = 0, after_size = 0;
    char *before = read_all(in_run("metrics.jsonl"), &before_size);
    const int files = count_files(dir, "");
    (void)snprintf(args, sizeof args,
        "report --features %s --images 2 --out %s", dir,
        in_folder("features.html"));
    free(output_of(args));
    char *page = read_all(in_folder("features.html"), &size);
    must_hold(page, "p3 teacher, ");
    must_hold(page, "p3 student, ");
    must_hold(page, "p4 difference, ");
    must_hold(page, "p3, shown by dfmsd");
    must_hold(page, "stage 2, teacher retinanet_r18_fpn");
    char *after = read_all(in_run("metrics.jsonl"), &after_size);
    assert_int_equal(before_size, after_size);
    assert_memory_equal(before, after, before_size);
    assert_int_equal(count_files(dir, ""), files);
    free(page);
    free(before);
    free(after);
}

/* --- the maps themselves -------------------------------------------------- */

static void open_config(lmb_config *config, lmb_run_config *run)
{
    CHECK_OK(lmb_config_init(config));
    CHECK_OK(lmb_run_config_init(run));
    CHECK_OK(lmb_config_load(config, in_run("config.yaml")));
    CHECK_OK(lmb_config_resolve(config, run));
    run->resume = true;
    run->train.teacher_check = 0;
}

static double sum_of(const lmb_feature_map *m)
{
    double sum = 0;
    for (int64_t i = 0; i < m->h * m->w; i++)
        sum += (double)m->data[i];
    return sum;
}

/* Attention has mean 1, a difference is not negative, and DFMSD's quantile
 * mask hides 65 % of the places. */
static void check_map(const lmb_feature_map *m)
{
    const double n = (double)(m->h * m->w);
    if (m->kind == LMB_MAP_MASK)
        CHECK_NEAR(sum_of(m), n - round(0.65 * n), 0);
    else if (m->kind != LMB_MAP_GAP)
        CHECK_NEAR(sum_of(m), n, 1e-3 * n);
    for (int64_t i = 0; i < m->h * m->w; i++)
        assert_true(m->data[i] >= 0);
}

static void maps_are_what_they_say(void **state)
{
    (void)state;
    lmb_config config = {0};
    lmb_run_config run_config = {0};
    lmb_run *run = NULL;
    static float x[3 * 64 * 96];
    const float size[2] = {64, 90};
    for (size_t i = 0; i < LMB_COUNT(x); i++)
        x[i] = (float)(i * 2654435761u >> 22 & 1023) / 512 - 1;
    open_config(&config, &run_config);
    CHECK_OK(lmb_run_look(&run_config, &run));
    for (int stage = 0; stage < 2; stage++) {
        lmb_maps *m = NULL;
        CHECK_OK(lmb_maps_new(run, stage, 64, 96, &m));
        CHECK_OK(lmb_maps_run(m, x, size));
        assert_int_equal(m->in_level, 4);
        assert_int_equal(m->count, 5 * 4);
        assert_int_equal(m->map[0].h, 8);
        assert_int_equal(m->map[0].w, 12);
        for (int i = 0; i < m->count; i++)
            check_map(&m->map[i]);
        lmb_maps_free(m);
    }
    lmb_run_free(run);
    lmb_run_config_fini(&run_config);
    lmb_config_fini(&config);
}

/* Some of the thousands of allocations, further and further apart. */
static void failed_allocations_leave_nothing(void **state)
{
    (void)state;
    lmb_config config = {0};
    lmb_run_config run_config = {0};
    char page[2 * PROGRAM_PATH];
    (void)snprintf(page, sizeof page, "%s", in_folder("sweep.html"));
    open_config(&config, &run_config);
    run_config.train.loader_threads = 0;
    const int64_t before = lmb_alloc_live();
    bool failed = true;
    for (int64_t n = 3; failed; n += 1 + n / 3) {
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_features_write(page, &run_config, 1);
        failed = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        /* The paths of a run live as long as its configuration. */
        assert_true(lmb_alloc_live() - before <= 1);
        if (failed)
            CHECK_ERR(st, LMB_ENOMEM, "");
        else
            CHECK_OK(st);
        assert_true(lmb_path_exists(page) == !failed);
    }
    lmb_run_config_fini(&run_config);
    lmb_config_fini(&config);
}

static void what_cannot_be_drawn_is_said(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p, "report --features %s", in_folder("nothing"));
    program_ends(&p, 1);
    assert_non_null(strstr(program_last_line(&p), "is no run"));
    program_start(&p, "report --features %s %s", dir, dir);
    program_ends(&p, 2);
    program_start(&p, "report --images 2 %s", dir);
    program_ends(&p, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_tool_can_score_the_files),
        cmocka_unit_test(the_report_needs_no_data),
        cmocka_unit_test(features_are_drawn_and_the_run_is_untouched),
        cmocka_unit_test(maps_are_what_they_say),
        cmocka_unit_test(failed_allocations_leave_nothing),
        cmocka_unit_test(what_cannot_be_drawn_is_said),
    };
    return cmocka_run_group_tests(tests, make_folder, program_folder_remove);
}
