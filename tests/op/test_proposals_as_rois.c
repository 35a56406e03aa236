#include "host_check.h"

static int build(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_proposals from = {.boxes = in[0], .count = in[1]};
    const lmb_rois r = lmb_proposals_as_rois(g, &from, *(const int32_t *)user);
    out[0] = r.rois;
    out[1] = r.label;
    out[2] = r.box;
    out[3] = r.positives;
    return 4;
}

static const int32_t classes = 7;

#define CASE(box_data, count_data) \
    { \
        .build = build, .user = &classes, .n = 2, .in = { \
            {LMB_F32, LMB_SHAPE(2, 2, 4), (box_data)}, \
            {LMB_I32, LMB_SHAPE(2), (count_data)}, \
        } \
    }

static void rows_name_their_image(void **state)
{
    (void)state;
    host_case c =
        CASE(OP_D(1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9), OP_D(2, 0));
    host_run(&c);
    CHECK_ARRAYS(c.result[0],
        OP_D(0, 1, 2, 3, 4, 0, 5, 6, 7, 8, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0), 20,
        0);
    CHECK_ARRAYS(c.result[1], OP_D(7, 7, -1, -1), 4, 0);
    static const double none[16];
    CHECK_ARRAYS(c.result[2], none, 16, 0);
    CHECK_NEAR(c.result[3][0], 0, 0);
    host_close(&c);
}

static void counts_beyond_the_rows_are_errors(void **state)
{
    (void)state;
    static const double box[16];
    host_case c = CASE(box, OP_D(2, 3));
    host_fails(&c, LMB_EINVAL,
        "proposals_as_rois: image 1 has 3 proposals, not 0 to 2");
    host_case d = CASE(box, OP_D(-1, 0));
    host_fails(&d, LMB_EINVAL, "image 0 has -1 proposals");
}

LMB_TEST_MAIN(cmocka_unit_test(rows_name_their_image),
    cmocka_unit_test(counts_beyond_the_rows_are_errors))
