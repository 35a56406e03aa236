/* dnn.c: oneDNN behind dnn.h; the only file that knows 2.x from 3.x.
 *
 * 2.x describes an operation in a descriptor and memory layouts in structs;
 * 3.x makes primitive descriptors directly and layouts are handles. The
 * helpers under "2.x and 3.x" hide that; the rest is common. */
#include "backend/onednn/dnn.h"

#include <dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static lmb_status check(dnnl_status_t code, const char *what)
{
    if (code == dnnl_success)
        return LMB_OK;
    if (code == dnnl_out_of_memory)
        return LMB_FAIL(LMB_ENOMEM, "oneDNN: %s: out of memory", what);
    return LMB_FAIL(code == dnnl_unimplemented ? LMB_EUNSUPPORTED : LMB_EDEVICE,
        "oneDNN: %s: status %d", what, (int)code);
}
#define DNN(call) LMB_TRY(check((call), #call))
#define DNN_GOTO(call, st, label) LMB_GOTO(check((call), #call), st, label)

/* --- 2.x and 3.x ---------------------------------------------------------- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout;
typedef const_dnnl_memory_desc_t layout_ref;
#define REF(l) (l)

static lmb_status layout_make(layout *out, int rank, const dnnl_dim_t *dims,
    dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    DNN(dnnl_memory_desc_create_with_tag(out, rank, dims, type, tag));
    return LMB_OK;
}
static void layout_drop(layout *l)
{
    if (*l != NULL)
        (void)dnnl_memory_desc_destroy(*l);
    *l = NULL;
}
static lmb_status layout_query(
    const_dnnl_primitive_desc_t pd, dnnl_query_t what, layout *out)
{
    DNN(dnnl_memory_desc_clone(out, dnnl_primitive_desc_query_md(pd, what, 0)));
    return LMB_OK;
}
static bool layout_equal(const layout *a, const layout *b)
{
    return dnnl_memory_desc_equal(*a, *b) != 0;
}
static size_t layout_size(const layout *l)
{
    return dnnl_memory_desc_get_size(*l);
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}
static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, dnnl_eltwise_relu, 0, 0);
}
#else
typedef dnnl_memory_desc_t layout;
#define REF(l) (&(l))

static lmb_status layout_make(layout *out, int rank, const dnnl_dim_t *dims,
    dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    DNN(dnnl_memory_desc_init_by_tag(out, rank, dims, type, tag));
    return LMB_OK;
}
static void layout_drop(layout *l)
{
    (void)l;
}
static lmb_status layout_query(
    const_dnnl_primitive_desc_t pd, dnnl_query_t what, layout *out)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, what, 0);
    if (md == NULL)
        return LMB_FAIL(LMB_EDEVICE, "oneDNN: query %d failed", (int)what);
    *out = *md;
    return LMB_OK;
}
static bool layout_equal(const layout *a, const layout *b)
{
    return dnnl_memory_desc_equal(a, b) != 0;
}
static size_t layout_size(const layout *l)
{
    return dnnl_memory_desc_get_size(l);
}
static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_sum(ops, 1.0f);
}
static dnnl_status_t append_relu(dnnl_post_ops_t ops)
{
    return dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0, 0);
}
#endif

/* --- engine, stream, types ------------------------------------------------ */

/* One engine and stream for the process: oneDNN's CPU engine has no state of
 * ours in it, and its stream runs in the calling thread. Made on first use,
 * by whichever thread compiles first. */
static dnnl_engine_t the_engine;
static dnnl_stream_t the_stream;
static pthread_mutex_t the_start = PTHREAD_MUTEX_INITIALIZER;

static lmb_status make_stream(void)
{
    if (the_stream != NULL)
        return LMB_OK;
    if (the_engine == NULL)
        DNN(dnnl_engine_create(&the_engine, dnnl_cpu, 0));
    DNN(dnnl_stream_create(&the_stream, the_engine, dnnl_stream_default_flags));
    (void)dnnl_set_primitive_cache_capacity(4096);
    return LMB_OK;
}

