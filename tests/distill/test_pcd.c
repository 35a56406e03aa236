/* test_pcd.c: the PCD term: presets, switches, phases, groups. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "pcd",
    .student = {{"logits", {2, {5, 9}}}},
    .teacher = {{"logits", {2, {5, 9}}}},
    .zero_at_identity = true,
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

/* Two samples of seven classes, computed in double precision with automatic
 * differentiation; gradients have ten printed digits. */
enum { ROWS = 2, CLASSES = 7, SIZE = ROWS * CLASSES };
static const double zt[SIZE] = {5.0, 1.0, -2.0, 0.5, 3.0, -1.0, 0.0, /**/
    0.2, -0.4, 4.0, 1.5, -3.0, 2.5, 0.7};
static const double zs[SIZE] = {2.0, 1.5, -1.0, 0.0, 3.5, 0.5, -0.5, /**/
    1.0, 0.1, 1.0, 2.0, -1.0, 0.5, 0.2};

static lmb_status evaluate(int n, const char *const *options, int phase,
    const double *student, double *value, double *grad)
{
    const lmb_shape shape = {2, {ROWS, CLASSES}};
    const lmb_loss_array s = {"logits", shape, student, grad};
    const lmb_loss_array t = {"logits", shape, zt, NULL};
    const lmb_loss_inputs in = {
        .dtype = LMB_F64,
        .n_student = 1,
        .n_teacher = 1,
        .student = &s,
        .teacher = &t,
        .n_options = n,
        .options = options,
        .phase = phase,
    };
    return lmb_loss_eval("pcd", &in, value);
}

/* Value with up to four options, NULL where there is none. */
static double value_of(
    const char *a, const char *b, const char *c, const char *d, double *grad)
{
    const char *options[4] = {a, b, c, d};
    int n = 0;
    double value = 0;
    while (n < 4 && options[n] != NULL)
        n++;
    CHECK_OK(evaluate(n, options, 0, zs, &value, grad));
    return value;
}

static void paper_preset_gives_the_golden_vector(void **state)
{
    static const double detached[SIZE] = {-0.2058788989, 0.0114185905,
        0.0414998196, -0.0019298307, 0.0206316064, 0.1359617827, -0.0017030696,
        0.0536858318, 0.0104724848, -0.1274631508, 0.0168399043, 0.1056497796,
        -0.0580804494, -0.0011044002};
    static const double attached[SIZE] = {-0.4420684898, 0.0211046050,
        0.0768396482, -0.0035344786, 0.0488400264, 0.3017714594, -0.0029527706,
        0.1084598400, 0.0190865158, -0.2872119902, 0.0391132874, 0.2321270786,
        -0.1094142640, -0.0021604676};
    double grad[SIZE];
    (void)state;
    CHECK_NEAR(
        value_of(NULL, NULL, NULL, NULL, grad), 0.7877855987643133, 1e-14);
    CHECK_ARRAYS(grad, attached, SIZE, 5.1e-11);
    CHECK_NEAR(value_of("lambda_grad=detached", NULL, NULL, NULL, grad),
        0.7877855987643133, 1e-14);
    CHECK_ARRAYS(grad, detached, SIZE, 5.1e-11);
}

static void release_preset_gives_the_golden_vector(void **state)
{
    static const double want[SIZE] = {-3.5271557671, 0.7271067482, 0.5996003725,
        -0.0104246576, 1.1551044147, 1.0550409465, 0.0007279427, 1.0510839483,
        0.7073048514, -2.7869429508, 1.0835315121, 1.0560556219, -1.2271675997,
        0.1161346168};
    double grad[SIZE];
    (void)state;
    CHECK_NEAR(value_of("preset=release", NULL, NULL, NULL, grad),
        14.265535515467786, 1e-13);
    CHECK_ARRAYS(grad, want, SIZE, 5.1e-11);
}

/* T^2 KL of the whole set, and lambda = 1: plain KD, six times. */
static void full_groups_without_weight_are_kd(void **state)
{
    (void)state;
    CHECK_NEAR(value_of("groups=full", "lambda=one", NULL, NULL, NULL),
        6 * 1.308834738460948, 1e-12);
}

