/* test_rkd.c: the RKD term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "rkd",
    .student = {{"pooled", {2, {5, 6}}}},
    .teacher = {{"pooled", {2, {5, 6}}}},
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

static void widths_may_differ(void **state)
{
    static const conf cases[] = {
        {.method = "rkd",
            .options = {"squared=true"},
            .student = {{"pooled", {2, {4, 3}}}},
            .teacher = {{"pooled", {2, {4, 7}}}}},
        {.method = "rkd",
            .options = {"distance_weight=0"},
            .student = {{"pooled", {2, {4, 3}}}},
            .teacher = {{"pooled", {2, {4, 7}}}}},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        conf_gradient(&cases[i]);
}

static void samples_must_be_as_many(void **state)
{
    static const conf odd = {.method = "rkd",
        .student = {{"pooled", {2, {4, 3}}}},
        .teacher = {{"pooled", {2, {8, 3}}}}};
    conf_run *r = malloc(sizeof *r);
    double value = 0;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &odd, 3, 1, 0);
    CHECK_ERR(lmb_loss_eval("rkd", &r->in, &value), LMB_ESHAPE,
        "4 samples of the student, 8 of the teacher");
    free(r);
}

static void one_sample_has_no_relations(void **state)
{
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 3, 1, 1);
    CHECK_NEAR(conf_eval(&method, r), 0, 0);
    free(r);
}

/* Of several lines of a map none is left out, and one is the default. */
static void pairs_add_up(void **state)
{
    static const conf both = {.method = "rkd",
        .student = {{"pooled", {2, {4, 3}}}, {"f3", {4, {4, 2, 2, 2}}}},
        .teacher = {{"pooled", {2, {4, 5}}}, {"f3", {4, {4, 3, 2, 1}}}}};
    static const char *const map[] = {
        "teacher.pooled -> student.pooled", "teacher.f3 -> student.f3"};
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &both, 3, 1, 0);
    const double by_default = conf_eval(&both, r);
    r->in.map = map;
    r->in.n_map = 1;
    const double first = conf_eval(&both, r);
    r->in.map = map + 1;
    const double second = conf_eval(&both, r);
    r->in.map = map;
    r->in.n_map = 2;
    assert_true(first == by_default && second > 0);
    CHECK_NEAR(conf_eval(&both, r), first + second, 1e-12);
    double sum = 0;
    for (int k = 0; k < 32; k++)
        sum += fabs(r->grad[1][k]);
    assert_true(sum > 0);
    free(r);
}

/* Two equal samples: a distance of 0, an angle without direction. */
static void equal_samples_stay_finite(void **state)
{
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 3, 1, 0);
    memcpy(r->s[0] + 6, r->s[0], 6 * sizeof(double));
    assert_true(isfinite(conf_eval(&method, r)));
    for (int k = 0; k < 30; k++)
        assert_true(isfinite(r->grad[0][k]));
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(widths_may_differ),
    cmocka_unit_test(samples_must_be_as_many),
    cmocka_unit_test(one_sample_has_no_relations),
    cmocka_unit_test(pairs_add_up), cmocka_unit_test(equal_samples_stay_finite))
