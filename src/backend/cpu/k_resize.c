/* k_resize.c: resize to a given size, nearest or bilinear, and its adjoint.
 *
 * Along an axis output p blends the inputs i0 and i1 with weights 1 - t and t
 * (the rules are in the op's file); y is the product over both axes. The
 * outputs that an input takes part in are a run, because i0 and i1 rise with
 * p: the adjoint gathers over it. */
#include "backend/cpu/kernel_util.h"

typedef struct blend {
    int64_t i0, i1;
    float w0, w1;
} blend;

typedef struct axis {
    blend *at; /* per output */
    int64_t (*run)[2]; /* per input: first and last + 1 output (adjoint) */
    int64_t in, out;
} axis;

static blend blend_at(int32_t mode, const axis *a, int64_t p)
{
    if (mode == LMB_RESIZE_NEAREST) {
        const float scale = (float)a->in / (float)a->out;
        const int64_t i = (int64_t)floorf((float)p * scale);
        return (blend){k_min(i, a->in - 1), k_min(i, a->in - 1), 1, 0};
    }
    const double scale = (double)a->in / (double)a->out;
    const double u = fmax(0, ((double)p + 0.5) * scale - 0.5);
    const int64_t i = k_min((int64_t)u, a->in - 1);
    const double t = fmin(u - (double)i, 1);
    return (blend){i, k_min(i + 1, a->in - 1), (float)(1 - t), (float)t};
}

static int64_t axis_bytes(int64_t in, int64_t out)
{
    return out * (int64_t)sizeof(blend) + in * 2 * (int64_t)sizeof(int64_t);
}
static axis axis_make(char *scratch, int32_t mode, int64_t in, int64_t out)
{
    axis a = {(blend *)(void *)scratch, NULL, in, out};
    a.run = (int64_t(*)[2])(void *)(a.at + out);
    for (int64_t i = 0; i < in; i++)
        a.run[i][0] = a.run[i][1] = 0;
    for (int64_t p = 0; p < out; p++) {
        a.at[p] = blend_at(mode, &a, p);
        for (int64_t i = a.at[p].i0; i <= a.at[p].i1; i++) {
            if (a.run[i][1] == 0)
                a.run[i][0] = p;
            a.run[i][1] = p + 1;
        }
    }
    return a;
}

typedef struct resize {
    axis h, w;
    int64_t planes, block;
    const void *x;
    void *y;
} resize;

static size_t scratch_sizes(const lmb_buf *small, const lmb_buf *big)
{
    const int64_t *in = small->shape.dim, *out = big->shape.dim;
    return (size_t)(axis_bytes(in[2], out[2]) + axis_bytes(in[3], out[3]));
}
/* from: the forward input's shape; to: the forward output's. */
static resize resize_of(
    const lmb_call *c, const lmb_buf *from, const lmb_buf *to)
{
    const int32_t mode = ((const lmb_size_attr *)c->attr)->mode;
    const int64_t *in = from->shape.dim, *out = to->shape.dim;
    char *scratch = c->scratch;
    resize r = {.block = from->block, .x = c->in[0].data, .y = c->out[0].data};
    r.planes = in[0] * in[1] / from->block;
    r.h = axis_make(scratch, mode, in[2], out[2]);
    scratch += axis_bytes(in[2], out[2]);
    r.w = axis_make(scratch, mode, in[3], out[3]);
    return r;
}

/* Weighted element, or 0 for weight 0 whatever the element is. */
K_INLINE vf weighted(
    const resize *r, int64_t at, int64_t m, float weight, bool half)
{
    if (weight == 0)
        return (vf){0};
    return v_load_n(r->x, at, m, half) * v_set(weight);
}

/* Row p of plane k of the output. */
K_INLINE void row_forward(const resize *r, int64_t k, int64_t p, bool half)
{
    const int64_t b = r->block, plane = k * r->h.in * r->w.in;
    const int64_t out = (k * r->h.out + p) * r->w.out * b;
    const blend v = r->h.at[p];
    for (int64_t q = 0; q < r->w.out; q++) {
        const blend u = r->w.at[q];
        const int64_t a0 = (plane + v.i0 * r->w.in) * b;
        const int64_t a1 = (plane + v.i1 * r->w.in) * b;
        for (int64_t j = 0; j < b; j += VL) {
            const int64_t m = k_min(VL, b - j);
            vf s = weighted(r, a0 + u.i0 * b + j, m, v.w0 * u.w0, half);
            s += weighted(r, a0 + u.i1 * b + j, m, v.w0 * u.w1, half);
            s += weighted(r, a1 + u.i0 * b + j, m, v.w1 * u.w0, half);
            s += weighted(r, a1 + u.i1 * b + j, m, v.w1 * u.w1, half);
            v_store_n(r->y, out + q * b + j, m, half, s);
        }
    }
}

/* What input i gets from output p. */
K_INLINE float share(const axis *a, int64_t i, int64_t p)
{
    const blend *b = &a->at[p];
    return (b->i0 == i ? b->w0 : 0) + (b->i1 == i ? b->w1 : 0);
}
/* Row i of plane k of dx; x is dy here. */
K_INLINE void row_backward(const resize *r, int64_t k, int64_t i, bool half)
{
    const int64_t b = r->block, plane = k * r->h.out * r->w.out;
    const int64_t out = (k * r->h.in + i) * r->w.in * b;
    const int64_t *ph = r->h.run[i];
    for (int64_t c = 0; c < r->w.in; c++) {
        const int64_t *pw = r->w.run[c];
        for (int64_t j = 0; j < b; j += VL) {
            const int64_t m = k_min(VL, b - j);
            vf s = {0};
            for (int64_t p = ph[0]; p < ph[1]; p++)
                for (int64_t q = pw[0]; q < pw[1]; q++)
                    s += weighted(r, (plane + p * r->w.out + q) * b + j, m,
                        share(&r->h, i, p) * share(&r->w, c, q), half);
            v_store_n(r->y, out + c * b + j, m, half, s);
        }
    }
}

static size_t scratch_resize(const lmb_call *c)
{
    return scratch_sizes(&c->in[0], &c->out[0]);
}
static void run_resize(const lmb_call *c)
{
    const resize r = resize_of(c, &c->in[0], &c->out[0]);
    K_PARALLEL_FOR(k_count(&c->out[0].shape))
    for (int64_t k = 0; k < r.planes * r.h.out; k++) {
        if (k_is_half(&c->in[0]))
            row_forward(&r, k / r.h.out, k % r.h.out, true);
        else
            row_forward(&r, k / r.h.out, k % r.h.out, false);
    }
}
static size_t scratch_resize_bwd(const lmb_call *c)
{
    return scratch_sizes(&c->out[0], &c->in[0]);
}
static void run_resize_bwd(const lmb_call *c)
{
    const resize r = resize_of(c, &c->out[0], &c->in[0]);
    K_PARALLEL_FOR(k_count(&c->in[0].shape))
    for (int64_t k = 0; k < r.planes * r.h.in; k++) {
        if (k_is_half(&c->in[0]))
            row_backward(&r, k / r.h.in, k % r.h.in, true);
        else
            row_backward(&r, k / r.h.in, k % r.h.in, false);
    }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_resize)[];
const lmb_kernel LMB_KERNEL_TABLE(k_resize)[] = {
    {&lmb_op_resize, LMB_RULE_SPATIAL, true, run_resize, scratch_resize, NULL},
    {&lmb_op_resize_bwd, LMB_RULE_SPATIAL, true, run_resize_bwd,
        scratch_resize_bwd, NULL},
    {0},
};