/* Printed lambda and T^2 KL of each group. */
static void groups_add_up(void **state)
{
    static const double lambda[6][2] = {{0.0836168116, 0.0779105048},
        {0.0870133679, 0.0467960902}, {0.0054314004, 0.0065792700},
        {0.0723067229, 0.0688170333}, {0.0012577364, 0.0556524900},
        {0.0063288533, 0.0061838209}};
    static const double kl[6][2] = {{1.2890635626, 1.3286059143},
        {2.1054832571, 1.3072397716}, {0.1159318561, 0.1170181605},
        {1.8637003500, 2.0607013792}, {0.0276321529, 0.9459534874},
        {0.1247133750, 0.1082270190}};
    static const char *const stage[3] = {
        "phase_groups=1", "phase_groups=2", "phase_groups=3"};
    (void)state;
    for (int n = 1, at = 0; n <= 3; at += n++) {
        double sum = 0, bare = 0, apart = 0;
        for (int j = at; j < at + n; j++) {
            sum += (lambda[j][0] * kl[j][0] + lambda[j][1] * kl[j][1]) / 2;
            bare += (kl[j][0] + kl[j][1]) / 2;
            apart += (lambda[j][0] + lambda[j][1]) * (kl[j][0] + kl[j][1]) / 4;
        }
        CHECK_NEAR(value_of(stage[n - 1], NULL, NULL, NULL, NULL), sum, 1e-9);
        CHECK_NEAR(
            value_of(stage[n - 1], "lambda=one", NULL, NULL, NULL), bare, 1e-9);
        CHECK_NEAR(value_of(stage[n - 1], "reduction=product_of_means", NULL,
                       NULL, NULL),
            apart, 1e-9);
    }
}

static void one_direction_is_half(void **state)
{
    const double both = value_of(NULL, NULL, NULL, NULL, NULL);
    (void)state;
    CHECK_NEAR(
        value_of("directions=f2cl", NULL, NULL, NULL, NULL), both / 2, 1e-15);
    CHECK_NEAR(
        value_of("directions=c2fl", NULL, NULL, NULL, NULL), both / 2, 1e-15);
    CHECK_NEAR(
        value_of("alpha=2.5", NULL, NULL, NULL, NULL), both * 2.5, 1e-14);
}

/* The phases S..1, 1..S together visit every stage in each direction. */
static void phases_add_up_to_the_joint_loss(void **state)
{
    static const char *const staged[] = {"schedule=staged"};
    static const int groups[6] = {3, 2, 1, 1, 2, 3};
    static const char *const stage[3] = {
        "phase_groups=1", "phase_groups=2", "phase_groups=3"};
    double sum = 0, value = 0;
    (void)state;
    for (int phase = 0; phase < 6; phase++) {
        CHECK_OK(evaluate(1, staged, phase, zs, &value, NULL));
        CHECK_NEAR(value,
            value_of(stage[groups[phase] - 1], NULL, NULL, NULL, NULL), 1e-15);
        sum += value;
    }
    CHECK_NEAR(sum, value_of(NULL, NULL, NULL, NULL, NULL), 1e-14);
    CHECK_ERR(evaluate(1, staged, 6, zs, &value, NULL), LMB_EINVAL, "0 .. 5");
}

static void phases_divide_the_epochs_after_the_warm_up(void **state)
{
    static const char *const keys[] = {
        "schedule", "stages", "directions", "phase_epochs"};
    const char *values[] = {"staged", "3", "both", "0"};
    const lmb_method *m = lmb_method_find("pcd");
    void *pcd = NULL;
    (void)state;
    CHECK_OK(lmb_method_new(m, 4, keys, values, &pcd));
    assert_int_equal(lmb_method_phases(m, pcd), 6);
    /* 20 of warm-up, then six times 10. */
    assert_int_equal(lmb_method_phase(m, pcd, 1, 80, 20), 0);
    assert_int_equal(lmb_method_phase(m, pcd, 30, 80, 20), 0);
    assert_int_equal(lmb_method_phase(m, pcd, 31, 80, 20), 1);
    assert_int_equal(lmb_method_phase(m, pcd, 70, 80, 20), 4);
    assert_int_equal(lmb_method_phase(m, pcd, 80, 80, 20), 5);
    /* Fewer epochs than warm-up: never past the first phase; fewer behind it
     * than phases: never in the last. Runs refuse both. */
    assert_int_equal(lmb_method_phase(m, pcd, 10, 10, 20), 0);
    assert_int_equal(lmb_method_phase(m, pcd, 25, 25, 20), 4);
    for (int k = 0; k < 6; k++)
        assert_int_equal(lmb_method_phase(m, pcd, 21 + k, 26, 20), k);
    lmb_method_free(m, pcd);
    values[2] = "f2cl";
    values[3] = "5";
    CHECK_OK(lmb_method_new(m, 4, keys, values, &pcd));
    assert_int_equal(lmb_method_phases(m, pcd), 3);
    assert_int_equal(lmb_method_phase(m, pcd, 6, 80, 0), 1);
    assert_int_equal(lmb_method_phase(m, pcd, 80, 80, 0), 2);
    lmb_method_free(m, pcd);
    CHECK_OK(lmb_method_new(m, 0, NULL, NULL, &pcd));
    assert_int_equal(lmb_method_phases(m, pcd), 1);
    assert_int_equal(lmb_method_phase(m, pcd, 200, 240, 20), 0);
    lmb_method_free(m, pcd);
}

