#include "op_check.h"

typedef struct padding {
    int axis;
    int64_t before, after;
} padding;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const padding *p = user;
    return lmb_pad(g, x[0], p->axis, p->before, p->after);
}

static void check(padding p, lmb_shape want, const double *y)
{
    const op_case c = {build, OP_ANY, &p, 1, {LMB_SHAPE(2, 2)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 4)), want, y, 0);
}

static void zeros_surround_the_elements(void **state)
{
    (void)state;
    check((padding){-1, 1, 2}, LMB_SHAPE(2, 5),
        OP_D(0, 1, 2, 0, 0, 0, 3, 4, 0, 0));
    check((padding){0, 0, 1}, LMB_SHAPE(3, 2), OP_D(1, 2, 3, 4, 0, 0));
    check((padding){0, 0, 0}, LMB_SHAPE(2, 2), OP_D(1, 2, 3, 4));
}

static void negative_padding_is_refused(void **state)
{
    (void)state;
    static const padding bad[] = {{0, -1, 2}, {0, 1, -1}, {1, INT64_MAX, 1}};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case c = {build, OP_ANY, &bad[i], 1, {LMB_SHAPE(2, 2)}};
        op_check_refused(&c, LMB_ESHAPE, "negative or too large");
    }
    const padding axis = {-3, 0, 1};
    const op_case c = {build, OP_ANY, &axis, 1, {LMB_SHAPE(2, 2)}};
    op_check_refused(&c, LMB_ESHAPE, "pad: axis -3 outside shape [2, 2]");
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const padding p[] = {{0, 1, 0}, {1, 2, 3}, {2, 0, 1}};
    for (size_t i = 0; i < LMB_COUNT(p); i++) {
        const op_case c = {build, OP_ANY, &p[i], 1, {LMB_SHAPE(2, 3, 2)}};
        op_check_gradient(&c);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(zeros_surround_the_elements),
    cmocka_unit_test(negative_padding_is_refused),
    cmocka_unit_test(gradients_match_the_stencil))
