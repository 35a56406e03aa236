#include "host_check.h"

enum { N = 2, A = 40 };

static int build(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out)
{
    const lmb_truth truth = {.draw = in[1]};
    out[0] = lmb_sample_anchors(g, in[0], &truth, user);
    return 1;
}

#define CASE(attr, label_data, draw_data) \
    { \
        .build = build, .user = (attr), .n = 2, .in = { \
            {LMB_I32, LMB_SHAPE(N, A), (label_data)}, \
            {LMB_I32, LMB_SHAPE(4), (draw_data)}, \
        } \
    }

/* Ten positives, five ignored, the rest background, in each image. */
static void labels(double *label)
{
    for (int i = 0; i < N * A; i++)
        label[i] = i % 4 == 0 ? 0 : i % 8 == 1 ? -1 : 1;
}

static int count(const double *label, double what)
{
    int n = 0;
    for (int i = 0; i < A; i++)
        n += label[i] == what;
    return n;
}

static const lmb_sample_attr sixteen = {1, 16, 0.25, 0, 0, false, 1};

static void as_many_as_wanted_are_kept(void **state)
{
    (void)state;
    double label[N * A];
    labels(label);
    host_case c = CASE(&sixteen, label, OP_D(7, 0, 3, 0));
    host_run(&c);
    for (int n = 0; n < N; n++) {
        assert_int_equal(count(c.result[0] + n * A, 0), 4);
        assert_int_equal(count(c.result[0] + n * A, 1), 12);
        for (int i = 0; i < A; i++)
            assert_true(c.result[0][n * A + i] == -1 ||
                c.result[0][n * A + i] == label[n * A + i]);
    }
    /* Another image, another draw. */
    assert_memory_not_equal(c.result[0], c.result[0] + A, A * sizeof(double));
    host_close(&c);
}

static void background_fills_up_and_may_run_out(void **state)
{
    (void)state;
    double label[N * A];
    labels(label);
    const lmb_sample_attr all = {1, 1000, 0.5, 0, 0, false, 1};
    host_case c = CASE(&all, label, OP_D(7, 0, 3, 0));
    host_run(&c);
    CHECK_ARRAYS(c.result[0], label, N * A, 0);
    host_close(&c);
    const lmb_sample_attr none = {1, 5, 0, 0, 0, false, 1};
    host_case d = CASE(&none, label, OP_D(7, 0, 3, 0));
    host_run(&d);
    assert_int_equal(count(d.result[0], 0), 0);
    assert_int_equal(count(d.result[0], 1), 5);
    host_close(&d);
}

/* The same numbers give the same draw; seed, step and stream change it. */
static void draws_are_a_function_of_seed_step_and_stream(void **state)
{
    (void)state;
    double label[N * A], first[N * A];
    labels(label);
    lmb_sample_attr other = sixteen;
    other.stream = 2;
    const double draw[][4] = {{7, -1, 3, 0}, {7, -1, 3, 0}, {8, -1, 3, 0},
        {7, 0, 3, 0}, {7, -1, 4, 0}, {7, -1, 3, 1}, {7, -1, 3, 0}};
    for (size_t k = 0; k < LMB_COUNT(draw); k++) {
        host_case c = CASE(k == 6 ? &other : &sixteen, label, draw[k]);
        host_run(&c);
        if (k == 0)
            memcpy(first, c.result[0], sizeof first);
        const bool same = memcmp(first, c.result[0], sizeof first) == 0;
        assert_int_equal(same, k < 2);
        host_close(&c);
    }
}

static void bad_shapes_and_options_are_refused(void **state)
{
    (void)state;
    const lmb_sample_attr rows = {1, 0, 0.25, 0, 0, false, 1};
    const lmb_sample_attr fraction = {1, 5, 1.25, 0, 0, false, 1};
    host_case c = CASE(&rows, NULL, NULL);
    host_refused(&c, LMB_EINVAL, "sample_anchors: classes = 1 and rows = 0");
    host_case d = CASE(&fraction, NULL, NULL);
    host_refused(&d, LMB_EINVAL, "fraction = 1.25");
    host_case e = CASE(&sixteen, NULL, NULL);
    e.in[1].shape = LMB_SHAPE(3);
    host_refused(&e, LMB_ESHAPE, "draw [3]");
    double label[N * A];
    labels(label);
    host_case m = CASE(&sixteen, label, OP_D(7, 0, 3, 0));
    host_out_of_memory(&m);
}

LMB_TEST_MAIN(cmocka_unit_test(as_many_as_wanted_are_kept),
    cmocka_unit_test(background_fills_up_and_may_run_out),
    cmocka_unit_test(draws_are_a_function_of_seed_step_and_stream),
    cmocka_unit_test(bad_shapes_and_options_are_refused))
