/* gelu: values by hand, tails, gradients. */
#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_gelu(g, x[0]);
}

static void values_by_hand(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(6)}};
    /* Phi(1) = 0.84134474606854293, Phi(-2) = 0.022750131948179195 */
    op_check_value(&c, OP_X(OP_D(0, 1, -1, -2, 40, NAN)), LMB_SHAPE(6),
        OP_D(0, 0.84134474606854293, -0.15865525393145705, -0.04550026389635844,
            40, NAN),
        1e-15);
    op_check_slope(&c, OP_X(OP_D(0, 40, -40, 1, 2, 3)), 0,
        OP_D(0.5, 1, 0, 1.0833154705876864, 1.085231801078197,
            1.011945647204184),
        1e-14);
}

/* 1 - Phi would lose all digits. */
static void tails_keep_their_digits(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(1)}};
    op_check_value(
        &c, OP_X(OP_D(-10)), LMB_SHAPE(1), OP_D(-7.6198530241605e-23), 1e-35);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(3, 17)}};
    op_check_gradient(&c);
}

LMB_TEST_MAIN(cmocka_unit_test(values_by_hand),
    cmocka_unit_test(tails_keep_their_digits),
    cmocka_unit_test(gradients_match_stencils))
