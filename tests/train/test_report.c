/* test_report.c: logs of a run: rows, marks, cutting back; and the report. */
#include <unistd.h>

#include "lmb_test.h"

#include "base/file.h"
#include "data/image.h"
#include "io/event.h"
#include "io/raw.h"
#include "train/report.h"
#include "train/runlog.h"

static char folder[] = "/tmp/limbeck_report_XXXXXX";

static const char *at(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static int enter(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int leave(void **state)
{
    char command[256];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void write_text(const char *name, const char *text)
{
    CHECK_OK(lmb_file_write(at(name), text, strlen(text)));
}

static void check_text(const char *name, const char *want)
{
    lmb_file file;
    CHECK_OK(lmb_file_open(at(name), &file));
    assert_int_equal(file.size, strlen(want));
    assert_memory_equal(file.bytes, want, file.size);
    lmb_file_close(&file);
}

static void log_row(lmb_runlog *log, int64_t epoch)
{
    const lmb_row row = {.epoch = epoch,
        .step = epoch * 10,
        .split = "train",
        .loss = 2.5,
        .n_parts = 1,
        .part_name = {"ce"},
        .part = {0.5},
        .task = lmb_task_find("classification"),
        .score = {12.5, NAN},
        .n_terms = 1,
        .term_name = {"kd"},
        .term = {2},
        .lr = 0.05,
        .images_per_second = 100};
    CHECK_OK(lmb_runlog_row(log, &row));
}

static void count_scalar(
    void *user, int64_t step, double wall, const char *tag, double value)
{
    int64_t *last = user;
    (void)wall;
    if (strcmp(tag, "train/loss_kd") == 0) {
        CHECK_NEAR(value, 2, 0);
        *last = step;
    }
}

#define ROW(epoch, step) \
    "{\"epoch\": " #epoch ", \"step\": " #step ", \"split\": \"train\", " \
    "\"loss\": 2.5, \"loss_ce\": 0.5, \"loss_kd\": 2, \"lr\": 0.05, " \
    "\"top1\": 12.5, \"images_per_second\": 100}\n"

static void logs_are_cut_back_to_a_mark(void **state)
{
    (void)state;
    lmb_runlog *log = NULL;
    lmb_runlog_mark mark;
    int64_t last = 0;
    CHECK_OK(lmb_runlog_open(folder, NULL, &log));
    log_row(log, 1);
    CHECK_OK(lmb_runlog_mark_now(log, &mark));
    log_row(log, 2);
    log_row(log, 3);
    lmb_runlog_free(log);
    check_text("metrics.jsonl", ROW(1, 10) ROW(2, 20) ROW(3, 30));
    CHECK_OK(lmb_runlog_open(folder, &mark, &log));
    log_row(log, 4);
    lmb_runlog_free(log);
    check_text("metrics.jsonl", ROW(1, 10) ROW(4, 40));
    CHECK_OK(lmb_event_scalars(at(LMB_EVENT_FILE), count_scalar, &last));
    assert_int_equal(last, 40);
    CHECK_OK(lmb_runlog_open(folder, NULL, &log));
    lmb_runlog_free(log);
    check_text("metrics.jsonl", "");
}

/* A run directory as the program leaves it. */
static void make_run(const char *name, int seed, double top1)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "%s", name);
    CHECK_OK(lmb_make_dirs(at(path)));
    (void)snprintf(path, sizeof path, "%s/config.yaml", name);
    (void)snprintf(text, sizeof text,
        "student: resnet8  # --model\nmethods:\n  - name: kd\ntrain:\n"
        "  seed: %d  # --seed\n  lr: 0.1\nout: %s\n",
        seed, name);
    write_text(path, text);
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    (void)snprintf(text, sizeof text,
        ROW(1, 10) "{\"epoch\": 1, \"step\": 10, \"split\": \"test\", "
                   "\"loss\": 1, \"top1\": %g, \"top5\": 50}\n" ROW(2,
                       20) "{\"epoch\": 2, \"step\": 20, \"split\": \"test\", "
                           "\"loss\": 1, \"top1\": %g, \"top5\": 51}\n",
        top1 + 1, top1);
    write_text(path, text);
    (void)snprintf(path, sizeof path, "%s/classes.json", name);
    write_text(path,
        "{\"classes\": [{\"class\": 0, \"name\": \"a<b\", \"count\": 10, "
        "\"student\": 7, \"teacher\": 5}, {\"class\": 1, \"count\": 10, "
        "\"student\": 2, \"teacher\": 9}]}");
}

static void must_hold(const lmb_file *file, const char *part)
{
    for (size_t i = 0; i + strlen(part) <= file->size; i++)
        if (memcmp(file->bytes + i, part, strlen(part)) == 0)
            return;
    fail_msg("the page lacks '%s'", part);
}

static void the_page_has_runs_seeds_and_gaps(void **state)
{
    (void)state;
    lmb_file file;
    make_run("one", 1, 40);
    make_run("two", 2, 42);
    const char *const dirs[] = {at("one"), at("two")};
    CHECK_OK(lmb_report_write(at("page.html"), 2, dirs, NULL));
    CHECK_OK(lmb_file_open(at("page.html"), &file));
    must_hold(&file, "<td>40.00</td>");
    must_hold(&file, "<td>43.00</td>"); /* the best of the second */
    must_hold(&file, "41.00 &plusmn; 1.41");
    must_hold(&file, "best was chosen on the test set");
    must_hold(&file, "a&lt;b");
    must_hold(&file, "loss_kd");
    must_hold(&file, "+20.0");
    must_hold(&file, "-70.0");
    lmb_file_close(&file);
}

/* A finished run of a detector: of two objects the student finds one, and takes
 * the other for something else. */
static void make_boxes(const char *name, double ap)
{
    char path[64], text[512];
    uint8_t rgb[3 * 40 * 60];
    uint8_t *jpeg = NULL;
    size_t size = 0;
    make_run(name, 1, 0);
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", name);
    (void)snprintf(text, sizeof text,
        "{\"epoch\": 1, \"split\": \"train\", \"loss\": 2, \"loss_cls\": 1}\n"
        "{\"epoch\": 1, \"split\": \"val\", \"AP\": %g, \"AP50\": 0.75, "
        "\"AP75\": 0.125}\n",
        ap);
    write_text(path, text);
    (void)snprintf(path, sizeof path, "%s/classes.json", name);
    write_text(path,
        "{\"teacher_AP\": 0.625, \"classes\": [{\"class\": 0, \"name\": "
        "\"a<b\", \"count\": 1, \"student\": 0.375, \"teacher\": 0.5}, "
        "{\"class\": 1, \"name\": \"c\", \"count\": 1, \"student\": null, "
        "\"teacher\": null}]}");
    (void)snprintf(path, sizeof path, "%s/truth.json", name);
    write_text(path,
        "{\"images\": [{\"id\": 7, \"width\": 120, \"height\": 80}], "
        "\"categories\": [{\"id\": 1, \"name\": \"a<b\"}, {\"id\": 2, "
        "\"name\": \"c\"}], \"annotations\": [{\"id\": 1, \"image_id\": 7, "
        "\"category_id\": 1, \"bbox\": [10, 10, 40, 40], \"area\": 1600}, "
        "{\"id\": 2, \"image_id\": 7, \"category_id\": 2, \"bbox\": "
        "[60, 10, 40, 40], \"area\": 1600}]}");
    (void)snprintf(path, sizeof path, "%s/detections.json", name);
    write_text(path,
        "[{\"image_id\": 7, \"category_id\": 1, \"bbox\": [10, 10, 40, 40], "
        "\"score\": 0.9}, {\"image_id\": 7, \"category_id\": 1, \"bbox\": "
        "[60, 10, 40, 40], \"score\": 0.8}]");
    (void)snprintf(path, sizeof path, "%s/samples", name);
    CHECK_OK(lmb_make_dirs(at(path)));
    memset(rgb, 90, sizeof rgb);
    CHECK_OK(
        lmb_image_encode_jpeg(&(lmb_image){40, 60, rgb}, 90, &jpeg, &size));
    (void)snprintf(path, sizeof path, "%s/samples/7.jpg", name);
    CHECK_OK(lmb_file_write(at(path), jpeg, size));
    lmb_free(jpeg);
}

static int count_parts(const lmb_file *file, const char *part)
{
    int n = 0;
    for (size_t i = 0; i + strlen(part) <= file->size; i++)
        n += memcmp(file->bytes + i, part, strlen(part)) == 0;
    return n;
}

/* A run that is not at its end, and one that is given again, are no seeds. */
static void means_are_over_whole_runs_of_other_seeds(void **state)
{
    (void)state;
    lmb_file file;
    lmb_str json = {0};
    char path[4][256];
    static const char *const names[] = {"s1", "s2", "s2b", "s3"};
    make_run("s1", 1, 40);
    make_run("s2", 2, 42);
    make_run("s2b", 2, 90);
    make_run("s3", 3, 10);
    assert_int_equal(remove(at("s3/classes.json")), 0);
    const char *dirs[4];
    for (int i = 0; i < 4; i++) {
        (void)snprintf(path[i], sizeof path[i], "%s", at(names[i]));
        dirs[i] = path[i];
    }
    CHECK_OK(lmb_report_write(at("seeds.html"), 4, dirs, &json));
    CHECK_OK(lmb_file_open(at("seeds.html"), &file));
    must_hold(
        &file, "<td>2 seeds, without 1 unfinished, without 1 of a seed again");
    must_hold(&file, "41.00 &plusmn; 1.41");
    lmb_file_close(&file);
    assert_non_null(strstr(json.text, "\"seed\": \"2\", \"finished\": true"));
    assert_non_null(strstr(json.text, "\"seed\": \"3\", \"finished\": false"));
    lmb_str_fini(&json);
    /* One seed has no mean, and no table of means. */
    CHECK_OK(lmb_report_write(at("seed.html"), 2, &dirs[1], NULL));
    CHECK_OK(lmb_file_open(at("seed.html"), &file));
    assert_int_equal(count_parts(&file, "deviation"), 0);
    lmb_file_close(&file);
}

/* "test" in the metrics is what --split named. */
static void the_manifest_says_what_best_was_chosen_on(void **state)
{
    (void)state;
    lmb_file file;
    make_run("val", 1, 40);
    write_text(
        "val/manifest.json", "{\"data\": {\"best_chosen_on_test\": false}}");
    const char *const dirs[] = {at("val")};
    CHECK_OK(lmb_report_write(at("val.html"), 1, dirs, NULL));
    CHECK_OK(lmb_file_open(at("val.html"), &file));
    assert_int_equal(count_parts(&file, "chosen on the test set"), 0);
    lmb_file_close(&file);
}

/* Of one name, and of names that are the same in their first 63 bytes, which
 * end inside a letter. */
#define LONG \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xa9"

static void classes_named_alike_are_told_apart(void **state)
{
    (void)state;
    lmb_file file;
    lmb_str json = {0};
    static const char *const names[] = {
        "same", "same", LONG " one", LONG " two"};
    char text[1024];
    lmb_str classes = {0}, truth = {0};
    make_boxes("alike", 0.25);
    for (int i = 0; i < 4; i++) {
        lmb_str_printf(&classes,
            "%s{\"class\": %d, \"name\": \"%s\", \"count\": 1, "
            "\"student\": 0.%d25}",
            i > 0 ? ", " : "{\"classes\": [", i, names[i], i + 1);
        lmb_str_printf(&truth, "%s{\"id\": %d, \"name\": \"%s\"}",
            i > 0 ? ", "
                  : "{\"images\": [{\"id\": 7, \"width\": 120, \"height\": "
                    "80}], \"annotations\": [], \"categories\": [",
            i + 1, names[i]);
    }
    lmb_str_add(&classes, "]}");
    lmb_str_add(&truth, "]}");
    write_text("alike/classes.json", classes.text);
    write_text("alike/truth.json", truth.text);
    lmb_str_fini(&classes);
    lmb_str_fini(&truth);
    const char *const dirs[] = {at("alike")};
    CHECK_OK(lmb_report_write(at("alike.html"), 1, dirs, &json));
    CHECK_OK(lmb_file_open(at("alike.html"), &file));
    assert_true(lmb_utf8_is_valid((const char *)file.bytes, file.size));
    for (int i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof text,
            "<tr><td>%s</td><td>1</td><td>0.%d25</td>", names[i], i + 1);
        must_hold(&file, text);
        (void)snprintf(
            text, sizeof text, "{\"class\": %d, \"name\": \"%s\"", i, names[i]);
        assert_non_null(strstr(json.text, text));
    }
    lmb_file_close(&file);
    assert_non_null(strstr(json.text, "\"same (id 1)\": ["));
    assert_non_null(strstr(json.text, "\"same (id 2)\": ["));
    assert_non_null(strstr(json.text, "\"" LONG " one\": ["));
    lmb_str_fini(&json);
}

