/* test_mimic.c: imitation inside boxes. */
#include "distill/conformance.h"

static const conf method = {
    .method = "mimic",
    .student = {{"p3", {4, {2, 2, 4, 5}}}, {"p4", {4, {2, 3, 2, 2}}}},
    .teacher = {{"p3", {4, {2, 3, 4, 5}}}, {"p4", {4, {2, 3, 2, 3}}}},
    .boxes = 3,
    .input_size = {32, 40},
};

static void conforms(void **state)
{
    (void)state;
    conf_all(&method);
}

/* One box over the cells (1, 2), (1, 3) of the first image. */
static void counts_the_cells_whose_centre_is_inside(void **state)
{
    static const double boxes[8] = {17, 9, 30, 14};
    static const conf one = {.method = "mimic",
        .student = {{"p3", {4, {2, 2, 4, 5}}}},
        .teacher = {{"p3", {4, {2, 2, 4, 5}}}},
        .boxes = 1,
        .input_size = {32, 40}};
    conf_run *r = malloc(sizeof *r);
    double want = 0;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &one, 5, 1, 0);
    r->in.boxes = boxes;
    for (int c = 0; c < 2; c++)
        for (int x = 2; x < 4; x++) {
            const int at = (c * 4 + 1) * 5 + x;
            want += pow(r->s[0][at] - r->t[0][at], 2) / 4;
        }
    CHECK_NEAR(conf_eval(&one, r), want, 1e-13);
    int touched = 0;
    for (int i = 0; i < 80; i++)
        touched += r->grad[0][i] != 0;
    assert_int_equal(touched, 4);
    /* Without any box there is nothing to imitate. */
    static const double none[8] = {0};
    r->in.boxes = none;
    CHECK_NEAR(conf_eval(&one, r), 0, 0);
    free(r);
}

static void may_imitate_everywhere(void **state)
{
    static const conf all = {.method = "mimic",
        .options = {"region=all"},
        .student = {{"p3", {4, {2, 2, 4, 5}}}},
        .teacher = {{"p3", {4, {2, 2, 4, 5}}}},
        .boxes = 1,
        .input_size = {32, 40},
        .zero_at_identity = true};
    (void)state;
    conf_identity(&all);
    conf_gradient(&all);
}

LMB_TEST_MAIN(cmocka_unit_test(conforms),
    cmocka_unit_test(counts_the_cells_whose_centre_is_inside),
    cmocka_unit_test(may_imitate_everywhere))
