#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const double *ab = user;
    return lmb_affine(g, x[0], ab[0], ab[1]);
}

static lmb_value build_scale(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_scale(g, x[0], *(const double *)user);
}

static lmb_value build_shift(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_shift(g, x[0], *(const double *)user);
}

static void values_match_hand_numbers(void **state)
{
    (void)state;
    const double *const *x = OP_X(OP_D(1, -2, 0));
    const op_case c = {build, OP_ANY, OP_D(3, -1), 1, {LMB_SHAPE(3)}};
    op_check_value(&c, x, LMB_SHAPE(3), OP_D(2, -7, -1), 0);
    const op_case scale = {build_scale, OP_ANY, OP_D(3), 1, {LMB_SHAPE(3)}};
    op_check_value(&scale, x, LMB_SHAPE(3), OP_D(3, -6, 0), 0);
    const op_case shift = {build_shift, OP_ANY, OP_D(3), 1, {LMB_SHAPE(3)}};
    op_check_value(&shift, x, LMB_SHAPE(3), OP_D(4, 1, 3), 0);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const double ab[][2] = {{3, -1}, {1, 5}, {0, 2}, {-0.25, 0}};
    for (size_t i = 0; i < LMB_COUNT(ab); i++) {
        const op_case c = {build, OP_ANY, ab[i], 1, {LMB_SHAPE(2, 5)}};
        op_check_gradient(&c);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(values_match_hand_numbers),
    cmocka_unit_test(gradients_match_the_stencil))