static void detectors_have_boxes_curves_and_pictures(void **state)
{
    (void)state;
    lmb_file file;
    lmb_str json = {0};
    make_boxes("boxes", 0.25);
    make_boxes("alone", 0.125);
    const char *const dirs[] = {at("boxes"), at("alone")};
    CHECK_OK(lmb_report_write(at("boxes.html"), 2, dirs, &json));
    CHECK_OK(lmb_file_open(at("boxes.html"), &file));
    must_hold(&file, "<h2>Detection</h2>");
    must_hold(&file, "<td>0.250</td><td>0.750</td><td>0.125</td>");
    must_hold(&file, "<td>0.625</td>");
    must_hold(&file, "<td>1</td><td>0.500</td><td>0.375</td><td>0.375</td>");
    must_hold(&file, "a&lt;b as a&lt;b: 1<");
    must_hold(&file, "c as a&lt;b: 1<");
    must_hold(&file, "precision over recall");
    assert_int_equal(count_parts(&file, "data:image/jpeg;base64,/9j/"), 4);
    assert_int_equal(count_parts(&file, "http"), 0); /* self-contained */
    lmb_file_close(&file);
    assert_non_null(strstr(json.text,
        "\"confusion\": [[1, 0, 0], [1, 0, 0], "
        "[0, 0, 0]]"));
    assert_non_null(strstr(json.text, "\"AP50\": 0.75"));
    assert_non_null(strstr(json.text, "\"student_AP\": 0.375"));
    lmb_str_fini(&json);
}

