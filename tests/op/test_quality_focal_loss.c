#include "op_check.h"

typedef struct quality {
    int32_t label[4];
    double beta;
} quality;

static const double target[] = {0.8, 0.25, 0.9, 0.5};

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const quality *q = user;
    const lmb_value label = lmb_graph_index_constant(g, LMB_SHAPE(4), q->label);
    const lmb_value soft = lmb_graph_constant(g, LMB_SHAPE(4), target, 0);
    return lmb_quality_focal_loss(g, x[0], label, soft, q->beta);
}

#define LOGITS OP_D(0.5, -1, 2, 3, 0, -2, 1, 1.5, -0.5, 9, 9, 9)

/* The formula of the paper. */
static double paper(const quality *q, const double *x)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        const int32_t label = q->label[i / 3];
        const double y = label == i % 3 ? target[i / 3] : 0;
        const double s = 1 / (1 + exp(-x[i]));
        if (label >= 0)
            sum -=
                pow(fabs(y - s), q->beta) * ((1 - y) * log(1 - s) + y * log(s));
    }
    return sum;
}

static void values_are_the_papers(void **state)
{
    (void)state;
    const quality cases[] = {
        {{0, 2, 3, -1}, 2}, {{3, 3, 3, 1}, 1}, {{1, 1, 1, 1}, 1.5}};
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const op_case c = {build, OP_ANY, &cases[i], 1, {LMB_SHAPE(4, 3)}};
        const double want = paper(&cases[i], LOGITS);
        op_check_value(&c, OP_X(LOGITS), LMB_SCALAR, &want, 1e-9);
        op_check_gradient(&c);
    }
}

static void a_logit_at_its_target_costs_nothing(void **state)
{
    (void)state;
    const quality q = {{-1, 0, -1, -1}, 2};
    const op_case c = {build, OP_ANY, &q, 1, {LMB_SHAPE(4, 3)}};
    const double at = -log(3); /* sigmoid 0.25 */
    const double *x = OP_D(0, 0, 0, at, -900, -900, 0, 0, 0, 0, 0, 0);
    static const double none[12];
    op_check_value(&c, OP_X(x), LMB_SCALAR, none, 1e-15);
    op_check_slope(&c, OP_X(x), 0, none, 1e-15);
}

static lmb_value build_all(lmb_graph *g, const lmb_value *x, const void *user)
{
    const quality *q = user;
    const lmb_value label = lmb_graph_index_constant(g, LMB_SHAPE(4), q->label);
    return lmb_quality_focal_loss(g, x[0], label, x[1], q->beta);
}

static void bad_options_and_shapes_are_refused(void **state)
{
    (void)state;
    const quality low = {{0}, 0.5}, good = {{0}, 2};
    const op_case c = {build, OP_ANY, &low, 1, {LMB_SHAPE(4, 3)}};
    op_check_refused(&c, LMB_EINVAL, "quality_focal_loss: beta = 0.5");
    const op_case d = {build, OP_ANY, &good, 1, {LMB_SHAPE(5, 3)}};
    op_check_refused(&d, LMB_ESHAPE, "labels [4] do not belong");
    const op_case e = {
        build_all, OP_ANY, &good, 2, {LMB_SHAPE(4, 3), LMB_SHAPE(4, 1)}};
    op_check_refused(&e, LMB_ESHAPE, "quality [4, 1] does not belong to");
}

LMB_TEST_MAIN(cmocka_unit_test(values_are_the_papers),
    cmocka_unit_test(a_logit_at_its_target_costs_nothing),
    cmocka_unit_test(bad_options_and_shapes_are_refused))
