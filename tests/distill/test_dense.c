/* test_dense.c: logit methods on detectors: RoIs with padding rows, and rows
 * of dense heads. */
#include "distill/conformance.h"

/* Two levels with two anchors and three classes. */
static const conf dense = {
    .method = "kd",
    .options = {"dense_anchors=2", "dense_positives=5", "dense_top=4"},
    .student = {{"cls.p3", {4, {2, 6, 3, 4}}}, {"cls.p4", {4, {2, 6, 2, 2}}}},
    .teacher = {{"cls.p3", {4, {2, 6, 3, 4}}}, {"cls.p4", {4, {2, 6, 2, 2}}}},
    .boxes = 3,
    .input_size = {24, 32},
    .zero_at_identity = true,
};

static conf with(const conf *base, const char *method, const char *option)
{
    conf made = *base;
    made.method = method;
    made.options[3] = option;
    return made;
}

static void dense_rows_have_exact_gradients(void **state)
{
    const conf cases[] = {with(&dense, "kd", NULL),
        with(&dense, "kd", "dense=binary"), with(&dense, "pcd", NULL),
        with(&dense, "pcd", "dense=binary"), with(&dense, "dkd", NULL),
        with(&dense, "kd", "standardize=true")};
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        conf_identity(&cases[i]);
        conf_gradient(&cases[i]);
        conf_batch_of_one(&cases[i]);
        conf_fast(&cases[i]);
    }
    conf_gradient(&(conf){.method = "dist",
        .options = {"dense_anchors=2", "dense=binary"},
        .student = {{"cls.p3", {4, {2, 6, 3, 4}}}},
        .teacher = {{"cls.p3", {4, {2, 6, 3, 4}}}}});
    conf_out_of_memory(&cases[4]);
    conf_teacher(&(conf){.method = "kd",
        .student = {{"cls.p3", {4, {2, 3, 3, 4}}}},
        .teacher = {{"cls.p3", {4, {2, 3, 3, 4}}}},
        .boxes = 2,
        .input_size = {24, 32}});
}

/* One level, one anchor, two classes, 2 x 2 cells of 8 pixels. */
static const conf plain = {
    .method = "kd",
    .options = {"T=1", "dense_positives=1", "dense_top=1"},
    .student = {{"cls.p3", {4, {1, 2, 2, 2}}}},
    .teacher = {{"cls.p3", {4, {1, 2, 2, 2}}}},
};

static double kl2(const conf_run *r, int at)
{
    double p[2], q[2], sp = 0, sq = 0, sum = 0;
    for (int c = 0; c < 2; c++) {
        sp += p[c] = exp(r->t[0][c * 4 + at]);
        sq += q[c] = exp(r->s[0][c * 4 + at]);
    }
    for (int c = 0; c < 2; c++)
        sum += p[c] / sp * log(p[c] / sp / (q[c] / sq));
    return sum;
}

/* Inside the box (cells 0 and 1) the teacher likes 1 best, outside 2. */
static void picks_the_teachers_best_places(void **state)
{
    static const double teacher[8] = {0, 1, 3, 2, .5, -1, 0, 2};
    static const double box[4] = {0, 0, 16, 8}, none[4] = {0};
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &plain, 5, 1, 0);
    memcpy(r->t[0], teacher, sizeof teacher);
    CHECK_NEAR(conf_eval(&plain, r), kl2(r, 2), 1e-14);
    r->in.boxes = box;
    r->in.most_boxes = 1;
    CHECK_NEAR(conf_eval(&plain, r), (kl2(r, 1) + kl2(r, 2)) / 2, 1e-14);
    r->in.boxes = none;
    CHECK_NEAR(conf_eval(&plain, r), kl2(r, 2), 1e-14);
    for (int i = 0; i < 8; i++)
        assert_true((r->grad[0][i] != 0) == (i % 4 == 2));
    free(r);
}

/* More rows than places: each place once. */
static void no_place_counts_twice(void **state)
{
    static const double box[4] = {0, 0, 16, 8};
    conf many = plain;
    conf_run *r = malloc(sizeof *r);
    double want = 0;
    (void)state;
    assert_non_null(r);
    many.options[1] = "dense_positives=100";
    many.options[2] = "dense_top=100";
    conf_fill(r, &many, 5, 1, 0);
    r->in.boxes = box;
    r->in.most_boxes = 1;
    for (int i = 0; i < 4; i++)
        want += kl2(r, i) / 4;
    CHECK_NEAR(conf_eval(&many, r), want, 1e-14);
    free(r);
}

