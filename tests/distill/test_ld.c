/* test_ld.c: the LD term. */
#include "distill/conformance.h"
#include "distill/golden.h"

static const conf method = {
    .method = "ld",
    .options = {"region=boxes"},
    .student = {{"box.p3", {4, {2, 12, 3, 4}}}, {"cls.p3", {4, {2, 2, 3, 4}}}},
    .teacher = {{"box.p3", {4, {2, 12, 3, 4}}}, {"cls.p3", {4, {2, 2, 3, 4}}}},
    .boxes = 3,
    .input_size = {24, 32},
    .zero_at_identity = true,
};

/* The weight comes from the student's scores without gradient, so the term is
 * differentiated by the box maps alone. */
static const conf constant = {
    .method = "ld",
    .options = {"score=teacher", "T=2", "region=boxes"},
    .student = {{"box.p3", {4, {2, 12, 3, 4}}}, {"box.p4", {4, {2, 8, 2, 2}}}},
    .teacher = {{"box.p3", {4, {2, 12, 3, 4}}}, {"cls.p3", {4, {2, 2, 3, 4}}},
        {"box.p4", {4, {2, 8, 2, 2}}}, {"cls.p4", {4, {2, 5, 2, 2}}}},
    .boxes = 3,
    .input_size = {24, 32},
};

/* By default: with what the student's assigner says. */
static const conf assigned = {
    .method = "ld",
    .student = {{"box.p3", {4, {2, 12, 3, 4}}}, {"cls.p3", {4, {2, 2, 3, 4}}},
        {"positive.p3", {2, {2, 12}}}, {"valuable.p3", {2, {2, 12}}}},
    .teacher = {{"box.p3", {4, {2, 12, 3, 4}}}},
    .boxes = 3,
    .input_size = {24, 32},
};

static void conforms(void **state)
{
    conf everywhere = constant;
    (void)state;
    conf_options(&method);
    conf_identity(&method);
    conf_batch_of_one(&method);
    conf_teacher(&assigned);
    conf_fast(&method);
    conf_out_of_memory(&assigned);
    conf_gradient(&constant);
    everywhere.options[0] = "score=one";
    everywhere.options[2] = "region=all";
    conf_gradient(&everywhere);
    conf_fast(&everywhere);
}

static void agrees_with_the_published_code(void **state)
{
    (void)state;
    golden_check_heads(method.method);
}

static void scores_pass_no_gradient(void **state)
{
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &method, 5, 1, 0);
    const double value = conf_eval(&method, r);
    for (int i = 0; i < 48; i++) {
        assert_true(r->grad[1][i] == 0);
        r->s[1][i] += i % 5;
    }
    assert_true(conf_eval(&method, r) != value);
    free(r);
}

/* A map may pair levels of other names: the teacher's scores are those of its
 * own. */
static void levels_may_have_other_names(void **state)
{
    static const conf usual = {.method = "ld",
        .options = {"score=teacher", "region=all"},
        .student = {{"box.p3", {4, {1, 8, 3, 4}}}},
        .teacher = {
            {"box.p3", {4, {1, 8, 3, 4}}}, {"cls.p3", {4, {1, 2, 3, 4}}}}};
    conf_run *r = malloc(sizeof *r);
    const char *map = "teacher.box.p4 -> student.box.p3";
    double value = 0, same = 1;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &usual, 5, 1, 0);
    CHECK_OK(lmb_loss_eval("ld", &r->in, &value));
    r->teacher[0].name = "box.p4";
    r->teacher[1].name = "cls.p4";
    r->in.map = &map;
    r->in.n_map = 1;
    CHECK_OK(lmb_loss_eval("ld", &r->in, &same));
    CHECK_NEAR(same, value, 0);
    free(r);
}

static void says_what_is_missing(void **state)
{
    static const conf alone = {.method = "ld",
        .student = {{"box.p3", {4, {1, 8, 3, 4}}}},
        .teacher = {{"box.p3", {4, {1, 8, 3, 4}}}},
        .boxes = 1,
        .input_size = {24, 32}};
    static const conf odd = {.method = "ld",
        .student = {{"box.p3", {4, {1, 6, 3, 4}}}},
        .teacher = {{"box.p3", {4, {1, 6, 3, 4}}}},
        .boxes = 1,
        .input_size = {24, 32}};
    conf_run *r = malloc(sizeof *r);
    double value;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &alone, 5, 1, 0);
    CHECK_ERR(
        lmb_loss_eval("ld", &r->in, &value), LMB_ENOTFOUND, "tap 'cls.p3'");
    conf_fill(r, &odd, 5, 1, 0);
    CHECK_ERR(lmb_loss_eval("ld", &r->in, &value), LMB_ESHAPE, "four sides");
    free(r);
}

/* What the student's assigner says is not guessed where it is missing. */
static void needs_the_assigner_for_its_regions(void **state)
{
    static const conf cases[] = {
        {.method = "ld",
            .options = {"score=one"},
            .student = {{"box.p3", {4, {1, 8, 3, 4}}}},
            .teacher = {{"box.p3", {4, {1, 8, 3, 4}}}}},
        {.method = "ld",
            .options = {"score=one"},
            .student = {{"box.p3", {4, {1, 8, 3, 4}}},
                {"positive.p3", {2, {1, 12}}}},
            .teacher = {{"box.p3", {4, {1, 8, 3, 4}}}}},
        {.method = "ld",
            .options = {"score=one", "valuable=0"},
            .student = {{"box.p3", {4, {1, 8, 3, 4}}},
                {"positive.p3", {2, {1, 11}}}},
            .teacher = {{"box.p3", {4, {1, 8, 3, 4}}}}},
    };
    static const char *const want[] = {"tap 'positive.p3'", "tap 'valuable.p3'",
        "positive.p3 [1, 11], but box.p3 has 12"};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        conf c = cases[i];
        double value;
        conf_run *r = malloc(sizeof *r);
        assert_non_null(r);
        c.boxes = 1;
        c.input_size[0] = 24;
        c.input_size[1] = 32;
        conf_fill(r, &c, 5, 1, 0);
        CHECK_ERR(lmb_loss_eval("ld", &r->in, &value),
            i == 2 ? LMB_ESHAPE : LMB_ENOTFOUND, want[i]);
        free(r);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(agrees_with_the_published_code),
    cmocka_unit_test(scores_pass_no_gradient),
    cmocka_unit_test(levels_may_have_other_names),
    cmocka_unit_test(says_what_is_missing),
    cmocka_unit_test(needs_the_assigner_for_its_regions))
