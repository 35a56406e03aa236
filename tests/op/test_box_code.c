#include "op_check.h"

#include "detect/box.h"

static const double unit[4] = {1, 1, 1, 1}, half[4] = {0.1, 0.1, 0.2, 0.2};
static const double anchors[] = {0, 0, 10, 20, -5, 3, 7, 9, 4, 4, 5, 30};

typedef struct code {
    const double *std;
    double most;
    bool encode;
} code;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const code *c = user;
    const lmb_value a = lmb_graph_constant(g, LMB_SHAPE(3, 4), anchors, 0);
    return c->encode ? lmb_box_encode(g, a, x[0], c->std)
                     : lmb_box_decode(g, a, x[0], c->std, c->most);
}

static void offsets_are_of_centre_and_size(void **state)
{
    (void)state;
    const code e = {half, 0, true};
    const op_case c = {build, OP_ANY, &e, 1, {LMB_SHAPE(1, 3, 4)}};
    op_check_value(&c, OP_X(OP_D(1, 2, 21, 12, 3, 3, 3, 9, 0, 0, 0, 0)),
        LMB_SHAPE(1, 3, 4),
        OP_D(6, -1.5, log(2) / 0.2, -log(2) / 0.2, 0, 0, 0, 0, 0, 0, 0, 0),
        1e-12);
}

static void decoding_undoes_encoding(void **state)
{
    (void)state;
    double box[] = {1, 2, 21, 12, -8, 1, 6, 90, 4.25, 4, 4.5, 3e3};
    double delta[12], back[12];
    for (int i = 0; i < 3; i++) {
        lmb_detect_encode(anchors + 4 * i, box + 4 * i, half, delta + 4 * i);
        lmb_detect_decode(
            anchors + 4 * i, delta + 4 * i, half, 10, back + 4 * i);
    }
    CHECK_ARRAYS(back, box, 12, 1e-9);
}

static void growth_is_clamped(void **state)
{
    (void)state;
    const code d = {unit, log(2), false};
    const op_case c = {build, OP_ANY, &d, 1, {LMB_SHAPE(3, 4)}};
    const double *x = OP_D(0, 0, 9, -9, 0, 0, 0, 0, 1, 0, 0, 0);
    op_check_value(&c, OP_X(x), LMB_SHAPE(3, 4),
        OP_D(-5, 5, 15, 15, -5, 3, 7, 9, 5, 4, 6, 30), 1e-12);
    op_check_slope(
        &c, OP_X(x), 0, OP_D(20, 40, 0, 0, 24, 12, 0, 0, 2, 52, 0, 0), 1e-12);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    const code d = {half, LMB_DETECT_MOST, false};
    const op_case c = {build, OP_SMALL, &d, 1, {LMB_SHAPE(2, 3, 4)}};
    op_check_gradient(&c);
}

static void encoding_has_no_gradient(void **state)
{
    (void)state;
    assert_true(lmb_op_box_encode.no_gradient);
}

static void bad_shapes_and_options_are_refused(void **state)
{
    (void)state;
    const code d = {half, 4, false}, e = {(const double[4]){1, 0, 1, 1}, 4, 0};
    const op_case rows = {build, OP_ANY, &d, 1, {LMB_SHAPE(2, 2, 4)}};
    op_check_refused(&rows, LMB_ESHAPE,
        "box_decode: anchors [3, 4] do not belong to rows [2, 2, 4]");
    const op_case last = {build, OP_ANY, &d, 1, {LMB_SHAPE(2, 3, 5)}};
    op_check_refused(&last, LMB_ESHAPE, "[2, 3, 5]");
    const op_case std = {build, OP_ANY, &e, 1, {LMB_SHAPE(2, 3, 4)}};
    op_check_refused(&std, LMB_EINVAL, "box_decode: std 1 is 0");
    const code f = {half, 0, false};
    const op_case most = {build, OP_ANY, &f, 1, {LMB_SHAPE(2, 3, 4)}};
    op_check_refused(&most, LMB_EINVAL, "most = 0");
}

LMB_TEST_MAIN(cmocka_unit_test(offsets_are_of_centre_and_size),
    cmocka_unit_test(decoding_undoes_encoding),
    cmocka_unit_test(growth_is_clamped),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(encoding_has_no_gradient),
    cmocka_unit_test(bad_shapes_and_options_are_refused))
