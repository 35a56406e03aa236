/* test_evaluate.c: parts of data sets to evaluate on. */
#include "lmb_test.h"

#include "train/step.h"

enum { CLASSES = 100, PART = 400 };

static int classes_of(const lmb_dataset *part)
{
    bool seen[CLASSES] = {0};
    int n = 0;
    for (int64_t i = 0; i < lmb_dataset_count(part); i++) {
        const int32_t label = lmb_dataset_label(part, i);
        n += !seen[label];
        seen[label] = true;
    }
    return n;
}

/* The generated set takes its classes in turns; a part with a step of its own
 * through it would meet a few of them only. */
static void a_part_has_the_classes_of_the_whole(void **state)
{
    lmb_dataset *whole = NULL, *part = NULL, *again = NULL;
    const lmb_dataset_opts opts = {0};
    (void)state;
    CHECK_OK(lmb_dataset_open("shapes", "test", &opts, &whole));
    CHECK_OK(lmb_eval_part(whole, PART, &part));
    CHECK_OK(lmb_eval_part(whole, PART, &again));
    assert_int_equal(lmb_dataset_count(part), PART);
    assert_true(classes_of(part) > 90);
    for (int64_t i = 0; i < PART; i++) {
        const int64_t at = lmb_dataset_root_index(part, i);
        assert_int_equal(at, lmb_dataset_root_index(again, i));
        if (i > 0)
            assert_true(at > lmb_dataset_root_index(part, i - 1));
    }
    lmb_dataset_free(again);
    lmb_dataset_free(part);
    lmb_dataset_free(whole);
}

static void a_part_as_large_as_the_whole_is_none(void **state)
{
    lmb_dataset *whole = NULL, *part = NULL;
    const lmb_dataset_opts opts = {0};
    (void)state;
    CHECK_OK(lmb_dataset_open("shapes", "test", &opts, &whole));
    CHECK_OK(lmb_eval_part(whole, lmb_dataset_count(whole), &part));
    assert_null(part);
    lmb_dataset_free(whole);
}

LMB_TEST_MAIN(cmocka_unit_test(a_part_has_the_classes_of_the_whole),
    cmocka_unit_test(a_part_as_large_as_the_whole_is_none))
