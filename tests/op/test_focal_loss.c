#include "op_check.h"

typedef struct focal {
    int32_t label[4];
    double gamma, alpha;
} focal;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const focal *f = user;
    const lmb_value label =
        lmb_graph_index_constant(g, LMB_SHAPE(2, 2), f->label);
    return lmb_focal_loss(g, x[0], label, f->gamma, f->alpha);
}

#define LOGITS OP_D(0.5, -1, 2, 3, 0, -2, 1, 1.5, -0.5, 9, 9, 9)

/* The formula of the paper, with p_t. */
static double paper(const focal *f, const double *x)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        const int32_t label = f->label[i / 3];
        const double p = 1 / (1 + exp(-x[i]));
        const bool hit = label == i % 3;
        const double pt = hit ? p : 1 - p;
        if (label >= 0)
            sum -= (hit ? f->alpha : 1 - f->alpha) * pow(1 - pt, f->gamma) *
                log(pt);
    }
    return sum;
}

static void values_are_the_papers(void **state)
{
    (void)state;
    const focal cases[] = {{{0, 2, 3, -1}, 2, 0.25}, {{3, 3, 3, 1}, 0, 0.5},
        {{1, 1, 1, 1}, 1.5, 0.9}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const op_case c = {build, OP_ANY, &cases[i], 1, {LMB_SHAPE(2, 2, 3)}};
        const double want = paper(&cases[i], LOGITS);
        op_check_value(&c, OP_X(LOGITS), LMB_SCALAR, &want, 1e-12);
    }
}

static void large_logits_stay_finite(void **state)
{
    (void)state;
    const focal f = {{0, 3, 3, 3}, 2, 0.25};
    const op_case c = {build, OP_ANY, &f, 1, {LMB_SHAPE(2, 2, 3)}};
    const double want = 0.25 * 800 + 0.75 * 700;
    op_check_value(&c,
        OP_X(OP_D(-800, -800, -900, 700, -1e4, -800, -900, -800, -900, -800,
            -900, -800)),
        LMB_SCALAR, &want, 1e-9);
}

static void ignored_rows_get_no_gradient(void **state)
{
    (void)state;
    const focal f = {{-1, -1, -1, -1}, 2, 0.25};
    const op_case c = {build, OP_ANY, &f, 1, {LMB_SHAPE(2, 2, 3)}};
    static const double none[12];
    op_check_slope(&c, OP_X(LOGITS), 0, none, 0);
    op_check_value(&c, OP_X(LOGITS), LMB_SCALAR, none, 0);
}

static void gradients_match_the_stencil(void **state)
{
    (void)state;
    const focal cases[] = {{{0, 2, 3, -1}, 2, 0.25}, {{3, 3, 3, 1}, 0, 0.5},
        {{1, 1, 1, 1}, 1.5, 0.9}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const op_case c = {build, OP_ANY, &cases[i], 1, {LMB_SHAPE(2, 2, 3)}};
        op_check_gradient(&c);
    }
}

static void bad_options_and_shapes_are_refused(void **state)
{
    (void)state;
    const focal f = {{0, 0, 0, 0}, -1, 0.25}, h = {{0, 0, 0, 0}, 2, 1.5};
    const focal good = {{0, 0, 0, 0}, 2, 0.25};
    const op_case negative = {build, OP_ANY, &f, 1, {LMB_SHAPE(2, 2, 3)}};
    op_check_refused(&negative, LMB_EINVAL, "gamma = -1");
    const op_case large = {build, OP_ANY, &h, 1, {LMB_SHAPE(2, 2, 3)}};
    op_check_refused(&large, LMB_EINVAL, "alpha = 1.5");
    const op_case rows = {build, OP_ANY, &good, 1, {LMB_SHAPE(2, 3, 3)}};
    op_check_refused(&rows, LMB_ESHAPE,
        "focal_loss: labels [2, 2] do not belong to logits [2, 3, 3]");
    const op_case scalar = {build, OP_ANY, &good, 1, {LMB_SCALAR}};
    op_check_refused(&scalar, LMB_ESHAPE, "logits [] have no classes");
}

LMB_TEST_MAIN(cmocka_unit_test(values_are_the_papers),
    cmocka_unit_test(large_logits_stay_finite),
    cmocka_unit_test(ignored_rows_get_no_gradient),
    cmocka_unit_test(gradients_match_the_stencil),
    cmocka_unit_test(bad_options_and_shapes_are_refused))
