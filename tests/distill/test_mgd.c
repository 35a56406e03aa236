/* test_mgd.c: the MGD term and its random masks. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "mgd",
    .options = {"alpha=1e-2"},
    .step = 1e-6,
    .student = {{"p3", {4, {2, 2, 4, 5}}}, {"p4", {4, {2, 3, 2, 2}}}},
    .teacher = {{"p3", {4, {2, 3, 4, 5}}}, {"p4", {4, {2, 3, 2, 3}}}},
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
}

static void agrees_with_the_published_code(void **state)
{
    (void)state;
    golden_check_detect(method.method);
}

static double value_at(conf_run *r, uint64_t seed, int64_t step)
{
    r->in.seed = seed;
    r->in.step = step;
    return conf_eval(&method, r);
}

/* Masks depend on seed and step alone. */
static void masks_are_drawn_from_seed_and_step(void **state)
{
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 5, 1, 0);
    const double first = value_at(r, 1, 0), second = value_at(r, 1, 1);
    assert_true(first != second);
    assert_true(value_at(r, 2, 0) != first);
    CHECK_NEAR(value_at(r, 1, 0), first, 0);
    CHECK_NEAR(value_at(r, 1, 1), second, 0);
    free(r);
}

/* A hidden place gets no gradient; about `ratio` of them are hidden. */
static void hidden_places_get_no_gradient(void **state)
{
    static const conf wide = {.method = "mgd",
        .options = {"alpha=1", "ratio=0.3"},
        .student = {{"p3", {4, {1, 1, 32, 32}}}},
        .teacher = {{"p3", {4, {1, 1, 32, 32}}}}};
    static const conf all = {.method = "mgd",
        .options = {"alpha=1", "ratio=1"},
        .student = {{"p3", {4, {1, 1, 32, 32}}}},
        .teacher = {{"p3", {4, {1, 1, 32, 32}}}}};
    conf_run *r = malloc(sizeof *r);
    int hidden = 0;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &wide, 5, 1, 0);
    (void)conf_eval(&wide, r);
    for (int i = 0; i < 1024; i++)
        hidden += r->grad[0][i] == 0;
    assert_in_range(hidden, 307 - 60, 307 + 60);
    conf_fill(r, &all, 5, 1, 0);
    (void)conf_eval(&all, r);
    for (int i = 0; i < 1024; i++)
        assert_true(r->grad[0][i] == 0);
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(masks_are_drawn_from_seed_and_step),
    cmocka_unit_test(hidden_places_get_no_gradient))
