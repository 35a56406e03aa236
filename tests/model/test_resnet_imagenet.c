/* test_resnet_imagenet.c: torchvision's ResNets: logits, taps, loss and
 * gradients against their published definition. */
#include "model/model_check.h"

static void agrees_in_single_precision(void **state)
{
    static const char *const names[] = {"resnet18"};
    (void)state;
    model_check_fast(LMB_COUNT(names), names);
}

static void deep_ones_agree_in_single_precision(void **state)
{
    static const char *const names[] = {"resnet34", "resnet50", "resnet101"};
    (void)state;
    model_check_deep(LMB_COUNT(names), names);
}

static void agrees_in_double_precision(void **state)
{
    static const char *const names[] = {"resnet18"};
    (void)state;
    model_check_exact(LMB_COUNT(names), names);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_in_single_precision),
    cmocka_unit_test(deep_ones_agree_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision))
