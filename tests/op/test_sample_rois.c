#include "host_check.h"

enum { N = 2, P = 6, M = 2, ROWS = 8 };

/* Proposals of the first image: two on the first box, one between the
 * thresholds, two far off, one not counted; the second image has one. */
static const double proposals[N * P * 4] = {0, 0, 10, 10, 0, 0, 10, 9, 0, 0, 10,
    4.5, 50, 50, 60, 60, 70, 70, 90, 90, NAN, 0, 0, 0, 1, 1, 5, 5};

static int build(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_proposals from = {.boxes = in[0], .count = in[1]};
    const lmb_truth truth = {in[2], in[3], in[4], in[5], LMB_NONE};
    const lmb_rois r = lmb_sample_rois(g, &from, &truth, user);
    out[0] = r.rois;
    out[1] = r.label;
    out[2] = r.box;
    out[3] = r.positives;
    return 4;
}

#define CASE(...) CASE_OF(__VA_ARGS__)
#define CASE_OF(attr, count_data, box_data, label_data, valid_data) \
    { \
        .build = build, .user = (attr), .n = 6, .in = { \
            {LMB_F32, LMB_SHAPE(N, P, 4), proposals}, \
            {LMB_I32, LMB_SHAPE(N), (count_data)}, \
            {LMB_F32, LMB_SHAPE(N, M, 4), (box_data)}, \
            {LMB_I32, LMB_SHAPE(N, M), (label_data)}, \
            {LMB_F32, LMB_SHAPE(N, M), (valid_data)}, \
            {LMB_I32, LMB_SHAPE(4), OP_D(7, 0, 3, 0)}, \
        } \
    }

#define BOXES \
    OP_D(0, 0, 10, 10, 20, 20, 30, 30, 0, 0, 0, 0, 0, 0, 0, 0), \
        OP_D(1, 0, -3, -3), OP_D(1, 1, 0, 0)

static const lmb_sample_attr eight = {2, ROWS, 0.5, 0.5, 0.4, true, 3};

static void rows_are_positives_background_padding(void **state)
{
    (void)state;
    host_case c = CASE(&eight, OP_D(5, 1), BOXES);
    host_run(&c);
    /* Four positives: both boxes and two proposals; two of background; the
     * other image has background alone. */
    CHECK_ARRAYS(c.result[1],
        OP_D(1, 0, 1, 1, 2, 2, -1, -1, 2, -1, -1, -1, -1, -1, -1, -1), 16, 0);
    CHECK_ARRAYS(c.result[0],
        OP_D(0, 0, 0, 10, 10, 0, 20, 20, 30, 30, 0, 0, 0, 10, 10, 0, 0, 0, 10,
            9, 0, 50, 50, 60, 60, 0, 70, 70, 90, 90, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 1, 1, 1, 5, 5, 1, 0, 0, 0, 0),
        50, 0);
    CHECK_ARRAYS(c.result[2],
        OP_D(0, 0, 10, 10, 20, 20, 30, 30, 0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 0,
            0),
        20, 0);
    CHECK_NEAR(c.result[3][0], 4, 0);
    host_close(&c);
}

static void without_the_truth_only_proposals_are_drawn(void **state)
{
    (void)state;
    lmb_sample_attr few = eight;
    few.add_truth = false;
    few.rows = 2;
    host_case c = CASE(&few, OP_D(5, 0), BOXES);
    host_run(&c);
    assert_true(c.result[1][0] == 1); /* one positive, one of background */
    assert_true(c.result[1][1] == 2);
    CHECK_ARRAYS(c.result[1] + 2, OP_D(-1, -1), 2, 0);
    CHECK_NEAR(c.result[3][0], 1, 0);
    host_close(&c);
}

static void bad_input_and_options_are_errors(void **state)
{
    (void)state;
    host_case c = CASE(&eight, OP_D(6, 1), BOXES);
    host_fails(&c, LMB_EINVAL, "sample_rois: proposals: row 5 is [nan");
    host_case d = CASE(&eight, OP_D(7, 1), BOXES);
    host_fails(&d, LMB_EINVAL, "image 0 has 7 proposals, not 0 to 6");
    lmb_sample_attr turned = eight, none = eight;
    turned.negative = 0.6;
    none.classes = 0;
    host_case e = CASE(&turned, NULL, NULL, NULL, NULL);
    host_refused(&e, LMB_EINVAL, "positive = 0.5 and negative = 0.6");
    host_case f = CASE(&none, NULL, NULL, NULL, NULL);
    host_refused(&f, LMB_EINVAL, "sample_rois: classes = 0");
    host_case h = CASE(&eight, NULL, NULL, NULL, NULL);
    h.in[1].shape = LMB_SHAPE(3);
    host_refused(&h, LMB_ESHAPE, "counts [3] do not belong to proposals");
    host_case m = CASE(&eight, OP_D(5, 1), BOXES);
    host_out_of_memory(&m);
}

LMB_TEST_MAIN(cmocka_unit_test(rows_are_positives_background_padding),
    cmocka_unit_test(without_the_truth_only_proposals_are_drawn),
    cmocka_unit_test(bad_input_and_options_are_errors))
