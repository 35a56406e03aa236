#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    static lmb_value (*const f[])(lmb_graph *, lmb_value) = {lmb_neg, lmb_exp,
        lmb_log, lmb_sqrt, lmb_square, lmb_reciprocal, lmb_abs, lmb_sigmoid,
        lmb_tanh, lmb_softplus, lmb_relu6};
    return f[*(const int *)user](g, x[0]);
}

enum {
    NEG,
    EXP,
    LOG,
    SQRT,
    SQUARE,
    RECIPROCAL,
    ABS,
    SIGMOID,
    TANH,
    SOFTPLUS,
    RELU6,
    COUNT
};

static void check(int kind, const double *x, const double *y, int64_t n)
{
    const op_case c = {build, OP_ANY, &kind, 1, {LMB_SHAPE(n)}};
    op_check_value(&c, OP_X(x), LMB_SHAPE(n), y, 1e-15);
}

static void check_slope(int kind, const double *x, const double *dx, int64_t n)
{
    const op_case c = {build, OP_ANY, &kind, 1, {LMB_SHAPE(n)}};
    op_check_slope(&c, OP_X(x), 0, dx, 1e-15);
}

static void values_match_hand_numbers(void **state)
{
    (void)state;
    check(NEG, OP_D(1, -2, 0), OP_D(-1, 2, 0), 3);
    check(EXP, OP_D(0, 1), OP_D(1, 2.718281828459045), 2);
    check(LOG, OP_D(1, 10, 0), OP_D(0, 2.302585092994046, -INFINITY), 3);
    check(SQRT, OP_D(4, 0, 2), OP_D(2, 0, 1.4142135623730951), 3);
    check(SQUARE, OP_D(-3, 0.5), OP_D(9, 0.25), 2);
    check(RECIPROCAL, OP_D(-4, 0.5), OP_D(-0.25, 2), 2);
    check(ABS, OP_D(-4, 0, 3), OP_D(4, 0, 3), 3);
    check(SIGMOID, OP_D(0, 1, -1),
        OP_D(0.5, 0.7310585786300049, 0.2689414213699951), 3);
    check(TANH, OP_D(0, 1), OP_D(0, 0.7615941559557649), 2);
    check(
        SOFTPLUS, OP_D(0, 1), OP_D(0.6931471805599453, 1.3132616875182228), 2);
    check(RELU6, OP_D(-1, 0, 3, 6, 7), OP_D(0, 0, 3, 6, 6), 5);
}

static void nothing_overflows_at_large_arguments(void **state)
{
    (void)state;
    check(SIGMOID, OP_D(1e4, -1e4), OP_D(1, 0), 2);
    check(SOFTPLUS, OP_D(1e4, -1e4), OP_D(1e4, 0), 2);
    check_slope(SIGMOID, OP_D(1e4, -1e4), OP_D(0, 0), 2);
    check_slope(SOFTPLUS, OP_D(1e4, -1e4), OP_D(1, 0), 2);
    check_slope(TANH, OP_D(1e4, -1e4), OP_D(0, 0), 2);
}

static void nan_stays_nan(void **state)
{
    (void)state;
    for (int kind = 0; kind < COUNT; kind++)
        check(kind, OP_D(NAN), OP_D(NAN), 1);
}

static void gradients_at_kinks_are_zero(void **state)
{
    (void)state;
    check_slope(SQRT, OP_D(0, 4), OP_D(0, 0.25), 2);
    check_slope(ABS, OP_D(0, -2, 2), OP_D(0, -1, 1), 3);
    check_slope(RELU6, OP_D(0, 6, 3, -1, 7), OP_D(0, 0, 1, 0, 0), 5);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const op_draw draw[COUNT] = {[EXP] = OP_SMALL,
        [LOG] = OP_POSITIVE,
        [SQRT] = OP_POSITIVE,
        [RECIPROCAL] = OP_POSITIVE,
        [ABS] = OP_APART,
        [RELU6] = OP_APART};
    for (int kind = 0; kind < COUNT; kind++) {
        const op_case c = {build, draw[kind], &kind, 1, {LMB_SHAPE(9, 13)}};
        op_check_gradient(&c);
        const op_case scalar = {build, draw[kind], &kind, 1, {LMB_SCALAR}};
        op_check_gradient(&scalar);
    }
}

static lmb_value of_index(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)x;
    (void)user;
    return lmb_exp(
        g, lmb_graph_index_constant(g, LMB_SHAPE(2), (int32_t[]){1, 2}));
}

static void an_index_is_refused(void **state)
{
    (void)state;
    const op_case c = {.build = of_index};
    op_check_refused(&c, LMB_EINVAL, "unary");
    op_check_refused(&c, LMB_EINVAL, "must be real");
}

LMB_TEST_MAIN(cmocka_unit_test(values_match_hand_numbers),
    cmocka_unit_test(nothing_overflows_at_large_arguments),
    cmocka_unit_test(nan_stays_nan),
    cmocka_unit_test(gradients_at_kinks_are_zero),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(an_index_is_refused))
