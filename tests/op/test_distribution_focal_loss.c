#include "op_check.h"

static const double weight[] = {1, 0.5, 0, 2};

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_value target =
        lmb_graph_constant(g, LMB_SHAPE(4), (const double *)user, 0);
    const lmb_value w = lmb_graph_constant(g, LMB_SHAPE(4), weight, 0);
    return lmb_distribution_focal_loss(g, x[0], target, w);
}

/* log of the softmax of three logits 0, log 2, log 5: 1/8, 2/8, 5/8. */
static void two_bins_share_the_target(void **state)
{
    (void)state;
    static const double target[] = {0.25, 1.5, NAN, 2};
    const double two = log(2), five = log(5);
    const op_case c = {build, OP_ANY, target, 1, {LMB_SHAPE(4, 3)}};
    const double want = -(0.75 * log(0.125) + 0.25 * log(0.25)) -
        0.5 * (0.5 * log(0.25) + 0.5 * log(0.625)) - 2 * log(0.625);
    const double *x =
        OP_D(0, two, five, 0, two, five, NAN, INFINITY, 0, 0, two, five);
    op_check_value(&c, OP_X(x), LMB_SCALAR, &want, 1e-14);
    op_check_slope(&c, OP_X(x), 0,
        OP_D(0.125 - 0.75, 0, 0.625, 0.0625, 0.125 - 0.25, 0.3125 - 0.25, 0, 0,
            0, 0.25, 0.5, 1.25 - 2),
        1e-14);
}

static void targets_beyond_the_bins_are_clamped(void **state)
{
    (void)state;
    static const double target[] = {-3, 7, 0, 2};
    static const double clamped[] = {0, 2, 0, 2};
    const op_case c = {build, OP_ANY, target, 1, {LMB_SHAPE(4, 3)}};
    const op_case d = {build, OP_ANY, clamped, 1, {LMB_SHAPE(4, 3)}};
    const double *x = OP_D(0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 2);
    op_built b = op_build_case(&d);
    op_run run;
    CHECK_OK(op_run_graph(b.g, 1, &(op_feed){b.x[0], x}, &run));
    op_check_value(&c, OP_X(x), LMB_SCALAR, run.data[b.y.id], 0);
    op_run_free(&run);
    lmb_graph_free(b.g);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    static const double target[] = {0.25, 14.5, 3, 16};
    const op_case c = {build, OP_ANY, target, 1, {LMB_SHAPE(4, 17)}};
    op_check_gradient(&c);
}

static void bad_shapes_are_refused(void **state)
{
    (void)state;
    static const double target[4];
    const op_case c = {build, OP_ANY, target, 1, {LMB_SHAPE(4, 1)}};
    op_check_refused(&c, LMB_ESHAPE, "logits [4, 1] are not [R, bins]");
    const op_case d = {build, OP_ANY, target, 1, {LMB_SHAPE(3, 5)}};
    op_check_refused(&d, LMB_ESHAPE, "target [4] does not belong to logits");
}

LMB_TEST_MAIN(cmocka_unit_test(two_bins_share_the_target),
    cmocka_unit_test(targets_beyond_the_bins_are_clamped),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(bad_shapes_are_refused))
