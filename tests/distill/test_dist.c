/* test_dist.c: the DIST term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "dist",
    .student = {{"logits", {2, {5, 9}}}},
    .teacher = {{"logits", {2, {5, 9}}}},
    .zero_at_identity = true,
    .zero_tolerance = 1e-5, /* 1e-8 / |x| |y| remains, per column */
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
}

static void agrees_with_the_published_code(void **state)
{
    (void)state;
    golden_check(method.method);
}

static void permutes(void **state)
{
    (void)state;
    conf_permutation(&method);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(permutes))
