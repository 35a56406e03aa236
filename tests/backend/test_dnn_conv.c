/* test_dnn_conv.c: oneDNN's convolutions as plans call them against the f64
 * reference, beside padding that tells what was written past the end. Scratch
 * memory and results hold NaN before, so that what nobody wrote shows. */
#include "lmb_test.h"

#include "backend/cpu/kernel.h"
#include "backend/onednn/dnn.h"
#include "base/rng.h"

#include <stdio.h>

enum { X, Y, W, OPERANDS };
enum { GUARD = 65536, UNTOUCHED = 0x5a };

typedef struct conv_case {
    int64_t n, in, h, w, out;
    int32_t kernel, stride, groups;
    bool residual;
    bool whole; /* no padding: the kernel is as large as x */
} conv_case;

typedef struct conv_run {
    lmb_dnn_conv_spec spec;
    lmb_shape shape[OPERANDS];
    lmb_buf buf[OPERANDS]; /* X, Y channels last; W plain f32 */
} conv_run;

/* NaN, and behind it what nobody may write. */
static void *guarded(size_t bytes)
{
    char *p = lmb_alloc(bytes + GUARD, 1);
    assert_non_null(p);
    memset(p, 0xff, bytes);
    memset(p + bytes, UNTOUCHED, GUARD);
    return p;
}

static void guard_check(const void *p, size_t bytes, const char *what)
{
    const char *end = (const char *)p + bytes;
    for (size_t i = 0; i < GUARD; i++)
        if (end[i] != UNTOUCHED)
            fail_msg("%s: written %zu bytes past its end", what, i);
}

static size_t buf_bytes(const lmb_buf *b)
{
    return (size_t)lmb_shape_count(&b->shape) * lmb_dtype_size(b->dtype);
}

static void buf_make(conv_run *r, int which, uint32_t stream)
{
    lmb_buf *b = &r->buf[which];
    const bool half = which != W && r->spec.dtype == LMB_BF16;
    const int64_t count = lmb_shape_count(&r->shape[which]);
    *b = (lmb_buf){
        .shape = r->shape[which],
        .dtype = half ? LMB_BF16 : LMB_F32,
        .block = which == W ? 1 : r->shape[which].dim[1],
    };
    b->data = guarded(buf_bytes(b));
    lmb_rng rng = lmb_rng_make(11, LMB_STREAM_TEST, stream, 0);
    for (int64_t i = 0; i < count; i++) {
        const float v = (float)lmb_rng_normal(&rng);
        /* Weights are rounded here, so that both sides have the same. */
        if (half)
            ((uint16_t *)b->data)[i] = lmb_f32_to_bf16(v);
        else
            ((float *)b->data)[i] = r->spec.dtype == LMB_BF16
                ? lmb_bf16_to_f32(lmb_f32_to_bf16(v))
                : v;
    }
}

static double element(const lmb_buf *b, int64_t i)
{
    return b->dtype == LMB_BF16
        ? (double)lmb_bf16_to_f32(((const uint16_t *)b->data)[i])
        : (double)((const float *)b->data)[i];
}

/* The result of the reference, in the same form as `like`. */
static lmb_buf reference(const conv_run *r, const lmb_buf *like)
{
    const lmb_conv_bwd_attr back = {.conv = r->spec.attr,
        .spatial = {r->spec.kernel[0], r->spec.kernel[1]}};
    lmb_conv_bwd_attr data = back;
    data.spatial[0] = r->spec.x[2];
    data.spatial[1] = r->spec.x[3];
    lmb_buf out[2] = {*like, {.shape = LMB_SHAPE(0), .dtype = LMB_F32}};
    out[0].data = guarded(buf_bytes(like));
    lmb_buf in[4] = {r->buf[X], r->buf[W], {.shape = {.rank = -1}}, r->buf[Y]};
    lmb_call call = {&r->spec.attr, r->spec.residual ? 4 : 2, 1, in, out, NULL};
    const lmb_op *op = &lmb_op_conv2d;
    if (r->spec.kind == LMB_DNN_BACKWARD_DATA) {
        op = &lmb_op_conv2d_bwd_data;
        in[0] = r->buf[Y];
        call.attr = &data;
    } else if (r->spec.kind == LMB_DNN_BACKWARD_WEIGHTS) {
        op = &lmb_op_conv2d_bwd_weights;
        in[1] = r->buf[Y];
        call.attr = &back;
        call.n_out = 2;
    }
    CHECK_OK(lmb_call_reference(op, &call));
    return out[0];
}

static void compare(const conv_run *r, const lmb_buf *got, const char *impl)
{
    const lmb_buf want = reference(r, got);
    const int64_t count = lmb_shape_count(&got->shape);
    double scale = 1e-30;
    for (int64_t i = 0; i < count; i++)
        scale = fmax(scale, fabs(element(&want, i)));
    const double limit = r->spec.dtype == LMB_BF16 ? 1e-2 : 1e-5;
    for (int64_t i = 0; i < count; i++) {
        const double x = element(got, i), y = element(&want, i);
        if (!(fabs(x - y) <= limit * scale))
            fail_msg("%s: kind %d, x %lld %lld %lld %lld, y %lld %lld %lld, "
                     "kernel %lld, stride %d, groups %d: [%lld] is %g, not %g",
                impl, (int)r->spec.kind, (long long)r->spec.x[0],
                (long long)r->spec.x[1], (long long)r->spec.x[2],
                (long long)r->spec.x[3], (long long)r->spec.y[1],
                (long long)r->spec.y[2], (long long)r->spec.y[3],
                (long long)r->spec.kernel[0], (int)r->spec.attr.stride[0],
                (int)r->spec.attr.groups, (long long)i, x, y);
    }
    lmb_free(want.data);
}

