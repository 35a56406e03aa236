#include "op_check.h"

typedef struct segments {
    int n;
    int32_t bounds[8];
} segments;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const segments *s = user;
    return lmb_segment_broadcast(g, x[0], s->n, s->bounds);
}

static void values_repeat_over_their_segments(void **state)
{
    (void)state;
    const segments s = {3, {0, 2, 3, 6}};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 3)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 4, 5, 6)), LMB_SHAPE(2, 6),
        OP_D(1, 1, 2, 3, 3, 3, 4, 4, 5, 6, 6, 6), 0);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const segments s[] = {{3, {0, 1, 2, 3}}, {3, {0, 2, 3, 6}}};
    for (size_t i = 0; i < LMB_COUNT(s); i++) {
        const op_case c = {build, OP_ANY, &s[i], 1, {LMB_SHAPE(2, 2, 3)}};
        op_check_gradient(&c);
    }
    const segments one = {1, {0, 5}};
    const op_case c = {build, OP_ANY, &one, 1, {LMB_SHAPE(1)}};
    op_check_gradient(&c);
}

static void another_number_of_segments_is_refused(void **state)
{
    (void)state;
    const segments s = {2, {0, 2, 3}};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE,
        "segment_broadcast: the last axis of shape [2, 3] is not the 2");
}

LMB_TEST_MAIN(cmocka_unit_test(values_repeat_over_their_segments),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(another_number_of_segments_is_refused))
