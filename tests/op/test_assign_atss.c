#include "assign_case.h"

/* Two levels: four anchors of 8 by 8, one of 16 by 16. */
static const double anchors[] = {
    -4, -4, 4, 4, 4, -4, 12, 4, -4, 4, 4, 12, 4, 4, 12, 12, -8, -8, 8, 8};

static int build(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_truth truth = {in[1], in[2], in[3], LMB_NONE, in[4]};
    const lmb_assigned a = lmb_assign_atss(g, in[0], &truth, user);
    return assign_outputs(&a, out);
}

#define CASE(attr, images, boxes, box_data, label_data, valid_data) \
    ASSIGN_CASE( \
        attr, anchors, 4, images, boxes, box_data, label_data, valid_data)

static const lmb_atss_attr two = {2, 2, 2, {4, 1}};

static void those_above_mean_and_deviation_are_positive(void **state)
{
    (void)state;
    /* Candidates 0 (IoU 36/64), 1 (4 * 6 / 96 of a box 6 by 6 at -3), 4. */
    host_case c = CASE(
        &two, 2, 1, OP_D(-3, -3, 3, 3, 0, 0, 1, 1), OP_D(1, 0), OP_D(1, 0));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(1, 2, 2, 2, 2, 2, 2, 2, 2, 2), 10, 0);
    CHECK_ARRAYS(c.result[1], OP_D(-3, -3, 3, 3, 0, 0, 0, 0), 8, 0);
    CHECK_NEAR(c.result[2][0], 1, 0);
    host_close(&c);
}

static void the_largest_iou_wins_an_anchor(void **state)
{
    (void)state;
    host_case c =
        CASE(&two, 1, 3, OP_D(-3, -3, 3, 3, -4, -4, 4, 4, -4, -4, 4, 4),
            OP_D(1, 0, 1), OP_D(1, 1, 1));
    host_run(&c);
    CHECK_NEAR(c.result[0][0], 0, 0); /* of equals the first */
    CHECK_NEAR(c.result[2][0], 1, 0);
    host_close(&c);
}

static void centres_outside_are_background(void **state)
{
    (void)state;
    /* Between the anchors: no centre inside. */
    host_case c =
        CASE(&two, 1, 2, OP_D(1, 1, 7, 7, 2, 2, 2, 2), OP_D(1, 1), OP_D(1, 1));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(2, 2, 2, 2, 2), 5, 0);
    host_close(&c);
}

static void equal_candidates_all_reach_their_mean(void **state)
{
    (void)state;
    const lmb_atss_attr one = {2, 9, 1, {4}};
    host_case c =
        CASE(&one, 1, 1, OP_D(-30.3, -30.3, 40.1, 40.1), OP_D(1), OP_D(1));
    c.in[0].shape = LMB_SHAPE(4, 4);
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(1, 1, 1, 1), 4, 0);
    host_close(&c);
    const lmb_atss_attr single = {2, 1, 1, {1}};
    host_case d = CASE(&single, 1, 1, OP_D(-3, -3, 9, 9), OP_D(1), OP_D(1));
    d.in[0].shape = LMB_SHAPE(1, 4);
    host_run(&d);
    CHECK_NEAR(d.result[0][0], 1, 0);
    host_close(&d);
}

static void no_boxes_and_no_anchors_are_fine(void **state)
{
    (void)state;
    host_case c = CASE(&two, 1, 0, NULL, NULL, NULL);
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(2, 2, 2, 2, 2), 5, 0);
    host_close(&c);
    const lmb_atss_attr none = {2, 2, 2, {0, 0}};
    host_case d = CASE(&none, 1, 1, OP_D(0, 0, 1, 1), OP_D(0), OP_D(1));
    d.in[0].shape = LMB_SHAPE(0, 4);
    host_run(&d);
    CHECK_NEAR(d.result[2][0], 0, 0);
    host_close(&d);
}

static int build_region(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_truth truth = {in[1], in[2], in[3], LMB_NONE, in[4]};
    out[0] = lmb_valuable_atss(g, in[0], &truth, user);
    return 1;
}

/* The threshold of IoUs 36/64, 0, 36/256 is 0.527: anchor 0 reaches it, 4 a
 * quarter of it. */