/* The page has cells for the square of their number. */
static void a_board_of_many_classes_is_left_out(void **state)
{
    (void)state;
    lmb_file file;
    lmb_str truth = {0};
    make_boxes("many", 0.25);
    lmb_str_add(&truth,
        "{\"images\": [{\"id\": 7, \"width\": 120, \"height\": 80}], "
        "\"annotations\": [], \"categories\": [");
    for (int k = 1; k <= 1203; k++)
        lmb_str_printf(&truth, "%s{\"id\": %d, \"name\": \"%d\"}",
            k > 1 ? ", " : "", k, k);
    lmb_str_add(&truth, "]}");
    write_text("many/truth.json", truth.text);
    lmb_str_fini(&truth);
    const char *const dirs[] = {at("many")};
    CHECK_OK(lmb_report_write(at("many.html"), 1, dirs, NULL));
    CHECK_OK(lmb_file_open(at("many.html"), &file));
    must_hold(&file, "1203 classes are too many for a board");
    assert_true(file.size < 1000000);
    lmb_file_close(&file);
}

static void broken_boxes_are_named(void **state)
{
    (void)state;
    const char *dirs[1];
    make_boxes("broken", 0.25);
    dirs[0] = at("broken");
    write_text("broken/detections.json", "[{\"image_id\": 8, ");
    CHECK_ERR(lmb_report_write(at("no.html"), 1, dirs, NULL), LMB_EFORMAT,
        "broken/detections.json");
    make_boxes("broken", 0.25);
    dirs[0] = at("broken");
    write_text("broken/samples/7.jpg", "no picture");
    CHECK_ERR(lmb_report_write(at("no.html"), 1, dirs, NULL), LMB_EFORMAT,
        "samples/7.jpg: neither JPEG nor PNG");
    assert_false(lmb_path_exists(at("no.html")));
}

