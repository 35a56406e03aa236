#include "detect/top.h"

#include "base/rng.h"
#include "lmb_test.h"

static void ranks_rise_with_scores(void **state)
{
    (void)state;
    const float rising[] = {
        NAN, -INFINITY, -1e30f, -1, -1e-40f, 0, 1e-40f, 0.5f, 1, INFINITY};
    for (size_t i = 1; i < LMB_COUNT(rising); i++)
        assert_true(lmb_top_rank(rising[i - 1]) < lmb_top_rank(rising[i]));
    assert_true(lmb_top_rank(-0.0f) == lmb_top_rank(0.0f));
}

static void the_best_come_first_and_ties_by_index(void **state)
{
    (void)state;
    const float score[] = {1, 3, 2, 3, 0, 3, NAN};
    const int64_t want[] = {1, 3, 5, 2};
    uint64_t key[4];
    lmb_top top = {key, 4, 0};
    for (int64_t i = 0; i < 7; i++)
        lmb_top_push(&top, lmb_top_key(lmb_top_rank(score[i]), i));
    lmb_top_sort(&top);
    assert_int_equal(top.count, 4);
    for (int k = 0; k < 4; k++)
        assert_int_equal(lmb_top_index(key[k]), want[k]);
}

static void no_room_and_few_keys_are_fine(void **state)
{
    (void)state;
    uint64_t key[3];
    lmb_top none = {key, 0, 0}, some = {key, 3, 0};
    lmb_top_push(&none, lmb_top_key(1, 0));
    lmb_top_sort(&none);
    assert_int_equal(none.count, 0);
    lmb_top_push(&some, lmb_top_key(1, 4000000000));
    lmb_top_sort(&some);
    assert_int_equal(some.count, 1);
    assert_int_equal(lmb_top_index(key[0]), 4000000000);
}

/* Every one that is held beats every one that is not. */
static void many_random_scores_are_sorted(void **state)
{
    (void)state;
    enum { N = 1000, K = 37 };
    uint64_t key[K], all[N];
    lmb_rng rng = lmb_rng_make(3, LMB_STREAM_TEST, 0, 0);
    lmb_top top = {key, K, 0};
    for (int64_t i = 0; i < N; i++) {
        all[i] = lmb_top_key(lmb_rng_below(&rng, 200), i);
        lmb_top_push(&top, all[i]);
    }
    lmb_top_sort(&top);
    int better = 0;
    for (int k = 1; k < K; k++)
        assert_true(key[k - 1] > key[k]);
    for (int i = 0; i < N; i++)
        better += all[i] >= key[K - 1];
    assert_int_equal(better, K);
}

LMB_TEST_MAIN(cmocka_unit_test(ranks_rise_with_scores),
    cmocka_unit_test(the_best_come_first_and_ties_by_index),
    cmocka_unit_test(no_room_and_few_keys_are_fine),
    cmocka_unit_test(many_random_scores_are_sorted))