static lmb_status start(void)
{
    (void)pthread_mutex_lock(&the_start);
    const lmb_status st = make_stream();
    (void)pthread_mutex_unlock(&the_start);
    return st;
}

static dnnl_data_type_t type_of(lmb_dtype dtype)
{
    return dtype == LMB_BF16 ? dnnl_bf16 : dnnl_f32;
}

static dnnl_format_tag_t tag_of(int block)
{
    switch (block) {
    case 1:
        return dnnl_nchw;
    case 8:
        return dnnl_nChw8c;
    case LMB_DNN_NHWC:
        return dnnl_nhwc;
    default:
        return dnnl_format_tag_any;
    }
}

/* --- convolution ---------------------------------------------------------- */

struct lmb_dnn_conv {
    lmb_dnn_conv_spec spec;
    dnnl_primitive_t primitive;
    layout x, y, weights, bias, plain;
    dnnl_memory_t mx, my, mw, mb, mr, ms;
    size_t scratch;
    char impl[64];
    bool copies_residual; /* into y, before; spec is in place */
};

typedef struct conv_dims {
    dnnl_dims_t x, y, w, b;
    dnnl_dims_t stride, dilation, pad_left, pad_right;
    int w_rank, y_rank;
} conv_dims;

/* Does the kernel cover all of x, once? Then the convolution is one product of
 * matrices, which oneDNN's inner product is much faster at (a head on RoIs). */
static bool is_inner_product(const lmb_dnn_conv_spec *s)
{
    return s->attr.groups == 1 && s->attr.pad[0] == 0 && s->attr.pad[1] == 0 &&
        s->attr.dilation[0] == 1 && s->attr.dilation[1] == 1 &&
        s->kernel[0] == s->x[2] && s->kernel[1] == s->x[3] && s->y[2] == 1 &&
        s->y[3] == 1;
}

static conv_dims dims_of(const lmb_dnn_conv_spec *s)
{
    conv_dims d = {.w_rank = s->attr.groups > 1 ? 5 : 4,
        .y_rank = is_inner_product(s) ? 2 : 4,
        .b = {s->y[1]}};
    const int64_t groups = s->attr.groups;
    int at = 0;
    if (groups > 1)
        d.w[at++] = groups;
    d.w[at++] = s->y[1] / groups;
    d.w[at++] = s->x[1] / groups;
    d.w[at++] = s->kernel[0];
    d.w[at] = s->kernel[1];
    for (int i = 0; i < 4; i++) {
        d.x[i] = s->x[i];
        d.y[i] = s->y[i];
    }
    for (int i = 0; i < 2; i++) {
        d.stride[i] = s->attr.stride[i];
        d.dilation[i] = s->attr.dilation[i] - 1;
        d.pad_left[i] = s->attr.pad[i];
        d.pad_right[i] = (s->y[2 + i] - 1) * s->attr.stride[i] +
            (s->kernel[i] - 1) * s->attr.dilation[i] + 1 - s->x[2 + i] -
            s->attr.pad[i];
    }
    return d;
}

typedef struct conv_layouts {
    layout x, w, b, y;
} conv_layouts;

static void conv_layouts_drop(conv_layouts *l)
{
    layout_drop(&l->x);
    layout_drop(&l->w);
    layout_drop(&l->b);
    layout_drop(&l->y);
}

static lmb_status conv_layouts_make(
    const lmb_dnn_conv_spec *s, const conv_dims *d, conv_layouts *l)
{
    const bool forward = s->kind <= LMB_DNN_FORWARD_INFER;
    const dnnl_data_type_t type = type_of(s->dtype);
    const dnnl_data_type_t wtype =
        s->kind == LMB_DNN_BACKWARD_WEIGHTS ? dnnl_f32 : type;
    LMB_TRY(layout_make(&l->x, 4, d->x, type, tag_of(s->block_x)));
    LMB_TRY(layout_make(&l->w, d->w_rank, d->w, wtype, dnnl_format_tag_any));
    LMB_TRY(layout_make(&l->b, 1, d->b, dnnl_f32, dnnl_a));
    LMB_TRY(layout_make(&l->y, d->y_rank, d->y,
        forward ? type_of(s->y_dtype) : type,
        d->y_rank == 2 ? dnnl_nc : tag_of(s->block_y)));
    return LMB_OK;
}

