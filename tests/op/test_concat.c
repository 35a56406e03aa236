#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const int *p = user; /* number of values, axis */
    return lmb_concat(g, p[0], x, p[1]);
}

static void values_follow_one_another(void **state)
{
    (void)state;
    const double *const *x = OP_X(OP_D(1, 2, 3, 4), OP_D(5, 6));
    const op_case last = {
        build, OP_ANY, (int[]){2, -1}, 2, {LMB_SHAPE(2, 2), LMB_SHAPE(2, 1)}};
    op_check_value(&last, x, LMB_SHAPE(2, 3), OP_D(1, 2, 5, 3, 4, 6), 0);
    const op_case first = {
        build, OP_ANY, (int[]){2, 0}, 2, {LMB_SHAPE(2, 2), LMB_SHAPE(1, 2)}};
    op_check_value(&first, x, LMB_SHAPE(3, 2), OP_D(1, 2, 3, 4, 5, 6), 0);
    const op_case one = {build, OP_ANY, (int[]){1, 0}, 1, {LMB_SHAPE(2)}};
    op_check_value(&one, x, LMB_SHAPE(2), OP_D(1, 2), 0);
    const op_case empty = {
        build, OP_ANY, (int[]){2, 0}, 2, {LMB_SHAPE(4), LMB_SHAPE(0)}};
    op_check_value(&empty, x, LMB_SHAPE(4), OP_D(1, 2, 3, 4), 0);
}

static void misfits_are_refused(void **state)
{
    (void)state;
    const op_case dim = {
        build, OP_ANY, (int[]){2, 0}, 2, {LMB_SHAPE(2, 2), LMB_SHAPE(2, 3)}};
    op_check_refused(&dim, LMB_ESHAPE, "concat: inputs 0 and 1");
    const op_case rank = {
        build, OP_ANY, (int[]){2, 0}, 2, {LMB_SHAPE(2, 2), LMB_SHAPE(2)}};
    op_check_refused(&rank, LMB_ESHAPE, "[2, 2] and F32 [2]");
    const op_case axis = {
        build, OP_ANY, (int[]){2, 2}, 2, {LMB_SHAPE(2, 2), LMB_SHAPE(2, 2)}};
    op_check_refused(&axis, LMB_ESHAPE, "concat: axis 2 outside");
    const op_case none = {build, OP_ANY, (int[]){0, 0}, 1, {LMB_SHAPE(2)}};
    op_check_refused(&none, LMB_EINVAL, "concat: 0 inputs");
}

/* 40 slices of x, doubled where odd, put together again. */
static lmb_value many(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    lmb_value part[40];
    for (int k = 0; k < 40; k++)
        part[k] = lmb_scale(g, lmb_slice(g, x[0], 1, k, k + 1), 1 + k % 2);
    return lmb_concat(g, 40, part, 1);
}

static void more_than_one_node_holds_are_nested(void **state)
{
    (void)state;
    double x[80], y[80];
    for (int i = 0; i < 80; i++) {
        x[i] = i;
        y[i] = i % 40 % 2 == 1 ? 2 * i : i;
    }
    const op_case c = {many, OP_ANY, NULL, 1, {LMB_SHAPE(2, 40)}};
    op_check_value(&c, OP_X(x), LMB_SHAPE(2, 40), y, 0);
    op_check_gradient(&c);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    const op_case middle = {build, OP_ANY, (int[]){3, 1}, 3,
        {LMB_SHAPE(2, 3, 2), LMB_SHAPE(2, 1, 2), LMB_SHAPE(2, 4, 2)}};
    op_check_gradient(&middle);
    const op_case first = {
        build, OP_ANY, (int[]){2, 0}, 2, {LMB_SHAPE(1, 3), LMB_SHAPE(5, 3)}};
    op_check_gradient(&first);
}

LMB_TEST_MAIN(cmocka_unit_test(values_follow_one_another),
    cmocka_unit_test(misfits_are_refused),
    cmocka_unit_test(more_than_one_node_holds_are_nested),
    cmocka_unit_test(gradients_match_the_stencil))
