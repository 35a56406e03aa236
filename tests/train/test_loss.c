/* test_loss.c: losses on the caller's arrays. */
#include "lmb_test.h"

#include "limbeck/loss.h"
#include "tensor/shape.h"

static const double zs[6] = {1, 0.5, -2, 0, 1, 3};
static const double zt[6] = {2, 0, -1, -1, 2, 2};

static lmb_loss_inputs inputs(lmb_loss_array *s, lmb_loss_array *t)
{
    const lmb_shape shape = {2, {2, 3}};
    *s = (lmb_loss_array){"logits", shape, zs, NULL};
    *t = (lmb_loss_array){"logits", shape, zt, NULL};
    return (lmb_loss_inputs){
        .dtype = LMB_F64,
        .n_student = 1,
        .n_teacher = 1,
        .student = s,
        .teacher = t,
    };
}

static void a_compiled_loss_runs_on_new_numbers(void **state)
{
    lmb_loss_array s, t;
    lmb_loss_inputs in = inputs(&s, &t);
    lmb_loss *loss = NULL;
    double first = 0, same = 1, swapped = 0, grad[6];
    (void)state;
    s.grad = grad;
    CHECK_OK(lmb_loss_new("kd", &in, &loss));
    CHECK_OK(lmb_loss_run(loss, &in, &first));
    s.data = zt;
    CHECK_OK(lmb_loss_run(loss, &in, &same));
    CHECK_NEAR(same, 0, 1e-15);
    for (int i = 0; i < 6; i++)
        CHECK_NEAR(grad[i], 0, 1e-15);
    s.data = zs;
    CHECK_OK(lmb_loss_run(loss, &in, &swapped));
    CHECK_NEAR(swapped, first, 0);
    s.shape.dim[0] = 1;
    CHECK_ERR(lmb_loss_run(loss, &in, &first), LMB_ESHAPE, "compiled for");
    s.shape.dim[0] = 2;
    s.grad = NULL;
    CHECK_ERR(lmb_loss_run(loss, &in, &first), LMB_EINVAL, "gradient");
    lmb_loss_free(loss);
}

/* What is compiled in cannot change without a word. */
static void a_compiled_loss_refuses_another_setting(void **state)
{
    (void)state;
    lmb_loss_array s, t;
    lmb_loss_inputs in = inputs(&s, &t);
    const char *staged = "schedule=staged";
    lmb_loss *loss = NULL;
    double value = 0;
    in.options = &staged;
    in.n_options = 1;
    CHECK_OK(lmb_loss_new("pcd", &in, &loss));
    CHECK_OK(lmb_loss_run(loss, &in, &value));
    in.phase = 1;
    CHECK_ERR(lmb_loss_run(loss, &in, &value), LMB_EINVAL, "phase 1 of stage");
    in.phase = 0;
    in.stage = 1;
    CHECK_ERR(lmb_loss_run(loss, &in, &value), LMB_EINVAL, "of stage 1, comp");
    in.stage = 0;
    in.dtype = LMB_F32;
    CHECK_ERR(lmb_loss_run(loss, &in, &value), LMB_EINVAL, "arrays of F32");
    in.dtype = LMB_F64;
    s.name = "pooled";
    CHECK_ERR(lmb_loss_run(loss, &in, &value), LMB_EINVAL, "is 'pooled'");
    s.name = "logits";
    CHECK_OK(lmb_loss_run(loss, &in, &value));
    lmb_loss_free(loss);
}

/* The class of a box on a dense head is less than the head's channels. */
static void a_box_of_no_class_is_refused(void **state)
{
    (void)state;
    static double zs_map[24], zt_map[24];
    const double boxes[4] = {0, 0, 16, 16};
    int32_t label = 5;
    const char *anchors = "dense_anchors=2";
    const lmb_shape shape = {4, {1, 6, 2, 2}};
    lmb_loss_array s = {"cls.p3", shape, zs_map, NULL};
    lmb_loss_array t = {"cls.p3", shape, zt_map, NULL};
    lmb_loss_inputs in = {.dtype = LMB_F64,
        .n_student = 1,
        .n_teacher = 1,
        .student = &s,
        .teacher = &t,
        .boxes = boxes,
        .most_boxes = 1,
        .box_labels = &label};
    double value = 0;
    for (int i = 0; i < 24; i++) {
        zt_map[i] = 0.1 * i - 1;
        zs_map[i] = -zt_map[i];
    }
    CHECK_OK(lmb_loss_eval("dkd", &in, &value));
    label = 6;
    CHECK_ERR(lmb_loss_eval("dkd", &in, &value), LMB_EINVAL,
        "has the class 6, outside 0 .. 5");
    CHECK_OK(lmb_loss_eval("kd", &in, &value)); /* it asks for no class */
    label = 3;
    in.options = &anchors;
    in.n_options = 1;
    CHECK_ERR(lmb_loss_eval("dkd", &in, &value), LMB_EINVAL, "outside 0 .. 2");
}

static void floats_give_the_value_of_doubles(void **state)
{
    lmb_loss_array s, t;
    lmb_loss_inputs in = inputs(&s, &t);
    float fs[6], ft[6], grad32[6];
    double exact = 0, fast = 0, grad[6];
    (void)state;
    for (int i = 0; i < 6; i++) {
        fs[i] = (float)zs[i];
        ft[i] = (float)zt[i];
    }
    s.grad = grad;
    CHECK_OK(lmb_loss_eval("pcd", &in, &exact));
    s.data = fs;
    s.grad = grad32;
    t.data = ft;
    in.dtype = LMB_F32;
    CHECK_OK(lmb_loss_eval("pcd", &in, &fast));
    CHECK_NEAR(fast, exact, 1e-6);
    for (int i = 0; i < 6; i++)
        CHECK_NEAR(grad32[i], grad[i], 1e-6);
}

