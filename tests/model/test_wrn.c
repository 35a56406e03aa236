/* test_wrn.c: wide residual networks: logits, taps, loss and
 * gradients against their published definition. */
#include "model/model_check.h"

static void agrees_in_single_precision(void **state)
{
    static const char *const names[] = {"wrn_16_1", "wrn_16_2", "wrn_16_4"};
    (void)state;
    model_check_fast(LMB_COUNT(names), names);
}

static void deep_ones_agree_in_single_precision(void **state)
{
    static const char *const names[] = {
        "wrn_28_2", "wrn_28_4", "wrn_40_1", "wrn_40_2", "wrn_40_4"};
    (void)state;
    model_check_deep(LMB_COUNT(names), names);
}

static void agrees_in_double_precision(void **state)
{
    static const char *const names[] = {"wrn_16_1"};
    (void)state;
    model_check_exact(LMB_COUNT(names), names);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_in_single_precision),
    cmocka_unit_test(deep_ones_agree_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision))
