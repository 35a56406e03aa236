/* test_dfmsd.c: the DFMSD term, its switches and its stages. */
#include "distill/conformance.h"

static const conf method = {
    .method = "dfmsd",
    .options = {"alpha=1e-2"},
    .step = 1e-6,
    .student = {{"p3", {4, {2, 2, 4, 5}}}, {"p4", {4, {2, 3, 2, 2}}}},
    .teacher = {{"p3", {4, {2, 3, 4, 5}}}, {"p4", {4, {2, 3, 2, 3}}}},
};

static const conf small = {
    .method = "dfmsd",
    .step = 1e-6,
    .student = {{"p3", {4, {2, 2, 3, 4}}}},
    .teacher = {{"p3", {4, {2, 2, 3, 4}}}},
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
}

static conf with(const conf *base, const char *a, const char *b, const char *c)
{
    conf made = *base;
    made.options[0] = a;
    made.options[1] = b;
    made.options[2] = c;
    return made;
}

/* All forms of enhancement and alignment, in the stage where they act. */
static void every_form_has_an_exact_gradient(void **state)
{
    static const char *const forms[][2] = {{"mes=gap", "mes_gamma=2"},
        {"mes=ratio", NULL}, {"mes=soft", NULL}, {"mes=off", NULL},
        {"sfa=standardize", NULL}, {"sfa=off", NULL}, {"dfm=false", NULL},
        {"mes=soft", "rule=threshold"}, {"mes=gap", "polarity=unimportant"}};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(forms); i++) {
        conf c = with(&small, "alpha=0.1", forms[i][0], forms[i][1]);
        c.stage = 1;
        conf_gradient(&c);
        conf_fast(&c);
    }
}

/* A check vector made in double precision: C = 2, H = 2, W = 3. */
static void alignment_has_known_value_and_gradient(void **state)
{
    static const double t[12] = {1, -2, .5, 0, 3, -1, .5, 1, -.5, 2, -1, 0};
    static const double s[12] = {
        .8, -1, .1, .3, 2, -.4, 0, 1.5, -.2, 1, -.5, .3};
    static const double grad[12] = {0.0033082330, 0.0053976409, -0.0269882120,
        0.0116658722, 0.0019152943, 0.0047011716, -0.0585764095, 0.0693460873,
        0.0190000992, -0.0915857970, 0.0339725320, 0.0278434880};
    conf one = with(&small, "dfm=false", "sfa_weight=1", NULL);
    one.student[0].shape = one.teacher[0].shape = LMB_SHAPE(1, 2, 2, 3);
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &one, 1, 1, 0);
    memcpy(r->s[0], s, sizeof s);
    memcpy(r->t[0], t, sizeof t);
    CHECK_NEAR(conf_eval(&one, r), 0.0779591323, 1e-9);
    CHECK_ARRAYS(r->grad[0], grad, 12, 1e-9);
    free(r);
}

static double value_of(const conf *c, uint64_t seed)
{
    conf_run *r = malloc(sizeof *r);
    assert_non_null(r);
    conf_fill(r, c, seed, 1, 0);
    const double value = conf_eval(c, r);
    free(r);
    return value;
}

static void without_its_modules_it_is_dmkd(void **state)
{
    conf bare = with(&method, "sal=false", "mes=off", "sfa=off");
    conf dmkd = method;
    (void)state;
    dmkd.options[0] = NULL;
    dmkd.method = "dmkd";
    CHECK_NEAR(value_of(&bare, 5), value_of(&dmkd, 5), 0);
    /* sal=false takes mes, which is not given, with it. */
    bare = with(&method, "sal=false", "sfa=off", NULL);
    bare.stage = 3;
    CHECK_NEAR(value_of(&bare, 5), value_of(&dmkd, 5), 0);
}

static void alignment_is_pkd(void **state)
{
    const conf sfa = with(&method, "dfm=false", "sfa_weight=1", NULL);
    conf pkd = method;
    (void)state;
    pkd.options[0] = NULL;
    pkd.method = "pkd";
    CHECK_NEAR(value_of(&sfa, 5), value_of(&pkd, 5), 0);
}

/* The first stage is plain masking whatever the form; the second is not. */
static void enhancement_acts_from_its_stage_on(void **state)
{
    static const char *const forms[] = {"mes=gap", "mes=ratio", "mes=soft"};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(forms); i++) {
        conf on = with(&method, "alpha=1", forms[i], "ratio_space=0.5");
        conf off = with(&method, "alpha=1", "mes=off", "ratio_space=0.5");
        on.options[3] = off.options[3] = "ratio_channel=0.5";
        CHECK_NEAR(value_of(&on, 5), value_of(&off, 5), 0);
        on.stage = off.stage = 1;
        assert_true(value_of(&on, 5) != value_of(&off, 5));
        on.options[4] = "mes_from=3";
        CHECK_NEAR(value_of(&on, 5), value_of(&off, 5), 0);
    }
}

