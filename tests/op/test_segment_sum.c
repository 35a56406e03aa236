#include "op_check.h"

typedef struct segments {
    int n;
    int32_t bounds[8];
} segments;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const segments *s = user;
    return lmb_segment_sum(g, x[0], s->n, s->bounds);
}

static void values_match_hand_numbers(void **state)
{
    (void)state;
    const segments s = {3, {0, 2, 3, 6}};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 6)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)),
        LMB_SHAPE(2, 3), OP_D(3, 3, 15, 15, 9, 33), 0);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const segments s[] = {
        {1, {0, 6}}, {6, {0, 1, 2, 3, 4, 5, 6}}, {3, {0, 2, 3, 6}}};
    for (size_t i = 0; i < LMB_COUNT(s); i++) {
        const op_case c = {build, OP_ANY, &s[i], 1, {LMB_SHAPE(2, 2, 6)}};
        op_check_gradient(&c);
    }
}

static void bounds_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    const segments s = {2, {0, 2, 5}};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 6)}};
    op_check_refused(&c, LMB_ESHAPE,
        "segment_sum: the last axis of shape [2, 6] is not the 5");
    const segments flat = {2, {0, 6, 6}};
    const op_case f = {build, OP_ANY, &flat, 1, {LMB_SHAPE(2, 6)}};
    op_check_refused(&f, LMB_EINVAL, "bounds must rise");
}

LMB_TEST_MAIN(cmocka_unit_test(values_match_hand_numbers),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(bounds_that_do_not_fit_are_refused))