static lmb_status make_attr(const lmb_dnn_conv_spec *s, const conv_layouts *l,
    dnnl_primitive_attr_t *out)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    lmb_status st = LMB_OK;
    DNN(dnnl_primitive_attr_create(&attr));
    DNN_GOTO(dnnl_primitive_attr_set_scratchpad_mode(
                 attr, dnnl_scratchpad_mode_user),
        st, done);
    DNN_GOTO(dnnl_post_ops_create(&ops), st, done);
    if (s->in_place)
        DNN_GOTO(append_sum(ops), st, done);
    if (s->residual)
        DNN_GOTO(dnnl_post_ops_append_binary(ops, dnnl_binary_add, REF(l->y)),
            st, done);
    if (s->relu)
        DNN_GOTO(append_relu(ops), st, done);
    DNN_GOTO(dnnl_primitive_attr_set_post_ops(attr, ops), st, done);
done:
    if (ops != NULL)
        (void)dnnl_post_ops_destroy(ops);
    if (st == LMB_OK)
        *out = attr;
    else
        (void)dnnl_primitive_attr_destroy(attr);
    return st;
}

static dnnl_prop_kind_t forward_kind(const lmb_dnn_conv_spec *s)
{
    return s->kind == LMB_DNN_FORWARD_INFER ? dnnl_forward_inference
                                            : dnnl_forward_training;
}

/* forward_pd: with weights w; backward_pd takes one, without bias and attr, as
 * its hint. */
#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t forward_pd(const lmb_dnn_conv_spec *s, const conv_dims *d,
    const conv_layouts *l, const layout *w, bool bias,
    dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
    const layout_ref b = bias ? l->b : NULL;
    if (is_inner_product(s))
        return dnnl_inner_product_forward_primitive_desc_create(
            out, the_engine, forward_kind(s), l->x, *w, b, l->y, attr);
    return dnnl_convolution_forward_primitive_desc_create(out, the_engine,
        forward_kind(s), dnnl_convolution_direct, l->x, *w, b, l->y, d->stride,
        d->dilation, d->pad_left, d->pad_right, attr);
}

static dnnl_status_t backward_pd(const lmb_dnn_conv_spec *s, const conv_dims *d,
    const conv_layouts *l, dnnl_primitive_attr_t attr,
    dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    const layout_ref b = s->bias ? l->b : NULL;
    const bool data = s->kind == LMB_DNN_BACKWARD_DATA;
    if (is_inner_product(s))
        return data ? dnnl_inner_product_backward_data_primitive_desc_create(
                          out, the_engine, l->x, l->w, l->y, hint, attr)
                    : dnnl_inner_product_backward_weights_primitive_desc_create(
                          out, the_engine, l->x, l->w, b, l->y, hint, attr);
    return data
        ? dnnl_convolution_backward_data_primitive_desc_create(out, the_engine,
              dnnl_convolution_direct, l->x, l->w, l->y, d->stride, d->dilation,
              d->pad_left, d->pad_right, hint, attr)
        : dnnl_convolution_backward_weights_primitive_desc_create(out,
              the_engine, dnnl_convolution_direct, l->x, l->w, b, l->y,
              d->stride, d->dilation, d->pad_left, d->pad_right, hint, attr);
}
#else
static dnnl_status_t forward_pd(const lmb_dnn_conv_spec *s, const conv_dims *d,
    const conv_layouts *l, const layout *w, bool bias,
    dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
    const layout *b = bias ? &l->b : NULL;
    dnnl_convolution_desc_t conv;
    dnnl_inner_product_desc_t product;
    const bool whole = is_inner_product(s);
    const dnnl_status_t code = whole
        ? dnnl_inner_product_forward_desc_init(
              &product, forward_kind(s), &l->x, w, b, &l->y)
        : dnnl_dilated_convolution_forward_desc_init(&conv, forward_kind(s),
              dnnl_convolution_direct, &l->x, w, b, &l->y, d->stride,
              d->dilation, d->pad_left, d->pad_right);
    if (code != dnnl_success)
        return code;
    return dnnl_primitive_desc_create(out,
        whole ? (const void *)&product : (const void *)&conv, attr, the_engine,
        NULL);
}

