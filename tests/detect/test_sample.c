#include "detect/sample.h"

#include "lmb_test.h"

enum { N = 10, NONE = LMB_MATCH_NONE, OUT = LMB_MATCH_IGNORED };
static const int32_t match[N] = {0, NONE, 2, OUT, 1, NONE, NONE, 5, OUT, NONE};

static void check(
    const lmb_sample_rule *rule, const uint32_t *priority, const char *want)
{
    uint64_t key[16];
    bool keep[N];
    lmb_sample(match, priority, N, rule, key, keep);
    for (int i = 0; i < N; i++)
        if (keep[i] != (want[i] == '1'))
            fail_msg("%d is %skept; want %s", i, keep[i] ? "" : "not ", want);
}

static void the_largest_priorities_are_kept(void **state)
{
    (void)state;
    const uint32_t priority[N] = {1, 2, 9, 99, 8, 7, 2, 9, 99, 5};
    /* Two positives (2 and 7), three of background (5, 9, and 1 of a tie). */
    check(&(lmb_sample_rule){5, 0.5}, priority, "0110010101");
    check(&(lmb_sample_rule){3, 1}, priority, "0010100100");
    check(&(lmb_sample_rule){2, 0}, priority, "0000010001");
    check(&(lmb_sample_rule){16, 0.5}, priority, "1110111101");
    check(&(lmb_sample_rule){16, 0.125}, priority, "0110011101");
}

static void equal_priorities_take_the_first(void **state)
{
    (void)state;
    static const uint32_t same[N];
    check(&(lmb_sample_rule){4, 0.5}, same, "1110010000");
}

static void priorities_depend_on_every_number(void **state)
{
    (void)state;
    const lmb_sample_draw draws[] = {{1, 2, 3, 4}, {9, 2, 3, 4}, {1, 9, 3, 4},
        {1, 2, 9, 4}, {1, 2, 3, 9}, {1, 2, 4, 3}};
    uint32_t first[N], other[N];
    lmb_sample_priorities(&draws[0], N, first);
    lmb_sample_priorities(&draws[0], N, other);
    assert_memory_equal(first, other, sizeof first);
    for (size_t k = 1; k < LMB_COUNT(draws); k++) {
        lmb_sample_priorities(&draws[k], N, other);
        assert_memory_not_equal(first, other, sizeof first);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(the_largest_priorities_are_kept),
    cmocka_unit_test(equal_priorities_take_the_first),
    cmocka_unit_test(priorities_depend_on_every_number))