static void explicit_keys_win_over_the_preset(void **state)
{
    const double plain =
        value_of("reduction=product_of_means", NULL, NULL, NULL, NULL);
    (void)state;
    CHECK_NEAR(value_of("rank=ldr", "groups=split", "lambda=cos_p_q",
                   "preset=release", NULL),
        plain, 1e-15);
    const char *options[] = {"preset=release", "rank=ldr", "groups=split",
        "lambda=cos_p_q", "reduction=mean_of_products"};
    double value = 0;
    CHECK_OK(evaluate(5, options, 0, zs, &value, NULL));
    CHECK_NEAR(value, 0.7877855987643133, 1e-14);
}

/* The order of the batch's mean difference, given as class order. */
static void batch_ranking_sorts_by_the_mean_difference(void **state)
{
    static const int order[CLASSES] = {0, 2, 5, 4, 1, 3, 6};
    double s[SIZE], t[SIZE], want, got;
    (void)state;
    for (int n = 0; n < ROWS; n++)
        for (int k = 0; k < CLASSES; k++) {
            s[n * CLASSES + k] = zs[n * CLASSES + order[k]];
            t[n * CLASSES + k] = zt[n * CLASSES + order[k]];
        }
    const char *options[] = {"rank=index"};
    const lmb_shape shape = {2, {ROWS, CLASSES}};
    const lmb_loss_array student = {"logits", shape, s, NULL};
    const lmb_loss_array teacher = {"logits", shape, t, NULL};
    const lmb_loss_inputs in = {
        .dtype = LMB_F64,
        .n_student = 1,
        .n_teacher = 1,
        .student = &student,
        .teacher = &teacher,
        .n_options = 1,
        .options = options,
    };
    CHECK_OK(lmb_loss_eval("pcd", &in, &want));
    got = value_of("rank_scope=batch", NULL, NULL, NULL, NULL);
    CHECK_NEAR(got, want, 1e-14);
    assert_true(fabs(want - 0.7877855987643133) > 1e-3);
}

/* Inside a group, and so in every row, the gradient sums to 0. */
static void rows_of_the_gradient_sum_to_zero(void **state)
{
    double grad[SIZE];
    (void)state;
    (void)value_of("stages=7", "temperature=1", NULL, NULL, grad);
    for (int n = 0; n < ROWS; n++) {
        double sum = 0;
        for (int k = 0; k < CLASSES; k++)
            sum += grad[n * CLASSES + k];
        CHECK_NEAR(sum, 0, 1e-14);
    }
}

/* Seven groups of seven classes: one class each, nothing to learn. */
static void groups_of_one_class_count_nothing(void **state)
{
    double grad[SIZE];
    (void)state;
    CHECK_NEAR(value_of("stages=7", "phase_groups=7", NULL, NULL, grad), 0, 0);
    for (int k = 0; k < SIZE; k++)
        CHECK_NEAR(grad[k], 0, 0);
    CHECK_NEAR(
        value_of("stages=7", "phase_groups=7", "lambda=cos_p_logq", NULL, grad),
        0, 0);
    for (int k = 0; k < SIZE; k++)
        CHECK_NEAR(grad[k], 0, 0);
}

static void more_stages_than_classes_are_refused(void **state)
{
    static const char *const eight[] = {"stages=8"};
    static const char *const groups[] = {"phase_groups=4"};
    double value = 0;
    (void)state;
    CHECK_ERR(evaluate(1, eight, 0, zs, &value, NULL), LMB_EINVAL,
        "8 groups are more than the 7 classes");
    /* The method is named once. */
    assert_memory_equal(lmb_last_error(), "pcd.stages: ", 12);
    CHECK_ERR(evaluate(1, groups, 0, zs, &value, NULL), LMB_EINVAL,
        "pcd.phase_groups: 4");
    /* All phases, whichever comes first. */
    static const char *const rising[] = {
        "stages=8", "schedule=staged", "directions=c2fl"};
    for (int phase = 0; phase < 8; phase++)
        CHECK_ERR(evaluate(3, rising, phase, zs, &value, NULL), LMB_EINVAL,
            "8 groups are more than the 7 classes");
}

