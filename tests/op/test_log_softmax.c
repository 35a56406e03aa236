#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_log_softmax(g, x[0], *(const int *)user);
}

static void check(int axis, lmb_shape shape, const double *x, const double *y)
{
    const op_case c = {build, OP_ANY, &axis, 1, {shape}};
    op_check_value(&c, OP_X(x), shape, y, 1e-15);
}

#define LN2 0.6931471805599453
#define LN3 1.0986122886681098
#define LN5 1.6094379124341003

/* e^x = 1, 2, 5 sum to 8 = 2^3. */
static void values_match_hand_numbers(void **state)
{
    (void)state;
    check(-1, LMB_SHAPE(2, 3), OP_D(0, LN2, LN5, 7, 7, 7),
        OP_D(-3 * LN2, -2 * LN2, LN5 - 3 * LN2, -LN3, -LN3, -LN3));
    check(0, LMB_SHAPE(3, 2), OP_D(0, 7, LN2, 7, LN5, 7),
        OP_D(-3 * LN2, -LN3, -2 * LN2, -LN3, LN5 - 3 * LN2, -LN3));
    check(1, LMB_SHAPE(2, 1), OP_D(4, -9), OP_D(0, 0));
}

static void large_and_infinite_inputs_are_safe(void **state)
{
    (void)state;
    check(0, LMB_SHAPE(3), OP_D(1e4, 1e4, -1e4), OP_D(-LN2, -LN2, -2e4 - LN2));
    check(0, LMB_SHAPE(3), OP_D(0, -INFINITY, 0), OP_D(-LN2, -INFINITY, -LN2));
    const int axis = 0;
    const op_case c = {build, OP_ANY, &axis, 1, {LMB_SHAPE(3)}};
    op_check_slope(
        &c, OP_X(OP_D(0, -INFINITY, 0)), 0, OP_D(-0.5, 1, -0.5), 1e-15);
}

static void the_logarithm_keeps_its_digits_at_large_inputs(void **state)
{
    (void)state;
    check(0, LMB_SHAPE(2), OP_D(1e15, 1e15), OP_D(-LN2, -LN2));
}

static void axes_outside_are_refused(void **state)
{
    (void)state;
    static const int bad[] = {2, -3};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {build, OP_ANY, &bad[i], 1, {LMB_SHAPE(2, 3)}};
        op_check_refused(&c, LMB_ESHAPE, "outside shape [2, 3]");
    }
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const lmb_shape shape[] = {
        {3, {3, 4, 5}}, {3, {2, 1, 7}}, {3, {1, 1, 1}}, {3, {4, 40, 2}}};
    for (size_t i = 0; i < LMB_COUNT(shape); i++)
        for (int axis = -1; axis < 2; axis++) {
            const op_case c = {build, OP_ANY, &axis, 1, {shape[i]}};
            op_check_gradient(&c);
        }
}

static lmb_value bwd(lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_axis_attr attr = {0};
    (void)user;
    return lmb_graph_apply1(g, &lmb_op_log_softmax_bwd, &attr, 2, x);
}

static void backward_refuses_unequal_shapes(void **state)
{
    (void)state;
    const op_case c = {bwd, OP_ANY, NULL, 2, {LMB_SHAPE(2), LMB_SHAPE(3)}};
    op_check_refused(&c, LMB_ESHAPE, "[2] and [3] must be equal");
}

LMB_TEST_MAIN(cmocka_unit_test(values_match_hand_numbers),
    cmocka_unit_test(large_and_infinite_inputs_are_safe),
    cmocka_unit_test(the_logarithm_keeps_its_digits_at_large_inputs),
    cmocka_unit_test(axes_outside_are_refused),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(backward_refuses_unequal_shapes))
