/* test_at.c: the AT term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "at",
    .student = {{"f0", {4, {3, 2, 4, 4}}}, {"f1", {4, {3, 2, 4, 4}}},
        {"f2", {4, {3, 3, 2, 3}}}},
    .teacher = {{"f0", {4, {3, 2, 4, 4}}}, {"f1", {4, {3, 2, 4, 4}}},
        {"f2", {4, {3, 3, 2, 3}}}},
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

static void pools_the_larger_map(void **state)
{
    static const conf cases[] = {
        {.method = "at",
            .student = {{"f1", {4, {2, 2, 4, 6}}}},
            .teacher = {{"f1", {4, {2, 3, 2, 3}}}}},
        {.method = "at",
            .options = {"p=4"},
            .student = {{"f1", {4, {2, 2, 3, 3}}}},
            .teacher = {{"f1", {4, {2, 3, 5, 5}}}}},
        {.method = "at",
            .options = {"p=1"},
            .student = {{"f1", {4, {2, 3, 3, 3}}}},
            .teacher = {{"f1", {4, {2, 3, 3, 3}}}}},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        conf_gradient(&cases[i]);
}

/* A map of all zeros (a dead layer) has no direction and no gradient. */
static void a_dead_map_stays_finite(void **state)
{
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 3, 1, 0);
    memset(r->s, 0, sizeof r->s);
    assert_true(isfinite(conf_eval(&method, r)));
    for (int k = 0; k < 96; k++)
        assert_true(isfinite(r->grad[1][k]));
    free(r);
}

static void refuses_maps_that_cross(void **state)
{
    static const conf cross = {.method = "at",
        .student = {{"f1", {4, {2, 2, 4, 2}}}},
        .teacher = {{"f1", {4, {2, 3, 2, 4}}}}};
    conf_run *r = malloc(sizeof *r);
    double value;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &cross, 3, 1, 0);
    CHECK_ERR(lmb_loss_eval("at", &r->in, &value), LMB_ESHAPE,
        "student.f1 [2, 2, 4, 2]");
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(pools_the_larger_map),
    cmocka_unit_test(a_dead_map_stays_finite),
    cmocka_unit_test(refuses_maps_that_cross))
