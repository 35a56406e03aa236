/* test_sp.c: the SP term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "sp",
    .student = {{"f0", {4, {4, 2, 3, 3}}}, {"f1", {4, {4, 2, 2, 3}}}},
    .teacher = {{"f0", {4, {4, 2, 3, 3}}}, {"f1", {4, {4, 2, 2, 3}}}},
    .zero_at_identity = true,
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

static void sides_may_differ_in_all_but_the_batch(void **state)
{
    static const conf c = {.method = "sp",
        .student = {{"f0", {4, {4, 2, 3, 3}}}},
        .teacher = {{"f0", {4, {4, 5, 2, 1}}}, {"f1", {4, {4, 3, 1, 1}}}}};
    (void)state;
    conf_gradient(&c);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(sides_may_differ_in_all_but_the_batch))
