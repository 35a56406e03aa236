#include "op_check.h"

static void labels_in_range_are_one(void **state)
{
    (void)state;
    lmb_graph *g = NULL;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_value label =
        lmb_graph_input(g, "label", LMB_I32, LMB_SHAPE(2, 3));
    const lmb_value y = lmb_label_mask(g, label, 0, 2);
    CHECK_OK(lmb_graph_status(g));
    assert_int_equal(lmb_graph_type(g, y).dtype, LMB_F32);
    op_run run;
    const op_feed feed = {label, OP_D(-1, 0, 1, 2, 3, 0)};
    CHECK_OK(op_run_graph(g, 1, &feed, &run));
    CHECK_ARRAYS(run.data[y.id], OP_D(0, 1, 1, 0, 0, 1), 6, 0);
    op_run_free(&run);
    lmb_graph_free(g);
}

static lmb_value build(lmb_graph *g, const lmb_value *x, const void *user)
{
    (void)user;
    return lmb_label_mask(g, x[0], 0, 2);
}

static void reals_are_refused(void **state)
{
    (void)state;
    const op_case c = {build, OP_ANY, NULL, 1, {LMB_SHAPE(3)}};
    op_check_refused(&c, LMB_EINVAL, "label_mask: input 0 of shape [3] must");
}

LMB_TEST_MAIN(cmocka_unit_test(labels_in_range_are_one),
    cmocka_unit_test(reals_are_refused))
