/* test_confusion.c: pairs of the confusion matrix, small enough to see. */
#include "lmb_test.h"

#include "metric/confusion.h"

enum { CLASSES = 2, COLUMNS = CLASSES + 1 };

static void check(const lmb_gt_box *gt, int64_t n_gt, const lmb_dt_box *dt,
    int64_t n_dt, const int64_t want[COLUMNS * COLUMNS])
{
    const lmb_boxes boxes = {gt, dt, n_gt, n_dt, 3, CLASSES};
    lmb_confusion c;
    CHECK_OK(lmb_confusion_eval(&boxes, 0.5, 0.3, &c));
    assert_int_equal(c.categories, CLASSES);
    for (int i = 0; i < COLUMNS * COLUMNS; i++)
        if (c.count[i] != want[i])
            fail_msg("row %d column %d: %lld, not %lld", i / COLUMNS,
                i % COLUMNS, (long long)c.count[i], (long long)want[i]);
    lmb_confusion_fini(&c);
}

static void boxes_are_paired_over_classes(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {{.box = {0, 0, 10, 10}, .category = 0},
        {.box = {50, 0, 10, 10}, .category = 1},
        {.box = {0, 0, 10, 10}, .category = 1, .image = 2}};
    const lmb_dt_box dt[] = {
        {.box = {0, 0, 10, 10}, .score = .9, .category = 1},
        {.box = {50, 0, 10, 10}, .score = .3, .category = 1},
        {.box = {100, 0, 10, 10}, .score = .5, .category = 0},
        {.box = {0, 0, 10, 10}, .score = .29, .category = 1, .image = 2}};
    const int64_t want[] = {0, 1, 0, 0, 1, 1, 1, 0, 0};
    check(gt, 3, dt, 4, want);
}

/* The better overlap wins, whatever the score; each box has one partner. */
static void the_largest_overlap_comes_first(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {{.box = {0, 0, 10, 10}, .category = 0}};
    const lmb_dt_box dt[] = {
        {.box = {0, 2, 10, 10}, .score = .9, .category = 1},
        {.box = {0, 1, 10, 10}, .score = .4, .category = 0}};
    const int64_t want[] = {1, 0, 0, 0, 0, 0, 0, 1, 0};
    check(gt, 1, dt, 2, want);
}

static void crowds_and_difficult_boxes_are_left_out(void **state)
{
    (void)state;
    const lmb_gt_box gt[] = {
        {.box = {0, 0, 100, 100}, .category = 0, .crowd = true},
        {.box = {200, 0, 10, 10}, .category = 1, .difficult = true},
        {.box = {300, 0, 10, 10}, .category = 1, .difficult = true},
        {.box = {0, 0, 10, 10}, .category = 1}};
    const lmb_dt_box dt[] = {
        {.box = {40, 40, 10, 10}, .score = .9, .category = 1},
        {.box = {200, 0, 10, 10}, .score = .9, .category = 0},
        {.box = {0, 0, 10, 10}, .score = .9, .category = 1}};
    const int64_t want[] = {0, 0, 0, 0, 1, 0, 0, 0, 0};
    check(gt, 4, dt, 3, want);
}

static void wrong_thresholds_are_refused(void **state)
{
    (void)state;
    const lmb_boxes none = {NULL, NULL, 0, 0, 0, 0};
    lmb_confusion c;
    CHECK_ERR(lmb_confusion_eval(&none, 1.5, 0, &c), LMB_EINVAL, "1.5");
    CHECK_OK(lmb_confusion_eval(&none, 0.5, 0, &c));
    assert_int_equal(c.count[0], 0);
    lmb_confusion_fini(&c);
}

LMB_TEST_MAIN(cmocka_unit_test(boxes_are_paired_over_classes),
    cmocka_unit_test(the_largest_overlap_comes_first),
    cmocka_unit_test(crowds_and_difficult_boxes_are_left_out),
    cmocka_unit_test(wrong_thresholds_are_refused))
