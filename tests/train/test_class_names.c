/* test_class_names.c: class names of weights against those of the data. */
#include "program.h"

#include "base/log.h"
#include "train/class_names.h"

enum { CLASSES = 4 };

/* --- lists ---------------------------------------------------------------- */

static void spelling_does_not_count(void **state)
{
    (void)state;
    static const char *const a[] = {"Traffic Light", "hot-dog", "", "N/A"};
    static const char *const b[] = {"traffic_light", "HOT DOG", "cat", "dog"};
    const lmb_names_gap gap = lmb_names_compare(a, b, CLASSES);
    assert_int_equal(gap.known, 2);
    assert_int_equal(gap.differ, 0);
    assert_true(gap.first == -1 && gap.moved == -1);
}

static void another_order_is_seen(void **state)
{
    (void)state;
    static const char *const a[] = {"cat", "dog", "bird", "fish"};
    static const char *const swapped[] = {"cat", "bird", "dog", "fish"};
    static const char *const partly[] = {"cow", "cat", "hen", "fish"};
    lmb_names_gap gap = lmb_names_compare(a, swapped, CLASSES);
    assert_true(gap.differ == 2 && gap.first == 1 && gap.moved == 1);
    gap = lmb_names_compare(a, partly, CLASSES);
    assert_true(gap.differ == 3 && gap.first == 0 && gap.moved == 0);
}

/* Other names are no order; nor is a name that stands twice. */
static void other_names_are_told_apart(void **state)
{
    (void)state;
    static const char *const a[] = {"cat", "dog", "crane", "crane"};
    static const char *const others[] = {"Katze", "Hund", "Vogel", "Fisch"};
    static const char *const twice[] = {"cat", "dog", "crane", "crane bird"};
    lmb_names_gap gap = lmb_names_compare(a, others, CLASSES);
    assert_true(gap.differ == 4 && gap.first == 0 && gap.moved == -1);
    gap = lmb_names_compare(a, twice, CLASSES);
    assert_true(gap.differ == 1 && gap.first == 3 && gap.moved == -1);
}

/* --- a file and a set ----------------------------------------------------- */

static char said[512];

static void keep(lmb_log_level level, const char *text, void *user)
{
    (void)user;
    assert_int_equal(level, LMB_LOG_WARNING);
    (void)snprintf(said, sizeof said, "%s", text);
}

static lmb_status check(
    const lmb_dataset *data, const char *const *names, bool tolerant)
{
    const lmb_weights_about about = {
        .classes = CLASSES, .class_names = (char **)(uintptr_t)names};
    said[0] = '\0';
    return lmb_check_class_names("t.pth", &about, data, tolerant);
}

static void the_file_is_held_against_the_data(void **state)
{
    (void)state;
    static const char names[] = "cat\ndog\nbird\nfish\n";
    static const char *const same[] = {"Cat", "Dog", "Bird", "Fish"};
    static const char *const moved[] = {"dog", "cat", "bird", "fish"};
    static const char *const others[] = {"1", "2", "3", "4"};
    char spec[2 * PROGRAM_PATH];
    lmb_dataset *data = NULL;
    write_data(8);
    write_all(in_folder("data/label_names.txt"), names, sizeof names - 1);
    (void)snprintf(spec, sizeof spec, "idx:%s", in_folder("data"));
    CHECK_OK(lmb_dataset_open(spec, "train", NULL, &data));
    lmb_log_set(keep, NULL);
    CHECK_OK(check(data, same, false));
    assert_string_equal(said, "");
    CHECK_OK(check(data, NULL, false));
    assert_string_equal(said, "");
    CHECK_ERR(check(data, moved, false), LMB_EFORMAT,
        "t.pth: class 0 is 'dog' there and 'cat' in the data");
    assert_string_equal(said, "");
    CHECK_OK(check(data, moved, true));
    assert_non_null(strstr(said, "class 0 is 'dog' there and 'cat'"));
    CHECK_OK(check(data, others, false));
    assert_non_null(strstr(said, "4 of its 4 class names are not the data's"));
    lmb_log_set(NULL, NULL);
    lmb_dataset_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spelling_does_not_count),
        cmocka_unit_test(another_order_is_seen),
        cmocka_unit_test(other_names_are_told_apart),
        cmocka_unit_test(the_file_is_held_against_the_data),
    };
    const int failed =
        cmocka_run_group_tests(tests, program_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
