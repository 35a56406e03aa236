#include "op_check.h"

typedef struct range {
    int axis;
    int64_t start, stop;
} range;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const range *r = user;
    return lmb_slice(g, x[0], r->axis, r->start, r->stop);
}

static const double six[] = {0, 1, 2, 3, 4, 5};

static void check(range r, lmb_shape want, const double *y)
{
    const op_case c = {build, OP_ANY, &r, 1, {LMB_SHAPE(2, 3)}};
    op_check_value(&c, OP_X(six), want, y, 0);
}

static void elements_are_cut_out(void **state)
{
    (void)state;
    check((range){1, 1, 3}, LMB_SHAPE(2, 2), OP_D(1, 2, 4, 5));
    check((range){-1, 0, 1}, LMB_SHAPE(2, 1), OP_D(0, 3));
    check((range){0, 1, 2}, LMB_SHAPE(1, 3), OP_D(3, 4, 5));
    check((range){-2, 0, 2}, LMB_SHAPE(2, 3), six);
    check((range){1, 2, 2}, LMB_SHAPE(2, 0), six);
}

static void ranges_outside_are_refused(void **state)
{
    (void)state;
    static const range bad[] = {{1, -1, 2}, {1, 2, 1}, {1, 0, 4}, {0, 3, 3}};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {build, OP_ANY, &bad[i], 1, {LMB_SHAPE(2, 3)}};
        op_check_refused(&c, LMB_ESHAPE, "of shape [2, 3] do not exist");
    }
    const range axis = {2, 0, 1};
    const op_case c = {build, OP_ANY, &axis, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE, "slice: axis 2 outside shape [2, 3]");
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const range r[] = {{0, 0, 1}, {1, 1, 3}, {1, 0, 4}, {2, 4, 5}};
    for (size_t i = 0; i < LMB_COUNT(r); i++) {
        const op_case c = {build, OP_ANY, &r[i], 1, {LMB_SHAPE(2, 4, 5)}};
        op_check_gradient(&c);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(elements_are_cut_out),
    cmocka_unit_test(ranges_outside_are_refused),
    cmocka_unit_test(gradients_match_the_stencil))
