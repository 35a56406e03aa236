#include "op_check.h"

#define LN2 0.6931471805599453
#define LN5 1.6094379124341003

/* --- linear */

static lmb_value linear(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_linear(g, x[0], x[1], user != NULL ? x[2] : LMB_NONE);
}

static void linear_is_x_w_transposed_plus_b(void **state)
{
    (void)state;
    const double *const *x =
        OP_X(OP_D(1, 2, 3, 4), OP_D(1, 0, 2, -1, 3, 1), OP_D(10, 20, 30));
    const op_case bias = {linear, OP_ANY, "", 3,
        {LMB_SHAPE(2, 2), LMB_SHAPE(3, 2), LMB_SHAPE(3)}};
    op_check_value(&bias, x, LMB_SHAPE(2, 3), OP_D(11, 20, 35, 13, 22, 43), 0);
    op_check_gradient(&bias);
    const op_case plain = {
        linear, OP_ANY, NULL, 2, {LMB_SHAPE(2, 2), LMB_SHAPE(3, 2)}};
    op_check_value(&plain, x, LMB_SHAPE(2, 3), OP_D(1, 0, 5, 3, 2, 13), 0);
    op_check_gradient(&plain);
    const op_case bad = {
        linear, OP_ANY, NULL, 2, {LMB_SHAPE(2, 3), LMB_SHAPE(3, 2)}};
    op_check_refused(&bad, LMB_ESHAPE, "3 columns against 2 rows");
}

/* --- top_k */

static lmb_value top_k(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_top_k(g, x[0], *(const int64_t *)user);
}

static void top_k_lists_the_largest_first(void **state)
{
    (void)state;
    const int64_t two = 2;
    const op_case c = {top_k, OP_ANY, &two, 1, {LMB_SHAPE(2, 4)}};
    op_check_value(&c, OP_X(OP_D(1, 7, 3, 7, -1, -2, -3, 0)), LMB_SHAPE(2, 2),
        OP_D(1, 3, 3, 0), 0);
    static const int64_t bad[] = {0, 5};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const op_case d = {top_k, OP_ANY, &bad[i], 1, {LMB_SHAPE(2, 4)}};
        op_check_refused(&d, LMB_EINVAL, "outside 1..4");
    }
}

/* --- cross entropy */

typedef struct labels {
    int64_t n;
    int32_t label[4];
} labels;

static lmb_value cross_entropy(
    lmb_graph *g, const lmb_value *x, const void *user)
{
    const labels *l = user;
    return lmb_cross_entropy(
        g, x[0], lmb_graph_index_constant(g, LMB_SHAPE(l->n), l->label));
}

/* Probabilities 1/8, 2/8, 5/8 and thirds. */
static void cross_entropy_matches_hand_numbers(void **state)
{
    (void)state;
    const labels l = {2, {1, 2}};
    const op_case c = {cross_entropy, OP_ANY, &l, 1, {LMB_SHAPE(2, 3)}};
    op_check_value(&c, OP_X(OP_D(0, LN2, LN5, 4, 4, 4)), LMB_SCALAR,
        OP_D((2 * LN2 + log(3)) / 2), 1e-15);
    op_check_slope(&c, OP_X(OP_D(0, LN2, LN5, 4, 4, 4)), 0,
        OP_D(1.0 / 16, -6.0 / 16, 5.0 / 16, 1.0 / 6, 1.0 / 6, -1.0 / 3), 1e-15);
    op_check_gradient(&c);
    const labels one = {1, {0}};
    const op_case d = {cross_entropy, OP_ANY, &one, 1, {LMB_SHAPE(1, 1)}};
    op_check_value(&d, OP_X(OP_D(5)), LMB_SCALAR, OP_D(0), 0);
    op_check_gradient(&d);
}

static void cross_entropy_bears_classes_of_no_probability(void **state)
{
    (void)state;
    const labels l = {1, {0}};
    const op_case c = {cross_entropy, OP_ANY, &l, 1, {LMB_SHAPE(1, 3)}};
    const double *const *x = OP_X(OP_D(3, -INFINITY, 3));
    op_check_value(&c, x, LMB_SCALAR, OP_D(LN2), 1e-15);
    op_check_slope(&c, x, 0, OP_D(-0.5, 0, 0.5), 1e-15);
}