static dnnl_status_t inner_product_backward_pd(const lmb_dnn_conv_spec *s,
    const conv_layouts *l, dnnl_primitive_attr_t attr,
    dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    dnnl_inner_product_desc_t desc;
    const dnnl_status_t code = s->kind == LMB_DNN_BACKWARD_DATA
        ? dnnl_inner_product_backward_data_desc_init(&desc, &l->x, &l->w, &l->y)
        : dnnl_inner_product_backward_weights_desc_init(
              &desc, &l->x, &l->w, s->bias ? &l->b : NULL, &l->y);
    if (code != dnnl_success)
        return code;
    return dnnl_primitive_desc_create(out, &desc, attr, the_engine, hint);
}

static dnnl_status_t backward_pd(const lmb_dnn_conv_spec *s, const conv_dims *d,
    const conv_layouts *l, dnnl_primitive_attr_t attr,
    dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
    if (is_inner_product(s))
        return inner_product_backward_pd(s, l, attr, hint, out);
    dnnl_convolution_desc_t desc;
    const dnnl_status_t code = s->kind == LMB_DNN_BACKWARD_DATA
        ? dnnl_dilated_convolution_backward_data_desc_init(&desc,
              dnnl_convolution_direct, &l->x, &l->w, &l->y, d->stride,
              d->dilation, d->pad_left, d->pad_right)
        : dnnl_dilated_convolution_backward_weights_desc_init(&desc,
              dnnl_convolution_direct, &l->x, &l->w, s->bias ? &l->b : NULL,
              &l->y, d->stride, d->dilation, d->pad_left, d->pad_right);
    if (code != dnnl_success)
        return code;
    return dnnl_primitive_desc_create(out, &desc, attr, the_engine, hint);
}
#endif

static lmb_status make_pd(const lmb_dnn_conv_spec *s, const conv_dims *d,
    const conv_layouts *l, dnnl_primitive_attr_t attr,
    dnnl_primitive_desc_t *out)
{
    if (s->kind <= LMB_DNN_FORWARD_INFER) {
        DNN(forward_pd(s, d, l, &l->w, s->bias, attr, out));
        return LMB_OK;
    }
    /* The hint's weights must have the data's type. */
    layout w;
    dnnl_primitive_desc_t hint = NULL;
    LMB_TRY(layout_make(
        &w, d->w_rank, d->w, type_of(s->dtype), dnnl_format_tag_any));
    lmb_status st =
        check(forward_pd(s, d, l, &w, false, NULL, &hint), "backward hint");
    if (st == LMB_OK)
        st = check(backward_pd(s, d, l, attr, hint, out), "backward");
    layout_drop(&w);
    if (hint != NULL)
        (void)dnnl_primitive_desc_destroy(hint);
    return st;
}

static lmb_status query_layouts(lmb_dnn_conv *c, const_dnnl_primitive_desc_t pd)
{
    const bool data = c->spec.kind == LMB_DNN_BACKWARD_DATA;
    const bool weights = c->spec.kind == LMB_DNN_BACKWARD_WEIGHTS;
    LMB_TRY(layout_query(
        pd, data ? dnnl_query_diff_src_md : dnnl_query_src_md, &c->x));
    LMB_TRY(layout_query(pd,
        data || weights ? dnnl_query_diff_dst_md : dnnl_query_dst_md, &c->y));
    LMB_TRY(layout_query(pd,
        weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md,
        &c->weights));
    layout scratch;
    LMB_TRY(layout_query(pd, dnnl_query_scratchpad_md, &scratch));
    c->scratch = layout_size(&scratch);
    const dnnl_status_t code =
        dnnl_memory_create(&c->ms, REF(scratch), the_engine, DNNL_MEMORY_NONE);
    layout_drop(&scratch);
    return check(code, "scratchpad");
}