/* Their groups are one at each stage: all phases would be the same. */
static void full_groups_have_no_phases(void **state)
{
    static const char *const release[] = {"preset=release", "schedule=staged"};
    static const char *const full[] = {"schedule=staged", "groups=full"};
    static const char *const split[] = {
        "preset=release", "schedule=staged", "groups=split"};
    double value = 0;
    (void)state;
    CHECK_ERR(evaluate(2, release, 0, zs, &value, NULL), LMB_EINVAL,
        "pcd.schedule: staged has phases of 1 .. 3 groups, and groups=full");
    CHECK_ERR(
        evaluate(2, full, 0, zs, &value, NULL), LMB_EINVAL, "groups=full");
    CHECK_OK(evaluate(3, split, 0, zs, &value, NULL));
}

/* Every value of every switch against the stencil. */
static void every_switch_has_an_exact_gradient(void **state)
{
    static const char *const switches[][4] = {
        {"preset=release"},
        {"preset=release", "rank=ldr", "groups=split"},
        {"rank=index", "stages=5"},
        {"rank_scope=batch", "temperature=1"},
        {"lambda=one", "directions=f2cl"},
        {"lambda=cos_p_logq", "stages=4", "reduction=product_of_means"},
        {"reduction=product_of_means", "standardize=true"},
        {"standardize=true", "temperature=2", "alpha=3"},
        {"stages=9", "temperature=1"},
        {"phase_groups=2", "directions=c2fl"},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(switches); i++) {
        conf c = method;
        for (int k = 0; k < 4; k++)
            c.options[k] = switches[i][k];
        conf_gradient(&c);
        conf_batch_of_one(&c);
        conf_identity(&c);
        conf_fast(&c);
    }
}

static void permutes(void **state)
{
    conf release = method;
    (void)state;
    conf_permutation(&method);
    release.options[0] = "preset=release";
    conf_permutation(&release);
}

/* Both factors are small differences of numbers near 1. */
static void small_gaps_keep_their_digits_in_f32(void **state)
{
    float s[SIZE], t[SIZE];
    double exact = 0, value = 0, near[SIZE];
    const lmb_shape shape = {2, {ROWS, CLASSES}};
    (void)state;
    for (int k = 0; k < SIZE; k++) {
        t[k] = (float)zt[k];
        s[k] = (float)(zt[k] + 0.02 * (zs[k] - zt[k]));
        near[k] = (double)s[k];
    }
    CHECK_OK(evaluate(0, NULL, 0, near, &exact, NULL));
    const lmb_loss_array student = {"logits", shape, s, NULL};
    const lmb_loss_array teacher = {"logits", shape, t, NULL};
    const lmb_loss_inputs in = {
        .dtype = LMB_F32,
        .n_student = 1,
        .n_teacher = 1,
        .student = &student,
        .teacher = &teacher,
    };
    CHECK_OK(lmb_loss_eval("pcd", &in, &value));
    assert_true(exact > 0 && exact < 1e-6);
    CHECK_NEAR(value / exact, 1, 0.02);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(paper_preset_gives_the_golden_vector),
    cmocka_unit_test(release_preset_gives_the_golden_vector),
    cmocka_unit_test(full_groups_without_weight_are_kd),
    cmocka_unit_test(groups_add_up), cmocka_unit_test(one_direction_is_half),
    cmocka_unit_test(phases_add_up_to_the_joint_loss),
    cmocka_unit_test(phases_divide_the_epochs_after_the_warm_up),
    cmocka_unit_test(explicit_keys_win_over_the_preset),
    cmocka_unit_test(batch_ranking_sorts_by_the_mean_difference),
    cmocka_unit_test(rows_of_the_gradient_sum_to_zero),
    cmocka_unit_test(groups_of_one_class_count_nothing),
    cmocka_unit_test(more_stages_than_classes_are_refused),
    cmocka_unit_test(full_groups_have_no_phases),
    cmocka_unit_test(every_switch_has_an_exact_gradient),
    cmocka_unit_test(permutes),
    cmocka_unit_test(small_gaps_keep_their_digits_in_f32))
