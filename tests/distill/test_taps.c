/* test_taps.c: pairs of taps, map lines, rows that are not images. */
#include "lmb_test.h"

#include "distill/logits.h"
#include "plan/plan.h"

static const lmb_tap four[] = {
    {.name = "f0"}, {.name = "f1"}, {.name = "pooled"}, {.name = "logits"}};
static const lmb_tap three[] = {
    {.name = "f0"}, {.name = "pre0"}, {.name = "logits"}};
static const lmb_taps student = {four, 4}, teacher = {three, 3};

static void finds_and_counts(void **state)
{
    (void)state;
    assert_ptr_equal(lmb_taps_find(&student, "pooled"), &four[2]);
    assert_null(lmb_taps_find(&student, "pool"));
    assert_null(lmb_taps_find(&student, NULL));
    assert_int_equal(lmb_taps_levels(&student, "f"), 2);
    assert_int_equal(lmb_taps_levels(&teacher, "f"), 1);
    assert_int_equal(lmb_taps_levels(&student, "pre"), 0);
}

static void reads_map_lines(void **state)
{
    static const char *const good[] = {"teacher.p4 -> student.p4",
        "student.p4->teacher.p4", "\tteacher.p4  ->\tstudent.p4 "};
    static const char *const bad[] = {"", "teacher.p4", "teacher.p4 ->",
        "teacher.p4 -> teacher.p4", "teacher. -> student.p4", "p4 -> p4",
        "teacher.p4 -> student.p4 x", "teacher.p4 = student.p4"};
    lmb_arena *arena = NULL;
    lmb_pairing pair;
    (void)state;
    CHECK_OK(lmb_arena_new(&arena));
    for (size_t i = 0; i < LMB_COUNT(good); i++) {
        CHECK_OK(lmb_pairing_parse(arena, good[i], &pair));
        assert_string_equal(pair.teacher, "p4");
        assert_string_equal(pair.student, "p4");
    }
    for (size_t i = 0; i < LMB_COUNT(bad); i++)
        CHECK_ERR(lmb_pairing_parse(arena, bad[i], &pair), LMB_EINVAL,
            "teacher.TAP -> student.TAP");
    lmb_arena_free(arena);
}

static void pairs_yield_to_the_map(void **state)
{
    const lmb_method *kd = lmb_method_find("KD");
    const lmb_pairing map[] = {{.teacher = "pre0", .student = "pooled"}};
    const lmb_pairing wrong[] = {{.teacher = "pooled", .student = "pooled"}};
    lmb_pairs pairs = {.count = 0};
    void *o = NULL;
    (void)state;
    CHECK_OK(lmb_method_new(kd, 0, NULL, NULL, &o));
    CHECK_OK(lmb_method_pairs(kd, o, &student, &teacher, 0, NULL, &pairs));
    assert_int_equal(pairs.count, 1);
    assert_string_equal(pairs.pair[0].student, "logits");
    CHECK_OK(lmb_method_pairs(kd, o, &student, &teacher, 1, map, &pairs));
    assert_int_equal(pairs.count, 1);
    assert_string_equal(pairs.pair[0].teacher, "pre0");
    CHECK_ERR(lmb_method_pairs(kd, o, &student, &teacher, 1, wrong, &pairs),
        LMB_EINVAL, "the teacher has no tap 'pooled'; it has f0, pre0");
    const lmb_taps few = {three, 2};
    CHECK_ERR(lmb_method_pairs(kd, o, &student, &few, 0, NULL, &pairs),
        LMB_ENOTFOUND, "the teacher has no tap 'logits'; it has f0, pre0");
    lmb_method_free(kd, o);
}

static void names_all_methods_in_a_table(void **state)
{
    int count = 0;
    const lmb_method *const *all = lmb_methods(&count);
    const lmb_method *found = NULL;
    (void)state;
    assert_true(count > 0);
    for (int i = 0; i < count; i++)
        assert_ptr_equal(lmb_method_find(all[i]->name), all[i]);
    CHECK_OK(lmb_method_get("Pcd", &found));
    CHECK_ERR(lmb_method_get("pdc", &found), LMB_EINVAL, "unknown method");
    CHECK_ERR(lmb_method_get("zzzzzzz", &found), LMB_EINVAL, "dkd");
}