static lmb_status make_memories(lmb_dnn_conv *c)
{
    DNN(dnnl_memory_create(&c->mx, REF(c->x), the_engine, DNNL_MEMORY_NONE));
    DNN(dnnl_memory_create(&c->my, REF(c->y), the_engine, DNNL_MEMORY_NONE));
    DNN(dnnl_memory_create(&c->mr, REF(c->y), the_engine, DNNL_MEMORY_NONE));
    DNN(dnnl_memory_create(
        &c->mw, REF(c->weights), the_engine, DNNL_MEMORY_NONE));
    DNN(dnnl_memory_create(&c->mb, REF(c->bias), the_engine, DNNL_MEMORY_NONE));
    return LMB_OK;
}

static lmb_status make_conv(lmb_dnn_conv *c)
{
    const conv_dims d = dims_of(&c->spec);
    conv_layouts l;
    memset(&l, 0, sizeof l);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(conv_layouts_make(&c->spec, &d, &l), st, done);
    LMB_GOTO(make_attr(&c->spec, &l, &attr), st, done);
    LMB_GOTO(make_pd(&c->spec, &d, &l, attr, &pd), st, done);
    LMB_GOTO(query_layouts(c, pd), st, done);
    LMB_GOTO(layout_make(&c->bias, 1, d.b, dnnl_f32, dnnl_a), st, done);
    LMB_GOTO(layout_make(&c->plain, d.w_rank, d.w, dnnl_f32,
                 d.w_rank == 5 ? dnnl_goihw : dnnl_oihw),
        st, done);
    LMB_GOTO(make_memories(c), st, done);
    const char *impl = "";
    (void)dnnl_primitive_desc_query(
        pd, dnnl_query_impl_info_str, 0, (void *)&impl);
    (void)snprintf(c->impl, sizeof c->impl, "%s", impl);
    DNN_GOTO(dnnl_primitive_create(&c->primitive, pd), st, done);
done:
    if (pd != NULL)
        (void)dnnl_primitive_desc_destroy(pd);
    if (attr != NULL)
        (void)dnnl_primitive_attr_destroy(attr);
    conv_layouts_drop(&l);
    return st;
}

static lmb_status new_conv(const lmb_dnn_conv_spec *spec, lmb_dnn_conv **out)
{
    lmb_dnn_conv *c = NULL;
    LMB_TRY(LMB_NEW(c, 1));
    c->spec = *spec;
    const lmb_status st = make_conv(c);
    if (st != LMB_OK) {
        lmb_dnn_conv_free(c);
        return st;
    }
    *out = c;
    return LMB_OK;
}

/* With a residual that lies elsewhere, oneDNN 2.6's kernel for 1 x 1 on AMX
 * writes up to 15 pixels past y (planes of 48 pixels, for instance). */
static bool writes_past_y(const lmb_dnn_conv *c)
{
    return c->spec.residual &&
        strncmp(c->impl, "jit_1x1:avx512_core_amx", 23) == 0;
}

lmb_status lmb_dnn_conv_new(const lmb_dnn_conv_spec *spec, lmb_dnn_conv **out)
{
    LMB_TRY(start());
    lmb_dnn_conv *c = NULL;
    LMB_TRY(new_conv(spec, &c));
    if (writes_past_y(c)) {
        lmb_dnn_conv_spec in_place = *spec;
        in_place.residual = false;
        in_place.in_place = true;
        lmb_dnn_conv_free(c);
        LMB_TRY(new_conv(&in_place, &c));
        c->copies_residual = true;
    }
    *out = c;
    return LMB_OK;
}

static void drop_memory(dnnl_memory_t memory)
{
    if (memory != NULL)
        (void)dnnl_memory_destroy(memory);
}

