#include "op_check.h"

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_value label = lmb_graph_index_constant(g, LMB_SHAPE(3), user);
    return lmb_cross_entropy_rows(g, x[0], label);
}

static const int32_t labels[] = {1, -1, 0};

static void every_row_has_its_own_value(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, labels, 1, {LMB_SHAPE(3, 2)}};
    op_check_value(&c, OP_X(OP_D(0, log(3), NAN, 1, 1000, -1000)), LMB_SHAPE(3),
        OP_D(-log(0.75), 0, 0), 1e-14);
    op_check_slope(&c, OP_X(OP_D(0, log(3), NAN, 1, 1000, -1000)), 0,
        OP_D(0.25, -0.25, 0, 0, 0, 0), 1e-14);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, labels, 1, {LMB_SHAPE(3, 5)}};
    op_check_gradient(&c);
}

static void a_label_beyond_the_classes_is_an_error(void **state)
{
    (void)state;
    static const int32_t far[] = {0, 2, 1};
    const op_case c = {build, OP_ANY, far, 1, {LMB_SHAPE(3, 2)}};
    op_check_run_fails(&c, OP_X(OP_D(0, 0, 0, 0, 0, 0)), LMB_EINVAL,
        "cross_entropy_rows: label 2 of 2 classes");
}

static void bad_shapes_are_refused(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, labels, 1, {LMB_SHAPE(4, 2)}};
    op_check_refused(&c, LMB_ESHAPE, "labels [3] do not belong to logits");
}

LMB_TEST_MAIN(cmocka_unit_test(every_row_has_its_own_value),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(a_label_beyond_the_classes_is_an_error),
    cmocka_unit_test(bad_shapes_are_refused))
