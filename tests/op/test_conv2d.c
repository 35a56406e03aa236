/* conv2d, its backward ops and the transposed convolution, against loops
 * written from the definition, and by gradient checks. */
#include "op_bench.h"

typedef struct conv_case {
    int n, in, out, h, w, kh, kw;
    lmb_conv_attr attr;
    bool bias;
} conv_case;

static const conv_case cases[] = {
    {2, 3, 4, 7, 7, 3, 3, {{1, 1}, {1, 1}, {1, 1}, 1, false}, true},
    {1, 2, 3, 8, 5, 3, 2, {{2, 1}, {1, 0}, {1, 1}, 1, false}, false},
    {2, 4, 6, 9, 6, 3, 3, {{2, 2}, {1, 1}, {1, 1}, 2, false}, true},
    {1, 6, 6, 7, 8, 3, 3, {{1, 2}, {1, 1}, {1, 1}, 6, false}, false},
    {1, 3, 6, 11, 10, 3, 2, {{1, 1}, {2, 3}, {2, 3}, 3, false}, true},
    {2, 3, 2, 4, 6, 1, 1, {{2, 3}, {0, 0}, {1, 1}, 1, false}, false},
    {1, 1, 2, 3, 3, 3, 3, {{4, 4}, {3, 3}, {1, 1}, 1, false}, true},
    {1, 2, 2, 5, 1, 5, 1, {{1, 1}, {0, 0}, {1, 1}, 1, false}, false},
    {2, 2, 4, 6, 5, 2, 3, {{3, 2}, {0, 1}, {2, 1}, 2, false}, true},
};