static void what_is_no_run_is_an_error(void **state)
{
    (void)state;
    const char *dirs[] = {at("nothing")};
    CHECK_ERR(lmb_report_write(at("no.html"), 1, dirs, NULL), LMB_ENOTFOUND,
        "nothing: no such run");
    make_run("bad", 1, 40);
    dirs[0] = at("bad");
    write_text("bad/metrics.jsonl", "");
    CHECK_ERR(lmb_report_write(at("no.html"), 1, dirs, NULL), LMB_ENOTFOUND,
        "bad: no epoch of it is finished yet");
    write_text("bad/metrics.jsonl", "{\"epoch\": 1}\n{\"epoch\"\n");
    dirs[0] = at("bad");
    CHECK_ERR(lmb_report_write(at("no.html"), 1, dirs, NULL), LMB_EFORMAT,
        "bad/metrics.jsonl:2: ");
    assert_false(lmb_path_exists(at("no.html")));
}

static void absurd_numbers_end(void **state)
{
    (void)state;
    make_run("odd", 1, 40);
    write_text("odd/metrics.jsonl",
        "{\"epoch\": 1e18, \"split\": \"test\", \"top1\": 1e300}\n"
        "{\"epoch\": 1000000000000000128, \"split\": \"test\", "
        "\"top1\": -1e300}\n"
        "{\"epoch\": 1e18, \"split\": \"train\", \"loss\": 1e18}\n"
        "{\"epoch\": 2e18, \"split\": \"train\", "
        "\"loss\": 1000000000000000128}\n");
    const char *const dirs[] = {at("odd")};
    CHECK_OK(lmb_report_write(at("odd.html"), 1, dirs, NULL));
}