/* `last` of the `stages` is the last with the method. */
static lmb_status configure(const char *const *options, int stages, int last)
{
    const lmb_method *m = lmb_method_find("dfmsd");
    const char *keys[4], *values[4];
    char text[4][32];
    void *state = NULL;
    int n = 0;
    for (; n < 4 && options[n] != NULL; n++) {
        (void)snprintf(text[n], sizeof text[n], "%s", options[n]);
        keys[n] = strtok(text[n], "=");
        values[n] = strtok(NULL, "=");
    }
    lmb_status st = lmb_method_new(m, n, keys, values, &state);
    if (st == LMB_OK)
        st = m->check_stages(state, stages, last);
    lmb_method_free(m, state);
    return st;
}

#define CONFIGURE(stages, ...) \
    configure((const char *const[5]){__VA_ARGS__}, (stages), (stages))

/* What is switched on and would never act is refused. */
static void refuses_modules_that_never_act(void **state)
{
    (void)state;
    CHECK_OK(CONFIGURE(2, "dfm=true"));
    CHECK_OK(CONFIGURE(1, "sal=false"));
    CHECK_OK(CONFIGURE(1, "sal=false", "mes_from=1"));
    CHECK_OK(CONFIGURE(2, "dfm=false"));
    CHECK_OK(CONFIGURE(2, "detector=two_stage", "mes=ratio"));
    CHECK_ERR(CONFIGURE(1, "dfm=true"), LMB_EINVAL, "the run has one stage");
    CHECK_ERR(CONFIGURE(2, "sal=false"), LMB_EINVAL, "2 stages");
    CHECK_ERR(CONFIGURE(2, "mes_from=3"), LMB_EINVAL, "the run has 2");
    static const char *const plain[5] = {0}, *const off[5] = {"mes=off"};
    CHECK_ERR(configure(plain, 2, 1), LMB_EINVAL, "last with dfmsd is 1");
    CHECK_OK(configure(off, 2, 1));
    CHECK_OK(configure(plain, 3, 2));
    CHECK_ERR(CONFIGURE(1, "sal=false", "mes=gap"), LMB_EINVAL, "mes=off");
    CHECK_ERR(CONFIGURE(2, "dfm=false", "mes=gap"), LMB_EINVAL, "mes=off");
    CHECK_ERR(CONFIGURE(2, "dfm=false", "sfa=off"), LMB_EINVAL, "no loss");
    CHECK_ERR(
        CONFIGURE(2, "dfm=false", "sfa=standardize"), LMB_EINVAL, "sfa=loss");
    CHECK_ERR(
        CONFIGURE(2, "mes=ratio", "rule=threshold"), LMB_EINVAL, "threshold");
    CHECK_ERR(
        CONFIGURE(2, "mes=ratio", "ratio_space=0.7"), LMB_EINVAL, "mes_ratio");
}

/* Two-stage defaults are those written out; explicit keys win. */
static void two_stage_detectors_have_their_own_defaults(void **state)
{
    conf preset = with(&method, "detector=two_stage", NULL, NULL);
    conf written = with(&method, "alpha=5e-7", "sfa_weight=6", NULL);
    (void)state;
    written.options[2] = "ratio_space=0.45";
    written.options[3] = "ratio_channel=0.45";
    CHECK_NEAR(value_of(&preset, 5), value_of(&written, 5), 0);
    preset.options[1] = "alpha=2";
    written.options[0] = "alpha=2";
    CHECK_NEAR(value_of(&preset, 5), value_of(&written, 5), 0);
}

/* P2 .. P5 of P2 .. P6, unless more are asked for; all of other detectors. */
static void two_stage_detectors_compare_four_levels(void **state)
{
    static const lmb_tap tap[] = {{.name = "p2"}, {.name = "p3"},
        {.name = "p4"}, {.name = "p5"}, {.name = "p6"}};
    static const lmb_taps taps = {tap, LMB_COUNT(tap)};
    static const char *const names[] = {"dfmsd", "fgd"};
    static const char *const keys[] = {"detector", "levels"};
    static const char *const values[] = {"two_stage", "5"};
    static const int want[] = {5, 4, 5}; /* by the number of options */
    (void)state;
    for (int i = 0; i < 6; i++) {
        const lmb_method *m = lmb_method_find(names[i / 3]);
        void *made = NULL;
        lmb_pairs pairs;
        CHECK_OK(lmb_method_new(m, i % 3, keys, values, &made));
        CHECK_OK(lmb_method_pairs(m, made, &taps, &taps, 0, NULL, &pairs));
        assert_int_equal(pairs.count, want[i % 3]);
        lmb_method_free(m, made);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(every_form_has_an_exact_gradient),
    cmocka_unit_test(alignment_has_known_value_and_gradient),
    cmocka_unit_test(without_its_modules_it_is_dmkd),
    cmocka_unit_test(alignment_is_pkd),
    cmocka_unit_test(enhancement_acts_from_its_stage_on),
    cmocka_unit_test(refuses_modules_that_never_act),
    cmocka_unit_test(two_stage_detectors_have_their_own_defaults),
    cmocka_unit_test(two_stage_detectors_compare_four_levels))
