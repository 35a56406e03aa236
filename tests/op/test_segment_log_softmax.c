#include "op_check.h"

#define LN2 0.6931471805599453
#define LN3 1.0986122886681098

typedef struct segments {
    int n;
    int32_t bounds[8];
} segments;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const segments *s = user;
    return lmb_segment_log_softmax(g, x[0], s->n, s->bounds);
}

static void each_segment_is_normalised_by_itself(void **state)
{
    (void)state;
    const segments s = {3, {0, 2, 3, 6}};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 6)}};
    op_check_value(&c, OP_X(OP_D(4, 4, -9, 5, 5, 5, LN3, 0, 3, 0, 0, LN2)),
        LMB_SHAPE(2, 6),
        OP_D(-LN2, -LN2, 0, -LN3, -LN3, -LN3, LN3 - 2 * LN2, -2 * LN2, 0,
            -2 * LN2, -2 * LN2, -LN2),
        1e-15);
}

/* The op against log_softmax of each slice. */
static lmb_value naive(lmb_graph *g, const lmb_value *x, const void *user)
{
    const segments *s = user;
    lmb_value part[8];
    for (int j = 0; j < s->n; j++)
        part[j] = lmb_log_softmax(
            g, lmb_slice(g, x[0], -1, s->bounds[j], s->bounds[j + 1]), -1);
    return lmb_sub(g, build(g, x, user), lmb_concat(g, s->n, part, -1));
}

static void value_is_the_log_softmax_of_slices(void **state)
{
    (void)state;
    const segments s = {4, {0, 1, 3, 8, 10}};
    const op_case c = {naive, OP_ANY, &s, 1, {LMB_SHAPE(2, 3, 10)}};
    double x[60], zero[60] = {0};
    op_fill(OP_ANY, 7, 60, x);
    op_check_value(&c, OP_X(x), LMB_SHAPE(2, 3, 10), zero, 1e-15);
}

static void large_inputs_are_safe(void **state)
{
    (void)state;
    const segments s = {2, {0, 2, 4}};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(4)}};
    op_check_value(&c, OP_X(OP_D(1e4, 1e4, -1e4, -1e4)), LMB_SHAPE(4),
        OP_D(-LN2, -LN2, -LN2, -LN2), 1e-15);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const segments s[] = {{1, {0, 6}}, {6, {0, 1, 2, 3, 4, 5, 6}},
        {2, {0, 1, 6}}, {3, {0, 2, 3, 6}}};
    for (size_t i = 0; i < LMB_COUNT(s); i++) {
        const op_case c = {build, OP_ANY, &s[i], 1, {LMB_SHAPE(5, 6)}};
        op_check_gradient(&c);
        const op_case one = {build, OP_ANY, &s[i], 1, {LMB_SHAPE(6)}};
        op_check_gradient(&one);
    }
}

static void bad_bounds_are_refused(void **state)
{
    (void)state;
    static const struct {
        segments s;
        lmb_status code;
        const char *part;
    } bad[] = {{{0, {0}}, LMB_EINVAL, "0 segments"},
        {{2, {1, 2, 6}}, LMB_EINVAL, "bounds start with 1"},
        {{2, {0, 0, 6}}, LMB_EINVAL, "bounds must rise: entry 1 is 0"},
        {{3, {0, 4, 3, 6}}, LMB_EINVAL, "entry 2 is 3 after 4"},
        {{2, {0, 2, 5}}, LMB_ESHAPE,
            "the last axis of shape [2, 6] is not the 5"}};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {build, OP_ANY, &bad[i].s, 1, {LMB_SHAPE(2, 6)}};
        op_check_refused(&c, bad[i].code, bad[i].part);
        op_check_refused(&c, bad[i].code, "segment_log_softmax");
    }
    const segments s = {1, {0, 1}};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SCALAR}};
    op_check_refused(&c, LMB_ESHAPE, "the last axis of shape []");
}

LMB_TEST_MAIN(cmocka_unit_test(each_segment_is_normalised_by_itself),
    cmocka_unit_test(value_is_the_log_softmax_of_slices),
    cmocka_unit_test(large_inputs_are_safe),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(bad_bounds_are_refused))
