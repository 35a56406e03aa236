#include "op_check.h"

typedef struct pick {
    int axis;
    lmb_shape shape;
    int32_t idx[16];
} pick;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const pick *p = user;
    return lmb_gather(
        g, x[0], lmb_graph_index_constant(g, p->shape, p->idx), p->axis);
}

static const double six[] = {10, 11, 12, 20, 21, 22};

static void check(const pick *p, const double *y)
{
    const op_case c = {build, OP_ANY, p, 1, {LMB_SHAPE(2, 3)}};
    op_check_value(&c, OP_X(six), p->shape, y, 0);
}

static void elements_are_picked(void **state)
{
    (void)state;
    const pick last = {-1, {2, {2, 2}}, {2, 0, 1, 1}};
    check(&last, OP_D(12, 10, 21, 21));
    const pick first = {0, {2, {1, 3}}, {1, 0, 1}};
    check(&first, OP_D(20, 11, 22));
    const pick more = {1, {2, {2, 4}}, {0, 1, 2, 0, 2, 2, 2, 2}};
    check(&more, OP_D(10, 11, 12, 10, 22, 22, 22, 22));
    const pick none = {1, {2, {2, 0}}, {0}};
    check(&none, six);
}

static void indices_outside_fail_at_the_run(void **state)
{
    (void)state;
    const pick high = {1, {2, {2, 1}}, {0, 3}};
    const op_case c = {build, OP_ANY, &high, 1, {LMB_SHAPE(2, 3)}};
    op_check_run_fails(&c, OP_X(six), LMB_EINVAL, "index 3 outside 0..2");
    const pick low = {1, {2, {2, 1}}, {0, -1}};
    const op_case d = {build, OP_ANY, &low, 1, {LMB_SHAPE(2, 3)}};
    op_check_run_fails(&d, OP_X(six), LMB_EINVAL, "index -1 outside 0..2");
}

static lmb_value real_index(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_gather(g, x[0], x[0], 0);
}

static void misfits_are_refused(void **state)
{
    (void)state;
    const pick rows = {1, {2, {3, 1}}, {0}};
    const op_case c = {build, OP_ANY, &rows, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE, "gather: shapes x [2, 3] and idx [3, 1]");
    const pick rank = {1, {1, {2}}, {0}};
    const op_case d = {build, OP_ANY, &rank, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&d, LMB_ESHAPE, "idx [2] differ outside axis 1");
    const pick axis = {2, {2, {2, 1}}, {0}};
    const op_case e = {build, OP_ANY, &axis, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&e, LMB_ESHAPE, "gather: axis 2 outside");
    const op_case f = {real_index, OP_ANY, NULL, 1, {LMB_SHAPE(3)}};
    op_check_refused(&f, LMB_EINVAL, "must be an index");
}

static void gradients_add_up_over_equal_indices(void **state)
{
    (void)state;
    const pick p = {1, {2, {2, 3}}, {0, 0, 2, 1, 1, 1}};
    const op_case c = {build, OP_ANY, &p, 1, {LMB_SHAPE(2, 3)}};
    op_check_slope(&c, OP_X(six), 0, OP_D(2, 0, 1, 0, 3, 0), 0);
    op_check_gradient(&c);
    const pick mid = {1, {3, {2, 2, 2}}, {2, 0, 1, 1, 0, 2, 2, 2}};
    const op_case m = {build, OP_ANY, &mid, 1, {LMB_SHAPE(2, 3, 2)}};
    op_check_gradient(&m);
}

/* Sorting by gather of argsort: differentiable where values are apart. */
static lmb_value sorted(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_gather(g, x[0], lmb_argsort(g, x[0], true), -1);
}

static void a_sorted_row_has_a_gradient(void **state)
{
    (void)state;
    const op_case c = {sorted, OP_APART, NULL, 1, {LMB_SHAPE(3, 7)}};
    op_check_gradient(&c);
}

LMB_TEST_MAIN(cmocka_unit_test(elements_are_picked),
    cmocka_unit_test(indices_outside_fail_at_the_run),
    cmocka_unit_test(misfits_are_refused),
    cmocka_unit_test(gradients_add_up_over_equal_indices),
    cmocka_unit_test(a_sorted_row_has_a_gradient))
