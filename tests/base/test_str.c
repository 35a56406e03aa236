/* Texts: the nearest of several names. */
#include "lmb_test.h"

#include "base/str.h"

static void check_nearest(const char *text, const char *want)
{
    static const char *const names[] = {
        "kd", "dkd", "pcd", "distill", "resnet20", "temperature"};
    const char *got = lmb_str_nearest(text, names, LMB_COUNT(names));
    if (want == NULL)
        assert_null(got);
    else
        assert_string_equal(got, want);
}

static void slips_of_the_finger_are_understood(void **state)
{
    (void)state;
    check_nearest("distil", "distill"); /* left out */
    check_nearest("resnett20", "resnet20"); /* put in */
    check_nearest("resnet21", "resnet20"); /* exchanged */
    check_nearest("pdc", "pcd"); /* swapped: one slip, "kd" is two away */
    check_nearest("TEMPERATRUE", "temperature");
    check_nearest("dk", "kd");
}

static void far_names_are_not_guessed(void **state)
{
    (void)state;
    char much[200];
    memset(much, 'x', sizeof much);
    much[sizeof much - 1] = '\0';
    check_nearest("zuppa", NULL);
    check_nearest(much, NULL);
    check_nearest("", NULL);
}

LMB_TEST_MAIN(cmocka_unit_test(slips_of_the_finger_are_understood),
    cmocka_unit_test(far_names_are_not_guessed))
