#include "detect/nms.h"
#include "detect/post.h"

#include "lmb_test.h"

#include "base/rng.h"

#define UNIT(x) \
    { \
        (x), 0, (x) + 10, 10 \
    }

enum { MOST = 50 };

static int64_t suppress(const lmb_box *box, const int32_t *group, int64_t n,
    double threshold, int64_t capacity, int64_t *kept)
{
    lmb_nms_tile tile[(MOST + LMB_NMS_LANES - 1) / LMB_NMS_LANES];
    assert_true(capacity <= MOST);
    return lmb_nms(
        (lmb_nms_boxes){box, group, n}, threshold, capacity, tile, kept);
}

static void suppression_is_greedy_and_within_groups(void **state)
{
    (void)state;
    /* 1 falls to 0; 2 would fall to 1, but that is gone. */
    const lmb_box box[] = {UNIT(0), UNIT(3), UNIT(6), UNIT(0), UNIT(0)};
    const int32_t group[] = {7, 7, 7, 8, 7};
    int64_t kept[5];
    int64_t n = suppress(box, group, 5, 0.5, 5, kept);
    assert_int_equal(n, 3);
    assert_int_equal(kept[1], 2);
    assert_int_equal(kept[2], 3);
    n = suppress(box, NULL, 5, 0.5, 5, kept);
    assert_int_equal(n, 2);
    n = suppress(box, group, 5, 0.5, 1, kept);
    assert_int_equal(n, 1);
    n = suppress(box, group, 0, 0.5, 5, kept);
    assert_int_equal(n, 0);
}

static void an_iou_at_the_threshold_stays(void **state)
{
    (void)state;
    const lmb_box box[] = {{0, 0, 10, 10}, {0, 0, 10, 5}};
    int64_t kept[2];
    assert_int_equal(suppress(box, NULL, 2, 0.5, 2, kept), 2);
    assert_int_equal(suppress(box, NULL, 2, 0.49, 2, kept), 1);
}

/* A crowd of equal boxes leaves one; boxes of no area leave each other. */
static void crowds_and_empty_boxes_are_fine(void **state)
{
    (void)state;
    lmb_box box[MOST];
    int64_t kept[MOST];
    for (int i = 0; i < 50; i++)
        box[i] = (lmb_box){1, 2, 3, 4};
    assert_int_equal(suppress(box, NULL, 50, 0, 50, kept), 1);
    for (int i = 0; i < 50; i++)
        box[i] = (lmb_box){1, 2, 1, 2};
    assert_int_equal(suppress(box, NULL, 50, 0, 50, kept), 50);
}

/* As written down: every pair by lmb_detect_iou. */
static int64_t suppress_plainly(const lmb_box *box, const int32_t *group,
    int64_t n, double threshold, int64_t capacity, int64_t *kept)
{
    int64_t found = 0;
    for (int64_t i = 0; i < n && found < capacity; i++) {
        bool out = false;
        for (int64_t k = 0; k < found; k++)
            out = out ||
                (group[kept[k]] == group[i] &&
                    (double)lmb_detect_iou(&box[kept[k]], &box[i]) > threshold);
        if (!out)
            kept[found++] = i;
    }
    return found;
}

/* Corners on a grid, so that overlaps meet the thresholds exactly. */
static void suppression_is_what_every_pair_says(void **state)
{
    (void)state;
    static const double thresholds[] = {0, 0.1, 1.0 / 3, 0.5, 0.7, 1};
    lmb_rng rng = lmb_rng_make(3, LMB_STREAM_TEST, 0, 0);
    for (int round = 0; round < 300; round++) {
        lmb_box box[2 * MOST];
        int32_t group[2 * MOST];
        int64_t kept[MOST], want[MOST];
        for (int i = 0; i < 2 * MOST; i++) {
            const float x = (float)lmb_rng_below(&rng, 12);
            const float y = (float)lmb_rng_below(&rng, 12);
            box[i] = (lmb_box){x, y, x + (float)lmb_rng_below(&rng, 6),
                y + (float)lmb_rng_below(&rng, 6)};
            group[i] = (int32_t)lmb_rng_below(&rng, 3) - 1;
        }
        const double threshold = thresholds[round % (int)LMB_COUNT(thresholds)];
        const int64_t capacity = 1 + lmb_rng_below(&rng, MOST);
        const int64_t n =
            suppress(box, group, 2 * MOST, threshold, capacity, kept);
        assert_int_equal(n,
            suppress_plainly(box, group, 2 * MOST, threshold, capacity, want));
        for (int64_t k = 0; k < n; k++)
            assert_int_equal(kept[k], want[k]);
    }
}