void lmb_dnn_conv_free(lmb_dnn_conv *c)
{
    if (c == NULL)
        return;
    if (c->primitive != NULL)
        (void)dnnl_primitive_destroy(c->primitive);
    drop_memory(c->mx);
    drop_memory(c->my);
    drop_memory(c->mr);
    drop_memory(c->mw);
    drop_memory(c->mb);
    drop_memory(c->ms);
    layout_drop(&c->x);
    layout_drop(&c->y);
    layout_drop(&c->weights);
    layout_drop(&c->bias);
    layout_drop(&c->plain);
    lmb_free(c);
}

size_t lmb_dnn_conv_x_size(const lmb_dnn_conv *conv)
{
    return layout_size(&conv->x);
}

size_t lmb_dnn_conv_y_size(const lmb_dnn_conv *conv)
{
    return layout_size(&conv->y);
}

size_t lmb_dnn_conv_weights_size(const lmb_dnn_conv *conv)
{
    return layout_size(&conv->weights);
}

size_t lmb_dnn_conv_scratch_size(const lmb_dnn_conv *conv)
{
    return conv->scratch;
}

const char *lmb_dnn_conv_impl(const lmb_dnn_conv *conv)
{
    return conv->impl;
}

bool lmb_dnn_conv_same_weights(const lmb_dnn_conv *a, const lmb_dnn_conv *b)
{
    return layout_equal(&a->weights, &b->weights);
}

static lmb_status point(dnnl_memory_t memory, const void *data)
{
    /* oneDNN takes non-const handles for what it only reads, too. */
    DNN(dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)data));
    return LMB_OK;
}

/* What a call must find in the memory that it writes. */
static void prepare_result(const lmb_dnn_conv *c, const lmb_dnn_conv_args *args)
{
    const lmb_dnn_conv_spec *s = &c->spec;
    if (c->copies_residual)
        memcpy(args->y, args->residual, layout_size(&c->y));
    /* The kernels for AMX pass on what lies in the scratch memory of taps that
     * only ever meet padding. */
    if (s->kind == LMB_DNN_BACKWARD_WEIGHTS && c->scratch > 0 &&
        (s->x[2] < s->kernel[0] || s->x[3] < s->kernel[1]))
        memset(args->scratch, 0, c->scratch);
}

lmb_status lmb_dnn_conv_run(lmb_dnn_conv *c, const lmb_dnn_conv_args *args)
{
    prepare_result(c, args);
    LMB_TRY(point(c->mx, args->x));
    LMB_TRY(point(c->my, args->y));
    LMB_TRY(point(c->mw, args->weights));
    LMB_TRY(point(c->ms, args->scratch));
    const bool data = c->spec.kind == LMB_DNN_BACKWARD_DATA;
    const bool weights = c->spec.kind == LMB_DNN_BACKWARD_WEIGHTS;
    dnnl_exec_arg_t list[8] = {
        {data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, c->mx},
        {data || weights ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, c->my},
        {weights ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, c->mw},
        {DNNL_ARG_SCRATCHPAD, c->ms},
    };
    int n = 4;
    if (c->spec.bias) {
        LMB_TRY(point(c->mb, args->bias));
        list[n].arg = weights ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS;
        list[n++].memory = c->mb;
    }
    if (c->spec.residual) {
        LMB_TRY(point(c->mr, args->residual));
        list[n].arg = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1;
        list[n++].memory = c->mr;
    }
    DNN(dnnl_primitive_execute(c->primitive, the_stream, n, list));
    return LMB_OK;
}

/* --- reorders ------------------------------------------------------------- */

struct lmb_dnn_reorder {
    dnnl_primitive_t primitive;
    dnnl_memory_t from, to;
};

