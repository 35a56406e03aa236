/* test_resnet_cifar.c: the ResNets of depth 6n + 2: logits, taps, loss and
 * gradients against their published definition. */
#include "model/model_check.h"

static void agrees_in_single_precision(void **state)
{
    static const char *const names[] = {
        "resnet8", "resnet14", "resnet20", "resnet8x4"};
    (void)state;
    model_check_fast(LMB_COUNT(names), names);
}

static void deep_ones_agree_in_single_precision(void **state)
{
    static const char *const names[] = {
        "resnet32", "resnet44", "resnet56", "resnet110", "resnet32x4"};
    (void)state;
    model_check_deep(LMB_COUNT(names), names);
}

static void agrees_in_double_precision(void **state)
{
    static const char *const names[] = {"resnet8", "resnet20", "resnet8x4"};
    (void)state;
    model_check_exact(LMB_COUNT(names), names);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_in_single_precision),
    cmocka_unit_test(deep_ones_agree_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision))