static void only_scores_above_the_threshold_are_picked(void **state)
{
    (void)state;
    const float score[] = {0.5f, 0.6f, NAN, 0.7f, 0.5f, INFINITY};
    uint64_t key[4];
    lmb_top top = {key, 4, 0};
    lmb_post_pick(score, 6, 0.5, &top);
    lmb_top_sort(&top);
    assert_int_equal(top.count, 3);
    assert_int_equal(lmb_top_index(key[0]), 5);
    assert_int_equal(lmb_top_index(key[1]), 3);
}

static void candidates_are_clipped_sorted_and_cut(void **state)
{
    (void)state;
    lmb_candidate c[] = {
        {UNIT(0), 0.5f, 1},
        {{-5, -5, 4, 50}, 0.9f, 1},
        {UNIT(1), 0.7f, 1},
        {UNIT(40), 0.99f, 1}, /* outside */
        {{0, NAN, 5, 5}, 0.99f, 1},
        {UNIT(1), NAN, 1},
        {UNIT(0), 0.9f, 2},
        {UNIT(0), 0.1f, 2},
    };
    const lmb_post_rule rule = {0.5, 3, 20, 30, false};
    int64_t kept = 0;
    CHECK_OK(lmb_post_finish(&rule, c, 8, &kept));
    assert_int_equal(kept, 3);
    assert_int_equal(c[0].label, 1);
    CHECK_NEAR(c[0].box.y1, 20, 0);
    CHECK_NEAR(c[0].box.x0, 0, 0);
    assert_int_equal(c[1].label, 2);
    CHECK_NEAR(c[2].score, 0.7f, 0);
    CHECK_OK(lmb_post_finish(&rule, c, 0, &kept));
    assert_int_equal(kept, 0);
}

static void boxes_without_area_stay_if_asked(void **state)
{
    (void)state;
    lmb_candidate c[] = {{UNIT(40), 0.9f, 1}, {{0, NAN, 5, 5}, 0.8f, 1}};
    lmb_post_rule rule = {0.5, 3, 20, 30, true};
    int64_t kept = 0;
    CHECK_OK(lmb_post_finish(&rule, c, 2, &kept));
    assert_int_equal(kept, 1);
    CHECK_NEAR(c[0].score, 0.9f, 0);
    rule.keep_empty = false;
    CHECK_OK(lmb_post_finish(&rule, c, 1, &kept));
    assert_int_equal(kept, 0);
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    lmb_candidate c[] = {{UNIT(0), 0.5f, 1}};
    const lmb_post_rule rule = {0.5, 3, 0, 0, false};
    int64_t kept = 0;
    for (int k = 0; k < 5; k++) {
        lmb_alloc_fail_at(k);
        CHECK_ERR(
            lmb_post_finish(&rule, c, 1, &kept), LMB_ENOMEM, "out of memory");
    }
    lmb_alloc_fail_at(-1);
    CHECK_OK(lmb_post_finish(&rule, c, 1, &kept));
    assert_int_equal(kept, 1);
}

LMB_TEST_MAIN(cmocka_unit_test(suppression_is_greedy_and_within_groups),
    cmocka_unit_test(suppression_is_what_every_pair_says),
    cmocka_unit_test(an_iou_at_the_threshold_stays),
    cmocka_unit_test(crowds_and_empty_boxes_are_fine),
    cmocka_unit_test(only_scores_above_the_threshold_are_picked),
    cmocka_unit_test(candidates_are_clipped_sorted_and_cut),
    cmocka_unit_test(boxes_without_area_stay_if_asked),
    cmocka_unit_test(running_out_of_memory_is_reported))