static lmb_status make_reorder(
    const layout *from, const layout *to, lmb_dnn_reorder *r)
{
    dnnl_primitive_desc_t pd = NULL;
    DNN(dnnl_reorder_primitive_desc_create(
        &pd, REF(*from), the_engine, REF(*to), the_engine, NULL));
    const dnnl_status_t code = dnnl_primitive_create(&r->primitive, pd);
    (void)dnnl_primitive_desc_destroy(pd);
    LMB_TRY(check(code, "reorder"));
    DNN(dnnl_memory_create(&r->from, REF(*from), the_engine, DNNL_MEMORY_NONE));
    DNN(dnnl_memory_create(&r->to, REF(*to), the_engine, DNNL_MEMORY_NONE));
    return LMB_OK;
}

static lmb_status reorder_new(
    const layout *from, const layout *to, lmb_dnn_reorder **out)
{
    lmb_dnn_reorder *r = NULL;
    LMB_TRY(LMB_NEW(r, 1));
    const lmb_status st = make_reorder(from, to, r);
    if (st != LMB_OK) {
        lmb_dnn_reorder_free(r);
        return st;
    }
    *out = r;
    return LMB_OK;
}

lmb_status lmb_dnn_pack_new(const lmb_dnn_conv *conv, lmb_dnn_reorder **out)
{
    return reorder_new(&conv->plain, &conv->weights, out);
}

lmb_status lmb_dnn_unpack_new(const lmb_dnn_conv *conv, lmb_dnn_reorder **out)
{
    return reorder_new(&conv->weights, &conv->plain, out);
}

lmb_status lmb_dnn_reorder_run(lmb_dnn_reorder *r, const void *from, void *to)
{
    LMB_TRY(point(r->from, from));
    LMB_TRY(point(r->to, to));
    const dnnl_exec_arg_t args[2] = {
        {DNNL_ARG_FROM, r->from},
        {DNNL_ARG_TO, r->to},
    };
    DNN(dnnl_primitive_execute(r->primitive, the_stream, 2, args));
    return LMB_OK;
}

void lmb_dnn_reorder_free(lmb_dnn_reorder *r)
{
    if (r == NULL)
        return;
    if (r->primitive != NULL)
        (void)dnnl_primitive_destroy(r->primitive);
    drop_memory(r->from);
    drop_memory(r->to);
    lmb_free(r);
}

/* --- the rest ------------------------------------------------------------- */

lmb_status lmb_dnn_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
    const float *a, const float *b, float *c)
{
    DNN(dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.0f, a, ta ? m : k,
        b, tb ? k : n, 0.0f, c, n));
    return LMB_OK;
}

bool lmb_dnn_available(void)
{
    return true;
}

const char *lmb_dnn_version(void)
{
    static _Thread_local char text[48];
    const dnnl_version_t *v = dnnl_version();
    (void)snprintf(
        text, sizeof text, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

unsigned lmb_dnn_isa(void)
{
    return (unsigned)dnnl_get_effective_cpu_isa();
}

bool lmb_dnn_has_bf16(void)
{
    return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core_bf16;
}

/* Intel's AVX512_BF16 is slower than its f32 (a resnet20 step: 323 images/s in
 * bf16, 480 in f32, on an Emerald Rapids whose AMX the hypervisor hides);
 * others were not measured apart, and keep it. */
bool lmb_dnn_fast_bf16(void)
{
    if (dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core_amx)
        return true;
#if defined(__x86_64__)
    return lmb_dnn_has_bf16() && !__builtin_cpu_is("intel");
#else
    return lmb_dnn_has_bf16();
#endif
}

/* oneDNN 2.6's kernels for AVX2 take a fifth to a third less time forward in
 * blocks (3x3, 64 to 256 channels, an AMD CPU: 52 to 58 ms in place of 68 to
 * 75), and as much backward; those for AVX-512 do not care, and 3.7 is faster
 * in NHWC (a step of vgg8: 139 images/s, in blocks 124). */
bool lmb_dnn_fast_blocks(void)
{
#if DNNL_VERSION_MAJOR >= 3
    return false;
#else
    const unsigned isa = lmb_dnn_isa();
    return isa == dnnl_cpu_isa_avx2 || isa == dnnl_cpu_isa_avx2_vnni;
#endif
}
