/* resize: nearest and bilinear, by hand, against dense matrices, refusals. */
#include "op_check.h"

typedef struct size_case {
    int64_t h, w;
    lmb_resize_mode mode;
} size_case;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const size_case *s = user;
    return lmb_resize(g, x[0], s->h, s->w, s->mode);
}

static void nearest_by_hand(void **state)
{
    (void)state;
    const size_case up = {2, 4, LMB_RESIZE_NEAREST};
    const size_case odd = {1, 5, LMB_RESIZE_NEAREST};
    op_case c = {build, OP_ANY, &up, 1, {LMB_SHAPE(1, 1, 1, 2)}};
    op_check_value(&c, OP_X(OP_D(1, 2)), LMB_SHAPE(1, 1, 2, 4),
        OP_D(1, 1, 2, 2, 1, 1, 2, 2), 0);
    op_check_slope(&c, OP_X(OP_D(1, 2)), 0, OP_D(4, 4), 0);
    c = (op_case){build, OP_ANY, &odd, 1, {LMB_SHAPE(1, 1, 2, 3)}};
    /* floor(i 3/5) = 0 0 1 1 2 */
    op_check_value(&c, OP_X(OP_D(1, 2, 3, 9, 9, 9)), LMB_SHAPE(1, 1, 1, 5),
        OP_D(1, 1, 2, 2, 3), 0);
}

/* From 26 to 22 the f32 factor 13/11 is a little small: element 11 comes from
 * 12, not 13. */
static void nearest_rounds_as_f32(void **state)
{
    (void)state;
    const size_case s = {1, 22, LMB_RESIZE_NEAREST};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(1, 1, 1, 26)}};
    double x[26], want[22];
    for (int i = 0; i < 26; i++)
        x[i] = i;
    for (int i = 0; i < 22; i++)
        want[i] = i == 11 ? 12 : floor(i * 13 / 11.0);
    op_check_value(&c, OP_X(x), LMB_SHAPE(1, 1, 1, 22), want, 0);
}

static void bilinear_by_hand(void **state)
{
    (void)state;
    const size_case up = {1, 4, LMB_RESIZE_BILINEAR};
    const size_case down = {1, 1, LMB_RESIZE_BILINEAR};
    op_case c = {build, OP_ANY, &up, 1, {LMB_SHAPE(1, 1, 1, 2)}};
    op_check_value(
        &c, OP_X(OP_D(0, 8)), LMB_SHAPE(1, 1, 1, 4), OP_D(0, 2, 6, 8), 0);
    op_check_slope(&c, OP_X(OP_D(0, 8)), 0, OP_D(2, 2), 0);
    c = (op_case){build, OP_ANY, &down, 1, {LMB_SHAPE(1, 1, 2, 4)}};
    /* Row 0.5, column 1.5: no antialiasing. */
    op_check_value(&c, OP_X(OP_D(9, 1, 3, 9, 9, 5, 7, 9)),
        LMB_SHAPE(1, 1, 1, 1), OP_D(4), 0);
}

static void same_size_is_a_copy(void **state)
{
    (void)state;
    double x[2 * 5 * 7];
    op_fill(OP_ANY, 3, (int64_t)LMB_COUNT(x), x);
    for (int mode = 0; mode < 2; mode++) {
        const size_case s = {5, 7, (lmb_resize_mode)mode};
        const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(1, 2, 5, 7)}};
        op_check_value(&c, OP_X(x), LMB_SHAPE(1, 2, 5, 7), x, 0);
    }
}

/* An infinite neighbour of weight 0 does not make a NaN. */
static void unused_corners_do_not_matter(void **state)
{
    (void)state;
    const size_case s = {2, 2, LMB_RESIZE_NEAREST};
    const op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(1, 1, 1, 2)}};
    op_check_value(&c, OP_X(OP_D(1, INFINITY)), LMB_SHAPE(1, 1, 2, 2),
        OP_D(1, INFINITY, 1, INFINITY), 0);
}

static const size_case sizes[] = {
    {10, 14, LMB_RESIZE_NEAREST},
    {3, 4, LMB_RESIZE_NEAREST},
    {7, 3, LMB_RESIZE_NEAREST},
    {10, 14, LMB_RESIZE_BILINEAR},
    {2, 3, LMB_RESIZE_BILINEAR},
    {9, 4, LMB_RESIZE_BILINEAR},
    {1, 20, LMB_RESIZE_BILINEAR},
};

/* The stencil of a linear map is exact: this is the adjoint's test. */
static void gradients_match_stencils(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(sizes); i++) {
        op_case c = {build, OP_ANY, &sizes[i], 1, {LMB_SHAPE(2, 3, 5, 7)}};
        op_check_gradient(&c);
        c.shape[0] = LMB_SHAPE(1, 2, 1, 1);
        op_check_gradient(&c);
    }
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    size_case s = {0, 2, LMB_RESIZE_BILINEAR};
    op_case c = {build, OP_ANY, &s, 1, {LMB_SHAPE(2, 3, 5, 7)}};
    op_check_refused(&c, LMB_ESHAPE, "to 0 x 2");
    s.h = 2;
    c.shape[0] = LMB_SHAPE(2, 3, 5);
    op_check_refused(&c, LMB_ESHAPE, "rank 3, not 4");
    c.shape[0] = LMB_SHAPE(2, 3, 0, 7);
    op_check_refused(&c, LMB_ESHAPE, "at least 1");
    c.shape[0] = LMB_SHAPE(2, 3, 5, 7);
    s.mode = (lmb_resize_mode)2;
    op_check_refused(&c, LMB_EINVAL, "resize mode 2");
}

LMB_TEST_MAIN(cmocka_unit_test(nearest_by_hand),
    cmocka_unit_test(nearest_rounds_as_f32), cmocka_unit_test(bilinear_by_hand),
    cmocka_unit_test(same_size_is_a_copy),
    cmocka_unit_test(unused_corners_do_not_matter),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_shapes_are_refused))
