#include "op_check.h"

typedef struct labels {
    int64_t classes;
    lmb_shape shape;
    int32_t label[4];
} labels;

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    const labels *l = user;
    (void)x;
    return lmb_one_hot(
        g, lmb_graph_index_constant(g, l->shape, l->label), l->classes);
}

static void labels_become_rows(void **state)
{
    (void)state;
    const labels l = {3, {1, {2}}, {2, 0}};
    const op_case c = {.build = build, .user = &l};
    op_check_value(&c, NULL, LMB_SHAPE(2, 3), OP_D(0, 0, 1, 1, 0, 0), 0);
    const labels one = {1, {1, {2}}, {0, 0}};
    const op_case d = {.build = build, .user = &one};
    op_check_value(&d, NULL, LMB_SHAPE(2, 1), OP_D(1, 1), 0);
}

static void labels_outside_fail_at_the_run(void **state)
{
    (void)state;
    const labels high = {3, {1, {2}}, {2, 3}};
    const op_case c = {.build = build, .user = &high};
    op_check_run_fails(
        &c, NULL, LMB_EINVAL, "label 3 of sample 1 outside 0..2");
    const labels low = {3, {1, {2}}, {-1, 0}};
    const op_case d = {.build = build, .user = &low};
    op_check_run_fails(&d, NULL, LMB_EINVAL, "label -1 of sample 0");
}

static lmb_value loose(lmb_graph *g, const lmb_value *x, const void *user)
{
    const labels *l = user;
    (void)x;
    return lmb_one_hot_or_zero(
        g, lmb_graph_index_constant(g, l->shape, l->label), l->classes);
}

static void labels_outside_are_rows_of_zeros_if_asked(void **state)
{
    (void)state;
    const labels l = {2, {1, {3}}, {-1, 1, 2}};
    const op_case c = {.build = loose, .user = &l};
    op_check_value(&c, NULL, LMB_SHAPE(3, 2), OP_D(0, 0, 0, 1, 0, 0), 0);
}

static lmb_value real(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_one_hot(g, x[0], 3);
}

static void misfits_are_refused(void **state)
{
    (void)state;
    const labels rank = {3, {2, {2, 1}}, {0, 0}};
    const op_case c = {.build = build, .user = &rank};
    op_check_refused(&c, LMB_ESHAPE, "one_hot: labels of shape [2, 1]");
    const labels none = {0, {1, {2}}, {0, 0}};
    const op_case d = {.build = build, .user = &none};
    op_check_refused(&d, LMB_ESHAPE, "0 classes");
    const op_case e = {real, OP_ANY, NULL, 1, {LMB_SHAPE(2)}};
    op_check_refused(&e, LMB_EINVAL, "must be an index");
}

LMB_TEST_MAIN(cmocka_unit_test(labels_become_rows),
    cmocka_unit_test(labels_outside_fail_at_the_run),
    cmocka_unit_test(labels_outside_are_rows_of_zeros_if_asked),
    cmocka_unit_test(misfits_are_refused))
