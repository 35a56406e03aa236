#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    return *(const bool *)user ? lmb_box_giou(g, x[0], x[1])
                               : lmb_box_iou(g, x[0], x[1]);
}

static const bool iou = false, giou = true;

#define CASE(which, ...) \
    { \
        build, OP_ANY, &(which), 2, \
        { \
            __VA_ARGS__, __VA_ARGS__ \
        } \
    }

static const double a[] = {0, 0, 4, 4, 0, 0, 2, 2, 1, 1, 1, 1};
static const double b[] = {2, 2, 6, 4, 3, 0, 5, 2, 1, 1, 1, 1};

static void overlaps_are_row_by_row(void **state)
{
    (void)state;
    const op_case c = CASE(iou, LMB_SHAPE(1, 3, 4));
    op_check_value(&c, OP_X(a, b), LMB_SHAPE(1, 3), OP_D(0.2, 0, 0), 1e-15);
    const op_case d = CASE(giou, LMB_SHAPE(1, 3, 4));
    op_check_value(
        &d, OP_X(a, b), LMB_SHAPE(1, 3), OP_D(0.2 - 4.0 / 24, -0.2, 0), 1e-15);
}

/* Inverted boxes have an empty intersection and no infinite slopes. */
static void odd_boxes_have_finite_slopes(void **state)
{
    (void)state;
    const op_case c = CASE(giou, LMB_SHAPE(2, 4));
    const double *x = OP_D(4, 4, 0, 0, 1, 1, 1, 1);
    const double *y = OP_D(0, 0, 4, 4, 1, 1, 1, 1);
    op_built built = op_build_case(&c);
    lmb_value dx[2];
    lmb_backward(built.g, lmb_sum(built.g, built.y, LMB_ALL_AXES, false), 2,
        built.x, dx);
    CHECK_OK(lmb_graph_status(built.g));
    op_run run;
    const op_feed feeds[] = {{built.x[0], x}, {built.x[1], y}};
    CHECK_OK(op_run_graph(built.g, 2, feeds, &run));
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 8; i++)
            assert_true(isfinite(run.data[dx[k].id][i]));
    op_run_free(&run);
    lmb_graph_free(built.g);
}

/* Boxes from sorted numbers: four to a row, in the order x0 y0 x1 y1. */
static lmb_value build_sorted(
    lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_value size = lmb_shift(g, lmb_square(g, x[1]), 0.3);
    const lmb_value corners[] = {x[0], lmb_add(g, x[0], size)};
    const lmb_value other[] = {x[2], lmb_shift(g, lmb_add(g, x[2], size), 1)};
    const lmb_value boxes[] = {
        lmb_concat(g, 2, corners, -1), lmb_concat(g, 2, other, -1)};
    return build(g, boxes, user);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const op_case c = {build_sorted, OP_APART, k == 0 ? &iou : &giou, 3,
            {LMB_SHAPE(2, 9, 2), LMB_SHAPE(2, 9, 2), LMB_SHAPE(2, 9, 2)}};
        op_check_gradient(&c);
    }
}

static void bad_shapes_are_refused(void **state)
{
    (void)state;
    const op_case c = CASE(iou, LMB_SHAPE(3, 5));
    op_check_refused(&c, LMB_ESHAPE, "[3, 5]");
    const op_case d = {
        build, OP_ANY, &iou, 2, {LMB_SHAPE(3, 4), LMB_SHAPE(2, 4)}};
    op_check_refused(&d, LMB_ESHAPE, "[3, 4] and [2, 4] must be equal");
}

LMB_TEST_MAIN(cmocka_unit_test(overlaps_are_row_by_row),
    cmocka_unit_test(odd_boxes_have_finite_slopes),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(bad_shapes_are_refused))
