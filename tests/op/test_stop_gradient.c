#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_stop_gradient(g, x[0]);
}

static void value_is_the_input(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(1, 2)}};
    op_check_value(&c, OP_X(OP_D(4, -5)), LMB_SHAPE(1, 2), OP_D(4, -5), 0);
}

/* x * stop(x): the slope is x, not 2 x. */
static lmb_value half(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_mul(g, x[0], lmb_stop_gradient(g, x[0]));
}

static void no_gradient_passes(void **state)
{
    (void)state;
    const op_case c = {half, OP_ANY, NULL, 1, {LMB_SHAPE(2)}};
    op_check_slope(&c, OP_X(OP_D(3, -5)), 0, OP_D(3, -5), 0);
    const op_case alone = {build, OP_ANY, NULL, 1, {LMB_SCALAR}};
    op_built b = op_build_case(&alone);
    lmb_value dx;
    lmb_backward(b.g, b.y, 1, b.x, &dx);
    CHECK_OK(lmb_graph_status(b.g));
    assert_false(lmb_is(dx));
    lmb_graph_free(b.g);
}

LMB_TEST_MAIN(
    cmocka_unit_test(value_is_the_input), cmocka_unit_test(no_gradient_passes))