static void failed_allocations_leave_nothing(void **state)
{
    (void)state;
    const char *const dirs[] = {at("one"), at("boxes")};
    const char *page = at("sweep.html");
    const int64_t before = lmb_alloc_live();
    for (int64_t n = 0; n < 20000; n++) {
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_report_write(page, 2, dirs, NULL);
        const bool failed = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        assert_true(lmb_alloc_live() == before);
        if (!failed) {
            CHECK_OK(st);
            return;
        }
        CHECK_ERR(st, LMB_ENOMEM, "");
        assert_false(lmb_path_exists(page));
    }
    fail_msg("never got through");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_are_cut_back_to_a_mark),
        cmocka_unit_test(the_page_has_runs_seeds_and_gaps),
        cmocka_unit_test(means_are_over_whole_runs_of_other_seeds),
        cmocka_unit_test(the_manifest_says_what_best_was_chosen_on),
        cmocka_unit_test(classes_named_alike_are_told_apart),
        cmocka_unit_test(detectors_have_boxes_curves_and_pictures),
        cmocka_unit_test(a_board_of_many_classes_is_left_out),
        cmocka_unit_test(broken_boxes_are_named),
        cmocka_unit_test(what_is_no_run_is_an_error),
        cmocka_unit_test(absurd_numbers_end),
        cmocka_unit_test(failed_allocations_leave_nothing)};
    const int failed = cmocka_run_group_tests(tests, enter, leave);
    return failed + lmb_test_leaks();
}
