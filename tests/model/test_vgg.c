/* test_vgg.c: VGG with batch norm: logits, taps, loss and
 * gradients against their published definition. */
#include "model/model_check.h"

static void agrees_in_single_precision(void **state)
{
    static const char *const names[] = {
        "vgg8", "vgg11", "vgg13", "vgg16", "vgg19"};
    (void)state;
    model_check_fast(LMB_COUNT(names), names);
}

static void agrees_in_double_precision(void **state)
{
    static const char *const names[] = {"vgg8"};
    (void)state;
    model_check_exact(LMB_COUNT(names), names);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision))
