/* test_levels.c: which levels of two pyramids are compared. */
#include "lmb_test.h"

#include "distill/method.h"

#include <stdio.h>

static const lmb_tap two[] = {{.name = "p2"}, {.name = "p3"}, {.name = "p4"},
    {.name = "p5"}, {.name = "p6"}, {.name = "roi.logits"}};
static const lmb_tap one[] = {{.name = "p3"}, {.name = "p4"}, {.name = "p5"},
    {.name = "p6"}, {.name = "p7"}};
static const lmb_taps two_stage = {two, LMB_COUNT(two)};
static const lmb_taps one_stage = {one, LMB_COUNT(one)};

/* The pairs as "p3 p4 ", by a row of the method's options or without. */
static const char *levels_of(const char *name, const char *const *options,
    const lmb_taps *student, const lmb_taps *teacher)
{
    static char text[64];
    const lmb_method *m = lmb_method_find(name);
    const char *key[8], *value[8];
    int n = 0;
    void *made = NULL;
    lmb_pairs pairs;
    for (; options != NULL && options[2 * n] != NULL; n++) {
        key[n] = options[2 * n];
        value[n] = options[2 * n + 1];
    }
    CHECK_OK(lmb_method_new(m, n, key, value, &made));
    CHECK_OK(lmb_method_pairs(m, made, student, teacher, 0, NULL, &pairs));
    text[0] = '\0';
    for (int i = 0; i < pairs.count; i++) {
        const size_t used = strlen(text);
        assert_string_equal(pairs.pair[i].student, pairs.pair[i].teacher);
        (void)snprintf(
            text + used, sizeof text - used, "%s ", pairs.pair[i].student);
    }
    lmb_method_free(m, made);
    return text;
}

static const char *const masked[] = {"mgd", "amd", "dmkd", "dfmsd", "fgd"};

/* P6 of a two-stage detector is a maximum over its P5, that of the others a
 * level of its own. */
static void a_pooled_level_has_no_partner(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(masked); i++) {
        const char *const *defaults =
            lmb_method_find(masked[i])->two_stage_options;
        assert_non_null(defaults);
        assert_string_equal(
            levels_of(masked[i], defaults, &two_stage, &one_stage),
            "p3 p4 p5 ");
        assert_string_equal(
            levels_of(masked[i], NULL, &one_stage, &two_stage), "p3 p4 p5 ");
    }
}

static void like_pyramids_are_compared_whole(void **state)
{
    (void)state;
    static const char *const five[] = {"levels", "5", NULL};
    for (size_t i = 0; i < LMB_COUNT(masked); i++) {
        const char *const *defaults =
            lmb_method_find(masked[i])->two_stage_options;
        assert_string_equal(levels_of(masked[i], NULL, &one_stage, &one_stage),
            "p3 p4 p5 p6 p7 ");
        assert_string_equal(
            levels_of(masked[i], defaults, &two_stage, &two_stage),
            "p2 p3 p4 p5 ");
        assert_string_equal(levels_of(masked[i], five, &two_stage, &two_stage),
            "p2 p3 p4 p5 p6 ");
    }
}

/* By stride, whatever the detectors are; and a map says what it wants. */
static void others_pair_by_stride(void **state)
{
    (void)state;
    const lmb_method *mgd = lmb_method_find("mgd");
    const lmb_pairing map = {.teacher = "p6", .student = "p6"};
    void *made = NULL;
    lmb_pairs pairs;
    assert_string_equal(
        levels_of("pkd", NULL, &two_stage, &one_stage), "p3 p4 p5 p6 ");
    CHECK_OK(lmb_method_new(mgd, 0, NULL, NULL, &made));
    CHECK_OK(
        lmb_method_pairs(mgd, made, &two_stage, &one_stage, 1, &map, &pairs));
    assert_int_equal(pairs.count, 1);
    assert_string_equal(pairs.pair[0].student, "p6");
    lmb_method_free(mgd, made);
}

LMB_TEST_MAIN(cmocka_unit_test(a_pooled_level_has_no_partner),
    cmocka_unit_test(like_pyramids_are_compared_whole),
    cmocka_unit_test(others_pair_by_stride))
