/* backbone_check.h: does a backbone compute what its published definition does?
 *
 * As model_check.h, for networks without a head: the oracle's file has the sums
 * of the outputs 1 to 3 and the gradients of their sum weighted by the
 * directions "out1", "out2", "out3" (tools/golden/backbone_golden.py). Order of
 * calls: begin, build into `out`, seal, compile, model_run_plan, check. */
#ifndef LMB_TESTS_BACKBONE_CHECK_H
#define LMB_TESTS_BACKBONE_CHECK_H

#include "model/model_check.h"

typedef struct backbone_check {
    model_run r;
    lmb_value x, out[4], loss; /* out[0] may be LMB_NONE */
} backbone_check;

static inline void backbone_begin(backbone_check *b, const char *model,
    const char *golden, lmb_shape shape, bool exact)
{
    const int64_t n = lmb_shape_count(&shape);
    *b = (backbone_check){.r = {.exact = exact}};
    model_run *r = &b->r;
    r->model = lmb_model_find(model);
    r->golden = model_golden(golden);
    CHECK_OK(lmb_params_new(exact ? LMB_F64 : LMB_F32, &r->params));
    CHECK_OK(LMB_NEW(r->images, n));
    CHECK_OK(LMB_NEW(r->images_single, n));
    golden_array("images", n, -2, 2, r->images);
    for (int64_t i = 0; i < n; i++)
        r->images_single[i] = (float)r->images[i];
    CHECK_OK(lmb_graph_new(&r->g));
    lmb_nn_init(&r->nn, r->g, r->params, LMB_MODE_TRAIN);
    b->x = lmb_graph_input(r->g, "x", LMB_F32, shape);
}

/* The sum of y times "outI". */
static inline lmb_value backbone_weighted(lmb_graph *g, lmb_value y, int i)
{
    char name[] = "direction/out0";
    name[sizeof name - 2] = (char)('0' + i);
    const lmb_shape shape = lmb_graph_shape(g, y);
    const int64_t n = lmb_shape_count(&shape);
    double *away = NULL;
    CHECK_OK(LMB_NEW(away, n));
    golden_array(name, n, -1, 1, away);
    const lmb_value w = lmb_graph_constant(g, shape, away, 0);
    lmb_free(away);
    return lmb_sum(g, lmb_mul(g, y, w), LMB_ALL_AXES, false);
}

static inline void backbone_seal(backbone_check *b)
{
    model_run *r = &b->r;
    for (int i = 0; i < 4; i++) {
        if (!lmb_is(b->out[i]))
            continue;
        const lmb_value term = backbone_weighted(r->g, b->out[i], i);
        b->loss = lmb_is(b->loss) ? lmb_add(r->g, b->loss, term) : term;
    }
    CHECK_OK(lmb_graph_status(r->g));
    CHECK_OK(lmb_params_seal(r->params));
    golden_parameters(r->params);
}

/* Without a fast kernel for some op the fast plan would be refused. */
static inline void backbone_compile(backbone_check *b)
{
    model_run *r = &b->r;
    const lmb_value outputs[] = {b->loss, b->out[1], b->out[2], b->out[3]};
    const int n = LMB_COUNT(outputs);
    const lmb_plan_opts opts = {.reference = r->exact};
    if (!r->exact)
        lmb_passes_forward(r->g, n, outputs);
    lmb_backward_params(r->g, b->loss, 1, &r->params);
    if (!r->exact)
        lmb_passes_backward(r->g, n, outputs);
    CHECK_OK(lmb_plan_compile(r->g, n, outputs, &opts, &r->plan));
}

static inline void backbone_check_output(
    const backbone_check *b, int i, double tolerance)
{
    const model_run *r = &b->r;
    char key[] = "0";
    key[0] = (char)('0' + i);
    const json_t *want =
        json_object_get(json_object_get(r->golden, "outputs"), key);
    const lmb_shape shape = lmb_graph_shape(r->g, b->out[i]);
    const int64_t n = lmb_shape_count(&shape);
    for (int k = 0; k < 4; k++)
        assert_int_equal(
            model_number(json_array_get(want, 0), (size_t)k), shape.dim[k]);
    double *y = NULL, sum = 0, absolute = 0;
    CHECK_OK(LMB_NEW(y, n));
    CHECK_OK(lmb_plan_read(r->plan, b->out[i], LMB_F64, y));
    for (int64_t k = 0; k < n; k++) {
        sum += y[k];
        absolute += fabs(y[k]);
    }
    lmb_free(y);
    const double scale = model_number(want, 2);
    CHECK_NEAR(sum, model_number(want, 1), tolerance * scale);
    CHECK_NEAR(absolute, scale, tolerance * scale);
}

static inline void backbone_check_all(
    const backbone_check *b, const model_limits *limits)
{
    const double want = json_number_value(json_object_get(b->r.golden, "loss"));
    for (int i = 1; i < 4; i++)
        backbone_check_output(b, i, limits->logits);
    CHECK_NEAR(lmb_plan_scalar(b->r.plan, b->loss), want,
        limits->loss *
            fmax(fabs(want), 1000)); /* a sum of 5000 terms or more */
    model_check_grads(&b->r, limits);
}

#endif
