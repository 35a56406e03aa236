#include "assign_case.h"

/* Anchors of 10 by 10 in a row, one far away. */
static const double anchors[] = {0, 0, 10, 10, 5, 0, 15, 10, 10, 0, 20, 10, 15,
    0, 25, 10, 100, 100, 110, 110};

static int build(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_truth truth = {in[1], in[2], in[3], LMB_NONE, in[4]};
    const lmb_assigned a = lmb_assign_max_iou(g, in[0], &truth, user);
    return assign_outputs(&a, out);
}

#define CASE(attr, images, boxes, box_data, label_data, valid_data) \
    ASSIGN_CASE( \
        attr, anchors, 4, images, boxes, box_data, label_data, valid_data)

static void thresholds_make_three_kinds(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.5, 0.4, 0, false};
    /* IoUs with anchors 0 .. 4: 0.8, 0.44, 0, 0, 0; second image: none. */
    host_case c = CASE(
        &attr, 2, 1, OP_D(0, 0, 10, 8, 0, 0, 10, 8), OP_D(2, 1), OP_D(1, 0));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(2, 3, 3, 3, 3, 3, 3, 3, 3, 3), 10, 0);
    CHECK_ARRAYS(c.result[1], OP_D(0, 0, 10, 8, 0, 0, 0, 0), 8, 0);
    CHECK_NEAR(c.result[2][0], 1, 0);
    host_close(&c);
    const lmb_max_iou_attr wide = {3, 0.5, 0.2, 0, false};
    host_case d = CASE(&wide, 1, 1, OP_D(0, 0, 10, 8), OP_D(2), OP_D(1));
    host_run(&d);
    CHECK_ARRAYS(d.result[0], OP_D(2, -1, 3, 3, 3), 5, 0);
    host_close(&d);
}

static void every_box_takes_its_best_anchors_and_all_that_tie(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.7, 0.3, 0.1, true};
    /* The first box ties between anchors 0 and 1, the second is far off and
     * below `least`. */
    host_case c = CASE(&attr, 1, 2, OP_D(5, 0, 10, 10, 109, 109, 119, 119),
        OP_D(1, 2), OP_D(1, 1));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(1, 1, 3, 3, 3), 5, 0);
    CHECK_NEAR(c.result[2][0], 2, 0);
    host_close(&c);
}

/* Centres (8, 8), (36, 8), (24, 8), (8, 48), (8, 24): of a picture of 32 by 32
 * the second and the fourth lie in the padding of its batch, of one that is 64
 * wide the fourth. The box meets the second most (0.3), the third less
 * (0.25). */
static void anchors_in_the_padding_are_left_out(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {2, 0.5, 0.4, 0.2, true};
    static const double places[] = {0, 0, 16, 16, 26, 0, 46, 16, 12, 0, 36, 16,
        0, 40, 16, 56, 0, 16, 16, 32};
    host_case c = CASE(&attr, 2, 1, OP_D(26, 0, 32, 16, 26, 0, 32, 16),
        OP_D(1, 1), OP_D(1, 1));
    c.in[0].data = places;
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(2, 1, 2, 2, 2, 2, 1, 2, 2, 2), 10, 0);
    host_close(&c);
    host_case d = CASE(&attr, 2, 1, OP_D(26, 0, 32, 16, 26, 0, 32, 16),
        OP_D(1, 1), OP_D(1, 1));
    d.in[0].data = places;
    d.in[4] = (host_input){LMB_F32, LMB_SHAPE(2, 2), OP_D(32, 31, 30, 64)};
    d.n = 5;
    host_run(&d);
    CHECK_ARRAYS(d.result[0], OP_D(2, -1, 1, -1, 2, 2, 1, 2, -1, 2), 10, 0);
    CHECK_ARRAYS(d.result[1] + 4, OP_D(0, 0, 0, 0, 26, 0, 32, 16), 8, 0);
    CHECK_NEAR(d.result[2][0], 2, 0);
    host_close(&d);
    host_case odd = CASE(&attr, 2, 1, OP_D(26, 0, 32, 16, 26, 0, 32, 16),
        OP_D(1, 1), OP_D(1, 1));
    odd.in[4] = (host_input){LMB_F32, LMB_SHAPE(1, 2), OP_D(32, 31)};
    odd.n = 5;
    host_refused(&odd, LMB_ESHAPE, "sizes of 1 images, boxes of 2");
}

static void later_boxes_take_from_earlier_ones(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.5, 0.4, 0, true};
    /* Identical boxes: the first by IoU, the last by quality. */
    host_case c =
        CASE(&attr, 1, 3, OP_D(0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 10, 10),
            OP_D(0, 1, 2), OP_D(1, 1, 1));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(2, 3, 3, 3, 3), 5, 0);
    host_close(&c);
}

static void degenerate_boxes_take_nothing(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.5, 0.4, 0, true};
    host_case c = CASE(
        &attr, 1, 2, OP_D(3, 3, 3, 3, 200, 0, 300, 10), OP_D(0, 1), OP_D(1, 1));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(3, 3, 3, 3, 3), 5, 0);
    CHECK_NEAR(c.result[2][0], 0, 0);
    host_close(&c);
}

