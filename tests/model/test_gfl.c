/* test_gfl.c: GFL against a second opinion in PyTorch. */
#include "detector_check.h"

static const char text[] = "gfl_r18_fpn:fpn_channels=64,head_convs=2";

static void it_computes_what_the_paper_says(void **state)
{
    (void)state;
    detector_check(text, "gfl_r18_fpn", true, &detector_exact);
    detector_check(text, "gfl_r18_fpn", false, &detector_fast);
}

LMB_TEST_MAIN(cmocka_unit_test(it_computes_what_the_paper_says))
