/* test_reviewkd.c: the ReviewKD term on pyramid levels. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "reviewkd",
    .options = {"mid=2"},
    .step = 1e-5,
    .student = {{"p3", {4, {2, 2, 6, 5}}}, {"p4", {4, {2, 3, 3, 3}}}},
    .teacher = {{"p3", {4, {2, 3, 6, 5}}}, {"p4", {4, {2, 3, 3, 3}}}},
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
}

static void agrees_with_the_published_code(void **state)
{
    (void)state;
    golden_check_heads(method.method);
}

static void any_map_fits_any_other(void **state)
{
    static const conf other = {.method = "reviewkd",
        .options = {"mid=3"},
        .step = 1e-5,
        .student = {{"p3", {4, {3, 2, 4, 4}}}},
        .teacher = {{"p3", {4, {3, 3, 7, 5}}}}};
    (void)state;
    conf_gradient(&other);
    conf_fast(&other);
}

/* The fusion goes from the coarsest map to the finest, however they are
 * written down. */
static void lines_of_a_map_have_no_order(void **state)
{
    static const char *const sorted[] = {
        "teacher.p3 -> student.p3", "teacher.p4 -> student.p4"};
    static const char *const reversed[] = {
        "teacher.p4 -> student.p4", "teacher.p3 -> student.p3"};
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 3, 1, 0);
    const double by_default = conf_eval(&method, r);
    r->in.n_map = 2;
    r->in.map = sorted;
    CHECK_NEAR(conf_eval(&method, r), by_default, 0);
    r->in.map = reversed;
    CHECK_NEAR(conf_eval(&method, r), by_default, 0);
    free(r);
}

/* One picture on a level of one place has no batch statistics. */
static void a_single_place_uses_running_statistics(void **state)
{
    static const conf one = {.method = "reviewkd",
        .options = {"mid=2"},
        .step = 1e-5,
        .student = {{"p3", {4, {1, 2, 2, 2}}}, {"p4", {4, {1, 3, 1, 1}}}},
        .teacher = {{"p3", {4, {1, 3, 2, 2}}}, {"p4", {4, {1, 3, 1, 1}}}}};
    (void)state;
    conf_gradient(&one);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(any_map_fits_any_other),
    cmocka_unit_test(lines_of_a_map_have_no_order),
    cmocka_unit_test(a_single_place_uses_running_statistics))
