/* test_kd.c: the KD term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "kd",
    .student = {{"logits", {2, {5, 9}}}},
    .teacher = {{"logits", {2, {5, 9}}}},
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

static void permutes(void **state)
{
    (void)state;
    conf_permutation(&method);
}

static const conf standardized = {
    .method = "kd",
    .options = {"standardize=true", "T=2"},
    .student = {{"logits", {2, {5, 9}}}},
    .teacher = {{"logits", {2, {5, 9}}}},
    .zero_at_identity = true,
};

static void standardized_conforms(void **state)
{
    (void)state;
    conf_identity(&standardized);
    conf_gradient(&standardized);
    conf_permutation(&standardized);
    conf_fast(&standardized);
}

/* Standardised logits do not see a row's offset or size. */
static void standardized_ignores_offset_and_scale(void **state)
{
    (void)state;
    conf_run *r = malloc(sizeof *r);
    assert_non_null(r);
    conf_fill(r, &standardized, 3, 2, 0);
    const double value = conf_eval(&standardized, r);
    for (int k = 0; k < 45; k++)
        r->s[0][k] = 3 * r->s[0][k] - 4;
    CHECK_NEAR(conf_eval(&standardized, r), value, 1e-6);
    free(r);
}

/* T^2 mean KL and T (q - p) / N by plain arithmetic. */
static void value_and_gradient_by_hand(void **state)
{
    (void)state;
    conf_run *r = malloc(sizeof *r);
    assert_non_null(r);
    conf_fill(r, &method, 5, 2, 0);
    double want = 0;
    const double value = conf_eval(&method, r);
    for (int n = 0; n < 5; n++) {
        double p[9], q[9], sp = 0, sq = 0;
        for (int k = 0; k < 9; k++) {
            sp += p[k] = exp(r->t[0][n * 9 + k] / 4);
            sq += q[k] = exp(r->s[0][n * 9 + k] / 4);
        }
        for (int k = 0; k < 9; k++) {
            p[k] /= sp;
            q[k] /= sq;
            want += 16 * p[k] * log(p[k] / q[k]) / 5;
            CHECK_NEAR(r->grad[0][n * 9 + k], 4 * (q[k] - p[k]) / 5, 1e-12);
        }
    }
    CHECK_NEAR(value, want, 1e-12);
    free(r);
}

static void refuses_shapes_that_differ(void **state)
{
    (void)state;
    conf_run *r = malloc(sizeof *r);
    double value;
    assert_non_null(r);
    conf_fill(r, &method, 5, 2, 0);
    r->teacher[0].shape.dim[1] = 8;
    CHECK_ERR(lmb_loss_eval("kd", &r->in, &value), LMB_ESHAPE,
        "student.logits [5, 9] and teacher.logits [5, 8]");
    r->teacher[0].name = "pooled";
    CHECK_ERR(lmb_loss_eval("kd", &r->in, &value), LMB_ENOTFOUND,
        "the teacher has no tap 'logits'; it has pooled");
    const char *map = "teacher.pooled -> student.logits";
    r->teacher[0].shape.dim[1] = 9;
    r->in.map = &map;
    r->in.n_map = 1;
    CHECK_OK(lmb_loss_eval("kd", &r->in, &value));
    r->student[0].shape.dim[1] = r->teacher[0].shape.dim[1] = 1;
    CHECK_ERR(lmb_loss_eval("kd", &r->in, &value), LMB_ESHAPE,
        "too few rows or classes");
    map = "pooled to logits";
    CHECK_ERR(lmb_loss_eval("kd", &r->in, &value), LMB_EINVAL, "a line reads");
    free(r);
}

static void names_the_nearest_method(void **state)
{
    (void)state;
    const lmb_loss_inputs in = {.dtype = LMB_F64};
    double value;
    CHECK_ERR(lmb_loss_eval("kdd", &in, &value), LMB_EINVAL, "kd");
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(permutes), cmocka_unit_test(standardized_conforms),
    cmocka_unit_test(standardized_ignores_offset_and_scale),
    cmocka_unit_test(value_and_gradient_by_hand),
    cmocka_unit_test(refuses_shapes_that_differ),
    cmocka_unit_test(names_the_nearest_method))
