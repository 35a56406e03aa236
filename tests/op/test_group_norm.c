/* group_norm: by hand, against batch norm, gradients, refusals. */
#include "op_check.h"

typedef struct norm {
    int groups;
    double eps;
} norm;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const norm *n = user;
    return lmb_group_norm(g, x[0], x[1], x[2], n->groups, n->eps);
}

static void by_hand(void **state)
{
    (void)state;
    const norm n = {2, 0};
    const op_case c = {build, OP_ANY, &n, 3,
        {LMB_SHAPE(1, 4, 1, 2), LMB_SHAPE(4), LMB_SHAPE(4)}};
    /* Means 2 and 5, variances 5 and 1. */
    const double r = 1 / sqrt(5);
    op_check_value(&c,
        OP_X(OP_D(-1, 1, 3, 5, 4, 6, 6, 4), OP_D(1, 2, 3, -1),
            OP_D(0, 10, 0, 1)),
        LMB_SHAPE(1, 4, 1, 2),
        OP_D(-3 * r, -r, 10 + 2 * r, 10 + 6 * r, -3, 3, 0, 2), 1e-14);
}

/* A constant group: xhat is 0, whatever its mean. */
static void equal_elements_give_beta(void **state)
{
    (void)state;
    const norm n = {1, 1e-5};
    const op_case c = {build, OP_ANY, &n, 3,
        {LMB_SHAPE(1, 2, 1, 1), LMB_SHAPE(2), LMB_SHAPE(2)}};
    op_check_value(&c, OP_X(OP_D(1e6, 1e6), OP_D(3, 3), OP_D(7, 8)),
        LMB_SHAPE(1, 2, 1, 1), OP_D(7, 8), 0);
}

static lmb_value images_apart(
    lmb_graph *g, const lmb_value *x, const void *user)
{
    const norm *n = user;
    const lmb_value y = lmb_group_norm(g, x[0], x[1], x[2], n->groups, n->eps);
    const lmb_value one = lmb_slice(g, x[0], 0, 1, 2);
    const lmb_value again =
        lmb_group_norm(g, one, x[1], x[2], n->groups, n->eps);
    return lmb_sub(g, lmb_slice(g, y, 0, 1, 2), again);
}

static void images_do_not_see_each_other(void **state)
{
    (void)state;
    const norm n = {3, 1e-5};
    const op_case c = {images_apart, OP_ANY, &n, 3,
        {LMB_SHAPE(3, 6, 2, 2), LMB_SHAPE(6), LMB_SHAPE(6)}};
    double x[72 + 12];
    const double zero[24] = {0};
    op_fill(OP_ANY, 5, (int64_t)LMB_COUNT(x), x);
    op_check_value(&c, OP_X(x, x + 72, x + 78), LMB_SHAPE(1, 6, 2, 2), zero, 0);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    static const norm norms[] = {{1, 1e-5}, {2, 1e-5}, {3, 0.1}, {6, 1e-3}};
    for (size_t i = 0; i < LMB_COUNT(norms); i++) {
        const op_case c = {build, OP_SMALL, &norms[i], 3,
            {LMB_SHAPE(2, 6, 3, 2), LMB_SHAPE(6), LMB_SHAPE(6)}};
        op_check_gradient(&c);
    }
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    norm n = {4, 1e-5};
    op_case c = {build, OP_ANY, &n, 3,
        {LMB_SHAPE(2, 6, 3, 2), LMB_SHAPE(6), LMB_SHAPE(6)}};
    op_check_refused(&c, LMB_ESHAPE, "6 channels are not divisible into 4");
    n.groups = 0;
    op_check_refused(&c, LMB_ESHAPE, "into 0 groups");
    n.groups = 2;
    c.shape[2] = LMB_SHAPE(5);
    op_check_refused(&c, LMB_ESHAPE, "beta has shape [5], not [6]");
    c.shape[0] = LMB_SHAPE(2, 6);
    op_check_refused(&c, LMB_ESHAPE, "rank 2, not 4");
    c.shape[0] = LMB_SHAPE(2, 6, 0, 2);
    op_check_refused(&c, LMB_ESHAPE, "no elements");
}

LMB_TEST_MAIN(cmocka_unit_test(by_hand),
    cmocka_unit_test(equal_elements_give_beta),
    cmocka_unit_test(images_do_not_see_each_other),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_shapes_are_refused))
