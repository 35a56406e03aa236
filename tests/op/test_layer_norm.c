/* layer_norm: by hand, rows apart, gradients, refusals. */
#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const double *eps = user;
    return lmb_layer_norm(g, x[0], x[1], x[2], *eps);
}

static const double none = 0, small = 1e-5, large = 0.5;

static void by_hand(void **state)
{
    (void)state;
    const op_case c = {
        build, OP_ANY, &none, 3, {LMB_SHAPE(2, 2), LMB_SHAPE(2), LMB_SHAPE(2)}};
    op_check_value(&c, OP_X(OP_D(1, 5, 1e6 + 2, 1e6), OP_D(1, 3), OP_D(0, 10)),
        LMB_SHAPE(2, 2), OP_D(-1, 13, 1, 7), 0);
}

/* A row of one element: xhat is 0. */
static void rows_of_one_give_beta(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, &small, 3,
        {LMB_SHAPE(3, 1), LMB_SHAPE(1), LMB_SHAPE(1)}};
    op_check_value(&c, OP_X(OP_D(-5, 0, 9), OP_D(4), OP_D(7)), LMB_SHAPE(3, 1),
        OP_D(7, 7, 7), 0);
    op_check_slope(
        &c, OP_X(OP_D(-5, 0, 9), OP_D(4), OP_D(7)), 0, OP_D(0, 0, 0), 0);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    op_case c = {build, OP_SMALL, &small, 3,
        {LMB_SHAPE(3, 2, 7), LMB_SHAPE(7), LMB_SHAPE(7)}};
    op_check_gradient(&c);
    c.user = &large;
    c.shape[0] = LMB_SHAPE(7);
    op_check_gradient(&c);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    op_case c = {build, OP_ANY, &small, 3,
        {LMB_SHAPE(3, 7), LMB_SHAPE(6), LMB_SHAPE(7)}};
    op_check_refused(&c, LMB_ESHAPE, "gamma has shape [6], not [7]");
    c.shape[0] = LMB_SCALAR;
    op_check_refused(&c, LMB_ESHAPE, "no last axis");
    c.shape[0] = LMB_SHAPE(3, 0);
    op_check_refused(&c, LMB_ESHAPE, "no last axis");
}

LMB_TEST_MAIN(cmocka_unit_test(by_hand),
    cmocka_unit_test(rows_of_one_give_beta),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_shapes_are_refused))