static void cross_entropy_refuses_other_shapes(void **state)
{
    (void)state;
    const labels l = {3, {0, 0, 0}};
    const op_case c = {cross_entropy, OP_ANY, &l, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE,
        "cross_entropy: logits [2, 3] and labels [3] are not [N, C] and [N]");
    const op_case d = {cross_entropy, OP_ANY, &l, 1, {LMB_SHAPE(3)}};
    op_check_refused(&d, LMB_ESHAPE, "logits [3]");
}

static void a_label_outside_fails_at_the_run(void **state)
{
    (void)state;
    const labels l = {1, {3}};
    const op_case c = {cross_entropy, OP_ANY, &l, 1, {LMB_SHAPE(1, 3)}};
    op_check_run_fails(
        &c, OP_X(OP_D(1, 2, 3)), LMB_EINVAL, "index 3 outside 0..2");
}

/* --- kl_log */

static lmb_value kl_log(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_kl_log(g, x[0], x[1]);
}

/* Temperature-softened logits, as distillation uses it. */
static lmb_value kl_soft(lmb_graph *g, const lmb_value *x, const void *user)
{
    const double t = *(const double *)user;
    const lmb_value lp = lmb_log_softmax(g, lmb_scale(g, x[0], 1 / t), -1);
    const lmb_value lq = lmb_log_softmax(g, lmb_scale(g, x[1], 1 / t), -1);
    return lmb_scale(g, lmb_kl_log(g, lp, lq), t * t);
}

static void kl_matches_hand_numbers(void **state)
{
    (void)state;
    const op_case c = {
        kl_log, OP_ANY, NULL, 2, {LMB_SHAPE(2, 2), LMB_SHAPE(2, 2)}};
    /* KL((1/2, 1/2) || (1/4, 3/4)) = ln 2 - ln(3) / 2; KL(q || q) = 0. */
    const double *lp = OP_D(-LN2, -LN2, log(0.25), log(0.75));
    const double *lq = OP_D(log(0.25), log(0.75), log(0.25), log(0.75));
    op_check_value(
        &c, OP_X(lp, lq), LMB_SHAPE(2), OP_D(LN2 - log(3) / 2, 0), 1e-15);
    op_check_slope(&c, OP_X(lp, lq), 1, OP_D(-0.5, -0.5, -0.25, -0.75), 1e-15);
}

static void kl_of_no_probability_counts_zero(void **state)
{
    (void)state;
    const op_case c = {
        kl_log, OP_ANY, NULL, 2, {LMB_SHAPE(3, 2), LMB_SHAPE(3, 2)}};
    const double *const *x = OP_X(OP_D(0, -INFINITY, 0, -1e6, 0, -INFINITY),
        OP_D(-LN2, -LN2, -LN2, -LN2, 0, -INFINITY));
    op_check_value(&c, x, LMB_SHAPE(3), OP_D(LN2, LN2, 0), 1e-15);
    op_check_slope(&c, x, 0, OP_D(1 + LN2, 0, 1 + LN2, 0, 1, 0), 1e-15);
    op_check_slope(&c, x, 1, OP_D(-1, 0, -1, 0, -1, 0), 0);
}

static void kl_gradients_match_the_stencil(void **state)
{
    (void)state;
    static const double t[] = {1, 4};
    for (size_t i = 0; i < LMB_COUNT(t); i++) {
        const op_case c = {
            kl_soft, OP_ANY, &t[i], 2, {LMB_SHAPE(6, 10), LMB_SHAPE(6, 10)}};
        op_check_gradient(&c);
    }
    const op_case raw = {
        kl_log, OP_SMALL, NULL, 2, {LMB_SHAPE(3, 1, 4), LMB_SHAPE(3, 1, 4)}};
    op_check_gradient(&raw);
}

static void kl_refuses_to_broadcast(void **state)
{
    (void)state;
    const op_case c = {
        kl_log, OP_ANY, NULL, 2, {LMB_SHAPE(3, 4), LMB_SHAPE(3, 1)}};
    op_check_refused(
        &c, LMB_ESHAPE, "kl_log: shapes [3, 4] and [3, 1] must be equal");
}

