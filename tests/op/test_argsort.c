#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_argsort(g, x[0], *(const bool *)user);
}

static void check(
    bool descending, lmb_shape shape, const double *x, const double *y)
{
    const op_case c = {build, OP_ANY, &descending, 1, {shape}};
    op_check_value(&c, OP_X(x), shape, y, 0);
}

static void rows_are_sorted(void **state)
{
    (void)state;
    const double *x = OP_D(3, 1, 2, -5, -4, -6);
    check(false, LMB_SHAPE(2, 3), x, OP_D(1, 2, 0, 2, 0, 1));
    check(true, LMB_SHAPE(2, 3), x, OP_D(0, 2, 1, 1, 0, 2));
    check(true, LMB_SHAPE(2, 1), x, OP_D(0, 0));
    check(true, LMB_SHAPE(2, 0), x, x);
}

static void equal_values_keep_their_order(void **state)
{
    (void)state;
    const double *x = OP_D(1, 2, 1, 2, 1);
    check(false, LMB_SHAPE(5), x, OP_D(0, 2, 4, 1, 3));
    check(true, LMB_SHAPE(5), x, OP_D(1, 3, 0, 2, 4));
    check(true, LMB_SHAPE(2), OP_D(0.0, -0.0), OP_D(0, 1));
}

static void nan_is_the_greatest(void **state)
{
    (void)state;
    const double *x = OP_D(NAN, 1, INFINITY, NAN, -1);
    check(false, LMB_SHAPE(5), x, OP_D(4, 1, 2, 0, 3));
    check(true, LMB_SHAPE(5), x, OP_D(0, 3, 2, 1, 4));
}

static void many_random_values_are_sorted(void **state)
{
    (void)state;
    enum { N = 1000 };
    static double x[N], order[N];
    op_fill(OP_ANY, 3, N, x);
    for (int i = 0; i < N; i++) { /* rank by counting */
        x[i] = floor(x[i] * 8); /* with many ties */
    }
    for (int i = 0; i < N; i++) {
        int rank = 0;
        for (int j = 0; j < N; j++)
            rank += x[j] < x[i] || (x[j] == x[i] && j < i);
        order[rank] = i;
    }
    check(false, LMB_SHAPE(N), x, order);
}

static void the_result_is_an_index_and_has_no_gradient(void **state)
{
    (void)state;
    const bool falling = true;
    const op_case c = {build, OP_ANY, &falling, 1, {LMB_SHAPE(3)}};
    op_built b = op_build_case(&c);
    assert_int_equal(lmb_graph_type(b.g, b.y).dtype, LMB_I32);
    assert_true(lmb_op_argsort.no_gradient);
    lmb_graph_free(b.g);
}

static void a_scalar_is_refused(void **state)
{
    (void)state;
    const bool falling = false;
    const op_case c = {build, OP_ANY, &falling, 1, {LMB_SCALAR}};
    op_check_refused(&c, LMB_ESHAPE, "argsort: a scalar has no last axis");
}

LMB_TEST_MAIN(cmocka_unit_test(rows_are_sorted),
    cmocka_unit_test(equal_values_keep_their_order),
    cmocka_unit_test(nan_is_the_greatest),
    cmocka_unit_test(many_random_values_are_sorted),
    cmocka_unit_test(the_result_is_an_index_and_has_no_gradient),
    cmocka_unit_test(a_scalar_is_refused))