static void options_are_key_value(void **state)
{
    lmb_loss_array s, t;
    lmb_loss_inputs in = inputs(&s, &t);
    const char *options[] = {"temperature"};
    double value = 0;
    (void)state;
    in.options = options;
    in.n_options = 1;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_EINVAL, "is not KEY=VALUE");
    options[0] = "tempratur=3";
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_EINVAL,
        "did you mean 'temperature'");
    options[0] = "KD.Temperature=3";
    CHECK_OK(lmb_loss_eval("kd", &in, &value));
}

static void refuses_bad_arrays(void **state)
{
    lmb_loss_array s, t;
    lmb_loss_inputs in = inputs(&s, &t);
    double value = 0;
    (void)state;
    in.dtype = LMB_I32;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_EINVAL, "F32 or F64");
    in.dtype = LMB_F64;
    s.shape.dim[0] = 0;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_ESHAPE, "is empty");
    s.shape.dim[0] = 2;
    s.data = NULL;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_EINVAL, "no data");
    s.data = zs;
    s.name = NULL;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_EINVAL, "proper name");
    s.name = "a name that is far too long to be the name of a tap";
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_EINVAL, "proper name");
    s.name = "logits";
    s.shape.rank = 1000;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_ESHAPE, "is empty");
    in.n_student = 0;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_ENOTFOUND, "it has none");
}

static void a_value_that_is_not_finite_is_an_error(void **state)
{
    lmb_loss_array s, t;
    lmb_loss_inputs in = inputs(&s, &t);
    const double bad[6] = {1, (double)NAN, 0, 0, 0, 0};
    double value = 0;
    (void)state;
    s.data = bad;
    CHECK_ERR(lmb_loss_eval("kd", &in, &value), LMB_ENUMERIC, "the loss is");
}

/* --- parameters ----------------------------------------------------------- */

typedef struct kept {
    int n;
    char names[8][64];
    double data[8][64];
    lmb_loss_array arrays[8];
} kept;

static void keep(void *user, const char *name, const lmb_shape *shape,
    int trainable, const void *data)
{
    kept *k = user;
    const int i = k->n++;
    (void)trainable;
    assert_true(i < 8 && lmb_shape_count(shape) <= 64);
    (void)snprintf(k->names[i], sizeof k->names[i], "%s", name);
    memcpy(k->data[i], data, (size_t)lmb_shape_count(shape) * sizeof(double));
    k->arrays[i] = (lmb_loss_array){k->names[i], *shape, k->data[i], NULL};
}

static void parameters_go_out_and_in(void **state)
{
    double f[32], target[24], first = 0, again = 0, other = 0;
    const lmb_loss_array s = {"f2", {4, {2, 4, 2, 2}}, f, NULL};
    const lmb_loss_array t = {"f2", {4, {2, 3, 2, 2}}, target, NULL};
    lmb_loss_inputs in = {
        .dtype = LMB_F64,
        .n_student = 1,
        .n_teacher = 1,
        .student = &s,
        .teacher = &t,
        .seed = 1,
    };
    lmb_loss *loss = NULL;
    kept *k = calloc(1, sizeof *k);
    (void)state;
    assert_non_null(k);
    for (int i = 0; i < 32; i++)
        f[i] = sin(i * 1.3);
    for (int i = 0; i < 24; i++)
        target[i] = cos(i * 0.7);
    CHECK_OK(lmb_loss_new("fitnet", &in, &loss));
    CHECK_OK(lmb_loss_params(loss, keep, k));
    CHECK_OK(lmb_loss_run(loss, &in, &first));
    lmb_loss_free(loss);
    assert_int_equal(k->n, 6);
    in.seed = 2;
    CHECK_OK(lmb_loss_eval("fitnet", &in, &other));
    assert_true(fabs(other - first) > 1e-6);
    in.params = k->arrays;
    in.n_params = k->n;
    CHECK_OK(lmb_loss_eval("fitnet", &in, &again));
    CHECK_NEAR(again, first, 0);
    k->arrays[0].name = "conv_reg.conv.wait";
    CHECK_ERR(lmb_loss_eval("fitnet", &in, &again), LMB_ENOTFOUND,
        "conv_reg.conv.wait");
    k->arrays[0].name = "conv_reg.bn.bias";
    CHECK_ERR(
        lmb_loss_eval("fitnet", &in, &again), LMB_ESHAPE, "conv_reg.bn.bias");
    free(k);
}

LMB_TEST_MAIN(cmocka_unit_test(a_compiled_loss_runs_on_new_numbers),
    cmocka_unit_test(a_compiled_loss_refuses_another_setting),
    cmocka_unit_test(a_box_of_no_class_is_refused),
    cmocka_unit_test(floats_give_the_value_of_doubles),
    cmocka_unit_test(options_are_key_value),
    cmocka_unit_test(refuses_bad_arrays),
    cmocka_unit_test(a_value_that_is_not_finite_is_an_error),
    cmocka_unit_test(parameters_go_out_and_in))
