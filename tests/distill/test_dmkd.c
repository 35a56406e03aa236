/* test_dmkd.c: the DMKD term. */
#include "distill/conformance.h"

static const conf method = {
    .method = "dmkd",
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

static void every_choice_has_an_exact_gradient(void **state)
{
    static const char *const choices[][3] = {{"alpha=1", "fusion=losses"},
        {"alpha=1", "fusion=sum"}, {"alpha=1", "rule=threshold"},
        {"alpha=1", "polarity=unimportant", "ratio_space=0.2"}};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(choices); i++) {
        conf c = {.method = "dmkd",
            .step = 1e-6,
            .student = {{"p3", {4, {2, 2, 3, 4}}}},
            .teacher = {{"p3", {4, {2, 2, 3, 4}}}}};
        for (int k = 0; k < 3; k++)
            c.options[k] = choices[i][k];
        conf_gradient(&c);
        conf_fast(&c);
    }
}

enum { PLACES = 20 };

/* Which places of the student's one-channel map get no gradient. With every
 * channel hidden only the spatial branch sees the map. */
static int hidden(conf_run *r, bool out[PLACES])
{
    static const conf one = {.method = "dmkd",
        .options = {"alpha=1", "ratio_channel=1", "ratio_space=0.35"},
        .student = {{"p3", {4, {1, 1, 4, 5}}}},
        .teacher = {{"p3", {4, {1, 1, 4, 5}}}}};
    int n = 0;
    const conf_run *given = r;
    double s[PLACES], t[PLACES];
    memcpy(s, given->s[0], sizeof s);
    memcpy(t, given->t[0], sizeof t);
    conf_fill(r, &one, 1, 1, 0);
    memcpy(r->s[0], s, sizeof s);
    memcpy(r->t[0], t, sizeof t);
    (void)conf_eval(&one, r);
    for (int i = 0; i < PLACES; i++)
        n += out[i] = r->grad[0][i] == 0;
    return n;
}

static void draw(double *x, uint64_t seed)
{
    lmb_rng rng = lmb_rng_make(seed, LMB_STREAM_TEST, 9, 9);
    for (int i = 0; i < PLACES; i++)
        x[i] = lmb_rng_normal(&rng);
}

/* A hidden place gets exactly no gradient; which ones are hidden is the
 * teacher's doing alone; they are those of its largest attention. */
static void masks_depend_on_the_teacher_alone(void **state)
{
    conf_run *r = malloc(sizeof *r);
    bool first[PLACES], second[PLACES];
    (void)state;
    assert_non_null(r);
    draw(r->s[0], 1);
    draw(r->t[0], 2);
    assert_int_equal(hidden(r, first), 7);
    draw(r->s[0], 3);
    assert_int_equal(hidden(r, second), 7);
    assert_memory_equal(first, second, sizeof first);
    for (int i = 0; i < PLACES; i++)
        for (int k = 0; k < PLACES; k++)
            if (first[i] && !first[k])
                assert_true(fabs(r->t[0][i]) >= fabs(r->t[0][k]));
    draw(r->t[0], 4);
    assert_int_equal(hidden(r, second), 7);
    assert_memory_not_equal(first, second, sizeof first);
    free(r);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(every_choice_has_an_exact_gradient),
    cmocka_unit_test(masks_depend_on_the_teacher_alone))
