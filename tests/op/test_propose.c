#include "host_check.h"

enum { A = 6, P = 4 };

/* Two levels of four and two; the second anchor repeats the first. */
static const double anchors[A * 4] = {0, 0, 10, 10, 0, 0, 10, 10, 20, 20, 30,
    30, 40, 40, 41, 41, 0, 0, 10, 10, 35, 35, 60, 60};
static const double still[A * 4];

static int build(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_proposals p = lmb_propose(g, in[0], in[1], in[2], in[3], user);
    out[0] = p.boxes;
    out[1] = p.scores;
    out[2] = p.count;
    return 3;
}

#define CASE(attr, logits, deltas, size) \
    { \
        .build = build, .user = (attr), .n = 4, .in = { \
            {LMB_F32, LMB_SHAPE(1, A), (logits)}, \
            {LMB_F32, LMB_SHAPE(1, A, 4), (deltas)}, \
            {LMB_F32, LMB_SHAPE(A, 4), anchors}, \
            {LMB_F32, LMB_SHAPE(1, 2), (size)}, \
        } \
    }

static const lmb_proposals_attr attr = {2, 3, P, {4, 2}, 0.7, 2, {1, 1, 1, 1}};

static void the_best_of_each_level_are_suppressed_and_sorted(void **state)
{
    (void)state;
    /* Anchor 3 is not among the best three; 1 is suppressed by 0 (a tie), not
     * by 4, which lies on another level; 5 is clipped. */
    host_case c = CASE(&attr, OP_D(2, 2, 1, 0, 3, -1), still, OP_D(50, 45));
    host_run(&c);
    CHECK_ARRAYS(c.result[0],
        OP_D(0, 0, 10, 10, 0, 0, 10, 10, 20, 20, 30, 30, 35, 35, 45, 50), 16,
        0);
    CHECK_ARRAYS(c.result[1],
        OP_D(1 / (1 + exp(-3)), 1 / (1 + exp(-2)), 1 / (1 + exp(-1)),
            1 / (1 + exp(1))),
        4, 1e-7);
    CHECK_NEAR(c.result[2][0], 4, 0);
    host_close(&c);
}

static void rows_beyond_the_count_are_zeros(void **state)
{
    (void)state;
    /* Small boxes and those outside the picture are dropped. */
    host_case c = CASE(&attr, OP_D(0, 0, 0, 9, 0, 0), still, OP_D(15, 15));
    host_run(&c);
    CHECK_NEAR(c.result[2][0], 2, 0);
    CHECK_ARRAYS(c.result[0],
        OP_D(0, 0, 10, 10, 0, 0, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0), 16, 0);
    CHECK_ARRAYS(c.result[1], OP_D(0.5, 0.5, 0, 0), 4, 1e-7);
    host_close(&c);
}

static void only_so_many_are_kept(void **state)
{
    (void)state;
    lmb_proposals_attr one = attr;
    one.post_nms = 1;
    host_case c = CASE(&one, OP_D(2, 2, 5, 0, 3, -1), still, OP_D(50, 45));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(20, 20, 30, 30), 4, 0);
    CHECK_NEAR(c.result[2][0], 1, 0);
    host_close(&c);
}

static void deltas_move_the_anchors(void **state)
{
    (void)state;
    double delta[A * 4] = {0};
    delta[8] = 0.1;
    delta[10] = log(2);
    host_case c = CASE(&attr, OP_D(0, 0, 5, 0, 0, 0), delta, OP_D(99, 99));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], OP_D(16, 20, 36, 30), 4, 1e-5);
    host_close(&c);
}

static void numbers_that_are_not_finite_are_errors(void **state)
{
    (void)state;
    host_case c = CASE(&attr, OP_D(0, NAN, 0, 0, 0, 0), still, OP_D(50, 50));
    host_fails(&c, LMB_ENUMERIC,
        "propose: the objectness of anchor 1 of image 0 is not finite");
    double delta[A * 4] = {0};
    delta[4] = INFINITY;
    host_case d = CASE(&attr, OP_D(0, 1, 0, 0, 0, 0), delta, OP_D(50, 50));
    host_fails(
        &d, LMB_ENUMERIC, "the box of anchor 1 of image 0 is not finite");
}

static void bad_shapes_and_options_are_refused(void **state)
{
    (void)state;
    lmb_proposals_attr none = attr, nms = attr, std = attr, sum = attr;
    none.pre_nms = 0;
    nms.nms = 1.5;
    std.std[2] = 0;
    sum.level_size[0] = 5;
    host_case c = CASE(&none, NULL, NULL, NULL);
    host_refused(&c, LMB_EINVAL, "propose: pre_nms = 0");
    host_case d = CASE(&nms, NULL, NULL, NULL);
    host_refused(&d, LMB_EINVAL, "nms = 1.5");
    host_case e = CASE(&std, NULL, NULL, NULL);
    host_refused(&e, LMB_EINVAL, "std 2 is 0");
    host_case f = CASE(&sum, NULL, NULL, NULL);
    host_refused(&f, LMB_EINVAL, "levels of 7 rows in all, not 6");
    host_case h = CASE(&attr, NULL, NULL, NULL);
    h.in[3].shape = LMB_SHAPE(2, 2);
    host_refused(&h, LMB_ESHAPE, "propose: sizes [2, 2], not [1, 2]");
    host_case m = CASE(&attr, OP_D(0, 1, 0, 0, 0, 0), still, OP_D(50, 50));
    host_out_of_memory(&m);
}

LMB_TEST_MAIN(
    cmocka_unit_test(the_best_of_each_level_are_suppressed_and_sorted),
    cmocka_unit_test(rows_beyond_the_count_are_zeros),
    cmocka_unit_test(only_so_many_are_kept),
    cmocka_unit_test(deltas_move_the_anchors),
    cmocka_unit_test(numbers_that_are_not_finite_are_errors),
    cmocka_unit_test(bad_shapes_and_options_are_refused))