static void a_data_set_without_boxes_is_background(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {1, 0.5, 0.4, 0, true};
    host_case c = CASE(&attr, 1, 0, NULL, NULL, NULL);
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(1, 1, 1, 1, 1), 5, 0);
    host_close(&c);
}

static void bad_truth_is_an_error_that_says_where(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.5, 0.4, 0, true};
    host_case nan = CASE(
        &attr, 1, 2, OP_D(0, 0, 1, 1, 0, NAN, 1, 1), OP_D(0, 1), OP_D(1, 1));
    host_fails(&nan, LMB_EINVAL, "assign_max_iou: box 1 of image 0 is [0 nan");
    host_case label = CASE(&attr, 1, 1, OP_D(0, 0, 1, 1), OP_D(3), OP_D(1));
    host_fails(&label, LMB_EINVAL, "label 3 of box 0 of image 0 outside 0..2");
    /* What is not valid is not looked at. */
    host_case padding =
        CASE(&attr, 1, 1, OP_D(0, 0, NAN, 1), OP_D(-7), OP_D(0));
    host_run(&padding);
    host_close(&padding);
}

static void bad_shapes_and_options_are_refused(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.5, 0.4, 0, true};
    const lmb_max_iou_attr turned = {3, 0.4, 0.5, 0, true};
    const lmb_max_iou_attr none = {0, 0.5, 0.4, 0, true};
    host_case c = CASE(&turned, 1, 1, NULL, NULL, NULL);
    host_refused(&c, LMB_EINVAL, "positive = 0.4 and negative = 0.5");
    host_case d = CASE(&none, 1, 1, NULL, NULL, NULL);
    host_refused(&d, LMB_EINVAL, "classes = 0");
    const lmb_max_iou_attr kind = {3, 0.5, 0.4, 0, 3};
    host_case k = CASE(&kind, 1, 1, NULL, NULL, NULL);
    host_refused(&k, LMB_EINVAL, "low_quality = 3, not 0 to 2");
    host_case e = CASE(&attr, 1, 1, NULL, NULL, NULL);
    e.in[2].shape = LMB_SHAPE(1, 2);
    host_refused(&e, LMB_ESHAPE,
        "assign_max_iou: labels [1, 2] do not belong to boxes [1, 1, 4]");
    host_case f = CASE(&attr, 1, 1, NULL, NULL, NULL);
    f.in[0].shape = LMB_SHAPE(4, 5);
    host_refused(&f, LMB_ESHAPE, "anchors [4, 5]: rank 2, last axis 4");
}

static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.5, 0.4, 0, true};
    host_case c = CASE(&attr, 1, 1, OP_D(0, 0, 1, 1), OP_D(0), OP_D(1));
    host_out_of_memory(&c);
}

/* What depends on constants alone is a step of its own, run once. */
static void constants_are_assigned_once(void **state)
{
    (void)state;
    const lmb_max_iou_attr attr = {3, 0.5, 0.4, 0, true};
    const int32_t label = 2;
    lmb_graph *g = NULL;
    lmb_plan *plan = NULL;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_truth truth = {
        .boxes =
            lmb_graph_constant(g, LMB_SHAPE(1, 1, 4), OP_D(0, 0, 10, 8), 0),
        .labels = lmb_graph_index_constant(g, LMB_SHAPE(1, 1), &label),
        .valid = lmb_graph_constant(g, LMB_SHAPE(1, 1), NULL, 1),
    };
    const lmb_assigned a = lmb_assign_max_iou(
        g, lmb_graph_constant(g, LMB_SHAPE(5, 4), anchors, 0), &truth, &attr);
    CHECK_OK(lmb_plan_compile(
        g, 1, &a.label, &(lmb_plan_opts){.bf16 = false}, &plan));
    assert_int_equal(lmb_plan_describe(plan).static_steps, 1);
    assert_int_equal(lmb_plan_describe(plan).steps, 0);
    CHECK_OK(lmb_plan_run(plan));
    int32_t have[5];
    CHECK_OK(lmb_plan_read(plan, a.label, LMB_I32, have));
    assert_memory_equal(have, ((int32_t[]){2, 3, 3, 3, 3}), sizeof have);
    lmb_plan_free(plan);
    lmb_graph_free(g);
}

LMB_TEST_MAIN(cmocka_unit_test(thresholds_make_three_kinds),
    cmocka_unit_test(every_box_takes_its_best_anchors_and_all_that_tie),
    cmocka_unit_test(anchors_in_the_padding_are_left_out),
    cmocka_unit_test(later_boxes_take_from_earlier_ones),
    cmocka_unit_test(degenerate_boxes_take_nothing),
    cmocka_unit_test(a_data_set_without_boxes_is_background),
    cmocka_unit_test(bad_truth_is_an_error_that_says_where),
    cmocka_unit_test(bad_shapes_and_options_are_refused),
    cmocka_unit_test(constants_are_assigned_once),
    cmocka_unit_test(running_out_of_memory_is_reported))
