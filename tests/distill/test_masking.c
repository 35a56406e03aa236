/* test_masking.c: which elements a mask hides. */
#include "op/op_check.h"

#include "distill/masking.h"

typedef struct rule {
    double ratio;
    int polarity;
} rule;

static lmb_value quantile(lmb_graph *g, const lmb_value *x, const void *user)
{
    const rule *r = user;
    return lmb_mask_quantile(g, x[0], r->ratio, r->polarity);
}

static lmb_value threshold(lmb_graph *g, const lmb_value *x, const void *user)
{
    const rule *r = user;
    return lmb_mask_threshold(g, x[0], r->ratio, r->polarity);
}

static lmb_value level(lmb_graph *g, const lmb_value *x, const void *user)
{
    const rule *r = user;
    return lmb_mask_level(g, x[0], r->ratio, r->polarity);
}

static void check(op_build build, rule r, const double *x, const double *want,
    lmb_shape shape)
{
    const double *in[] = {x};
    const op_case c = {build, OP_ANY, &r, 1, {{4, {2, 1, 2, 3}}}};
    op_check_value(&c, in, shape, want, 1e-15);
}

static const double x[12] = {3, 1, 5, 5, 0, 2, 1, 1, 1, 1, 1, 1};

static void hides_a_fixed_share_of_each_image_by_rank(void **state)
{
    const lmb_shape shape = LMB_SHAPE(2, 1, 2, 3);
    static const double half[12] = {0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1};
    static const double low[12] = {1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1};
    static const double one[12] = {1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1};
    static const double all[12] = {0};
    static const double none[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    (void)state;
    check(quantile, (rule){0.5, LMB_HIDE_IMPORTANT}, x, half, shape);
    check(quantile, (rule){0.3, LMB_HIDE_UNIMPORTANT}, x, low, shape);
    /* Of the two fives the first; of six ones the first. */
    check(quantile, (rule){1 / 6., LMB_HIDE_IMPORTANT}, x, one, shape);
    check(quantile, (rule){1, LMB_HIDE_IMPORTANT}, x, all, shape);
    check(quantile, (rule){0, LMB_HIDE_IMPORTANT}, x, none, shape);
}

static void hides_what_reaches_the_threshold(void **state)
{
    const lmb_shape shape = LMB_SHAPE(2, 1, 2, 3);
    static const double high[12] = {0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    static const double low[12] = {1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};
    (void)state;
    check(threshold, (rule){3, LMB_HIDE_IMPORTANT}, x, high, shape);
    check(threshold, (rule){3, LMB_HIDE_UNIMPORTANT}, x, low, shape);
}

static void the_level_is_the_last_hidden_weight(void **state)
{
    const lmb_shape shape = LMB_SHAPE(2, 1, 1, 1);
    static const double high[2] = {3, 1}, low[2] = {1, 1};
    (void)state;
    check(level, (rule){0.5, LMB_HIDE_IMPORTANT}, x, high, shape);
    check(level, (rule){0.3, LMB_HIDE_UNIMPORTANT}, x, low, shape);
    /* None is hidden: nothing reaches the level, soft masks are 1. */
    static const double above[2] = {1000005, 1000001};
    static const double below[2] = {-1000000, -999999};
    check(level, (rule){0, LMB_HIDE_IMPORTANT}, x, above, shape);
    check(level, (rule){0, LMB_HIDE_UNIMPORTANT}, x, below, shape);
}

static lmb_value soft(lmb_graph *g, const lmb_value *in, const void *user)
{
    const rule *r = user;
    return lmb_mask_soft(g, in[0], in[1], r->ratio, r->polarity);
}

static void soft_masks_are_a_half_at_the_level(void **state)
{
    static const double w[3] = {1, 2, 4}, at[1] = {2};
    static const rule hide = {0.5, LMB_HIDE_IMPORTANT};
    static const rule show = {0.5, LMB_HIDE_UNIMPORTANT};
    const double want[3] = {1 / (1 + exp(-2.)), 0.5, 1 / (1 + exp(4.))};
    const double turned[3] = {1 - want[0], 0.5, 1 - want[2]};
    const double *in[] = {w, at};
    op_case c = {soft, OP_ANY, &hide, 2, {{4, {1, 3, 1, 1}}, {0}}};
    (void)state;
    c.shape[1] = LMB_SHAPE(1, 1, 1, 1);
    op_check_value(&c, in, c.shape[0], want, 1e-15);
    c.user = &show;
    op_check_value(&c, in, c.shape[0], turned, 1e-15);
}

LMB_TEST_MAIN(cmocka_unit_test(hides_a_fixed_share_of_each_image_by_rank),
    cmocka_unit_test(hides_what_reaches_the_threshold),
    cmocka_unit_test(the_level_is_the_last_hidden_weight),
    cmocka_unit_test(soft_masks_are_a_half_at_the_level))
