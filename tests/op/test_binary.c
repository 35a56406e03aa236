#include "op_check.h"

enum { ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, GREATER, GREATER_EQUAL, EQUAL };

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    static lmb_value (*const f[])(lmb_graph *, lmb_value, lmb_value) = {lmb_add,
        lmb_sub, lmb_mul, lmb_div, lmb_maximum, lmb_minimum, lmb_greater,
        lmb_greater_equal, lmb_equal};
    return f[*(const int *)user](g, x[0], x[1]);
}

static void check(int kind, const double *want)
{
    const op_case c = {build, OP_ANY, &kind, 2, {LMB_SHAPE(4), LMB_SHAPE(4)}};
    op_check_value(&c, OP_X(OP_D(1, 2, -3, NAN), OP_D(4, 2, -5, 1)),
        LMB_SHAPE(4), want, 1e-15);
}

static void values_match_hand_numbers(void **state)
{
    (void)state;
    check(ADD, OP_D(5, 4, -8, NAN));
    check(SUB, OP_D(-3, 0, 2, NAN));
    check(MUL, OP_D(4, 4, 15, NAN));
    check(DIV, OP_D(0.25, 1, 0.6, NAN));
    check(MAXIMUM, OP_D(4, 2, -3, NAN));
    check(MINIMUM, OP_D(1, 2, -5, NAN));
    check(GREATER, OP_D(0, 0, 1, 0));
    check(GREATER_EQUAL, OP_D(0, 1, 1, 0));
    check(EQUAL, OP_D(0, 1, 0, 0));
}

static void a_nan_of_either_side_reaches_maximum_and_minimum(void **state)
{
    (void)state;
    for (int kind = MAXIMUM; kind <= MINIMUM; kind++) {
        const op_case c = {
            build, OP_ANY, &kind, 2, {LMB_SHAPE(2), LMB_SHAPE(2)}};
        op_check_value(&c, OP_X(OP_D(NAN, 1), OP_D(1, NAN)), LMB_SHAPE(2),
            OP_D(NAN, NAN), 0);
    }
}

static void operands_broadcast_like_numpy(void **state)
{
    (void)state;
    const int kind = SUB;
    const op_case c = {
        build, OP_ANY, &kind, 2, {LMB_SHAPE(2, 1, 3), LMB_SHAPE(2, 1)}};
    double a[6], want[12];
    for (int i = 0; i < 6; i++)
        a[i] = i;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < 3; k++)
                want[(i * 2 + j) * 3 + k] = a[i * 3 + k] - 10.0 * (j + 1);
    op_check_value(&c, OP_X(a, OP_D(10, 20)), LMB_SHAPE(2, 2, 3), want, 0);
}

static void an_empty_axis_broadcasts(void **state)
{
    (void)state;
    const int kind = MUL;
    const op_case c = {
        build, OP_ANY, &kind, 2, {LMB_SHAPE(0, 3), LMB_SHAPE(1, 3)}};
    op_check_value(
        &c, OP_X(OP_D(0), OP_D(1, 2, 3)), LMB_SHAPE(0, 3), OP_D(0), 0);
    /* The gradient of what was repeated no times is 0. */
    op_check_slope(&c, OP_X(OP_D(0), OP_D(1, 2, 3)), 1, OP_D(0, 0, 0), 0);
}

static void ties_give_the_gradient_to_the_first(void **state)
{
    (void)state;
    for (int kind = MAXIMUM; kind <= MINIMUM; kind++) {
        const op_case c = {
            build, OP_ANY, &kind, 2, {LMB_SHAPE(2), LMB_SHAPE(2)}};
        const double *const *x = OP_X(OP_D(1, 2), OP_D(1, 2));
        op_check_slope(&c, x, 0, OP_D(1, 1), 0);
        op_check_slope(&c, x, 1, OP_D(0, 0), 0);
    }
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const lmb_shape shape[][2] = {{{2, {3, 4}}, {2, {3, 4}}},
        {{2, {3, 4}}, {1, {4}}}, {{2, {3, 1}}, {2, {1, 4}}},
        {{3, {2, 3, 4}}, {0, {0}}}, {{0, {0}}, {0, {0}}},
        {{4, {2, 1, 3, 1}}, {3, {5, 1, 2}}}, {{2, {1, 1}}, {1, {1}}},
        {{2, {1, 4}}, {1, {4}}}};
    static const op_draw draw[] = {
        OP_ANY, OP_ANY, OP_ANY, OP_POSITIVE, OP_APART, OP_APART};
    for (size_t i = 0; i < LMB_COUNT(shape); i++)
        for (int kind = ADD; kind <= MINIMUM; kind++) {
            const op_case c = {
                build, draw[kind], &kind, 2, {shape[i][0], shape[i][1]}};
            op_check_gradient(&c);
        }
}

/* Both operands are one value: its two contributions add up. */
static lmb_value self(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_mul(g, x[0], lmb_div(g, x[0], lmb_shift(g, x[0], 1)));
}

static void a_value_used_twice_gets_both_gradients(void **state)
{
    (void)state;
    const op_case c = {self, OP_POSITIVE, NULL, 1, {LMB_SHAPE(5)}};
    op_check_gradient(&c);
}

static lmb_value masked(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_mul(g, x[0], lmb_greater(g, x[0], lmb_graph_scalar(g, 0)));
}

static void comparisons_pass_no_gradient(void **state)
{
    (void)state;
    const op_case c = {masked, OP_APART, NULL, 1, {LMB_SHAPE(8)}};
    op_check_gradient(&c);
}

static void shapes_that_do_not_broadcast_are_refused(void **state)
{
    (void)state;
    const int kind = ADD;
    const op_case c = {
        build, OP_ANY, &kind, 2, {LMB_SHAPE(2, 3), LMB_SHAPE(2)}};
    op_check_refused(&c, LMB_ESHAPE,
        "binary: shapes [2, 3] and [2] do not broadcast: 3 against 2");
}

static lmb_value missing(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_add(g, x[0], LMB_NONE);
}

static void a_missing_operand_gives_no_value(void **state)
{
    (void)state;
    const op_case c = {missing, OP_ANY, NULL, 1, {LMB_SHAPE(2)}};
    op_built b = op_build_case(&c);
    assert_false(lmb_is(b.y));
    lmb_graph_free(b.g);
}

LMB_TEST_MAIN(cmocka_unit_test(values_match_hand_numbers),
    cmocka_unit_test(a_nan_of_either_side_reaches_maximum_and_minimum),
    cmocka_unit_test(operands_broadcast_like_numpy),
    cmocka_unit_test(an_empty_axis_broadcasts),
    cmocka_unit_test(ties_give_the_gradient_to_the_first),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(a_value_used_twice_gets_both_gradients),
    cmocka_unit_test(comparisons_pass_no_gradient),
    cmocka_unit_test(shapes_that_do_not_broadcast_are_refused),
    cmocka_unit_test(a_missing_operand_gives_no_value))
