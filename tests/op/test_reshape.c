#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_reshape(g, x[0], *(const lmb_shape *)user);
}

static const double six[] = {0, 1, 2, 3, 4, 5};

static void check(lmb_shape from, lmb_shape to, lmb_shape want)
{
    const op_case c = {build, OP_ANY, &to, 1, {from}};
    op_check_value(&c, OP_X(six), want, six, 0);
}

static void elements_keep_their_order(void **state)
{
    (void)state;
    check(LMB_SHAPE(2, 3), LMB_SHAPE(3, 2), LMB_SHAPE(3, 2));
    check(LMB_SHAPE(6), LMB_SHAPE(1, 2, 1, 3), LMB_SHAPE(1, 2, 1, 3));
    check(LMB_SHAPE(1), LMB_SCALAR, LMB_SCALAR);
    check(LMB_SCALAR, LMB_SHAPE(1, 1), LMB_SHAPE(1, 1));
    check(LMB_SHAPE(0, 4), LMB_SHAPE(3, 0), LMB_SHAPE(3, 0));
}

static void minus_one_is_resolved(void **state)
{
    (void)state;
    check(LMB_SHAPE(2, 3), LMB_SHAPE(-1), LMB_SHAPE(6));
    check(LMB_SHAPE(2, 3), LMB_SHAPE(3, -1), LMB_SHAPE(3, 2));
    check(LMB_SHAPE(6), LMB_SHAPE(-1, 6), LMB_SHAPE(1, 6));
    check(LMB_SHAPE(0, 3), LMB_SHAPE(-1, 3), LMB_SHAPE(0, 3));
}

static void other_counts_are_refused(void **state)
{
    (void)state;
    static const lmb_shape bad[] = {{1, {5}}, {2, {4, -1}}, {2, {-1, -1}},
        {2, {-2, -3}}, {2, {0, -1}}, {0, {0}}, {2, {INT64_MAX, 4}}};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {build, OP_ANY, &bad[i], 1, {LMB_SHAPE(2, 3)}};
        op_check_refused(
            &c, LMB_ESHAPE, "reshape: shape [2, 3] cannot become [");
    }
    const lmb_shape deep = {.rank = 7};
    const op_case c = {build, OP_ANY, &deep, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE, "rank 7 outside 0..6");
}

static void gradient_matches_the_stencil(void **state)
{
    (void)state;
    const op_case c = {
        build, OP_ANY, &LMB_SHAPE(3, -1), 1, {LMB_SHAPE(2, 3, 4)}};
    op_check_gradient(&c);
}

LMB_TEST_MAIN(cmocka_unit_test(elements_keep_their_order),
    cmocka_unit_test(minus_one_is_resolved),
    cmocka_unit_test(other_counts_are_refused),
    cmocka_unit_test(gradient_matches_the_stencil))
