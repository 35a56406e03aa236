/* test_swin.c: Swin transformers: logits, taps, loss and gradients against
 * torchvision's definition. */
#include "model/model_check.h"

static void agrees_in_single_precision(void **state)
{
    static const char *const names[] = {"swin_t", "swin_s"};
    (void)state;
    model_check_fast(LMB_COUNT(names), names);
}

static void agrees_in_double_precision(void **state)
{
    static const char *const names[] = {"swin_t"};
    (void)state;
    model_check_exact(LMB_COUNT(names), names);
}

LMB_TEST_MAIN(cmocka_unit_test(agrees_in_single_precision),
    cmocka_unit_test(agrees_in_double_precision))
