/* channel_shuffle: the order of channels, its inverse, refusals. */
#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const int *groups = user;
    return lmb_channel_shuffle(g, x[0], *groups);
}

static lmb_value build_there_and_back(
    lmb_graph *g, const lmb_value *x, const void *user)
{
    const int *groups = user;
    const lmb_value y = lmb_channel_shuffle(g, x[0], *groups);
    return lmb_channel_shuffle(g, y, 6 / *groups);
}

static void values_by_hand(void **state)
{
    (void)state;
    const int groups = 2;
    const op_case c = {build, OP_ANY, &groups, 1, {LMB_SHAPE(1, 6, 1, 2)}};
    /* Channels 0 1 2 | 3 4 5 become 0 3 1 4 2 5. */
    op_check_value(&c,
        OP_X(OP_D(0, .5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5)),
        LMB_SHAPE(1, 6, 1, 2),
        OP_D(0, .5, 3, 3.5, 1, 1.5, 4, 4.5, 2, 2.5, 5, 5.5), 0);
}

static void shuffles_of_g_and_c_over_g_cancel(void **state)
{
    (void)state;
    double x[2 * 6 * 4];
    op_fill(OP_ANY, 1, (int64_t)LMB_COUNT(x), x);
    for (int groups = 1; groups <= 6; groups++) {
        const op_case c = {
            build_there_and_back, OP_ANY, &groups, 1, {LMB_SHAPE(2, 6, 2, 2)}};
        if (6 % groups == 0)
            op_check_value(&c, OP_X(x), LMB_SHAPE(2, 6, 2, 2), x, 0);
    }
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    const int groups[] = {1, 2, 3, 4, 12};
    for (size_t i = 0; i < LMB_COUNT(groups); i++) {
        const op_case c = {
            build, OP_ANY, &groups[i], 1, {LMB_SHAPE(2, 12, 3, 2)}};
        op_check_gradient(&c);
    }
}

static void wrong_groups_are_refused(void **state)
{
    (void)state;
    int groups = 4;
    op_case c = {build, OP_ANY, &groups, 1, {LMB_SHAPE(2, 6, 3, 2)}};
    op_check_refused(&c, LMB_ESHAPE, "6 channels do not divide into 4");
    groups = 0;
    op_check_refused(&c, LMB_EINVAL, "groups 0");
    groups = 2;
    c.shape[0] = LMB_SHAPE(2, 6);
    op_check_refused(&c, LMB_ESHAPE, "rank 2, not 4");
}

LMB_TEST_MAIN(cmocka_unit_test(values_by_hand),
    cmocka_unit_test(shuffles_of_g_and_c_over_g_cancel),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_groups_are_refused))
