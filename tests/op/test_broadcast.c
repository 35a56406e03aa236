#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_broadcast(g, x[0], *(const lmb_shape *)user);
}

static void check(
    lmb_shape from, lmb_shape to, const double *x, const double *y)
{
    const op_case c = {build, OP_ANY, &to, 1, {from}};
    op_check_value(&c, OP_X(x), to, y, 0);
}

static void values_repeat(void **state)
{
    (void)state;
    check(LMB_SHAPE(2, 1), LMB_SHAPE(2, 3), OP_D(1, 2), OP_D(1, 1, 1, 2, 2, 2));
    check(LMB_SHAPE(2), LMB_SHAPE(3, 2), OP_D(1, 2), OP_D(1, 2, 1, 2, 1, 2));
    check(LMB_SCALAR, LMB_SHAPE(1, 2), OP_D(7), OP_D(7, 7));
    check(LMB_SHAPE(2), LMB_SHAPE(2), OP_D(1, 2), OP_D(1, 2));
    check(LMB_SHAPE(1), LMB_SHAPE(0), OP_D(1), OP_D(0));
}

static void shapes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const lmb_shape bad[] = {{1, {3}}, {2, {2, 4}}, {1, {1}}, {0, {0}}};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {build, OP_ANY, &bad[i], 1, {LMB_SHAPE(2, 3)}};
        op_check_refused(&c, LMB_ESHAPE, "broadcast: shape");
    }
    const lmb_shape deep = {.rank = 9};
    const op_case c = {build, OP_ANY, &deep, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE, "out of range");
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const lmb_shape from[] = {
        {3, {2, 3, 4}}, {3, {2, 1, 4}}, {2, {3, 1}}, {1, {1}}, {0, {0}}};
    for (size_t i = 0; i < LMB_COUNT(from); i++) {
        const op_case c = {build, OP_ANY, &LMB_SHAPE(2, 3, 4), 1, {from[i]}};
        op_check_gradient(&c);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(values_repeat),
    cmocka_unit_test(shapes_that_do_not_fit_are_refused),
    cmocka_unit_test(gradients_match_the_stencil))
