/* test_pkd.c: the PKD term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "pkd",
    .student = {{"p3", {4, {2, 3, 4, 5}}}, {"p4", {4, {2, 3, 2, 3}}}},
    .teacher = {{"p3", {4, {2, 3, 4, 5}}}, {"p4", {4, {2, 3, 2, 3}}}},
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
    golden_check_detect(method.method);
}

/* Other channels and sizes: a trained 1x1 convolution, a resized map. */
static void any_map_fits_any_other(void **state)
{
    static const conf cases[] = {
        {.method = "pkd",
            .student = {{"p3", {4, {2, 2, 2, 3}}}},
            .teacher = {{"p3", {4, {2, 3, 4, 6}}}}},
        {.method = "pkd",
            .student = {{"p3", {4, {2, 4, 5, 5}}}},
            .teacher = {{"p3", {4, {2, 3, 3, 4}}}}},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        conf_gradient(&cases[i]);
        conf_fast(&cases[i]);
        conf_batch_of_one(&cases[i]);
    }
}

/* (M - 1) / M (1 - r), r Pearson's correlation of a channel. */
static void is_one_less_the_correlation(void **state)
{
    static const conf one = {.method = "pkd",
        .student = {{"p3", {4, {2, 1, 3, 4}}}},
        .teacher = {{"p3", {4, {2, 1, 3, 4}}}}};
    enum { M = 24 };
    conf_run *r = malloc(sizeof *r);
    double ms = 0, mt = 0, st = 0, ss = 0, tt = 0;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &one, 5, 1, 0);
    for (int i = 0; i < M; i++) {
        ms += r->s[0][i] / M;
        mt += r->t[0][i] / M;
    }
    for (int i = 0; i < M; i++) {
        st += (r->s[0][i] - ms) * (r->t[0][i] - mt);
        ss += (r->s[0][i] - ms) * (r->s[0][i] - ms);
        tt += (r->t[0][i] - mt) * (r->t[0][i] - mt);
    }
    CHECK_NEAR(
        conf_eval(&one, r), (M - 1.0) / M * (1 - st / sqrt(ss * tt)), 1e-5);
    /* Neither scale nor offset of a channel counts. */
    const double value = conf_eval(&one, r);
    for (int i = 0; i < M; i++)
        r->s[0][i] = 7 * r->s[0][i] - 3;
    CHECK_NEAR(conf_eval(&one, r), value, 1e-5);
    free(r);
}

static void compares_as_many_levels_as_asked(void **state)
{
    static const conf two = {.method = "pkd",
        .options = {"levels=1"},
        .student = {{"p2", {4, {2, 2, 3, 3}}}, {"p3", {4, {2, 2, 3, 3}}},
            {"p4", {4, {2, 2, 3, 3}}}},
        .teacher = {{"p3", {4, {2, 2, 3, 3}}}, {"p4", {4, {2, 2, 3, 3}}}}};
    static const conf none = {.method = "pkd",
        .student = {{"p2", {4, {2, 2, 3, 3}}}},
        .teacher = {{"p3", {4, {2, 2, 3, 3}}}}};
    static const conf flat = {.method = "pkd",
        .student = {{"p3", {2, {2, 6}}}},
        .teacher = {{"p3", {4, {2, 2, 3, 3}}}}};
    conf_run *r = malloc(sizeof *r);
    double value;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &two, 5, 1, 0);
    (void)conf_eval(&two, r);
    for (int k = 0; k < 36; k++)
        assert_true(r->grad[0][k] == 0 && r->grad[2][k] == 0);
    conf_fill(r, &none, 5, 1, 0);
    CHECK_ERR(lmb_loss_eval("pkd", &r->in, &value), LMB_ENOTFOUND,
        "pkd: student and teacher share no tap p2 .. p7");
    conf_fill(r, &flat, 5, 1, 0);
    CHECK_ERR(lmb_loss_eval("pkd", &r->in, &value), LMB_ESHAPE,
        "student.p3 [2, 6] and teacher.p3 [2, 2, 3, 3]");
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(any_map_fits_any_other),
    cmocka_unit_test(is_one_less_the_correlation),
    cmocka_unit_test(compares_as_many_levels_as_asked))
