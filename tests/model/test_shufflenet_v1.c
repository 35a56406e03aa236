/* test_shufflenet_v1.c: ShuffleNet: logits, taps, loss and
 * gradients against their published definition. */
#include "model/model_check.h"

static void deep_ones_agree_in_single_precision(void **state)
{
    static const char *const names[] = {"ShuffleV1"};
    (void)state;
    model_check_deep(LMB_COUNT(names), names);
}

static void agrees_in_double_precision(void **state)
{
    static const char *const names[] = {"ShuffleV1"};
    (void)state;
    model_check_exact(LMB_COUNT(names), names);
}

LMB_TEST_MAIN(cmocka_unit_test(deep_ones_agree_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision))
