#include "op_check.h"

/* A store of one trainable parameter w [2] and one buffer. */
typedef struct fixture {
    lmb_params *store;
    lmb_param *w, *buffer;
    lmb_graph *g;
} fixture;

static fixture make(lmb_dtype dtype)
{
    fixture f = {0};
    const lmb_init init = {LMB_INIT_CONSTANT, 3, 0};
    const lmb_shape shape = LMB_SHAPE(2);
    CHECK_OK(lmb_params_new(dtype, &f.store));
    CHECK_OK(lmb_params_add(f.store, "w", &shape, init, true, &f.w));
    CHECK_OK(lmb_params_add(f.store, "mean", &shape, init, false, &f.buffer));
    CHECK_OK(lmb_params_seal(f.store));
    lmb_param_set(f.w, 0, 3);
    lmb_param_set(f.w, 1, -4);
    CHECK_OK(lmb_graph_new(&f.g));
    return f;
}

static void free_fixture(fixture *f)
{
    lmb_graph_free(f->g);
    lmb_params_free(f->store);
}

static void run(const fixture *f)
{
    op_run r;
    CHECK_OK(lmb_graph_status(f->g));
    CHECK_OK(op_run_graph(f->g, 0, NULL, &r));
    op_run_free(&r);
}

/* loss = sum(w^2): its gradient 2 w lands in the parameter's slot. */
static void backward_fills_the_slots(void **state)
{
    (void)state;
    fixture f = make(LMB_F64);
    const lmb_value w = lmb_graph_param(f.g, f.w);
    const lmb_value loss =
        lmb_sum(f.g, lmb_square(f.g, w), LMB_ALL_AXES, false);
    lmb_backward_params(f.g, loss, 1, &f.store);
    run(&f);
    const double *slot = lmb_param_grad(f.w);
    CHECK_ARRAYS(slot, OP_D(6, -8), 2, 0);
    free_fixture(&f);
}

static void a_float_store_gets_rounded_gradients(void **state)
{
    (void)state;
    fixture f = make(LMB_F32);
    const lmb_value grad =
        lmb_graph_constant(f.g, LMB_SHAPE(2), OP_D(0.1, 1.0 / 3), 0);
    lmb_store_grad(f.g, f.w, grad);
    run(&f);
    const float *slot = lmb_param_grad(f.w);
    assert_true(slot[0] == 0.1F && slot[1] == 1.0F / 3);
    free_fixture(&f);
}

static void each_run_writes_anew(void **state)
{
    (void)state;
    fixture f = make(LMB_F64);
    lmb_store_grad(f.g, f.w, lmb_scale(f.g, lmb_graph_param(f.g, f.w), 10));
    run(&f);
    lmb_param_set(f.w, 0, 5);
    run(&f);
    const double *slot = lmb_param_grad(f.w);
    CHECK_ARRAYS(slot, OP_D(50, -40), 2, 0);
    free_fixture(&f);
}

static void another_shape_is_refused(void **state)
{
    (void)state;
    fixture f = make(LMB_F64);
    lmb_store_grad(f.g, f.w, lmb_graph_scalar(f.g, 1));
    CHECK_ERR(lmb_graph_status(f.g), LMB_ESHAPE, "gradient [] of w [2]");
    free_fixture(&f);
}

static void a_buffer_is_refused(void **state)
{
    (void)state;
    fixture f = make(LMB_F64);
    lmb_store_grad(
        f.g, f.buffer, lmb_graph_constant(f.g, LMB_SHAPE(2), NULL, 1));
    CHECK_ERR(lmb_graph_status(f.g), LMB_EINVAL, "mean is a buffer");
    free_fixture(&f);
}

LMB_TEST_MAIN(cmocka_unit_test(backward_fills_the_slots),
    cmocka_unit_test(a_float_store_gets_rounded_gradients),
    cmocka_unit_test(each_run_writes_anew),
    cmocka_unit_test(another_shape_is_refused),
    cmocka_unit_test(a_buffer_is_refused))
