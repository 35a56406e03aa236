#include "op/op_util.h"

#include "op_check.h"

static void broadcast_strides_are_zero_where_values_repeat(void **state)
{
    (void)state;
    const lmb_shape in = LMB_SHAPE(3, 1, 2), out = LMB_SHAPE(5, 3, 4, 2);
    int64_t stride[LMB_MAX_RANK];
    lmb__broadcast_strides(&in, &out, stride);
    static const int64_t want[] = {0, 2, 0, 1};
    assert_memory_equal(stride, want, sizeof want);
    for (int64_t i = 0; i < 5 * 3 * 4 * 2; i++)
        assert_int_equal(lmb__offset(&out, stride, i), i / 8 % 3 * 2 + i % 2);
}

static void broadcast_shapes_follow_numpy(void **state)
{
    (void)state;
    static const lmb_shape a = {3, {2, 1, 4}}, b = {2, {3, 1}};
    static const lmb_shape want = {3, {2, 3, 4}};
    lmb_shape out;
    CHECK_OK(lmb__broadcast_shapes(&a, &b, &out));
    assert_true(lmb_shape_equal(&out, &want));
    CHECK_OK(lmb__broadcast_shapes(&b, &a, &out));
    assert_true(lmb_shape_equal(&out, &want));
    static const lmb_shape bad = {1, {2}};
    CHECK_ERR(lmb__broadcast_shapes(&a, &bad, &out), LMB_ESHAPE,
        "[2, 1, 4] and [2] do not broadcast: 4 against 2 on axis -1");
}

static void an_axis_cuts_a_shape_in_three(void **state)
{
    (void)state;
    const lmb_shape s = LMB_SHAPE(2, 3, 4, 5);
    const lmb__view v = lmb__axis_view(&s, 1);
    assert_int_equal(v.outer, 2);
    assert_int_equal(v.size, 3);
    assert_int_equal(v.inner, 20);
}

/* A graph with many ops and its backward; runs it if it was built. */
static lmb_status build_and_run(void)
{
    static const int32_t bounds[] = {0, 2, 5};
    lmb_graph *g = NULL;
    LMB_TRY(lmb_graph_new(&g));
    const lmb_value x = lmb_graph_constant(g, LMB_SHAPE(2, 5), NULL, 0.5);
    const lmb_value lp = lmb_segment_log_softmax(g, x, 2, bounds);
    const lmb_value top = lmb_max(g, x, LMB_AXIS(-1), true);
    const lmb_value sorted = lmb_gather(g, x, lmb_top_k(g, x, 5), -1);
    const lmb_value in[] = {lp, lmb_sub(g, x, top), sorted};
    const lmb_value y = lmb_concat(g, 3, in, 1);
    const lmb_value loss = lmb_sum(g, lmb_square(g, y), 0, false);
    lmb_value dx;
    lmb_backward(g, loss, 1, &x, &dx);
    lmb_status st = lmb_graph_status(g);
    op_run run = {0};
    if (st == LMB_OK && !lmb_alloc_failed()) {
        lmb_alloc_fail_at(-1); /* the test's interpreter asserts its memory */
        st = op_run_graph(g, 0, NULL, &run);
    }
    op_run_free(&run);
    lmb_graph_free(g);
    return st;
}

static void running_out_of_memory_while_building_is_reported(void **state)
{
    (void)state;
    int64_t n = 0;
    for (; n < 10000; n++) {
        lmb_alloc_fail_at(n);
        const lmb_status st = build_and_run();
        const bool failed = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        assert_int_equal(lmb_alloc_live(), 0);
        if (st == LMB_OK && !failed)
            break;
        assert_int_equal(st, LMB_ENOMEM);
    }
    assert_in_range(n, 5, 9999);
}

/* Kernels that need memory of their own. */
static void running_out_of_memory_in_a_kernel_is_reported(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3}, dy[] = {1}, y[] = {3};
    double out[3];
    const lmb_type v = {LMB_F32, LMB_SHAPE(3)}, s = {LMB_F32, LMB_SHAPE(1)};
    const lmb_type in[] = {s, v, s};
    const lmb_argsort_attr falling = {true};
    const lmb_ref sort = {
        &falling, 1, 1, &v, &v, OP_X(x), (double *const[]){out}, NULL};
    const lmb_ref max = {
        NULL, 3, 1, in, &v, OP_X(dy, x, y), (double *const[]){out}, NULL};
    lmb_alloc_fail_at(0);
    CHECK_ERR(lmb_op_argsort.reference(&sort), LMB_ENOMEM, "out of memory");
    lmb_alloc_fail_at(0);
    CHECK_ERR(lmb_op_max_bwd.reference(&max), LMB_ENOMEM, "out of memory");
    lmb_alloc_fail_at(-1);
    CHECK_OK(lmb_op_argsort.reference(&sort));
    CHECK_OK(lmb_op_max_bwd.reference(&max));
}

LMB_TEST_MAIN(cmocka_unit_test(broadcast_strides_are_zero_where_values_repeat),
    cmocka_unit_test(broadcast_shapes_follow_numpy),
    cmocka_unit_test(an_axis_cuts_a_shape_in_three),
    cmocka_unit_test(running_out_of_memory_while_building_is_reported),
    cmocka_unit_test(running_out_of_memory_in_a_kernel_is_reported))
