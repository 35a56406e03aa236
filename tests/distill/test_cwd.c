/* test_cwd.c: the CWD term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "cwd",
    .student = {{"p3", {4, {2, 2, 4, 5}}}, {"p4", {4, {2, 3, 2, 2}}}},
    .teacher = {{"p3", {4, {2, 3, 4, 5}}}, {"p4", {4, {2, 3, 2, 3}}}},
};

static const conf equal = {
    .method = "cwd",
    .options = {"T=2"},
    .student = {{"p3", {4, {2, 2, 3, 4}}}},
    .teacher = {{"p3", {4, {2, 2, 3, 4}}}},
    .zero_at_identity = true,
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
    conf_identity(&equal);
}

static void agrees_with_the_published_code(void **state)
{
    (void)state;
    golden_check_detect(method.method);
}

/* Only where a channel is active counts, not its offset. */
static void offsets_of_channels_do_not_count(void **state)
{
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &equal, 5, 1, 0);
    const double value = conf_eval(&equal, r);
    for (int i = 0; i < 12; i++)
        r->s[0][i] += 3;
    CHECK_NEAR(conf_eval(&equal, r), value, 1e-12);
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(offsets_of_channels_do_not_count))
