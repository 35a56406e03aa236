/* roll: by hand, any distance, gradients, refusals. */
#include "op_check.h"

typedef struct shift {
    int axis;
    int64_t by;
} shift;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const shift *s = user;
    return lmb_roll(g, x[0], s->axis, s->by);
}

static void by_hand(void **state)
{
    (void)state;
    shift s = {1, 1};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 3)}};
    const double *x = OP_D(1, 2, 3, 4, 5, 6);
    op_check_value(&c, OP_X(x), LMB_SHAPE(2, 3), OP_D(3, 1, 2, 6, 4, 5), 0);
    s = (shift){-1, -1};
    op_check_value(&c, OP_X(x), LMB_SHAPE(2, 3), OP_D(2, 3, 1, 5, 6, 4), 0);
    s = (shift){0, 3};
    op_check_value(&c, OP_X(x), LMB_SHAPE(2, 3), OP_D(4, 5, 6, 1, 2, 3), 0);
    s = (shift){1, -6};
    op_check_value(&c, OP_X(x), LMB_SHAPE(2, 3), x, 0);
}

static void an_empty_axis_is_fine(void **state)
{
    (void)state;
    const shift s = {1, 4};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 0, 3)}};
    const double x = 0;
    op_check_value(&c, OP_X(&x), LMB_SHAPE(2, 0, 3), &x, 0);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    for (int axis = 0; axis < 3; axis++) {
        const shift s = {axis, 2};
        const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(3, 5, 4)}};
        op_check_gradient(&c);
    }
}

static void missing_axes_are_refused(void **state)
{
    (void)state;
    const shift s = {2, 1};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE, "roll");
}

LMB_TEST_MAIN(cmocka_unit_test(by_hand),
    cmocka_unit_test(an_empty_axis_is_fine),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(missing_axes_are_refused))