static int64_t out_size(int size, int kernel, int stride, int pad, int dilation)
{
    return (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

/* y from x and w by the definition, one product at a time. dx and dw (if not
 * NULL) get the products of dy with w and with x. */
static void naive(const conv_case *c, const double *x, const double *w,
    const double *dy, double *y, double *dx, double *dw)
{
    const lmb_conv_attr *a = &c->attr;
    const int ig = c->in / a->groups, og = c->out / a->groups;
    const int64_t oh =
        out_size(c->h, c->kh, a->stride[0], a->pad[0], a->dilation[0]);
    const int64_t ow =
        out_size(c->w, c->kw, a->stride[1], a->pad[1], a->dilation[1]);
    for (int n = 0; n < c->n; n++)
        for (int o = 0; o < c->out; o++)
            for (int64_t p = 0; p < oh; p++)
                for (int64_t q = 0; q < ow; q++)
                    for (int i = 0; i < ig; i++)
                        for (int k = 0; k < c->kh; k++)
                            for (int l = 0; l < c->kw; l++) {
                                const int64_t row = p * a->stride[0] -
                                    a->pad[0] + k * a->dilation[0];
                                const int64_t col = q * a->stride[1] -
                                    a->pad[1] + l * a->dilation[1];
                                if (row < 0 || row >= c->h || col < 0 ||
                                    col >= c->w)
                                    continue;
                                const int64_t ch = o / og * ig + i;
                                const int64_t xi =
                                    ((n * c->in + ch) * c->h + row) * c->w +
                                    col;
                                const int64_t wi =
                                    ((o * ig + i) * c->kh + k) * c->kw + l;
                                const int64_t yi =
                                    ((n * c->out + o) * oh + p) * ow + q;
                                if (y != NULL)
                                    y[yi] += w[wi] * x[xi];
                                if (dx != NULL)
                                    dx[xi] += w[wi] * dy[yi];
                                if (dw != NULL)
                                    dw[wi] += x[xi] * dy[yi];
                            }
}

typedef struct conv_graph {
    lmb_graph *g;
    lmb_value x, w, b, y, dy, dx, dw, db;
    op_bench r;
} conv_graph;

/* y = conv(x, w, b) and the gradients of sum(dy * y). */
static void make(conv_graph *k, const conv_case *c)
{
    CHECK_OK(lmb_graph_new(&k->g));
    k->x =
        lmb_graph_input(k->g, "x", LMB_F32, LMB_SHAPE(c->n, c->in, c->h, c->w));
    k->w = lmb_graph_input(k->g, "w", LMB_F32,
        LMB_SHAPE(c->out, c->in / c->attr.groups, c->kh, c->kw));
    k->b = c->bias ? lmb_graph_input(k->g, "b", LMB_F32, LMB_SHAPE(c->out))
                   : LMB_NONE;
    k->y = lmb_conv2d(k->g, k->x, k->w, k->b, &c->attr);
    k->dy = lmb_graph_input(k->g, "dy", LMB_F32, lmb_graph_shape(k->g, k->y));
    const lmb_value loss =
        lmb_sum(k->g, lmb_mul(k->g, k->y, k->dy), LMB_ALL_AXES, false);
    const lmb_value wrt[3] = {k->x, k->w, k->b};
    lmb_value grad[3] = {LMB_NONE, LMB_NONE, LMB_NONE};
    lmb_backward(k->g, loss, c->bias ? 3 : 2, wrt, grad);
    k->dx = grad[0];
    k->dw = grad[1];
    k->db = grad[2];
    op_bench_new(&k->r, k->g);
    const lmb_value in[4] = {k->x, k->w, k->dy, k->b};
    for (int i = 0; i < (c->bias ? 4 : 3); i++)
        op_bench_draw(&k->r, in[i], (uint64_t)i + 1);
    op_bench_run(&k->r);
}

static void drop(conv_graph *k)
{
    op_bench_free(&k->r);
    lmb_graph_free(k->g);
}

static void check_bias(const conv_graph *k, const conv_case *c, double *y)
{
    const double *b = op_bench_at(&k->r, k->b), *dy = op_bench_at(&k->r, k->dy);
    const int64_t count = op_bench_count(&k->r, k->y);
    const int64_t plane = count / c->n / c->out;
    double db[8] = {0};
    for (int64_t i = 0; i < count; i++) {
        y[i] += b[i / plane % c->out];
        db[i / plane % c->out] += dy[i];
    }
    CHECK_ARRAYS(op_bench_at(&k->r, k->db), db, c->out, 1e-12);
}

static void values_and_gradients_equal_naive_loops(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const conv_case *c = &cases[i];
        conv_graph k;
        make(&k, c);
        const int64_t nx = op_bench_count(&k.r, k.x);
        const int64_t nw = op_bench_count(&k.r, k.w);
        const int64_t ny = op_bench_count(&k.r, k.y);
        double *y, *dx, *dw;
        CHECK_OK(LMB_NEW(y, ny));
        CHECK_OK(LMB_NEW(dx, nx));
        CHECK_OK(LMB_NEW(dw, nw));
        naive(c, op_bench_at(&k.r, k.x), op_bench_at(&k.r, k.w),
            op_bench_at(&k.r, k.dy), y, dx, dw);
        if (c->bias)
            check_bias(&k, c, y);
        CHECK_ARRAYS(op_bench_at(&k.r, k.y), y, ny, 1e-12);
        CHECK_ARRAYS(op_bench_at(&k.r, k.dx), dx, nx, 1e-12);
        CHECK_ARRAYS(op_bench_at(&k.r, k.dw), dw, nw, 1e-12);
        lmb_free(y);
        lmb_free(dx);
        lmb_free(dw);
        drop(&k);
    }
}

/* [[1 2 3] [4 5 6] [7 8 9]] with the kernel [[1 0] [0 -1]]: cross
 * correlation, so a - d of each 2 x 2 block: always -4. */
static void kernel_is_not_flipped(void **state)
{
    (void)state;
    const conv_case c = {
        1, 1, 1, 3, 3, 2, 2, {{1, 1}, {0, 0}, {1, 1}, 1, false}, false};
    conv_graph k;
    make(&k, &c);
    const double w[4] = {1, 0, 0, -1}, want[4] = {-4, -4, -4, -4};
    for (int i = 0; i < 9; i++)
        op_bench_at(&k.r, k.x)[i] = i + 1;
    memcpy(op_bench_at(&k.r, k.w), w, sizeof w);
    op_bench_run(&k.r);
    CHECK_ARRAYS(op_bench_at(&k.r, k.y), want, 4, 0);
    drop(&k);
}

static void fused_residual_and_relu(void **state)
{
    (void)state;
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    lmb_conv_attr a = lmb_conv_square(1, 1);
    const lmb_value x = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(2, 3, 5, 4));
    const lmb_value w = lmb_graph_input(g, "w", LMB_F32, LMB_SHAPE(3, 3, 3, 3));
    const lmb_value plain =
        lmb_relu(g, lmb_add(g, lmb_conv2d(g, x, w, LMB_NONE, &a), x));
    a.relu = true;
    const lmb_value in[4] = {x, w, LMB_NONE, x};
    const lmb_value fused = lmb_graph_apply1(g, &lmb_op_conv2d, &a, 4, in);
    const lmb_value wrt[2] = {x, w};
    lmb_value d0[2], d1[2];
    lmb_backward(g, lmb_sum(g, plain, LMB_ALL_AXES, false), 2, wrt, d0);
    lmb_backward(g, lmb_sum(g, fused, LMB_ALL_AXES, false), 2, wrt, d1);
    op_bench r;
    op_bench_new(&r, g);
    op_bench_draw(&r, x, 1);
    op_bench_draw(&r, w, 2);
    op_bench_run(&r);
    CHECK_ARRAYS(op_bench_at(&r, fused), op_bench_at(&r, plain),
        op_bench_count(&r, plain), 1e-13);
    for (int i = 0; i < 2; i++)
        CHECK_ARRAYS(op_bench_at(&r, d1[i]), op_bench_at(&r, d0[i]),
            op_bench_count(&r, wrt[i]), 1e-12);
    op_bench_free(&r);
    lmb_graph_free(g);
}

