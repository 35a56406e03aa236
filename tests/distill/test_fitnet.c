/* test_fitnet.c: the FitNet term and its connectors. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "fitnet",
    .step = 1e-6,
    .student = {{"f2", {4, {3, 2, 4, 4}}}},
    .teacher = {{"f2", {4, {3, 5, 2, 2}}}},
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
}

static void agrees_with_the_published_code(void **state)
{
    (void)state;
    golden_check(method.method);
}

/* The three connectors, and the layer chosen by option and by map. */
static void every_connector_has_an_exact_gradient(void **state)
{
    static const conf cases[] = {
        {.method = "fitnet",
            .options = {"layer=0"},
            .student = {{"f0", {4, {3, 2, 2, 3}}}},
            .teacher = {{"f0", {4, {3, 3, 4, 6}}}},
            .step = 1e-6},
        {.method = "fitnet",
            .options = {"layer=4", "relu=false"},
            .student = {{"f4", {4, {3, 2, 3, 3}}}},
            .teacher = {{"f4", {4, {3, 4, 3, 3}}}},
            .step = 1e-6},
        {.method = "fitnet",
            .options = {"relu=false"},
            .student = {{"f2", {4, {3, 2, 5, 4}}}},
            .teacher = {{"f2", {4, {3, 4, 3, 3}}}},
            .step = 1e-6},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        conf_gradient(&cases[i]);
        conf_fast(&cases[i]);
    }
}

static void count_params(void *user, const char *name, const lmb_shape *shape,
    int trainable, const void *data)
{
    lmb_str *text = user;
    (void)trainable;
    (void)data;
    lmb_str_printf(text, "%s %s\n", name, lmb_shape_text(shape));
}

static void names_parameters_by_pair(void **state)
{
    static const conf two = {.method = "fitnet",
        .student = {{"f1", {4, {2, 2, 4, 4}}}, {"f2", {4, {2, 3, 2, 2}}}},
        .teacher = {{"f1", {4, {2, 3, 2, 2}}}, {"f2", {4, {2, 2, 4, 4}}}},
        .step = 1e-6};
    static const char *const map[] = {
        "teacher.f1 -> student.f1", "  student.f2->teacher.f2 "};
    conf_run *r = malloc(sizeof *r);
    lmb_loss *loss = NULL;
    lmb_str text = {0};
    (void)state;
    assert_non_null(r);
    conf_fill(r, &two, 3, 1, 0);
    r->in.map = map;
    r->in.n_map = 2;
    CHECK_OK(lmb_loss_new("fitnet", &r->in, &loss));
    CHECK_OK(lmb_loss_params(loss, count_params, &text));
    assert_string_equal(text.text,
        "conv_reg.conv.weight [3, 2, 3, 3]\nconv_reg.conv.bias [3]\n"
        "conv_reg.bn.weight [3]\nconv_reg.bn.bias [3]\n"
        "conv_reg.bn.running_mean [3]\nconv_reg.bn.running_var [3]\n"
        "conv_reg1.conv.weight [3, 2, 4, 4]\nconv_reg1.conv.bias [2]\n"
        "conv_reg1.bn.weight [2]\nconv_reg1.bn.bias [2]\n"
        "conv_reg1.bn.running_mean [2]\nconv_reg1.bn.running_var [2]\n");
    lmb_str_fini(&text);
    lmb_loss_free(loss);
    free(r);
}

static void says_which_shapes_do_not_fit(void **state)
{
    static const conf small = {.method = "fitnet",
        .student = {{"f2", {4, {2, 2, 2, 2}}}},
        .teacher = {{"f2", {4, {2, 3, 5, 5}}}},
        .step = 1e-6};
    conf_run *r = malloc(sizeof *r);
    double value;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &small, 3, 1, 0);
    CHECK_ERR(lmb_loss_eval("fitnet", &r->in, &value), LMB_ESHAPE,
        "student [2, 2, 2, 2] to teacher [2, 3, 5, 5]");
    const char *options[] = {"layer=3"};
    r->in.options = options;
    r->in.n_options = 1;
    CHECK_ERR(lmb_loss_eval("fitnet", &r->in, &value), LMB_ENOTFOUND,
        "the student has no tap 'f3'; it has f2");
    free(r);
}

static void describes_its_connectors(void **state)
{
    const lmb_method *m = lmb_method_find("fitnet");
    const lmb_shape s = {4, {1, 16, 8, 8}}, t = {4, {1, 64, 4, 4}};
    lmb_str text = {0};
    void *fitnet = NULL;
    (void)state;
    CHECK_OK(lmb_method_new(m, 0, NULL, NULL, &fitnet));
    CHECK_OK(m->describe(fitnet, &s, &t, &text));
    lmb_str_add(&text, "; ");
    CHECK_OK(m->describe(fitnet, &t, &s, &text));
    lmb_str_add(&text, "; ");
    CHECK_OK(m->describe(fitnet, &s, &s, &text));
    assert_string_equal(text.text,
        "conv3x3/2 16->64, bn, relu; conv transposed 4x4/2 64->16, bn, relu; "
        "conv1x1 16->16, bn, relu");
    lmb_str_fini(&text);
    lmb_method_free(m, fitnet);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(every_connector_has_an_exact_gradient),
    cmocka_unit_test(names_parameters_by_pair),
    cmocka_unit_test(says_which_shapes_do_not_fit),
    cmocka_unit_test(describes_its_connectors))
