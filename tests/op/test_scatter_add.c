#include "op_check.h"

typedef struct place {
    int axis;
    int64_t size;
    lmb_shape shape;
    int32_t idx[16];
} place;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const place *p = user;
    return lmb_scatter_add(g, x[0],
        lmb_graph_index_constant(g, p->shape, p->idx), p->axis, p->size);
}

static const double four[] = {1, 2, 3, 4};

static void elements_add_up_at_their_places(void **state)
{
    (void)state;
    const place last = {-1, 3, {2, {2, 2}}, {2, 0, 1, 1}};
    const op_case c = {build, OP_ANY, &last, 1, {LMB_SHAPE(2, 2)}};
    op_check_value(&c, OP_X(four), LMB_SHAPE(2, 3), OP_D(2, 0, 1, 0, 7, 0), 0);
    const place first = {0, 1, {2, {2, 2}}, {0, 0, 0, 0}};
    const op_case d = {build, OP_ANY, &first, 1, {LMB_SHAPE(2, 2)}};
    op_check_value(&d, OP_X(four), LMB_SHAPE(1, 2), OP_D(4, 6), 0);
}

static void indices_outside_fail_at_the_run(void **state)
{
    (void)state;
    const place high = {0, 2, {1, {2}}, {0, 2}};
    const op_case c = {build, OP_ANY, &high, 1, {LMB_SHAPE(2)}};
    op_check_run_fails(&c, OP_X(four), LMB_EINVAL, "index 2 outside 0..1");
}

static void misfits_are_refused(void **state)
{
    (void)state;
    const place shape = {0, 2, {1, {3}}, {0}};
    const op_case c = {build, OP_ANY, &shape, 1, {LMB_SHAPE(2)}};
    op_check_refused(&c, LMB_ESHAPE, "scatter_add: shapes x [2] and idx [3]");
    const place size = {0, -1, {1, {2}}, {0}};
    const op_case d = {build, OP_ANY, &size, 1, {LMB_SHAPE(2)}};
    op_check_refused(&d, LMB_ESHAPE, "size -1 is negative");
    const place axis = {1, 2, {1, {2}}, {0}};
    const op_case e = {build, OP_ANY, &axis, 1, {LMB_SHAPE(2)}};
    op_check_refused(&e, LMB_ESHAPE, "scatter_add: axis 1 outside");
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const place p[] = {{1, 3, {3, {2, 2, 2}}, {2, 0, 1, 1, 0, 2, 2, 2}},
        {-1, 1, {3, {2, 2, 2}}, {0, 0, 0, 0, 0, 0, 0, 0}},
        {0, 5, {3, {2, 2, 2}}, {4, 0, 3, 3, 1, 1, 4, 0}}};
    for (size_t i = 0; i < LMB_COUNT(p); i++) {
        const op_case c = {build, OP_ANY, &p[i], 1, {LMB_SHAPE(2, 2, 2)}};
        op_check_gradient(&c);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(elements_add_up_at_their_places),
    cmocka_unit_test(indices_outside_fail_at_the_run),
    cmocka_unit_test(misfits_are_refused),
    cmocka_unit_test(gradients_match_the_stencil))
