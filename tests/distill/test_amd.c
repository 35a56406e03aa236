/* test_amd.c: the AMD term. */
#include "distill/conformance.h"

static const conf method = {
    .method = "amd",
    .options = {"alpha=1e-2"},
    .step = 1e-6,
    .student = {{"p3", {4, {2, 2, 4, 5}}}, {"p4", {4, {2, 3, 2, 2}}}},
    .teacher = {{"p3", {4, {2, 3, 4, 5}}}, {"p4", {4, {2, 3, 2, 3}}}},
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
}

/* A hidden place gets no gradient; the share is exact. */
static void hides_the_places_the_teacher_looks_at(void **state)
{
    static const conf one = {.method = "amd",
        .options = {"alpha=1", "ratio=0.25", "reduction=1"},
        .student = {{"p3", {4, {1, 1, 4, 5}}}},
        .teacher = {{"p3", {4, {1, 1, 4, 5}}}}};
    conf_run *r = malloc(sizeof *r);
    int hidden = 0;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &one, 6, 1, 0);
    (void)conf_eval(&one, r);
    for (int i = 0; i < 20; i++)
        for (int k = 0; k < 20; k++)
            if (r->grad[0][i] == 0 && r->grad[0][k] != 0)
                assert_true(fabs(r->t[0][i]) >= fabs(r->t[0][k]));
    for (int i = 0; i < 20; i++)
        hidden += r->grad[0][i] == 0;
    assert_int_equal(hidden, 5);
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(hides_the_places_the_teacher_looks_at))
