/* Ground truth: clipping, what is left out, ids, views, balanced splits. */
#include "lmb_test.h"

#include "data/truth.h"

enum { SIDE = 8, PICTURES = 12 };

static void add(lmb_dataset *ds, int32_t label, bool crowd, double x0,
    double y0, double x1, double y1)
{
    const lmb_box_row row = {{x0, y0, x1, y1}, label, crowd, -1};
    CHECK_OK(lmb__truth_box(ds, &row));
}

/* Picture i has i mod 4 boxes; only pictures 3, 7 and 11 have class 2. */
static lmb_dataset *make_set(void)
{
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb__dataset_new("made", &ds));
    ds->height = ds->width = SIDE;
    ds->classes = 3;
    CHECK_OK(lmb__truth_new(ds, 1));
    for (int i = 0; i < PICTURES; i++) {
        uint8_t *rgb = NULL;
        CHECK_OK(lmb__dataset_push(ds, 0, &rgb));
        memset(rgb, i, SIDE * SIDE * 3);
        CHECK_OK(lmb__truth_picture(ds, NULL, 100 + i, SIDE, SIDE));
        for (int k = 0; k < i % 4; k++)
            add(ds, k, k == 1, k, i % 3, k + 2, 5);
    }
    CHECK_OK(lmb__truth_finish(ds, "made"));
    return ds;
}

static void boxes_come_back_by_picture(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set();
    lmb_ground_truth t;
    assert_true(lmb_dataset_is_detection(ds));
    CHECK_OK(lmb_dataset_truth(ds, 7, &t));
    assert_int_equal(t.count, 3);
    const float want[4] = {2, 1, 4, 5};
    assert_memory_equal(t.boxes + 8, want, sizeof want);
    assert_int_equal(t.labels[2], 2);
    assert_int_equal(t.crowd[0] + 2 * t.crowd[1] + 4 * t.crowd[2], 2);
    assert_true(t.area[2] == 8);
    CHECK_OK(lmb_dataset_truth(ds, 8, &t));
    assert_int_equal(t.count, 0);
    assert_int_equal(lmb_dataset_image_id(ds, 8), 108);
    assert_int_equal(lmb_dataset_category_id(ds, 2), 3);
    int32_t h = 0;
    int32_t w = 0;
    assert_true(lmb_dataset_picture_size(ds, 8, &h, &w));
    assert_int_equal(h + w, 2 * SIDE);
    assert_null(lmb_dataset_picture_path(ds, 8));
    assert_string_equal(lmb_dataset_notes(ds), "");
    CHECK_ERR(lmb_dataset_truth(ds, 12, &t), LMB_EINVAL, "sample 12");
    lmb_dataset_free(ds);
}

static void boxes_are_clipped_or_left_out(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    lmb_ground_truth t;
    CHECK_OK(lmb__dataset_new("made", &ds));
    ds->height = ds->width = SIDE;
    ds->classes = 1;
    CHECK_OK(lmb__truth_new(ds, 0));
    uint8_t *rgb = NULL;
    CHECK_OK(lmb__dataset_push(ds, 0, &rgb));
    CHECK_OK(lmb__truth_picture(ds, NULL, 1, SIDE, SIDE));
    add(ds, 0, false, -3, 2, 4, 20);
    add(ds, 0, false, 3, 3, 3, 5); /* no width */
    add(ds, 0, false, 9, 1, 12, 5); /* outside */
    add(ds, 0, false, 5, 5, 4, 6); /* turned over */
    add(ds, 0, false, -0.5, 0, 1, 1); /* rounding is not worth a word */
    CHECK_OK(lmb__truth_finish(ds, "made"));
    CHECK_OK(lmb_dataset_truth(ds, 0, &t));
    assert_int_equal(t.count, 2);
    const float want[8] = {0, 2, 4, 8, 0, 0, 1, 1};
    assert_memory_equal(t.boxes, want, sizeof want);
    assert_string_equal(lmb_dataset_notes(ds),
        "3 boxes without area left out; 1 boxes cut at their picture's border");
    lmb_dataset_free(ds);
}

static void views_share_the_boxes(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set();
    lmb_dataset *view = NULL;
    lmb_ground_truth t;
    const int64_t pick[3] = {4, 7, 7};
    CHECK_OK(lmb_dataset_subset(ds, pick, 3, &view));
    lmb_dataset_free(ds);
    assert_true(lmb_dataset_is_detection(view));
    CHECK_OK(lmb_dataset_truth(view, 0, &t));
    assert_int_equal(t.count, 0);
    CHECK_OK(lmb_dataset_truth(view, 2, &t));
    assert_int_equal(t.count, 3);
    assert_int_equal(lmb_dataset_image_id(view, 1), 107);
    assert_int_equal(lmb_dataset_category_id(view, 0), 1);
    lmb_dataset_free(view);
}

/* Of the three pictures with the rare class one is held out, and of the three
 * without boxes too. */
static void splits_are_balanced_by_the_rarest_class(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set();
    lmb_dataset *rest = NULL;
    lmb_dataset *held = NULL;
    assert_int_equal(lmb_dataset_label(ds, 7), 2);
    assert_int_equal(lmb_dataset_label(ds, 6), 1);
    assert_int_equal(lmb_dataset_label(ds, 4), -1);
    CHECK_OK(lmb_dataset_split(ds, 0.34, 5, &rest, &held));
    int count[4] = {0};
    for (int64_t i = 0; i < lmb_dataset_count(held); i++)
        count[lmb_dataset_label(held, i) + 1]++;
    for (int k = 0; k < 4; k++)
        assert_int_equal(count[k], 1);
    assert_int_equal(lmb_dataset_count(rest), PICTURES - 4);
    lmb_dataset_free(rest);
    lmb_dataset_free(held);
    lmb_dataset_free(ds);
}

LMB_TEST_MAIN(cmocka_unit_test(boxes_come_back_by_picture),
    cmocka_unit_test(boxes_are_clipped_or_left_out),
    cmocka_unit_test(views_share_the_boxes),
    cmocka_unit_test(splits_are_balanced_by_the_rarest_class))