/* --- l2_normalize */

typedef struct norm {
    uint32_t axes;
    double eps;
} norm;

static lmb_value l2(lmb_graph *g, const lmb_value *x, const void *user)
{
    const norm *n = user;
    return lmb_l2_normalize(g, x[0], n->axes, n->eps);
}

static void l2_normalize_matches_hand_numbers(void **state)
{
    (void)state;
    const norm rows = {LMB_AXIS(-1), 1e-12};
    const op_case c = {l2, OP_ANY, &rows, 1, {LMB_SHAPE(2, 2)}};
    op_check_value(&c, OP_X(OP_D(3, 4, 0, -2)), LMB_SHAPE(2, 2),
        OP_D(0.6, 0.8, 0, -1), 1e-15);
    const norm all = {LMB_ALL_AXES, 1e-12};
    const op_case d = {l2, OP_ANY, &all, 1, {LMB_SHAPE(2, 2)}};
    op_check_value(&d, OP_X(OP_D(1, 1, 1, -1)), LMB_SHAPE(2, 2),
        OP_D(0.5, 0.5, 0.5, -0.5), 1e-15);
}

static void l2_normalize_is_safe_at_the_zero_vector(void **state)
{
    (void)state;
    const norm rows = {LMB_AXIS(-1), 0.5};
    const op_case c = {l2, OP_ANY, &rows, 1, {LMB_SHAPE(2, 2)}};
    const double *const *x = OP_X(OP_D(0, 0, 0.1, 0));
    op_check_value(&c, x, LMB_SHAPE(2, 2), OP_D(0, 0, 0.2, 0), 1e-15);
    op_check_slope(&c, x, 0, OP_D(2, 2, 2, 2), 1e-15);
}

static void l2_normalize_gradients_match_the_stencil(void **state)
{
    (void)state;
    static const uint32_t axes[] = {
        LMB_AXIS(-1), LMB_AXIS(0), LMB_AXIS(1) | LMB_AXIS(2), LMB_ALL_AXES};
    for (size_t i = 0; i < LMB_COUNT(axes); i++) {
        const norm n = {axes[i], 1e-12};
        const op_case c = {l2, OP_ANY, &n, 1, {LMB_SHAPE(3, 4, 5)}};
        op_check_gradient(&c);
    }
    const norm large = {LMB_AXIS(-1), 1e3};
    const op_case c = {l2, OP_ANY, &large, 1, {LMB_SHAPE(3, 4)}};
    op_check_gradient(&c);
}

static void l2_normalize_needs_a_positive_eps(void **state)
{
    (void)state;
    static const double bad[] = {0, -1, NAN};
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        const norm n = {LMB_ALL_AXES, bad[i]};
        const op_case c = {l2, OP_ANY, &n, 1, {LMB_SHAPE(3)}};
        op_check_refused(&c, LMB_EINVAL, "l2_normalize: eps = ");
    }
}

/* --- distances */

static lmb_value mse(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_mse(g, x[0], x[1]);
}

static lmb_value smooth_l1(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_smooth_l1(g, x[0], x[1]);
}

static void distances_match_hand_numbers(void **state)
{
    (void)state;
    const double *const *x = OP_X(OP_D(1, 2, 3, 0), OP_D(1.5, 2, 0, -1));
    const op_case m = {mse, OP_ANY, NULL, 2, {LMB_SHAPE(4), LMB_SHAPE(4)}};
    op_check_value(&m, x, LMB_SCALAR, OP_D((0.25 + 9 + 1) / 4), 1e-15);
    const op_case s = {
        smooth_l1, OP_ANY, NULL, 2, {LMB_SHAPE(4), LMB_SHAPE(4)}};
    op_check_value(&s, x, LMB_SCALAR, OP_D((0.125 + 2.5 + 0.5) / 4), 1e-15);
    op_check_slope(&s, x, 0, OP_D(-0.125, 0, 0.25, 0.25), 1e-15);
}

