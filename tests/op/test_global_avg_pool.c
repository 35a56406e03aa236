/* global_avg_pool: the mean of each plane. */
#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_global_avg_pool(g, x[0]);
}

static void values_by_hand(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(2, 2, 1, 2)}};
    const double *const x = OP_D(1, 3, -2, 2, 5, 6, 0, 1);
    op_check_value(&c, &x, LMB_SHAPE(2, 2), OP_D(2, 0, 5.5, 0.5), 0);
    op_check_slope(&c, &x, 0, OP_D(0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5), 0);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(3, 2, 5, 7)}};
    op_check_gradient(&c);
    c.shape[0] = LMB_SHAPE(1, 4, 1, 1);
    op_check_gradient(&c);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE, "rank 2, not 4");
    c.shape[0] = LMB_SHAPE(2, 3, 0, 4);
    op_check_refused(&c, LMB_ESHAPE, "no elements");
}

LMB_TEST_MAIN(cmocka_unit_test(values_by_hand),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_shapes_are_refused))