static void the_region_around_has_its_iou(void **state)
{
    (void)state;
    host_case c =
        CASE(&two, 2, 2, OP_D(-3, -3, 3, 3, 9, 9, 9, 9, 0, 0, 1, 1, 0, 0, 1, 1),
            OP_D(1, 0, 0, 0), OP_D(1, 0, 0, 0));
    c.build = build_region;
    host_run(&c);
    CHECK_ARRAYS(
        c.result[0], OP_D(0, 0, 0, 0, 36.0 / 256, 0, 0, 0, 0, 0), 10, 1e-6);
    host_close(&c);
    host_case bad = CASE(&two, 1, 1, OP_D(0, INFINITY, 1, 1), OP_D(0), OP_D(1));
    bad.build = build_region;
    host_fails(&bad, LMB_EINVAL, "valuable_atss: box 0 of image 0 is [0 inf");
    host_case m = CASE(&two, 1, 1, OP_D(0, 0, 1, 1), OP_D(0), OP_D(1));
    m.build = build_region;
    host_out_of_memory(&m);
}

/* Anchors of 16 by 16 at (16, 16), (32, 16), (8, 16), (16, 8), one of 32 by 32
 * at (16, 16); the box's centre is (22, 16). Its candidates are the first, the
 * second (the first of two as far) and the last; in a picture of width 32 the
 * second lies in the padding, and the fourth takes its place. IoUs 160/352,
 * 96/416, 80/432, 256/1024: the thresholds are 0.436 and 0.437. */
static void anchors_in_the_padding_are_no_candidates(void **state)
{
    (void)state;
    const lmb_atss_attr attr = {2, 2, 2, {4, 1}};
    static const double places[] = {
        8, 8, 24, 24, 24, 8, 40, 24, 0, 8, 16, 24, 8, 0, 24, 16, 0, 0, 32, 32};
    for (int sized = 0; sized < 2; sized++) {
        host_case c = CASE(&attr, 1, 1, OP_D(14, 8, 30, 24), OP_D(1), OP_D(1));
        c.in[0].data = places;
        c.in[4] = (host_input){LMB_F32, LMB_SHAPE(1, 2), OP_D(32, 32)};
        c.n = 4 + sized;
        host_run(&c);
        CHECK_ARRAYS(c.result[0],
            sized ? OP_D(1, -1, 2, 2, 2) : OP_D(1, 2, 2, 2, 2), 5, 0);
        host_close(&c);
        host_case r = CASE(&attr, 1, 1, OP_D(14, 8, 30, 24), OP_D(1), OP_D(1));
        r.build = build_region;
        r.in[0].data = places;
        r.in[4] = c.in[4];
        r.n = 4 + sized;
        host_run(&r);
        CHECK_NEAR(r.result[0][1], sized ? 0 : 96.0 / 416, 1e-6);
        CHECK_NEAR(r.result[0][3], 80.0 / 432, 1e-6);
        host_close(&r);
    }
}

static void bad_input_and_options_are_errors(void **state)
{
    (void)state;
    const lmb_atss_attr sum = {2, 2, 2, {4, 2}}, none = {2, 0, 2, {4, 1}};
    const lmb_atss_attr many = {2, 2, 7, {4, 1}};
    host_case c = CASE(&two, 1, 1, OP_D(0, INFINITY, 1, 1), OP_D(0), OP_D(1));
    host_fails(&c, LMB_EINVAL, "assign_atss: box 0 of image 0 is [0 inf");
    host_case d = CASE(&sum, 1, 1, NULL, NULL, NULL);
    host_refused(&d, LMB_EINVAL, "levels of 6 rows in all, not 5");
    host_case e = CASE(&none, 1, 1, NULL, NULL, NULL);
    host_refused(&e, LMB_EINVAL, "topk = 0");
    host_case f = CASE(&many, 1, 1, NULL, NULL, NULL);
    host_refused(&f, LMB_EINVAL, "levels = 7, not 1 to 6");
    host_case m = CASE(&two, 1, 1, OP_D(0, 0, 1, 1), OP_D(0), OP_D(1));
    host_out_of_memory(&m);
}

LMB_TEST_MAIN(cmocka_unit_test(those_above_mean_and_deviation_are_positive),
    cmocka_unit_test(the_largest_iou_wins_an_anchor),
    cmocka_unit_test(centres_outside_are_background),
    cmocka_unit_test(equal_candidates_all_reach_their_mean),
    cmocka_unit_test(no_boxes_and_no_anchors_are_fine),
    cmocka_unit_test(anchors_in_the_padding_are_no_candidates),
    cmocka_unit_test(the_region_around_has_its_iou),
    cmocka_unit_test(bad_input_and_options_are_errors))