/* DKD's target: the class of the smallest box over a positive place. */
static void labels_come_from_the_smallest_box(void **state)
{
    static const double boxes[8] = {0, 0, 16, 16, 0, 0, 9, 8};
    static const int32_t labels[2] = {0, 1}, swapped[2] = {1, 0};
    conf c = plain;
    conf_run *r = malloc(sizeof *r);
    double small, large;
    (void)state;
    assert_non_null(r);
    c.method = "dkd";
    c.options[1] = "dense_positives=4";
    c.options[2] = "dense_top=0";
    c.student[0].shape.dim[1] = c.teacher[0].shape.dim[1] = 3;
    conf_fill(r, &c, 5, 1, 0);
    r->in.boxes = boxes;
    r->in.most_boxes = 2;
    r->in.box_labels = labels;
    small = conf_eval(&c, r);
    r->in.box_labels = swapped;
    large = conf_eval(&c, r);
    assert_true(small != large);
    /* The order of the boxes does not matter. */
    static const double turned[8] = {0, 0, 9, 8, 0, 0, 16, 16};
    r->in.boxes = turned;
    CHECK_NEAR(conf_eval(&c, r), small, 1e-14);
    free(r);
}

/* Scores of 1e-26 have a direction, though their squares are 0 in f32: with
 * p, q the sigmoids, lambda of one group is 1 - cos(p, q) and KL sum p t - p s
 * - p + q. */
static void tiny_scores_have_a_weight(void **state)
{
    static const double t[3] = {-60, -61, -62}, s[3] = {-61, -60, -62};
    static const conf c = {.method = "pcd",
        .options = {"T=1", "dense=binary", "stages=1"},
        .student = {{"cls.p3", {4, {1, 3, 1, 1}}}},
        .teacher = {{"cls.p3", {4, {1, 3, 1, 1}}}}};
    double pp = 0, pq = 0, kl = 0;
    float s32[3], t32[3];
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    for (int i = 0; i < 3; i++) {
        const double p = exp(t[i]), q = exp(s[i]);
        pp += p * p;
        pq += p * q;
        kl += p * (t[i] - s[i]) - p + q;
        s32[i] = (float)s[i];
        t32[i] = (float)t[i];
    }
    conf_fill(r, &c, 5, 1, 0);
    memcpy(r->t[0], t, sizeof t);
    memcpy(r->s[0], s, sizeof s);
    const double want = 2 * (1 - pq / pp) * kl;
    CHECK_NEAR(conf_eval(&c, r) / want, 1, 1e-12);
    double value;
    r->student[0].data = s32;
    r->teacher[0].data = t32;
    r->student[0].grad = NULL;
    r->in.dtype = LMB_F32;
    CHECK_OK(lmb_loss_eval("pcd", &r->in, &value));
    CHECK_NEAR(value / want, 1, 1e-5);
    free(r);
}

static double pearson(const double *x, const double *y, int n, int stride)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    for (int i = 0; i < n; i++) {
        mx += x[i * stride] / n;
        my += y[i * stride] / n;
    }
    for (int i = 0; i < n; i++) {
        const double a = x[i * stride] - mx, b = y[i * stride] - my;
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    return xy / (sqrt(xx) * sqrt(yy) + 1e-8);
}

/* DIST of one-against-all heads: rows of sigmoids, whose mean is not 1/C. All
 * four places are chosen, in whatever order. */
static void dist_of_sigmoids(void **state)
{
    static const conf c = {.method = "dist",
        .options = {"dense=binary", "T=2", "beta=3", "gamma=0.5"},
        .student = {{"cls.p3", {4, {1, 3, 2, 2}}}},
        .teacher = {{"cls.p3", {4, {1, 3, 2, 2}}}}};
    double p[12], q[12], rows = 0, columns = 0;
    conf_run *r = malloc(sizeof *r);
    (void)state;
    assert_non_null(r);
    conf_fill(r, &c, 5, 1, 0);
    for (int i = 0; i < 12; i++) {
        p[i] = 1 / (1 + exp(-r->t[0][i] / 2));
        q[i] = 1 / (1 + exp(-r->s[0][i] / 2));
    }
    for (int i = 0; i < 4; i++)
        rows += (1 - pearson(p + i, q + i, 3, 4)) / 4;
    for (int k = 0; k < 3; k++)
        columns += (1 - pearson(p + 4 * k, q + 4 * k, 4, 1)) / 3;
    CHECK_NEAR(conf_eval(&c, r), 4 * (3 * rows + 0.5 * columns), 1e-12);
    free(r);
}

