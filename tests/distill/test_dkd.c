/* test_dkd.c: the DKD term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "dkd",
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

/* KL of all classes = TCKD + (1 - p_y) NCKD (eq. 6): with alpha 1, beta 0 and
 * alpha 0, beta 1 the parts are seen one by one. */
static double part(const char *alpha, const char *beta, conf_run *r)
{
    double value = 0;
    const char *options[] = {alpha, beta, "temperature=1"};
    r->in.options = options;
    r->in.n_options = 3;
    CHECK_OK(lmb_loss_eval("dkd", &r->in, &value));
    return value;
}

static void parts_add_up_to_kl(void **state)
{
    (void)state;
    conf_run *r = malloc(sizeof *r);
    assert_non_null(r);
    conf_fill(r, &method, 5, 2, 1);
    double sum = 0, kl = 0;
    for (int k = 0; k < 9; k++)
        sum += exp(r->t[0][k]);
    const double rest = 1 - exp(r->t[0][r->labels[0]]) / sum;
    const double tckd = part("alpha=1", "beta=0", r);
    const double nckd = part("alpha=0", "beta=1", r);
    const char *options[] = {"temperature=1"};
    r->in.options = options;
    r->in.n_options = 1;
    CHECK_OK(lmb_loss_eval("kd", &r->in, &kl));
    CHECK_NEAR(tckd + rest * nckd, kl, 1e-12);
    free(r);
}

/* Confident enough that exp of every other logit underflows in f32. */
static void stays_finite_when_probabilities_underflow(void **state)
{
    (void)state;
    float s[4] = {-200, 0, 300, 10}, t[4] = {500, -100, 0, 20}, grad[4];
    const int32_t label = 0;
    const char *options[] = {"temperature=1"};
    const lmb_loss_array student = {"logits", {2, {1, 4}}, s, grad};
    const lmb_loss_array teacher = {"logits", {2, {1, 4}}, t, NULL};
    const lmb_loss_inputs in = {
        .dtype = LMB_F32,
        .n_student = 1,
        .n_teacher = 1,
        .student = &student,
        .teacher = &teacher,
        .labels = &label,
        .n_labels = 1,
        .n_options = 1,
        .options = options,
    };
    double value = 0;
    CHECK_OK(lmb_loss_eval("dkd", &in, &value));
    /* TCKD = 500, NCKD = 290 - 0 (teacher surely 3, student surely 2). */
    CHECK_NEAR(value, 500 + 8 * 290, 0.01);
    CHECK_NEAR(grad[0], -1, 1e-5);
}

static void needs_labels_in_range(void **state)
{
    (void)state;
    conf_run *r = malloc(sizeof *r);
    double value;
    assert_non_null(r);
    conf_fill(r, &method, 5, 2, 0);
    r->labels[2] = 9;
    CHECK_ERR(lmb_loss_eval("dkd", &r->in, &value), LMB_EINVAL,
        "label 2 is 9, outside 0 .. 8");
    r->in.n_labels = 4;
    CHECK_ERR(
        lmb_loss_eval("dkd", &r->in, &value), LMB_ESHAPE, "4 labels for 5");
    r->in.labels = NULL;
    CHECK_ERR(lmb_loss_eval("dkd", &r->in, &value), LMB_EINVAL, "needs labels");
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(permutes), cmocka_unit_test(parts_add_up_to_kl),
    cmocka_unit_test(stays_finite_when_probabilities_underflow),
    cmocka_unit_test(needs_labels_in_range))
