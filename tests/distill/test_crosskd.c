/* test_crosskd.c: the CrossKD term, with a teacher's head of ReLU and a 1x1
 * convolution. */
#include "distill/conformance.h"
#include "distill/golden.h"
#include "op/op_check.h"

enum { N = 2, C = 3, H = 3, W = 4, MAP = N * C * H * W };

/* The teacher: features of both towers, weights [out, C] of both heads. */
typedef struct teacher {
    double cls_feat[MAP], box_feat[MAP], cls[12 * C], box[12 * C];
    int cls_out, box_out;
    const char *options[4]; /* key, value, key, value */
    const char *code; /* of its boxes, or NULL */
    /* What the student's assigner says of A anchors a place, or NULL. */
    int64_t anchors;
    const double *positive, *centred;
    const int32_t *label;
} teacher;

typedef struct heads {
    const teacher *t;
    lmb_graph *g;
} heads;

static lmb_value head(
    void *user, lmb_graph *g, const char *name, int after, lmb_value x)
{
    const teacher *t = ((heads *)user)->t;
    const bool cls = strcmp(name, "cls.p3") == 0;
    const lmb_conv_attr conv = lmb_conv_square(1, 0);
    assert_true(cls || strcmp(name, "box.p3") == 0);
    assert_int_equal(after, 0);
    lmb_value w =
        lmb_graph_constant(g, LMB_SHAPE(cls ? t->cls_out : t->box_out, C, 1, 1),
            cls ? t->cls : t->box, 0);
    return lmb_conv2d(g, lmb_relu(g, x), w, LMB_NONE, &conv);
}

static lmb_tap tap(lmb_graph *g, const char *name, lmb_value v)
{
    return (lmb_tap){.name = name, .value = v, .shape = lmb_graph_shape(g, v)};
}

/* Adds the taps of the assigner; returns how many there are. */
static int add_assigned(lmb_graph *g, const teacher *t, lmb_tap *out)
{
    const lmb_shape rows = LMB_SHAPE(N, H * W * t->anchors);
    int n = 0;
    if (t->positive != NULL)
        out[n++] =
            tap(g, "positive.p3", lmb_graph_constant(g, rows, t->positive, 0));
    if (t->centred != NULL)
        out[n++] =
            tap(g, "ctr_target.p3", lmb_graph_constant(g, rows, t->centred, 0));
    if (t->label != NULL)
        out[n++] =
            tap(g, "label.p3", lmb_graph_index_constant(g, rows, t->label));
    return n;
}

static lmb_value term(lmb_graph *g, const lmb_value *x, const void *user)
{
    const lmb_method *m = lmb_method_find("crosskd");
    const teacher *t = user;
    heads h = {t, g};
    const lmb_shape shape = LMB_SHAPE(N, C, H, W);
    lmb_value tc = lmb_graph_constant(g, shape, t->cls_feat, 0);
    lmb_value tb = lmb_graph_constant(g, shape, t->box_feat, 0);
    lmb_tap student[5] = {
        tap(g, "cls.feat.p3", x[0]), tap(g, "box.feat.p3", x[1])};
    const lmb_tap all[] = {tap(g, "cls.feat.p3", tc), tap(g, "box.feat.p3", tb),
        tap(g, "cls.p3", head(&h, g, "cls.p3", 0, tc)),
        tap(g, "box.p3", head(&h, g, "box.p3", 0, tb))};
    const lmb_taps s = {student, 2 + add_assigned(g, t, student + 2)};
    const lmb_taps ts = {all, 4};
    lmb_params *params = NULL;
    void *state = NULL;
    const int n = t->options[2] != NULL ? 2 : t->options[0] != NULL;
    const char *keys[] = {t->options[0], t->options[2]};
    const char *values[] = {t->options[1], t->options[3]};
    CHECK_OK(lmb_params_new(LMB_F64, &params));
    CHECK_OK(lmb_method_new(m, n, keys, values, &state));
    lmb_build b = {
        .g = g,
        .method = m->name,
        .mode = LMB_MODE_TRAIN,
        .student = &s,
        .teacher = &ts,
        .params = params,
        .prefix = "",
        .teacher_box = t->code,
        .teacher_head = head,
        .user = &h,
    };
    CHECK_OK(lmb_method_pairs(m, state, &s, &ts, 0, NULL, &b.pairs));
    const lmb_value loss = m->build(state, &b);
    lmb_method_free(m, state);
    lmb_params_free(params);
    return loss;
}

static op_case case_of(const teacher *t)
{
    return (op_case){
        term, OP_SMALL, t, 2, {LMB_SHAPE(N, C, H, W), LMB_SHAPE(N, C, H, W)}};
}