static void smooth_l1_bears_huge_differences(void **state)
{
    (void)state;
    const op_case s = {
        smooth_l1, OP_ANY, NULL, 2, {LMB_SHAPE(1), LMB_SHAPE(1)}};
    op_check_value(
        &s, OP_X(OP_D(1e200), OP_D(-1e200)), LMB_SCALAR, OP_D(2e200), 1e185);
    op_check_slope(&s, OP_X(OP_D(1e200), OP_D(-1e200)), 0, OP_D(1), 0);
}

static void distances_have_gradients_and_refuse_to_broadcast(void **state)
{
    (void)state;
    static const op_build f[] = {mse, smooth_l1};
    static const char *const name[] = {"mse", "smooth_l1"};
    for (size_t i = 0; i < LMB_COUNT(f); i++) {
        const op_case c = {
            f[i], OP_APART, NULL, 2, {LMB_SHAPE(3, 7), LMB_SHAPE(3, 7)}};
        op_check_gradient(&c);
        const op_case bad = {
            f[i], OP_ANY, NULL, 2, {LMB_SHAPE(3, 1), LMB_SHAPE(3)}};
        op_check_refused(&bad, LMB_ESHAPE, name[i]);
        op_check_refused(&bad, LMB_ESHAPE, "[3, 1] and [3] must be equal");
    }
}

/* --- failed graphs */

static lmb_value after_failure(
    lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    static const int32_t bounds[] = {0, 3};
    const lmb_value bad = lmb_reshape(g, x[0], LMB_SHAPE(7));
    const lmb_value idx = lmb_top_k(g, bad, 99);
    const lmb_value v[] = {
        lmb_softmax(g, bad, 9),
        lmb_concat(g, 1, &bad, 9),
        lmb_pad(g, bad, 9, 0, 0),
        lmb_permute(g, bad, NULL),
        lmb_transpose(g, bad),
        lmb_linear(g, x[0], bad, bad),
        lmb_cross_entropy(g, bad, idx),
        lmb_kl_log(g, bad, x[0]),
        lmb_l2_normalize(g, bad, 0, -1),
        lmb_smooth_l1(g, x[0], bad),
        lmb_one_hot(g, idx, 3),
        lmb_gather(g, x[0], idx, 0),
        lmb_scatter_add(g, bad, idx, 7, 3),
        lmb_segment_sum(g, bad, 1, bounds),
        lmb_max(g, bad, LMB_AXIS(4), false),
    };
    for (size_t i = 0; i < LMB_COUNT(v); i++)
        assert_false(lmb_is(v[i]));
    return v[0];
}

static void a_failed_graph_keeps_its_first_error(void **state)
{
    (void)state;
    const op_case c = {after_failure, OP_ANY, NULL, 1, {LMB_SHAPE(2, 3)}};
    op_check_refused(&c, LMB_ESHAPE, "reshape: shape [2, 3] cannot become [7]");
}

LMB_TEST_MAIN(cmocka_unit_test(linear_is_x_w_transposed_plus_b),
    cmocka_unit_test(top_k_lists_the_largest_first),
    cmocka_unit_test(cross_entropy_matches_hand_numbers),
    cmocka_unit_test(cross_entropy_bears_classes_of_no_probability),
    cmocka_unit_test(cross_entropy_refuses_other_shapes),
    cmocka_unit_test(a_label_outside_fails_at_the_run),
    cmocka_unit_test(kl_matches_hand_numbers),
    cmocka_unit_test(kl_of_no_probability_counts_zero),
    cmocka_unit_test(kl_gradients_match_the_stencil),
    cmocka_unit_test(kl_refuses_to_broadcast),
    cmocka_unit_test(l2_normalize_matches_hand_numbers),
    cmocka_unit_test(l2_normalize_is_safe_at_the_zero_vector),
    cmocka_unit_test(l2_normalize_gradients_match_the_stencil),
    cmocka_unit_test(l2_normalize_needs_a_positive_eps),
    cmocka_unit_test(distances_match_hand_numbers),
    cmocka_unit_test(smooth_l1_bears_huge_differences),
    cmocka_unit_test(distances_have_gradients_and_refuse_to_broadcast),
    cmocka_unit_test(a_failed_graph_keeps_its_first_error))