/* --- rows of a tap -------------------------------------------------------- */

enum { ROWS = 4, CLASSES = 5 };

/* logits of `rows` rows, with labels and weights of their own or without. */
static double value_of(const lmb_method *m, int64_t rows, bool weighted,
    const double *zs, const double *zt, const int32_t *labels,
    const double *weight)
{
    lmb_graph *g = NULL;
    lmb_params *params = NULL;
    lmb_plan *plan = NULL;
    void *o = NULL;
    CHECK_OK(lmb_graph_new(&g));
    CHECK_OK(lmb_params_new(LMB_F64, &params));
    CHECK_OK(lmb_method_new(m, 0, NULL, NULL, &o));
    const lmb_shape shape = LMB_SHAPE(rows, CLASSES);
    const lmb_value y = lmb_graph_input(g, "y", LMB_I32, LMB_SHAPE(rows));
    const lmb_value w = lmb_graph_input(g, "w", LMB_F32, LMB_SHAPE(rows));
    lmb_tap s = {.name = "roi.logits",
        .shape = shape,
        .value = lmb_graph_input(g, "s", LMB_F32, shape)};
    lmb_tap t = {.name = "roi.logits",
        .shape = shape,
        .value = lmb_graph_input(g, "t", LMB_F32, shape)};
    if (weighted) {
        s.labels = y;
        s.row_weight = w;
    }
    const lmb_taps side_s = {&s, 1}, side_t = {&t, 1};
    const lmb_pairing map = {.teacher = t.name, .student = s.name};
    lmb_build b = {
        .g = g,
        .method = m->name,
        .mode = LMB_MODE_TRAIN,
        .student = &side_s,
        .teacher = &side_t,
        .params = params,
        .prefix = "",
        .labels = weighted ? LMB_NONE : y,
    };
    CHECK_OK(lmb_method_pairs(m, o, &side_s, &side_t, 1, &map, &b.pairs));
    const lmb_value loss = m->build(o, &b);
    const lmb_plan_opts opts = {.reference = true};
    CHECK_OK(lmb_plan_compile(g, 1, &loss, &opts, &plan));
    CHECK_OK(lmb_plan_set(plan, s.value, LMB_F64, zs));
    CHECK_OK(lmb_plan_set(plan, t.value, LMB_F64, zt));
    CHECK_OK(lmb_plan_set(plan, y, LMB_I32, labels));
    CHECK_OK(lmb_plan_set(plan, w, LMB_F64, weight));
    CHECK_OK(lmb_plan_run(plan));
    const double value = lmb_plan_scalar(plan, loss);
    lmb_plan_free(plan);
    lmb_method_free(m, o);
    lmb_params_free(params);
    lmb_graph_free(g);
    return value;
}

/* A batch padded with rows of weight 0 has the loss of the batch without. */
static void padding_rows_count_nothing(void **state)
{
    static const char *const names[] = {"kd", "dkd", "nkd", "dist", "pcd"};
    static const int32_t labels[ROWS] = {3, 0, 4, 1};
    static const double weight[ROWS] = {1, 1, 1, 0}, none[ROWS] = {0};
    double s[ROWS * CLASSES], t[ROWS * CLASSES];
    (void)state;
    for (int k = 0; k < ROWS * CLASSES; k++) {
        s[k] = sin(1 + 3.7 * k) * 3;
        t[k] = cos(2 + 2.3 * k) * 3;
    }
    for (size_t i = 0; i < LMB_COUNT(names); i++) {
        const lmb_method *m = lmb_method_find(names[i]);
        const double want = value_of(m, ROWS - 1, false, s, t, labels, weight);
        CHECK_NEAR(value_of(m, ROWS, true, s, t, labels, weight), want, 1e-12);
        assert_true(isfinite(value_of(m, ROWS, true, s, t, labels, none)));
    }
}

LMB_TEST_MAIN(cmocka_unit_test(finds_and_counts),
    cmocka_unit_test(reads_map_lines), cmocka_unit_test(pairs_yield_to_the_map),
    cmocka_unit_test(names_all_methods_in_a_table),
    cmocka_unit_test(padding_rows_count_nothing))
