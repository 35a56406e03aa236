#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_relu(g, x[0]);
}

static void value_is_the_positive_part(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(4)}};
    op_check_value(
        &c, OP_X(OP_D(-2, 0, 3, NAN)), LMB_SHAPE(4), OP_D(0, 0, 3, NAN), 0);
}

static void gradient_at_zero_is_zero(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(3)}};
    op_check_slope(&c, OP_X(OP_D(-2, 0, 3)), 0, OP_D(0, 0, 1), 0);
}

static void gradient_matches_the_stencil(void **state)
{
    (void)state;
    const op_case c = {build, OP_APART, NULL, 1, {LMB_SHAPE(2, 3, 5, 7)}};
    op_check_gradient(&c);
}

static lmb_value build_bwd(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_graph_apply1(g, &lmb_op_relu_bwd, NULL, 2, x);
}

static void backward_refuses_unequal_shapes(void **state)
{
    (void)state;
    const op_case c = {
        build_bwd, OP_ANY, NULL, 2, {LMB_SHAPE(2, 3), LMB_SHAPE(3)}};
    op_check_refused(&c, LMB_ESHAPE, "[2, 3] and [3] must be equal");
}

LMB_TEST_MAIN(cmocka_unit_test(value_is_the_positive_part),
    cmocka_unit_test(gradient_at_zero_is_zero),
    cmocka_unit_test(gradient_matches_the_stencil),
    cmocka_unit_test(backward_refuses_unequal_shapes))
