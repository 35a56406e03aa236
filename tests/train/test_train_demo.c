/* limbeck demo --json: nothing but JSON on standard output. */
#include "program.h"

#include "backend/onednn/dnn.h"

#include <jansson.h>

enum { CLASSIFIERS = 4 };

static double number_of(const json_t *run, const char *key)
{
    const json_t *value = json_object_get(run, key);
    if (!json_is_number(value))
        fail_msg("no number '%s'", key);
    return json_number_value(value);
}

static void check_run(const json_t *run, const char *name, const char *method)
{
    static const char *const positive[] = {
        "top5", "images_per_second", "parameters", "count"};
    const char *taught = json_string_value(json_object_get(run, "method"));
    const char *path = json_string_value(json_object_get(run, "weights"));
    assert_string_equal(json_string_value(json_object_get(run, "name")), name);
    assert_non_null(json_string_value(json_object_get(run, "network")));
    assert_string_equal(taught != NULL ? taught : "", method);
    for (size_t i = 0; i < LMB_COUNT(positive); i++)
        assert_true(number_of(run, positive[i]) > 0);
    const double p = number_of(run, "top1") / 100;
    CHECK_NEAR(number_of(run, "top1_error"),
        100 * sqrt(p * (1 - p) / number_of(run, "count")), 1e-12);
    assert_true(path != NULL && exists(path));
}

static void standard_output_is_json(void **state)
{
    (void)state;
    static const char *const names[] = {"teacher", "alone", "kd", "pcd"};
    static const char *const methods[] = {"", "", "kd", "pcd"};
    json_error_t error;
    if (!lmb_dnn_available()) {
        (void)printf("skipped: too slow without oneDNN\n");
        skip();
    }
    program p = {.output = in_folder("out.json")};
    program_start(&p,
        "demo --epochs 1 --fraction 0.05 --detector-epochs 0 --precision f32 "
        "--json --out %s",
        in_folder("demo"));
    program_ends(&p, 0);
    json_t *out = json_load_file(p.output, 0, &error);
    if (out == NULL)
        fail_msg("%s:%d: %s", p.output, error.line, error.text);
    const json_t *runs = json_object_get(out, "runs");
    assert_int_equal(json_array_size(runs), CLASSIFIERS);
    for (size_t i = 0; i < CLASSIFIERS; i++)
        check_run(json_array_get(runs, i), names[i], methods[i]);
    assert_true(exists(json_string_value(json_object_get(out, "report"))));
    assert_null(json_object_get(out, "report_detectors"));
    json_decref(out);
}

/* Before anything is trained: dfmsd has two stages. */
static void one_epoch_is_too_few_for_detectors(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p, "demo --detector-epochs 1 --out %s", in_folder("short"));
    program_ends(&p, 2);
    assert_non_null(strstr(p.text, "--detector-epochs 1: 2 at least"));
    assert_false(exists(in_folder("short")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_epoch_is_too_few_for_detectors),
        cmocka_unit_test(standard_output_is_json),
    };
    const int failed =
        cmocka_run_group_tests(tests, program_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