static teacher random_teacher(int cls_out, int box_out)
{
    teacher t = {.cls_out = cls_out, .box_out = box_out};
    lmb_rng rng = lmb_rng_make(9, LMB_STREAM_TEST, 1, 1);
    for (int i = 0; i < MAP; i++) {
        t.cls_feat[i] = lmb_rng_normal(&rng);
        t.box_feat[i] = lmb_rng_normal(&rng);
    }
    for (int i = 0; i < 12 * C; i++) {
        t.cls[i] = lmb_rng_normal(&rng);
        t.box[i] = 0.4 * lmb_rng_normal(&rng);
    }
    return t;
}

static void options_have_ranges(void **state)
{
    static const conf method = {.method = "crosskd"};
    (void)state;
    conf_options(&method);
}

static void every_form_has_an_exact_gradient(void **state)
{
    static const struct {
        const char *box;
        int cls_out, box_out;
    } forms[] = {{"deltas", 4, 8}, {"deltas", 3, 4}, {"log_distances", 3, 4},
        {"bins", 3, 12}};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(forms); i++) {
        teacher t = random_teacher(forms[i].cls_out, forms[i].box_out);
        t.options[0] = "box";
        t.options[1] = forms[i].box;
        const op_case c = case_of(&t);
        op_check_gradient(&c);
    }
}

static double value_of(const op_case *c, const double *cls, const double *box)
{
    op_built b = op_build_case(c);
    const op_feed feeds[] = {{b.x[0], cls}, {b.x[1], box}};
    op_run run;
    CHECK_OK(lmb_graph_status(b.g));
    CHECK_OK(op_run_graph(b.g, 2, feeds, &run));
    const double value = run.data[b.y.id][0];
    op_run_free(&run);
    lmb_graph_free(b.g);
    return value;
}

static void the_box_part_may_be_left_out(void **state)
{
    const teacher other = random_teacher(3, 4);
    teacher t = other;
    const op_case c = case_of(&t);
    (void)state;
    t.options[0] = "box";
    t.options[1] = "off";
    const double off = value_of(&c, other.box_feat, other.cls_feat);
    t.options[0] = "box_weight";
    t.options[1] = "0";
    CHECK_NEAR(value_of(&c, other.box_feat, other.cls_feat), off, 1e-14);
    t.options[1] = "1";
    assert_true(value_of(&c, other.box_feat, other.cls_feat) > off + 1e-3);
    /* What is left of an FCOS teacher is its class part, as it was. */
    teacher fcos = other;
    const op_case d = case_of(&fcos);
    fcos.code = "log_distances";
    fcos.options[0] = "box_weight";
    fcos.options[1] = "0";
    const double without = value_of(&d, other.box_feat, other.cls_feat);
    fcos.options[0] = "box";
    fcos.options[1] = "off";
    CHECK_NEAR(value_of(&d, other.box_feat, other.cls_feat), without, 1e-14);
}

/* Not to be told is to be told what the teacher's model does. */
static void boxes_are_read_as_the_teacher_codes_them(void **state)
{
    static const char *const code[] = {
        "deltas", "log_distances", "distances", "bins"};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(code); i++) {
        const teacher other = random_teacher(3, i == 3 ? 12 : 4);
        teacher told = other, knows = other;
        told.options[0] = "box";
        told.options[1] = code[i];
        knows.code = code[i];
        const op_case a = case_of(&told), b = case_of(&knows);
        CHECK_NEAR(value_of(&b, other.box_feat, other.cls_feat),
            value_of(&a, other.box_feat, other.cls_feat), 1e-14);
    }
}

/* The sums are divided by what the authors' code takes: positives, at least 1,
 * or (FCOS) their centreness, which may be less. */
static void sums_are_divided_by_the_positives(void **state)
{
    static const struct {
        const char *box;
        int cls_out, box_out, anchors;
        double least;
    } forms[] = {{"deltas", 4, 8, 2, 1}, {"log_distances", 3, 4, 1, 1e-6}};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(forms); i++) {
        const teacher other =
            random_teacher(forms[i].cls_out, forms[i].box_out);
        teacher t = other;
        double rows[N * H * W * 2] = {0};
        const op_case c = case_of(&t);
        t.options[0] = "box";
        t.options[1] = forms[i].box;
        t.anchors = forms[i].anchors;
        *(i == 0 ? &t.positive : &t.centred) = rows;
        rows[3] = rows[7] = 0.5;
        const double one = value_of(&c, other.box_feat, other.cls_feat);
        rows[3] = rows[5] = 1;
        rows[7] = 2;
        CHECK_NEAR(
            4 * value_of(&c, other.box_feat, other.cls_feat), one, 1e-12);
        memset(rows, 0, sizeof rows);
        rows[0] = 0.25;
        CHECK_NEAR(fmax(0.25, forms[i].least) *
                value_of(&c, other.box_feat, other.cls_feat),
            one, 1e-12);
    }
}