static void refuses_what_is_no_dense_head(void **state)
{
    static const conf flat = {.method = "kd",
        .options = {"dense=binary"},
        .student = {{"logits", {2, {2, 3}}}},
        .teacher = {{"logits", {2, {2, 3}}}}};
    conf odd = plain, empty = plain;
    conf_run *r = malloc(sizeof *r);
    double value;
    (void)state;
    assert_non_null(r);
    conf_fill(r, &flat, 5, 1, 0);
    CHECK_ERR(lmb_loss_eval("kd", &r->in, &value), LMB_EINVAL, "dense heads");
    odd.options[1] = "dense_anchors=3";
    conf_fill(r, &odd, 5, 1, 0);
    CHECK_ERR(lmb_loss_eval("kd", &r->in, &value), LMB_ESHAPE, "A = 3");
    empty.options[2] = "dense_top=0";
    conf_fill(r, &empty, 5, 1, 0);
    CHECK_ERR(lmb_loss_eval("kd", &r->in, &value), LMB_EINVAL, "no rows");
    free(r);
}

/* --- RoIs ----------------------------------------------------------------- */

/* A batch padded with rows of label -1 has the value and the gradient of the
 * batch without them; the padding gets none. */
static void padding_rois_do_not_count(void **state)
{
    static const char *const methods[] = {"kd", "dkd", "pcd", "nkd", "dist"};
    static const int32_t labels[7] = {2, -1, 0, 3, -1, 3, -1};
    static const conf few = {.method = "kd",
        .student = {{"roi.logits", {2, {4, 4}}}},
        .teacher = {{"roi.logits", {2, {4, 4}}}}};
    static const conf many = {.method = "kd",
        .student = {{"roi.logits", {2, {7, 4}}}},
        .teacher = {{"roi.logits", {2, {7, 4}}}}};
    conf_run *runs = malloc(2 * sizeof *runs);
    (void)state;
    assert_non_null(runs);
    for (size_t i = 0; i < LMB_COUNT(methods); i++) {
        conf a = few, b = many;
        a.method = b.method = methods[i];
        conf_fill(&runs[0], &a, 5, 2, 0);
        conf_fill(&runs[1], &b, 6, 2, 0);
        memcpy(runs[1].labels, labels, sizeof labels);
        for (int n = 0, k = 0; n < 7; n++) {
            if (labels[n] < 0)
                continue;
            runs[0].labels[k] = labels[n];
            memcpy(&runs[0].s[0][4 * k], &runs[1].s[0][4 * n], 32);
            memcpy(&runs[0].t[0][4 * k++], &runs[1].t[0][4 * n], 32);
        }
        const double value = conf_eval(&a, &runs[0]);
        CHECK_NEAR(conf_eval(&b, &runs[1]), value, 1e-12 * (1 + fabs(value)));
        for (int n = 0, k = 0; n < 7; n++) {
            double none[4] = {0};
            const double *want = labels[n] < 0 ? none : &runs[0].grad[0][4 * k];
            k += labels[n] >= 0;
            CHECK_ARRAYS(&runs[1].grad[0][4 * n], want, 4, 1e-12);
        }
        for (int n = 0; n < 7; n++)
            runs[1].labels[n] = -1; /* nothing but padding */
        CHECK_NEAR(conf_eval(&b, &runs[1]), strcmp(methods[i], "dist") == 0, 1);
    }
    free(runs);
}

LMB_TEST_MAIN(cmocka_unit_test(dense_rows_have_exact_gradients),
    cmocka_unit_test(picks_the_teachers_best_places),
    cmocka_unit_test(no_place_counts_twice),
    cmocka_unit_test(labels_come_from_the_smallest_box),
    cmocka_unit_test(tiny_scores_have_a_weight),
    cmocka_unit_test(dist_of_sigmoids),
    cmocka_unit_test(refuses_what_is_no_dense_head),
    cmocka_unit_test(padding_rois_do_not_count))
