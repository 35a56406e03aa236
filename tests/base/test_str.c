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

static void json_is_utf8_whatever_comes_in(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {{"a\"\\\n\x01", "\"a\\\"\\\\\\n\\u0001\""},
        {"caf\xc3\xa9 \xe2\x82\xac", "\"caf\xc3\xa9 \xe2\x82\xac\""},
        {"caf\xe9", "\"caf\\u00e9\""}, /* Latin-1 */
        {"\xc0\x80\xe2\x82", "\"\\u00c0\\u0080\\u00e2\\u0082\""}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        lmb_str s = {0};
        lmb_str_json(&s, cases[i].text);
        CHECK_OK(lmb_str_status(&s));
        assert_string_equal(s.text, cases[i].json);
        lmb_str_fini(&s);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(json_is_utf8_whatever_comes_in),
    cmocka_unit_test(slips_of_the_finger_are_understood),
    cmocka_unit_test(far_names_are_not_guessed))