static void run_case(const conv_case *c, lmb_dtype dtype, lmb_dnn_kind kind)
{
    const int32_t k = c->kernel, s = c->stride;
    const int32_t pad = c->whole ? 0 : (k - 1) / 2;
    const int64_t oh = (c->h + 2 * pad - k) / s + 1;
    const int64_t ow = (c->w + 2 * pad - k) / s + 1;
    conv_run r = {
        .spec = {.kind = kind,
            .x = {c->n, c->in, c->h, c->w},
            .y = {c->n, c->out, oh, ow},
            .attr = {{s, s}, {pad, pad}, {1, 1}, c->groups, false},
            .kernel = {k, k},
            .dtype = dtype,
            .y_dtype = dtype,
            .residual = c->residual},
        .shape = {LMB_SHAPE(c->n, c->in, c->h, c->w),
            LMB_SHAPE(c->n, c->out, oh, ow),
            LMB_SHAPE(c->out, c->in / c->groups, k, k)},
    };
    for (int i = 0; i < OPERANDS; i++)
        buf_make(&r, i, (uint32_t)i);
    lmb_dnn_conv *conv = NULL;
    CHECK_OK(lmb_dnn_conv_new(&r.spec, &conv));
    void *packed = guarded(lmb_dnn_conv_weights_size(conv));
    void *scratch = guarded(lmb_dnn_conv_scratch_size(conv));
    const int result = kind == LMB_DNN_BACKWARD_DATA ? X
        : kind == LMB_DNN_BACKWARD_WEIGHTS           ? W
                                                     : Y;
    lmb_buf got = r.buf[result];
    got.data = guarded(buf_bytes(&got));
    lmb_dnn_reorder *reorder = NULL;
    if (result != W) {
        CHECK_OK(lmb_dnn_pack_new(conv, &reorder));
        CHECK_OK(lmb_dnn_reorder_run(reorder, r.buf[W].data, packed));
    }
    const lmb_dnn_conv_args args = {
        .x = result == X ? got.data : r.buf[X].data,
        .y = result == Y ? got.data : r.buf[Y].data,
        .weights = packed,
        .residual = r.buf[Y].data,
        .scratch = scratch,
    };
    CHECK_OK(lmb_dnn_conv_run(conv, &args));
    if (result == W) {
        CHECK_OK(lmb_dnn_unpack_new(conv, &reorder));
        CHECK_OK(lmb_dnn_reorder_run(reorder, packed, got.data));
    }
    guard_check(packed, lmb_dnn_conv_weights_size(conv), "weights");
    guard_check(scratch, lmb_dnn_conv_scratch_size(conv), "scratch");
    guard_check(got.data, buf_bytes(&got), lmb_dnn_conv_impl(conv));
    compare(&r, &got, lmb_dnn_conv_impl(conv));
    lmb_dnn_reorder_free(reorder);
    lmb_dnn_conv_free(conv);
    lmb_free(got.data);
    lmb_free(packed);
    lmb_free(scratch);
    for (int i = 0; i < OPERANDS; i++)
        lmb_free(r.buf[i].data);
}

static void run_all(lmb_dtype dtype)
{
    /* n, in, h, w, out, kernel, stride, groups, residual, whole */
    static const conv_case cases[] = {
        {2, 64, 8, 6, 64, 1, 1, 1, true,
            false}, /* oneDNN 2.6, AMX: past the end */
        {2, 64, 8, 6, 64, 1, 1, 1, false, false},
        {4, 96, 16, 12, 64, 1, 1, 1, false, false},
        {2, 32, 7, 5, 24, 3, 1, 1, true, false},
        {2, 32, 7, 5, 24, 3, 2, 1, false, false},
        {2, 3, 16, 16, 16, 3, 2, 1, false, false},
        {2, 16, 1, 1, 24, 3, 2, 1, false,
            false}, /* AMX: taps without a gradient */
        {2, 16, 2, 2, 24, 3, 2, 1, false, false},
        {2, 16, 2, 1, 16, 5, 1, 1, false, false},
        {4, 48, 2, 2, 48, 3, 1, 48, false, false},
        {2, 48, 9, 7, 48, 3, 2, 48, false, false},
        {2, 48, 6, 6, 24, 1, 1, 3, false, false},
        {33, 24, 7, 7, 40, 7, 1, 1, false, true},
        {33, 24, 7, 7, 40, 7, 1, 1, true, true},
        {5, 3, 3, 3, 17, 3, 1, 1, false, true},
        {33, 64, 1, 1, 40, 1, 1, 1, false, true},
        {33, 64, 1, 1, 40, 1, 1, 1, true, true},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        for (int kind = LMB_DNN_FORWARD_INFER;
             kind <= (cases[i].residual ? LMB_DNN_FORWARD_INFER
                                        : LMB_DNN_BACKWARD_WEIGHTS);
             kind++)
            run_case(&cases[i], dtype, (lmb_dnn_kind)kind);
}

static void f32_agrees_with_the_reference(void **state)
{
    (void)state;
    if (!lmb_dnn_available()) {
        (void)printf("skipped: a build without oneDNN\n");
        skip();
    }
    run_all(LMB_F32);
}

static void bf16_agrees_with_the_reference(void **state)
{
    (void)state;
    if (!lmb_dnn_has_bf16()) {
        (void)printf("skipped: this CPU has no bf16\n");
        skip();
    }
    run_all(LMB_BF16);
}

LMB_TEST_MAIN(cmocka_unit_test(f32_agrees_with_the_reference),
    cmocka_unit_test(bf16_agrees_with_the_reference))
