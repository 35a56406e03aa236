#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_smooth_l1_beta(g, x[0], *(const double *)user);
}

static void the_corner_is_at_beta(void **state)
{
    (void)state;
    const double beta = 2;
    const op_case c = {build, OP_ANY, &beta, 1, {LMB_SHAPE(6)}};
    op_check_value(&c, OP_X(OP_D(-3, -2, -1, 0, 1, INFINITY)), LMB_SHAPE(6),
        OP_D(2, 1, 0.25, 0, 0.25, INFINITY), 0);
    op_check_slope(&c, OP_X(OP_D(-3, -2, -1, 0, 1, INFINITY)), 0,
        OP_D(-1, -1, -0.5, 0, 0.5, 1), 0);
}

static void without_beta_it_is_l1(void **state)
{
    (void)state;
    const double beta = 0;
    const op_case c = {build, OP_ANY, &beta, 1, {LMB_SHAPE(4)}};
    op_check_value(
        &c, OP_X(OP_D(-3, 0, 2, NAN)), LMB_SHAPE(4), OP_D(3, 0, 2, NAN), 0);
    op_check_slope(&c, OP_X(OP_D(-3, 0, 2, NAN)), 0, OP_D(-1, 0, 1, NAN), 0);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    const double betas[] = {0, 0.3, 1};
    for (size_t i = 0; i < LMB_COUNT(betas); i++) {
        const op_case c = {build, OP_APART, &betas[i], 1, {LMB_SHAPE(3, 7)}};
        op_check_gradient(&c);
    }
}

static void a_negative_beta_is_refused(void **state)
{
    (void)state;
    const double beta = -1;
    const op_case c = {build, OP_ANY, &beta, 1, {LMB_SHAPE(4)}};
    op_check_refused(&c, LMB_EINVAL, "smooth_l1: beta = -1");
}

LMB_TEST_MAIN(cmocka_unit_test(the_corner_is_at_beta),
    cmocka_unit_test(without_beta_it_is_l1),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(a_negative_beta_is_refused))
