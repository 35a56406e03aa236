#include "op_check.h"

static const double points[] = {1, 2, 10, 20};

static lmb_value build_decode(
    lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_distance_decode(
        g, lmb_graph_constant(g, LMB_SHAPE(2, 2), points, 0), x[0]);
}

static lmb_value build_encode(
    lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_distance_encode(
        g, lmb_graph_constant(g, LMB_SHAPE(2, 2), points, 0), x[0]);
}

static lmb_value build_bce(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_bce_logits(g, x[0], x[1]);
}

static void distances_make_boxes_and_back(void **state)
{
    (void)state;
    const op_case d = {build_decode, OP_ANY, NULL, 1, {LMB_SHAPE(1, 2, 4)}};
    const op_case e = {build_encode, OP_ANY, NULL, 1, {LMB_SHAPE(1, 2, 4)}};
    const double *distance = OP_D(1, 2, 3, 4, 5, 6, 7, 8);
    const double *box = OP_D(0, 0, 4, 6, 5, 14, 17, 28);
    op_check_value(&d, OP_X(distance), LMB_SHAPE(1, 2, 4), box, 0);
    op_check_value(&e, OP_X(box), LMB_SHAPE(1, 2, 4), distance, 0);
    op_check_gradient(&d);
}

static void encoding_passes_no_gradient(void **state)
{
    (void)state;
    const op_case c = {build_encode, OP_ANY, NULL, 1, {LMB_SHAPE(2, 4)}};
    op_built b = op_build_case(&c);
    lmb_value dx;
    lmb_backward(b.g, lmb_sum(b.g, b.y, LMB_ALL_AXES, false), 1, b.x, &dx);
    CHECK_OK(lmb_graph_status(b.g));
    assert_false(lmb_is(dx));
    lmb_graph_free(b.g);
}

static void bce_is_stable(void **state)
{
    (void)state;
    const op_case c = {
        build_bce, OP_ANY, NULL, 2, {LMB_SHAPE(4), LMB_SHAPE(4)}};
    op_check_value(&c, OP_X(OP_D(800, -800, 0, 1), OP_D(1, 0, 0.5, 0.25)),
        LMB_SHAPE(4), OP_D(0, 0, log(2), log(1 + exp(1)) - 0.25), 1e-12);
    op_check_gradient(&c);
}

LMB_TEST_MAIN(cmocka_unit_test(distances_make_boxes_and_back),
    cmocka_unit_test(encoding_passes_no_gradient),
    cmocka_unit_test(bce_is_stable))
