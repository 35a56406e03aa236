#include "assign_case.h"

/* Two levels of stride 8 and 16. */
static const double points[] = {4, 4, 12, 4, 4, 12, 12, 12, 8, 8};

static int build(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_truth truth = {in[1], in[2], in[3], LMB_NONE, LMB_NONE};
    const lmb_assigned a = lmb_assign_points(g, in[0], &truth, user);
    return assign_outputs(&a, out);
}

#define CASE(attr, images, boxes, box_data, label_data, valid_data) \
    ASSIGN_CASE( \
        attr, points, 2, images, boxes, box_data, label_data, valid_data)

static const lmb_points_attr whole = {
    3, 2, {4, 1}, {8, 16}, {{-1, 9}, {9, 1e8}}, 0};

static void place_and_size_decide(void **state)
{
    (void)state;
    /* Inside: the first point (largest distance 5); the second point's is 9,
     * the end of the first level's range. The fifth is too near. */
    host_case c = CASE(
        &whole, 2, 1, OP_D(3, 0, 13, 9, 3, 0, 13, 9), OP_D(2, 1), OP_D(1, 0));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(2, 2, 3, 3, 3, 3, 3, 3, 3, 3), 10, 0);
    CHECK_ARRAYS(c.result[1] + 4, OP_D(3, 0, 13, 9, 0, 0, 0, 0), 8, 0);
    CHECK_NEAR(c.result[2][0], 2, 0);
    host_close(&c);
}

static void the_smallest_box_wins(void **state)
{
    (void)state;
    host_case c = CASE(&whole, 1, 3, OP_D(0, 0, 9, 9, 0, 0, 8, 8, 0, 0, 8, 8),
        OP_D(0, 1, 2), OP_D(1, 1, 1));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(1, 3, 3, 3, 3), 5, 0);
    host_close(&c);
}

static void the_radius_keeps_to_the_centre(void **state)
{
    (void)state;
    lmb_points_attr near = whole;
    near.range[0][1] = 1e8;
    host_case c = CASE(&near, 1, 1, OP_D(0, 0, 20, 20), OP_D(1), OP_D(1));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(1, 1, 1, 1, 1), 5, 0);
    host_close(&c);
    near.radius = 0.5; /* within 4 of (10, 10); 8 on the second level */
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(3, 3, 3, 1, 1), 5, 0);
    host_close(&c);
}

static void edges_and_empty_boxes_hold_nothing(void **state)
{
    (void)state;
    host_case c = CASE(
        &whole, 1, 2, OP_D(4, 0, 12, 9, 4, 4, 4, 4), OP_D(1, 1), OP_D(1, 1));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(3, 3, 3, 3, 3), 5, 0);
    host_close(&c);
    host_case d = CASE(&whole, 1, 0, NULL, NULL, NULL);
    host_run(&d);
    CHECK_ARRAYS(d.result[0], OP_D(3, 3, 3, 3, 3), 5, 0);
    host_close(&d);
}

static void bad_input_and_options_are_errors(void **state)
{
    (void)state;
    lmb_points_attr turned = whole, stride = whole, radius = whole;
    turned.range[1][0] = 1e9;
    stride.stride[0] = 0;
    radius.radius = -1;
    host_case c = CASE(&whole, 1, 1, OP_D(0, NAN, 1, 1), OP_D(0), OP_D(1));
    host_fails(&c, LMB_EINVAL, "assign_points: box 0 of image 0 is [0 nan");
    host_case p = CASE(&whole, 1, 1, OP_D(0, 0, 1, 1), OP_D(0), OP_D(1));
    p.in[0].data = OP_D(0, 0, 1, NAN, 0, 0, 0, 0, 0, 0);
    host_fails(&p, LMB_EINVAL, "assign_points: point 1 has a nan");
    host_case d = CASE(&turned, 1, 1, NULL, NULL, NULL);
    host_refused(&d, LMB_EINVAL, "level 1 has stride 16 and range 1e+09");
    host_case e = CASE(&stride, 1, 1, NULL, NULL, NULL);
    host_refused(&e, LMB_EINVAL, "level 0 has stride 0");
    host_case f = CASE(&radius, 1, 1, NULL, NULL, NULL);
    host_refused(&f, LMB_EINVAL, "radius = -1");
    host_case m = CASE(&whole, 1, 1, OP_D(0, 0, 1, 1), OP_D(0), OP_D(1));
    host_out_of_memory(&m);
}

LMB_TEST_MAIN(cmocka_unit_test(place_and_size_decide),
    cmocka_unit_test(the_smallest_box_wins),
    cmocka_unit_test(the_radius_keeps_to_the_centre),
    cmocka_unit_test(edges_and_empty_boxes_hold_nothing),
    cmocka_unit_test(bad_input_and_options_are_errors))