/* --- transposed */

/* Cases are read backwards: c->out channels go in, c->in come out. */
static lmb_value build_transpose(
    lmb_graph *g, const lmb_value *in, const void *user)
{
    const conv_case *c = user;
    return lmb_conv2d_transpose(
        g, in[0], in[1], c->bias ? in[2] : LMB_NONE, &c->attr);
}

/* Scatter: each input element times the kernel is added to the output. */
static void transpose_adds_scaled_kernels(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        conv_case c = cases[i];
        lmb_graph *g;
        CHECK_OK(lmb_graph_new(&g));
        const lmb_value x =
            lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(c.n, c.out, c.h, c.w));
        const lmb_value w = lmb_graph_input(g, "w", LMB_F32,
            LMB_SHAPE(c.out, c.in / c.attr.groups, c.kh, c.kw));
        const lmb_value b = lmb_graph_input(g, "b", LMB_F32, LMB_SHAPE(c.in));
        const lmb_value in[3] = {x, w, b};
        const lmb_value y = build_transpose(g, in, &c);
        op_bench r;
        op_bench_new(&r, g);
        for (int k = 0; k < 3; k++)
            op_bench_draw(&r, in[k], (uint64_t)k + 1);
        op_bench_run(&r);
        const int64_t h = (c.h - 1) * c.attr.stride[0] - 2 * c.attr.pad[0] +
            c.attr.dilation[0] * (c.kh - 1) + 1;
        const int64_t v = (c.w - 1) * c.attr.stride[1] - 2 * c.attr.pad[1] +
            c.attr.dilation[1] * (c.kw - 1) + 1;
        const lmb_shape want = LMB_SHAPE(c.n, c.in, h, v);
        const lmb_shape have = lmb_graph_shape(g, y);
        assert_true(lmb_shape_equal(&want, &have));
        /* The naive loops of the convolution whose dx this is. */
        conv_case back = c;
        back.h = (int)h;
        back.w = (int)v;
        double *dx;
        CHECK_OK(LMB_NEW(dx, op_bench_count(&r, y)));
        naive(&back, NULL, op_bench_at(&r, w), op_bench_at(&r, x), NULL, dx,
            NULL);
        for (int64_t k = 0; c.bias && k < op_bench_count(&r, y); k++)
            dx[k] += op_bench_at(&r, b)[k / (h * v) % c.in];
        CHECK_ARRAYS(op_bench_at(&r, y), dx, op_bench_count(&r, y), 1e-12);
        lmb_free(dx);
        op_bench_free(&r);
        lmb_graph_free(g);
    }
}

/* A 2 x 2 kernel with stride 2: each element becomes a scaled block. */
static void transpose_by_hand(void **state)
{
    (void)state;
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    const lmb_conv_attr a = lmb_conv_square(2, 0);
    const lmb_value x = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(1, 1, 1, 2));
    const lmb_value w = lmb_graph_input(g, "w", LMB_F32, LMB_SHAPE(1, 1, 2, 2));
    const lmb_value y = lmb_conv2d_transpose(g, x, w, LMB_NONE, &a);
    op_bench r;
    op_bench_new(&r, g);
    const double xs[2] = {2, -1}, ws[4] = {1, 2, 3, 4};
    const double want[8] = {2, 4, -1, -2, 6, 8, -3, -4};
    memcpy(op_bench_at(&r, x), xs, sizeof xs);
    memcpy(op_bench_at(&r, w), ws, sizeof ws);
    op_bench_run(&r);
    CHECK_ARRAYS(op_bench_at(&r, y), want, 8, 0);
    op_bench_free(&r);
    lmb_graph_free(g);
}

/* --- gradients by stencil */

static lmb_value build_conv(lmb_graph *g, const lmb_value *in, const void *user)
{
    const conv_case *c = user;
    return lmb_conv2d(g, in[0], in[1], c->bias ? in[2] : LMB_NONE, &c->attr);
}

