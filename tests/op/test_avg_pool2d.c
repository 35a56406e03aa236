/* avg_pool2d: values with both ways of counting padding, gradients,
 * refusals. */
#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_avg_pool2d(g, x[0], user);
}

static void values_by_hand(void **state)
{
    (void)state;
    const lmb_pool_attr a = {{2, 2}, {2, 2}, {0, 0}, true};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 3, 4)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9)),
        LMB_SHAPE(1, 1, 1, 2), OP_D(3.5, 5.5), 0);
}

static void padding_counts_or_not(void **state)
{
    (void)state;
    lmb_pool_attr a = {{2, 2}, {2, 2}, {1, 1}, true};
    const op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 1, 2, 2)}};
    const double *const x = OP_D(4, 8, 12, 16);
    op_check_value(&c, &x, LMB_SHAPE(1, 1, 2, 2), OP_D(1, 2, 3, 4), 0);
    op_check_slope(&c, &x, 0, OP_D(0.25, 0.25, 0.25, 0.25), 0);
    a.count_include_pad = false;
    op_check_value(&c, &x, LMB_SHAPE(1, 1, 2, 2), OP_D(4, 8, 12, 16), 0);
    op_check_slope(&c, &x, 0, OP_D(1, 1, 1, 1), 0);
}

typedef struct pool_case {
    lmb_shape x;
    lmb_pool_attr a;
} pool_case;

static const pool_case cases[] = {
    {{4, {2, 3, 7, 5}}, {{3, 3}, {2, 2}, {1, 1}, true}},
    {{4, {2, 3, 7, 5}}, {{3, 3}, {2, 2}, {1, 1}, false}},
    {{4, {1, 2, 6, 9}}, {{3, 2}, {1, 3}, {0, 1}, false}},
    {{4, {2, 2, 5, 5}}, {{1, 1}, {2, 2}, {0, 0}, true}},
    {{4, {1, 1, 4, 8}}, {{4, 5}, {3, 1}, {2, 2}, true}},
};

/* Mean of window (p, q) of plane x. */
static double naive(const lmb_pool_attr *a, const lmb_shape *s, const double *x,
    int64_t p, int64_t q)
{
    double sum = 0;
    int seen = 0;
    for (int64_t k = 0; k < a->kernel[0]; k++)
        for (int64_t l = 0; l < a->kernel[1]; l++) {
            const int64_t h = p * a->stride[0] - a->pad[0] + k;
            const int64_t w = q * a->stride[1] - a->pad[1] + l;
            if (h < 0 || h >= s->dim[2] || w < 0 || w >= s->dim[3])
                continue;
            sum += x[h * s->dim[3] + w];
            seen++;
        }
    return sum / (a->count_include_pad ? a->kernel[0] * a->kernel[1] : seen);
}

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
        for (int64_t j = 0; j < s.dim[0] * s.dim[1] * oh * ow; j++)
            y[j] = naive(a, &s, x + j / (oh * ow) * s.dim[2] * s.dim[3],
                j / ow % oh, j % ow);
        const op_case c = {build, OP_ANY, a, 1, {s}};
        op_check_value(
            &c, OP_X(x), LMB_SHAPE(s.dim[0], s.dim[1], oh, ow), y, 1e-14);
    }
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const op_case c = {build, OP_ANY, &cases[i].a, 1, {cases[i].x}};
        op_check_gradient(&c);
    }
}

static void wrong_windows_are_refused(void **state)
{
    (void)state;
    lmb_pool_attr a = {{3, 3}, {2, 2}, {0, 0}, true};
    op_case c = {build, OP_ANY, &a, 1, {LMB_SHAPE(1, 2, 4, 2)}};
    op_check_refused(&c, LMB_ESHAPE, "width 2");
    c.shape[0] = LMB_SHAPE(4, 4);
    op_check_refused(&c, LMB_ESHAPE, "rank 2, not 4");
    c.shape[0] = LMB_SHAPE(1, 2, 8, 8);
    a.pad[0] = 2;
    op_check_refused(&c, LMB_EINVAL, "more than half the kernel");
    a.pad[0] = -1;
    op_check_refused(&c, LMB_EINVAL, "padding -1 of the height");
}

LMB_TEST_MAIN(cmocka_unit_test(values_by_hand),
    cmocka_unit_test(padding_counts_or_not),
    cmocka_unit_test(values_equal_naive_loops),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_windows_are_refused))
