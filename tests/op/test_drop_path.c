/* drop_path: factors, their frequency, keys and steps, gradients, refusals. */
#include "op_check.h"

typedef struct path {
    double rate;
    uint32_t key;
    int32_t draw[4];
} path;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const path *p = user;
    const lmb_value draw = lmb_graph_index_constant(g, LMB_SHAPE(4), p->draw);
    return lmb_drop_path(g, x[0], draw, p->rate, p->key);
}

enum { N = 4000 };

static void factors(const path *p, double *out)
{
    const op_case c = {build, OP_ANY, p, 1, {LMB_SHAPE(N, 1)}};
    double ones[N];
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    op_built b = op_build_case(&c);
    CHECK_OK(lmb_graph_status(b.g));
    op_run run;
    CHECK_OK(op_run_graph(b.g, 1, &(op_feed){b.x[0], ones}, &run));
    memcpy(out, run.data[b.y.id], N * sizeof *out);
    op_run_free(&run);
    lmb_graph_free(b.g);
}

static void factors_are_0_or_the_inverse_rate(void **state)
{
    (void)state;
    const path p = {0.2, 3, {-7, 1, 40, 0}};
    double y[N];
    int dropped = 0;
    factors(&p, y);
    for (int i = 0; i < N; i++) {
        assert_true(y[i] == 0 || y[i] == 1.25);
        dropped += y[i] == 0;
    }
    /* 800 expected, standard deviation 25. */
    assert_in_range(dropped, 700, 900);
}

static void branches_steps_and_seeds_differ(void **state)
{
    (void)state;
    const path p = {0.5, 3, {1, 2, 3, 4}};
    const path other[] = {{0.5, 4, {1, 2, 3, 4}}, {0.5, 3, {0, 2, 3, 4}},
        {0.5, 3, {1, 0, 3, 4}}, {0.5, 3, {1, 2, 0, 4}}, {0.5, 3, {1, 2, 3, 0}}};
    double y[N], z[N];
    factors(&p, y);
    for (size_t k = 0; k < LMB_COUNT(other); k++) {
        int same = 0;
        factors(&other[k], z);
        for (int i = 0; i < N; i++)
            same += y[i] == z[i];
        assert_in_range(same, N / 2 - 200, N / 2 + 200);
    }
    factors(&p, z);
    assert_memory_equal(y, z, sizeof y);
}

static void rate_0_is_exact(void **state)
{
    (void)state;
    const path p = {0, 3, {1, 2, 3, 4}};
    const op_case c = {build, OP_ANY, &p, 1, {LMB_SHAPE(2, 3)}};
    const double *x = OP_D(1.5, -2, 0, 1e300, 7, 0.1);
    op_check_value(&c, OP_X(x), LMB_SHAPE(2, 3), x, 0);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    const path p = {0.4, 3, {1, 2, 3, 4}};
    const op_case c = {build, OP_ANY, &p, 1, {LMB_SHAPE(8, 2, 3)}};
    op_check_gradient(&c);
}

static void wrong_rates_are_refused(void **state)
{
    (void)state;
    path p = {1, 3, {1, 2, 3, 4}};
    const op_case c = {build, OP_ANY, &p, 1, {LMB_SHAPE(8, 2)}};
    op_check_refused(&c, LMB_EINVAL, "rate 1 is not in 0 .. 1");
    p.rate = NAN;
    op_check_refused(&c, LMB_EINVAL, "rate nan");
}

LMB_TEST_MAIN(cmocka_unit_test(factors_are_0_or_the_inverse_rate),
    cmocka_unit_test(branches_steps_and_seeds_differ),
    cmocka_unit_test(rate_0_is_exact),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_rates_are_refused))