static void gradients_match_stencils(void **state)
{
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        const conv_case *c = &cases[i];
        const lmb_shape w =
            LMB_SHAPE(c->out, c->in / c->attr.groups, c->kh, c->kw);
        const op_case k = {build_conv, OP_SMALL, c, c->bias ? 3 : 2,
            {LMB_SHAPE(c->n, c->in, c->h, c->w), w, LMB_SHAPE(c->out)}};
        op_check_gradient(&k);
        const op_case t = {build_transpose, OP_SMALL, c, c->bias ? 3 : 2,
            {LMB_SHAPE(c->n, c->out, c->h, c->w), w, LMB_SHAPE(c->in)}};
        op_check_gradient(&t);
    }
}

/* --- refusals */

static void refuse(lmb_shape x, lmb_shape w, const lmb_shape *b,
    lmb_conv_attr a, lmb_status code, const char *part)
{
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    (void)lmb_conv2d(g, lmb_graph_input(g, "x", LMB_F32, x),
        lmb_graph_input(g, "w", LMB_F32, w),
        b != NULL ? lmb_graph_input(g, "b", LMB_F32, *b) : LMB_NONE, &a);
    CHECK_GRAPH_ERR(g, code, part);
}

static void wrong_shapes_are_refused(void **state)
{
    (void)state;
    const lmb_shape x = LMB_SHAPE(2, 4, 8, 8), w = LMB_SHAPE(6, 4, 3, 3);
    const lmb_shape b = LMB_SHAPE(5);
    lmb_conv_attr a = lmb_conv_square(1, 1);
    refuse(LMB_SHAPE(2, 4, 8), w, NULL, a, LMB_ESHAPE, "rank 3, not 4");
    refuse(x, LMB_SHAPE(6, 4), NULL, a, LMB_ESHAPE, "rank 2, not 4");
    refuse(x, LMB_SHAPE(6, 3, 3, 3), NULL, a, LMB_ESHAPE, "4 input channels");
    refuse(x, w, &b, a, LMB_ESHAPE, "bias has shape [5], not [6]");
    refuse(x, LMB_SHAPE(6, 4, 11, 3), NULL, a, LMB_ESHAPE, "height 8");
    refuse(x, LMB_SHAPE(6, 4, 3, 11), NULL, a, LMB_ESHAPE, "width 8");
    refuse(x, LMB_SHAPE(6, 4, 0, 3), NULL, a, LMB_ESHAPE, "kernel height 0");
    a.groups = 4;
    refuse(x, LMB_SHAPE(6, 1, 3, 3), NULL, a, LMB_ESHAPE, "into 4 groups");
    a.groups = 0;
    refuse(x, w, NULL, a, LMB_EINVAL, "groups 0");
    a = lmb_conv_square(0, 1);
    refuse(x, w, NULL, a, LMB_EINVAL, "stride 0");
    a = lmb_conv_square(1, -1);
    refuse(x, w, NULL, a, LMB_EINVAL, "padding -1");
    a = lmb_conv_square(1, 1);
    a.dilation[1] = 0;
    refuse(x, w, NULL, a, LMB_EINVAL, "dilation 0");
}

static void wrong_transposed_shapes_are_refused(void **state)
{
    (void)state;
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    lmb_conv_attr a = lmb_conv_square(1, 2);
    const lmb_value x = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(1, 2, 2, 2));
    const lmb_value w = lmb_graph_input(g, "w", LMB_F32, LMB_SHAPE(2, 3, 3, 3));
    (void)lmb_conv2d_transpose(g, x, w, LMB_NONE, &a);
    CHECK_GRAPH_ERR(g, LMB_ESHAPE, "height 0");
    CHECK_OK(lmb_graph_new(&g));
    a = lmb_conv_square(1, 0);
    (void)lmb_conv2d_transpose(g,
        lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(1, 3, 2, 2)),
        lmb_graph_input(g, "w", LMB_F32, LMB_SHAPE(2, 3, 3, 3)), LMB_NONE, &a);
    CHECK_GRAPH_ERR(g, LMB_ESHAPE, "dy has shape [1, 3, 2, 2], not [1, 2");
}

LMB_TEST_MAIN(cmocka_unit_test(values_and_gradients_equal_naive_loops),
    cmocka_unit_test(kernel_is_not_flipped),
    cmocka_unit_test(fused_residual_and_relu),
    cmocka_unit_test(transpose_adds_scaled_kernels),
    cmocka_unit_test(transpose_by_hand),
    cmocka_unit_test(gradients_match_stencils),
    cmocka_unit_test(wrong_shapes_are_refused),
    cmocka_unit_test(wrong_transposed_shapes_are_refused))
