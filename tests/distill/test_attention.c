/* test_attention.c: spatial and channel attention. */
#include "op/op_check.h"

#include "distill/attention.h"

/* C = 2, H = 2, W = 3. */
static const double map[12] = {1, -2, .5, 0, 3, -1, .5, 1, -.5, 2, -1, 0};

static lmb_value space(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_attend(g, x[0], *(const double *)user).space;
}

static lmb_value channel(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_attend(g, x[0], *(const double *)user).channel;
}

static void has_the_values_of_fgd(void **state)
{
    static const double half = 0.5;
    static const double want_space[6] = {0.2923126790, 1.3100545386,
        0.1772966020, 0.4819421316, 3.5610974467, 0.1772966020};
    static const double want_channel[2] = {1.3941185679, 0.6058814321};
    const op_case s = {space, OP_ANY, &half, 1, {{4, {1, 2, 2, 3}}}};
    const op_case c = {channel, OP_ANY, &half, 1, {{4, {1, 2, 2, 3}}}};
    const double *x[] = {map};
    (void)state;
    op_check_value(&s, x, LMB_SHAPE(1, 1, 2, 3), want_space, 1e-9);
    op_check_value(&c, x, LMB_SHAPE(1, 2, 1, 1), want_channel, 1e-9);
    op_check_gradient(&s);
    op_check_gradient(&c);
}

static lmb_value means(lmb_graph *g, const lmb_value *x, const void *user)
{
    const uint32_t image = LMB_AXIS(1) | LMB_AXIS(2) | LMB_AXIS(3);
    const lmb_attention a = lmb_attend(g, x[0], *(const double *)user);
    const lmb_value stronger = lmb_reweigh(g, a.space, x[1], 2);
    lmb_value all[] = {lmb_mean(g, a.space, image, false),
        lmb_mean(g, a.channel, image, false),
        lmb_mean(g, stronger, image, false)};
    return lmb_concat(g, 3, all, 0);
}

static void means_are_one_in_each_image(void **state)
{
    static const double temperatures[] = {0.05, 0.5, 10};
    static const double ones[6] = {1, 1, 1, 1, 1, 1};
    double x[2 * 2 * 2 * 3], gap[2 * 2 * 3];
    const double *in[] = {x, gap};
    lmb_rng rng = lmb_rng_make(3, LMB_STREAM_TEST, 0, 0);
    (void)state;
    for (int i = 0; i < 24; i++)
        x[i] = 3 * lmb_rng_normal(&rng);
    for (int i = 0; i < 12; i++)
        gap[i] = lmb_rng_uniform(&rng);
    for (size_t i = 0; i < LMB_COUNT(temperatures); i++) {
        const op_case c = {means, OP_ANY, &temperatures[i], 2,
            {{4, {2, 2, 2, 3}}, {4, {2, 1, 2, 3}}}};
        op_check_value(&c, in, LMB_SHAPE(6), ones, 1e-12);
    }
}

static lmb_value reweighed(lmb_graph *g, const lmb_value *x, const void *user)
{
    return lmb_reweigh(g, x[0], x[1], *(const double *)user);
}

static void reweighs_by_a_power_of_the_gap(void **state)
{
    static const double weight[4] = {1, 2, 0.5, 0.5}, gap[4] = {2, 1, 0, 4};
    static const double one = 1, two = 2, none = 0;
    /* products 2 2 0 2 and 4 2 0 8 over their means */
    static const double want1[4] = {4 / 3., 4 / 3., 0, 4 / 3.};
    static const double want2[4] = {8 / 7., 4 / 7., 0, 16 / 7.};
    const double *x[] = {weight, gap};
    op_case c = {reweighed, OP_ANY, &one, 2, {{4, {1, 1, 2, 2}}}};
    (void)state;
    c.shape[1] = c.shape[0];
    op_check_value(&c, x, c.shape[0], want1, 1e-12);
    c.user = &two;
    op_check_value(&c, x, c.shape[0], want2, 1e-12);
    c.user = &none;
    op_check_value(&c, x, c.shape[0], weight, 1e-12);
}

LMB_TEST_MAIN(cmocka_unit_test(has_the_values_of_fgd),
    cmocka_unit_test(means_are_one_in_each_image),
    cmocka_unit_test(reweighs_by_a_power_of_the_gap))
