/* max_pool2d: values, ties, NaN, padding, gradients, refusals. */
#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_max_pool2d(g, x[0], user);
}

static void values_by_hand(void **state)
{
    (void)state;
    const lmb_pool_attr a = {{2, 2}, {2, 1}, {0, 0}, false};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 3, 3)}};
    /* 3 rows, stride 2: the last row is left over. */
    op_check_value(&c, OP_X(OP_D(1, 5, 2, 4, 3, 6, 9, 9, 9)),
        LMB_SHAPE(1, 1, 1, 2), OP_D(5, 6), 0);
}

static void padding_never_wins(void **state)
{
    (void)state;
    const lmb_pool_attr a = {{2, 3}, {2, 2}, {1, 1}, false};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 2, 2)}};
    op_check_value(
        &c, OP_X(OP_D(-4, -3, -2, -1)), LMB_SHAPE(1, 1, 2, 1), OP_D(-3, -1), 0);
}

static void ties_go_to_the_first(void **state)
{
    (void)state;
    const lmb_pool_attr a = {{2, 2}, {1, 1}, {0, 0}, false};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 2, 3)}};
    /* Windows (7 7 / 7 1) and (7 2 / 1 7). */
    op_check_slope(
        &c, OP_X(OP_D(7, 7, 2, 7, 1, 7)), 0, OP_D(1, 1, 0, 0, 0, 0), 0);
}

static void nan_wins(void **state)
{
    (void)state;
    const lmb_pool_attr a = {{1, 3}, {1, 3}, {0, 0}, false};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 2, 3)}};
    const double *const x = OP_D(1, NAN, 2, 1, -INFINITY, 2);
    op_check_value(&c, &x, LMB_SHAPE(1, 1, 2, 1), OP_D(NAN, 2), 0);
    op_check_slope(&c, &x, 0, OP_D(0, 1, 0, 0, 0, 1), 0);
}

typedef struct pool_case {
    lmb_shape x;
    lmb_pool_attr a;
} pool_case;

static const pool_case cases[] = {
    {{4, {2, 3, 7, 5}}, {{3, 3}, {2, 2}, {1, 1}, false}},
    {{4, {1, 2, 6, 9}}, {{3, 2}, {1, 3}, {0, 1}, false}},
    {{4, {2, 2, 5, 5}}, {{1, 1}, {2, 2}, {0, 0}, false}},
    {{4, {1, 1, 4, 8}}, {{4, 5}, {3, 1}, {2, 2}, false}},
};

static void values_equal_naive_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const lmb_pool_attr *a = &cases[i].a;
        const lmb_shape s = cases[i].x;
        const int64_t oh =
            (s.dim[2] + 2 * a->pad[0] - a->kernel[0]) / a->stride[0] + 1;
        const int64_t ow =
            (s.dim[3] + 2 * a->pad[1] - a->kernel[1]) / a->stride[1] + 1;
        double x[512], y[512];
        op_fill(OP_ANY, i + 1, lmb_shape_count(&s), x);
        int64_t at = 0;
        for (int64_t nc = 0; nc < s.dim[0] * s.dim[1]; nc++)
            for (int64_t p = 0; p < oh; p++)
                for (int64_t q = 0; q < ow; q++, at++) {
                    y[at] = -INFINITY;
                    for (int64_t k = 0; k < a->kernel[0] * a->kernel[1]; k++) {
                        const int64_t h =
                            p * a->stride[0] - a->pad[0] + k / a->kernel[1];
                        const int64_t w =
                            q * a->stride[1] - a->pad[1] + k % a->kernel[1];
                        if (h >= 0 && h < s.dim[2] && w >= 0 && w < s.dim[3])
                            y[at] = fmax(
                                y[at], x[(nc * s.dim[2] + h) * s.dim[3] + w]);
                    }
                }
        const op_case c = {build, OP_ANY, a, 1, {s}};
        op_check_value(
            &c, OP_X(x), LMB_SHAPE(s.dim[0], s.dim[1], oh, ow), y, 0);
    }
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const op_case c = {build, OP_APART, &cases[i].a, 1, {cases[i].x}};
        op_check_gradient(&c);
    }
}

static void wrong_windows_are_refused(void **state)
{
    (void)state;
    lmb_pool_attr a = {{3, 3}, {2, 2}, {0, 0}, false};
    op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 2, 2, 4)}};
    op_check_refused(&c, LMB_ESHAPE, "height 2");
    c.shape[0] = LMB_SHAPE(2, 4, 4);
    op_check_refused(&c, LMB_ESHAPE, "rank 3, not 4");
    c.shape[0] = LMB_SHAPE(1, 2, 8, 8);
    a.pad[1] = 2;
    op_check_refused(&c, LMB_EINVAL, "more than half the kernel");
    a = (lmb_pool_attr){{0, 3}, {2, 2}, {0, 0}, false};
    op_check_refused(&c, LMB_ESHAPE, "kernel height 0");
    a = (lmb_pool_attr){{3, 3}, {2, 0}, {0, 0}, false};
    op_check_refused(&c, LMB_EINVAL, "stride 0 of the width");
}

LMB_TEST_MAIN(cmocka_unit_test(values_by_hand),
    cmocka_unit_test(padding_never_wins),
    cmocka_unit_test(ties_go_to_the_first), cmocka_unit_test(nan_wins),
    cmocka_unit_test(values_equal_naive_loops),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_windows_are_refused))