/* Of two anchors a place, those with the label -1 are in no sum. */
static void ignored_anchors_count_nothing(void **state)
{
    const teacher other = random_teacher(4, 8);
    teacher t = other;
    const op_case c = case_of(&t);
    double rows[N * H * W * 2] = {1}, sum = 0;
    int32_t label[N * H * W * 2];
    (void)state;
    t.options[0] = "box";
    t.options[1] = "deltas";
    t.anchors = 2;
    t.positive = rows;
    const double all = value_of(&c, other.box_feat, other.cls_feat);
    t.label = label;
    for (int half = 0; half < 2; half++) {
        for (int k = 0; k < N * H * W * 2; k++)
            label[k] = k % 2 == half ? -1 : k % 3;
        sum += value_of(&c, other.box_feat, other.cls_feat);
    }
    CHECK_NEAR(sum, all, 1e-12);
}

static void a_code_that_is_not_the_teachers_is_refused(void **state)
{
    teacher t = random_teacher(3, 4);
    const op_case c = case_of(&t);
    (void)state;
    t.options[0] = "box";
    t.options[1] = "deltas";
    t.code = "log_distances";
    op_check_refused(&c, LMB_EUSAGE, "codes boxes as log_distances");
}

/* Features with the teacher's moments are the teacher's: nothing to learn. */
static void equal_features_up_to_moments_cost_nothing(void **state)
{
    static const double none[1] = {0};
    teacher t = random_teacher(4, 8);
    double sc[MAP], sb[MAP];
    (void)state;
    for (int i = 0; i < MAP; i++) {
        sc[i] = 3 * t.cls_feat[i] + 1;
        sb[i] = 0.5 * t.box_feat[i] - 2;
    }
    const op_case c = case_of(&t);
    op_check_value(&c, (const double *[]){sc, sb}, LMB_SCALAR, none, 1e-4);
}

static void read(const json_t *root, const char *name, double *out)
{
    const json_t *data = json_object_get(golden_array(root, name), "data");
    for (size_t i = 0; i < json_array_size(data); i++)
        out[i] = json_number_value(json_array_get(data, i));
}

static lmb_value gradients(lmb_graph *g, const lmb_value *x, const void *user)
{
    lmb_value grad[2];
    lmb_backward(g, term(g, x, user), 2, x, grad);
    return lmb_concat(g, 2, grad, 0);
}

/* To 1e-7: the code adds 1.2e-7 to what it divides by. */
static void agrees_with_the_published_code(void **state)
{
    json_error_t error;
    json_t *root =
        json_load_file(LMB_TEST_DIR "/golden/crosskd.json", 0, &error);
    teacher t = {.cls_out = 2, .box_out = 8, .options = {"box", "bins"}};
    double sc[MAP], sb[MAP], grad[2 * MAP];
    (void)state;
    assert_non_null(root);
    read(root, "sc", sc);
    read(root, "sb", sb);
    read(root, "tc", t.cls_feat);
    read(root, "tb", t.box_feat);
    read(root, "wc", t.cls);
    read(root, "wb", t.box);
    const json_t *one = json_array_get(json_object_get(root, "cases"), 0);
    const double value = json_number_value(json_object_get(one, "value"));
    const json_t *grads = json_object_get(one, "grad");
    for (size_t i = 0; i < MAP; i++) {
        grad[i] = json_number_value(
            json_array_get(json_object_get(grads, "cls.feat.p3"), i));
        grad[MAP + i] = json_number_value(
            json_array_get(json_object_get(grads, "box.feat.p3"), i));
    }
    op_case c = case_of(&t);
    const double *x[] = {sc, sb};
    op_check_value(&c, x, LMB_SCALAR, &value, 1e-7);
    c.build = gradients;
    op_check_value(&c, x, LMB_SHAPE(2 * N, C, H, W), grad, 1e-7);
    json_decref(root);
}

static void says_what_it_needs(void **state)
{
    static const double data[MAP] = {0};
    const lmb_loss_array a = {"cls.feat.p3", LMB_SHAPE(N, C, H, W), data, NULL};
    const lmb_loss_inputs in = {.dtype = LMB_F64,
        .n_student = 1,
        .n_teacher = 1,
        .student = &a,
        .teacher = &a};
    double value;
    (void)state;
    CHECK_ERR(lmb_loss_eval("crosskd", &in, &value), LMB_EUNSUPPORTED,
        "training run");
    teacher t = random_teacher(3, 6);
    const op_case c = case_of(&t);
    op_check_refused(&c, LMB_ESHAPE, "deltas");
}

LMB_TEST_MAIN(cmocka_unit_test(options_have_ranges),
    cmocka_unit_test(every_form_has_an_exact_gradient),
    cmocka_unit_test(the_box_part_may_be_left_out),
    cmocka_unit_test(boxes_are_read_as_the_teacher_codes_them),
    cmocka_unit_test(sums_are_divided_by_the_positives),
    cmocka_unit_test(ignored_anchors_count_nothing),
    cmocka_unit_test(a_code_that_is_not_the_teachers_is_refused),
    cmocka_unit_test(equal_features_up_to_moments_cost_nothing),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(says_what_it_needs))
