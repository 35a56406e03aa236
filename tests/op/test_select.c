#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_select(g, x[0], x[1], x[2]);
}

static const op_case vector = {
    build, OP_ANY, NULL, 3, {{1, {4}}, {1, {4}}, {1, {4}}}};

static void value_follows_the_condition(void **state)
{
    (void)state;
    const double *const *x =
        OP_X(OP_D(1, 0, -0.5, NAN), OP_D(1, 2, 3, 4), OP_D(5, 6, 7, 8));
    op_check_value(&vector, x, LMB_SHAPE(4), OP_D(1, 6, 3, 4), 0);
}

static void what_is_not_selected_is_not_seen(void **state)
{
    (void)state;
    const double *const *x = OP_X(OP_D(1, 0, 1, 0), OP_D(1, NAN, 3, INFINITY),
        OP_D(-INFINITY, 6, NAN, 8));
    op_check_value(&vector, x, LMB_SHAPE(4), OP_D(1, 6, 3, 8), 0);
    op_check_slope(&vector, x, 1, OP_D(1, 0, 1, 0), 0);
    op_check_slope(&vector, x, 2, OP_D(0, 1, 0, 1), 0);
}

static void all_three_broadcast(void **state)
{
    (void)state;
    const op_case c = {
        build, OP_ANY, NULL, 3, {LMB_SHAPE(2, 1), LMB_SHAPE(1, 3), LMB_SCALAR}};
    const double *const *x = OP_X(OP_D(1, 0), OP_D(1, 2, 3), OP_D(9));
    op_check_value(&c, x, LMB_SHAPE(2, 3), OP_D(1, 2, 3, 9, 9, 9), 0);
    op_check_slope(&c, x, 1, OP_D(1, 1, 1), 0);
    op_check_slope(&c, x, 2, OP_D(3), 0);
}

/* A fixed condition: x is {a, b}. */
static lmb_value fixed(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    const lmb_value cond =
        lmb_graph_constant(g, LMB_SHAPE(3, 1), OP_D(1, 0, 2), 0);
    return lmb_select(g, cond, x[0], x[1]);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const lmb_shape shape[][2] = {{{2, {3, 4}}, {2, {3, 4}}},
        {{1, {4}}, {2, {3, 4}}}, {{2, {3, 1}}, {0, {0}}},
        {{3, {2, 3, 4}}, {2, {1, 4}}}};
    for (size_t i = 0; i < LMB_COUNT(shape); i++) {
        const op_case c = {fixed, OP_ANY, NULL, 2, {shape[i][0], shape[i][1]}};
        op_check_gradient(&c);
    }
}

static void shapes_that_do_not_broadcast_are_refused(void **state)
{
    (void)state;
    const op_case ab = {
        build, OP_ANY, NULL, 3, {LMB_SCALAR, LMB_SHAPE(2), LMB_SHAPE(3)}};
    op_check_refused(&ab, LMB_ESHAPE, "select: shapes [2] and [3]");
    const op_case cond = {
        build, OP_ANY, NULL, 3, {LMB_SHAPE(5), LMB_SHAPE(2), LMB_SHAPE(2)}};
    op_check_refused(&cond, LMB_ESHAPE, "[5] and [2]");
}

LMB_TEST_MAIN(cmocka_unit_test(value_follows_the_condition),
    cmocka_unit_test(what_is_not_selected_is_not_seen),
    cmocka_unit_test(all_three_broadcast),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(shapes_that_do_not_broadcast_are_refused))
