/* test_resnet_cifar_wide.c: ResNet-18 and -50 for small images: logits, taps,
 * loss and gradients against their published definition. */
#include "model/model_check.h"

static void deep_ones_agree_in_single_precision(void **state)
{
    static const char *const names[] = {"cifar_resnet18", "cifar_resnet50"};
    (void)state;
    model_check_deep(LMB_COUNT(names), names);
}

LMB_TEST_MAIN(cmocka_unit_test(deep_ones_agree_in_single_precision))
