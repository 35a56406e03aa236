/* spatial.c: shape checks and window arithmetic of the spatial ops. */
#include "op/spatial.h"

lmb_status lmb__window_fit(const char *axis, lmb_window *w)
{
    if (w->kernel < 1)
        return LMB_FAIL(LMB_ESHAPE, "kernel %s %lld is below 1", axis,
            (long long)w->kernel);
    if (w->stride < 1)
        return LMB_FAIL(LMB_EINVAL, "stride %lld of the %s is below 1",
            (long long)w->stride, axis);
    if (w->dilation < 1)
        return LMB_FAIL(LMB_EINVAL, "dilation %lld of the %s is below 1",
            (long long)w->dilation, axis);
    if (w->pad < 0)
        return LMB_FAIL(LMB_EINVAL, "padding %lld of the %s is negative",
            (long long)w->pad, axis);
    const int64_t reach = w->dilation * (w->kernel - 1) + 1;
    if (w->size < 1 || w->size + 2 * w->pad < reach)
        return LMB_FAIL(LMB_ESHAPE,
            "%s %lld with padding %lld is smaller than the kernel's %lld", axis,
            (long long)w->size, (long long)w->pad, (long long)reach);
    w->out = (w->size + 2 * w->pad - reach) / w->stride + 1;
    return LMB_OK;
}

lmb_status lmb__window_half_padded(const lmb_window *h, const lmb_window *w)
{
    if (2 * h->pad > h->kernel || 2 * w->pad > w->kernel)
        return LMB_FAIL(LMB_EINVAL,
            "padding [%lld, %lld] is more than half the kernel [%lld, %lld]",
            (long long)h->pad, (long long)w->pad, (long long)h->kernel,
            (long long)w->kernel);
    return LMB_OK;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

void lmb__window_outputs(
    const lmb_window *w, int64_t k, int64_t *lo, int64_t *hi)
{
    const int64_t first = w->pad - k * w->dilation; /* o * stride >= first */
    const int64_t last = first + w->size - 1; /* o * stride <= last */
    *lo = first <= 0 ? 0 : clamp((first - 1) / w->stride + 1, 0, w->out);
    *hi = last < 0 ? *lo : clamp(last / w->stride + 1, *lo, w->out);
}

void lmb__window_inputs(
    const lmb_window *w, int64_t o, int64_t *lo, int64_t *hi)
{
    const int64_t start = o * w->stride - w->pad;
    *lo = clamp(start, 0, w->size);
    *hi = clamp(start + w->kernel, *lo, w->size);
}

bool lmb__ref_has(const lmb_ref *r, int i)
{
    return i < r->n_in && r->in[i] != NULL;
}

bool lmb__grad_has(const lmb_grad *c, int i)
{
    return i < c->n_in && lmb_is(c->in[i]);
}

bool lmb__type_has(int n_in, const lmb_type *in, int i)
{
    return i < n_in && in[i].shape.rank >= 0;
}

lmb_status lmb__need_real(const char *name, int n_in, const lmb_type *in, int i)
{
    if (!lmb__type_has(n_in, in, i))
        return LMB_FAIL(LMB_EINVAL, "input %s is missing", name);
    if (in[i].dtype != LMB_F32)
        return LMB_FAIL(LMB_EINVAL, "%s has dtype %s, not real", name,
            lmb_dtype_name(in[i].dtype));
    return LMB_OK;
}

lmb_status lmb__need_rank(
    const char *name, int rank, int n_in, const lmb_type *in, int i)
{
    LMB_TRY(lmb__need_real(name, n_in, in, i));
    if (in[i].shape.rank != rank)
        return LMB_FAIL(LMB_ESHAPE, "%s %s has rank %d, not %d", name,
            lmb_shape_text(&in[i].shape), (int)in[i].shape.rank, rank);
    return LMB_OK;
}

lmb_status lmb__need_shape(
    const char *name, lmb_shape want, int n_in, const lmb_type *in, int i)
{
    LMB_TRY(lmb__need_real(name, n_in, in, i));
    if (!lmb_shape_equal(&in[i].shape, &want))
        return LMB_FAIL(LMB_ESHAPE, "%s has shape %s, not %s", name,
            lmb_shape_text(&in[i].shape), lmb_shape_text(&want));
    return LMB_OK;
}

lmb_status lmb__resized(const char *name, const int64_t size[2], int n_in,
    const lmb_type *in, lmb_type *out)
{
    LMB_TRY(lmb__need_rank(name, 4, n_in, in, 0));
    const lmb_shape *s = &in[0].shape;
    if (size[0] < 1 || size[1] < 1 || s->dim[2] < 1 || s->dim[3] < 1)
        return LMB_FAIL(LMB_ESHAPE,
            "%s %s to %lld x %lld: height and width must be at least 1", name,
            lmb_shape_text(s), (long long)size[0], (long long)size[1]);
    out[0] = lmb__real(LMB_SHAPE(s->dim[0], s->dim[1], size[0], size[1]));
    return LMB_OK;
}

lmb_type lmb__real(lmb_shape shape)
{
    return (lmb_type){LMB_F32, shape};
}
