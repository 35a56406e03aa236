/* test_fgd.c: the FGD term and its regions. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "fgd",
    .options = {"alpha=0.3", "beta=0.2", "gamma=0.1", "lambda=0.05"},
    .step = 1e-6,
    .student = {{"p3", {4, {2, 2, 4, 5}}}},
    .teacher = {{"p3", {4, {2, 3, 4, 5}}}},
    .boxes = 3,
    .input_size = {32, 40},
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

/* Padding rows, whatever they hold, change nothing; the size follows from the
 * name of the tap. */
static void padding_boxes_do_not_count(void **state)
{
    static const double few[8] = {4, 5, 20, 18, 0, 0, 40, 16};
    static const double padded[16] = {
        4, 5, 20, 18, 9, 9, 9, 9, 0, 0, 40, 16, -7, 1e9, -8, 3};
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 5, 1, 0);
    r->in.boxes = few;
    r->in.most_boxes = 1;
    r->in.input_size[0] = r->in.input_size[1] = 0;
    const double value = conf_eval(&method, r);
    r->in.boxes = padded;
    r->in.most_boxes = 2;
    CHECK_NEAR(conf_eval(&method, r), value, 1e-13 * value);
    r->in.input_size[0] = 32;
    r->in.input_size[1] = 40;
    CHECK_NEAR(conf_eval(&method, r), value, 1e-13 * value);
    free(r);
}

static void refuses_broken_boxes(void **state)
{
    double broken[8] = {4, 5, 20, NAN, 0, 0, 40, 16}, value;
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 5, 1, 0);
    r->in.boxes = broken;
    r->in.most_boxes = 1;
    CHECK_ERR(lmb_loss_eval("fgd", &r->in, &value), LMB_EINVAL, "box 0");
    r->in.boxes = NULL;
    CHECK_ERR(lmb_loss_eval("fgd", &r->in, &value), LMB_EINVAL, "needs boxes");
    free(r);
}

static void two_stage_detectors_have_their_own_weights(void **state)
{
    static const conf cases[2] = {
        {.method = "fgd",
            .options = {"detector=two_stage", "beta=1"},
            .student = {{"p3", {4, {1, 2, 4, 5}}}},
            .teacher = {{"p3", {4, {1, 2, 4, 5}}}},
            .boxes = 2,
            .input_size = {32, 40}},
        {.method = "fgd",
            .options = {"alpha=5e-5", "beta=1", "gamma=5e-5", "lambda=5e-7"},
            .student = {{"p3", {4, {1, 2, 4, 5}}}},
            .teacher = {{"p3", {4, {1, 2, 4, 5}}}},
            .boxes = 2,
            .input_size = {32, 40}},
    };
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &cases[0], 5, 1, 0);
    const double value = conf_eval(&cases[0], r);
    conf_fill(r, &cases[1], 5, 1, 0);
    CHECK_NEAR(conf_eval(&cases[1], r), value, 0);
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(padding_boxes_do_not_count),
    cmocka_unit_test(refuses_broken_boxes),
    cmocka_unit_test(two_stage_detectors_have_their_own_weights))
