#include "op_check.h"

typedef struct setting {
    int kind; /* 0 sum, 1 mean, 2 max */
    uint32_t axes;
    bool keep;
} setting;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    static lmb_value (*const f[])(lmb_graph *, lmb_value, uint32_t, bool) = {
        lmb_sum, lmb_mean, lmb_max};
    const setting *s = user;
    return f[s->kind](g, x[0], s->axes, s->keep);
}

static const double x[] = {1, 2, 3, 4, 5, 7};

static void check(setting s, lmb_shape want, const double *y)
{
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 3)}};
    op_check_value(&c, OP_X(x), want, y, 1e-15);
}

static void values_match_hand_numbers(void **state)
{
    (void)state;
    check((setting){0, LMB_AXIS(1), false}, LMB_SHAPE(2), OP_D(6, 16));
    check((setting){0, LMB_AXIS(0), false}, LMB_SHAPE(3), OP_D(5, 7, 10));
    check((setting){1, LMB_AXIS(-1), true}, LMB_SHAPE(2, 1), OP_D(2, 16.0 / 3));
    check((setting){2, LMB_AXIS(-2), true}, LMB_SHAPE(1, 3), OP_D(4, 5, 7));
    check((setting){0, LMB_ALL_AXES, false}, LMB_SCALAR, OP_D(22));
    check((setting){1, LMB_AXIS(0) | LMB_AXIS(-1), false}, LMB_SCALAR,
        OP_D(22.0 / 6));
    check((setting){2, LMB_ALL_AXES, true}, LMB_SHAPE(1, 1), OP_D(7));
}

static void axes_between_others_are_reduced(void **state)
{
    (void)state;
    double v[24], y[6] = {0};
    for (int i = 0; i < 24; i++) {
        v[i] = i * i;
        y[i / 12 * 3 + i % 3] += v[i];
    }
    const setting s = {0, LMB_AXIS(1), false};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 4, 3)}};
    op_check_value(&c, OP_X(v), LMB_SHAPE(2, 3), y, 0);
}

static void a_scalar_is_its_own_sum(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        const setting s = {kind, LMB_ALL_AXES, false};
        const op_case c = {build, OP_ANY, &s, 1, {LMB_SCALAR}};
        op_check_value(&c, OP_X(OP_D(5)), LMB_SCALAR, OP_D(5), 0);
        op_check_gradient(&c);
    }
}

static void empty_sets_sum_to_zero_and_have_no_mean(void **state)
{
    (void)state;
    const setting sum = {0, LMB_AXIS(0), false};
    const op_case c = {build, OP_ANY, &sum, 1, {LMB_SHAPE(0, 2)}};
    op_check_value(&c, OP_X(x), LMB_SHAPE(2), OP_D(0, 0), 0);
    for (int kind = 1; kind < 3; kind++) {
        const setting s = {kind, LMB_AXIS(0), false};
        const op_case bad = {build, OP_ANY, &s, 1, {LMB_SHAPE(0, 2)}};
        op_check_refused(&bad, LMB_ESHAPE, "of no elements, shape [0, 2]");
    }
}

static void axes_outside_are_refused(void **state)
{
    (void)state;
    static const uint32_t bad[] = {LMB_AXIS(2), LMB_AXIS(-3), LMB_AXIS(9)};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const setting s = {0, bad[i], false};
        const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 3)}};
        op_check_refused(
            &c, LMB_ESHAPE, "reduce: an axis lies outside shape [2, 3]");
    }
}

static void the_first_of_equal_maxima_gets_the_gradient(void **state)
{
    (void)state;
    const setting rows = {2, LMB_AXIS(1), false};
    const op_case c = {build, OP_ANY, &rows, 1, {LMB_SHAPE(2, 3)}};
    op_check_slope(
        &c, OP_X(OP_D(1, 4, 4, 2, 2, 2)), 0, OP_D(0, 1, 0, 1, 0, 0), 0);
    const setting columns = {2, LMB_AXIS(0), true};
    const op_case k = {build, OP_ANY, &columns, 1, {LMB_SHAPE(2, 3)}};
    op_check_slope(
        &k, OP_X(OP_D(1, 4, 2, 2, 4, 1)), 0, OP_D(0, 1, 1, 1, 0, 0), 0);
}

static void a_nan_reaches_the_maximum(void **state)
{
    (void)state;
    const setting s = {2, LMB_AXIS(0), false};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(3)}};
    op_check_value(&c, OP_X(OP_D(1, NAN, 5)), LMB_SCALAR, OP_D(NAN), 0);
    op_check_value(&c, OP_X(OP_D(-INFINITY, -INFINITY, -INFINITY)), LMB_SCALAR,
        OP_D(-INFINITY), 0);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const uint32_t axes[] = {LMB_ALL_AXES, LMB_AXIS(0), LMB_AXIS(-1),
        LMB_AXIS(1) | LMB_AXIS(2), LMB_AXIS(0) | LMB_AXIS(-1)};
    for (size_t i = 0; i < LMB_COUNT(axes); i++)
        for (int k = 0; k < 6; k++) {
            const setting s = {k / 2, axes[i], k % 2 != 0};
            const op_draw draw = s.kind == 2 ? OP_APART : OP_ANY;
            const op_case c = {build, draw, &s, 1, {LMB_SHAPE(3, 4, 5)}};
            op_check_gradient(&c);
            const op_case thin = {build, draw, &s, 1, {LMB_SHAPE(1, 4, 1)}};
            op_check_gradient(&thin);
        }
}

static lmb_value bwd(lmb_graph *g, const lmb_value *v, const void *user)
{
    (void)user;
    return lmb_graph_apply1(g, &lmb_op_max_bwd, NULL, 3, v);
}

static void backward_refuses_shapes_that_disagree(void **state)
{
    (void)state;
    const op_case dy = {
        bwd, OP_ANY, NULL, 3, {LMB_SHAPE(2), LMB_SHAPE(2, 3), LMB_SHAPE(2, 1)}};
    op_check_refused(&dy, LMB_ESHAPE, "dy [2], x [2, 3], y [2, 1]");
    const op_case y = {bwd, OP_ANY, NULL, 3,
        {LMB_SHAPE(2, 2), LMB_SHAPE(2, 3), LMB_SHAPE(2, 2)}};
    op_check_refused(&y, LMB_ESHAPE, "do not agree");
}

LMB_TEST_MAIN(cmocka_unit_test(values_match_hand_numbers),
    cmocka_unit_test(axes_between_others_are_reduced),
    cmocka_unit_test(a_scalar_is_its_own_sum),
    cmocka_unit_test(empty_sets_sum_to_zero_and_have_no_mean),
    cmocka_unit_test(axes_outside_are_refused),
    cmocka_unit_test(the_first_of_equal_maxima_gets_the_gradient),
    cmocka_unit_test(a_nan_reaches_the_maximum),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(backward_refuses_shapes_that_disagree))
