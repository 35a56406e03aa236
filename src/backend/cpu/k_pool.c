/* k_pool.c: max, average, adaptive average and global average pooling.
 *
 * A window of output o along an axis covers the inputs lo(o) .. hi(o) - 1
 * (without padding): o * stride - pad .. + kernel, or for adaptive pooling
 * floor(o H / O) .. ceil((o + 1) H / O). Average backward gathers: input i
 * adds up the outputs whose windows hold it, so no two threads write to one
 * place. Max backward scatters inside one plane, which one thread owns. */
#include "backend/cpu/kernel_util.h"

typedef struct axis {
    int64_t in, out, kernel, stride, pad;
    bool adaptive;
} axis;

K_INLINE int64_t window_lo(const axis *a, int64_t o)
{
    if (a->adaptive)
        return o * a->in / a->out;
    return k_max(0, o * a->stride - a->pad);
}
K_INLINE int64_t window_hi(const axis *a, int64_t o)
{
    if (a->adaptive)
        return k_ceil_div((o + 1) * a->in, a->out);
    return k_min(a->in, o * a->stride - a->pad + a->kernel);
}
/* First and last + 1 output whose window holds input i. */
K_INLINE int64_t holder_lo(const axis *a, int64_t i)
{
    if (a->adaptive)
        return i * a->out / a->in;
    const int64_t past = i + a->pad - a->kernel; /* windows that end before */
    return past < 0 ? 0 : past / a->stride + 1;
}
K_INLINE int64_t holder_hi(const axis *a, int64_t i)
{
    if (a->adaptive)
        return k_min(a->out, ((i + 1) * a->out - 1) / a->in + 1);
    return k_min(a->out, (i + a->pad) / a->stride + 1);
}

typedef struct pool {
    axis h, w;
    int64_t planes, block; /* planes = N * C / block */
    bool fixed; /* average over kernel size, else over what is covered */
    bool half;
} pool;

static pool pool_of(const lmb_buf *big, const lmb_buf *small)
{
    const int64_t *in = big->shape.dim, *out = small->shape.dim;
    pool p = {.h = {.in = in[2], .out = out[2], .adaptive = true},
        .w = {.in = in[3], .out = out[3], .adaptive = true}};
    p.block = big->block;
    p.planes = in[0] * in[1] / big->block;
    p.half = k_is_half(big);
    return p;
}
static pool pool_windows(
    const lmb_buf *big, const lmb_buf *small, const lmb_pool_attr *a)
{
    pool p = pool_of(big, small);
    axis *const axes[2] = {&p.h, &p.w};
    for (int i = 0; i < 2; i++) {
        axes[i]->adaptive = false;
        axes[i]->kernel = a->kernel[i];
        axes[i]->stride = a->stride[i];
        axes[i]->pad = a->pad[i];
    }
    p.fixed = a->count_include_pad;
    return p;
}
K_INLINE int64_t pool_elements(const pool *p)
{
    return p->planes * p->block * p->h.in * p->w.in;
}

/* --- forward -------------------------------------------------------------- */

typedef struct window {
    int64_t h0, h1, w0, w1;
} window;

static window window_at(const pool *p, int64_t oh, int64_t ow)
{
    return (window){window_lo(&p->h, oh), window_hi(&p->h, oh),
        window_lo(&p->w, ow), window_hi(&p->w, ow)};
}
static float window_weight(const pool *p, const window *v)
{
    const int64_t n = p->fixed ? p->h.kernel * p->w.kernel
                               : (v->h1 - v->h0) * (v->w1 - v->w0);
    return n > 0 ? 1.0f / (float)n : 0.0f;
}

K_INLINE vf window_reduce(const pool *p, const void *x, const window *v,
    int64_t base, int64_t m, bool half, bool max)
{
    vf acc = max ? v_set(-INFINITY) : (vf){0};
    for (int64_t h = v->h0; h < v->h1; h++)
        for (int64_t w = v->w0; w < v->w1; w++) {
            const int64_t at = base + (h * p->w.in + w) * p->block;
            const vf e = v_load_n(x, at, m, half);
            acc = max ? v_max(acc, e) : acc + e;
        }
    return acc;
}

/* Output row oh of one plane. */
K_INLINE void row_forward(const pool *p, const void *x, void *y, int64_t plane,
    int64_t oh, bool half, bool max)
{
    const int64_t in = plane * p->h.in * p->w.in * p->block;
    const int64_t out = (plane * p->h.out + oh) * p->w.out * p->block;
    for (int64_t ow = 0; ow < p->w.out; ow++) {
        const window v = window_at(p, oh, ow);
        const vf weight = v_set(max ? 1.0f : window_weight(p, &v));
        for (int64_t j = 0; j < p->block; j += VL) {
            const int64_t m = k_min(VL, p->block - j);
            const vf r = window_reduce(p, x, &v, in + j, m, half, max);
            v_store_n(y, out + ow * p->block + j, m, half, r * weight);
        }
    }
}
typedef void row_fn(
    const pool *p, const void *x, void *y, int64_t plane, int64_t row);
#define K_FORWARD(name, half, max) \
    static void name( \
        const pool *p, const void *x, void *y, int64_t plane, int64_t row) \
    { \
        row_forward(p, x, y, plane, row, half, max); \
    }
K_FORWARD(max_f32, false, true)
K_FORWARD(max_bf16, true, true)
K_FORWARD(avg_f32, false, false)
K_FORWARD(avg_bf16, true, false)

static void rows_run(
    const pool *p, row_fn *fn, int64_t rows, const void *x, void *y)
{
    K_PARALLEL_FOR(pool_elements(p))
    for (int64_t k = 0; k < p->planes * rows; k++)
        fn(p, x, y, k / rows, k % rows);
}

static void run_max(const lmb_call *c)
{
    const pool p = pool_windows(&c->in[0], &c->out[0], c->attr);
    rows_run(&p, p.half ? max_bf16 : max_f32, p.h.out, c->in[0].data,
        c->out[0].data);
}
static void run_avg(const lmb_call *c)
{
    const pool p = pool_windows(&c->in[0], &c->out[0], c->attr);
    rows_run(&p, p.half ? avg_bf16 : avg_f32, p.h.out, c->in[0].data,
        c->out[0].data);
}
static void run_adaptive(const lmb_call *c)
{
    const pool p = pool_of(&c->in[0], &c->out[0]);
    rows_run(&p, p.half ? avg_bf16 : avg_f32, p.h.out, c->in[0].data,
        c->out[0].data);
}

/* --- average, backward ---------------------------------------------------- */

/* Input row ih of one plane: dx = sum over windows of dy * weight. */
K_INLINE void row_backward(const pool *p, const void *dy, void *dx,
    int64_t plane, int64_t ih, bool half)
{
    const int64_t in = (plane * p->h.in + ih) * p->w.in * p->block;
    const int64_t out = plane * p->h.out * p->w.out * p->block;
    const int64_t h0 = holder_lo(&p->h, ih), h1 = holder_hi(&p->h, ih);
    for (int64_t iw = 0; iw < p->w.in; iw++) {
        const int64_t w0 = holder_lo(&p->w, iw), w1 = holder_hi(&p->w, iw);
        for (int64_t j = 0; j < p->block; j += VL) {
            const int64_t m = k_min(VL, p->block - j);
            vf acc = {0};
            for (int64_t h = h0; h < h1; h++)
                for (int64_t w = w0; w < w1; w++) {
                    const window v = window_at(p, h, w);
                    const int64_t at = (h * p->w.out + w) * p->block + j;
                    acc = v_fma(v_load_n(dy, out + at, m, half),
                        v_set(window_weight(p, &v)), acc);
                }
            v_store_n(dx, in + iw * p->block + j, m, half, acc);
        }
    }
}
static void avg_bwd_f32(
    const pool *p, const void *dy, void *dx, int64_t plane, int64_t row)
{
    row_backward(p, dy, dx, plane, row, false);
}
static void avg_bwd_bf16(
    const pool *p, const void *dy, void *dx, int64_t plane, int64_t row)
{
    row_backward(p, dy, dx, plane, row, true);
}
static void run_avg_bwd(const lmb_call *c)
{
    const lmb_pool_bwd_attr *a = c->attr;
    const pool p = pool_windows(&c->out[0], &c->in[0], &a->pool);
    rows_run(&p, p.half ? avg_bwd_bf16 : avg_bwd_f32, p.h.in, c->in[0].data,
        c->out[0].data);
}
static void run_adaptive_bwd(const lmb_call *c)
{
    const pool p = pool_of(&c->out[0], &c->in[0]);
    rows_run(&p, p.half ? avg_bwd_bf16 : avg_bwd_f32, p.h.in, c->in[0].data,
        c->out[0].data);
}

/* --- max, backward -------------------------------------------------------- */

/* Gives dy of one window to the first position that equals y, lane by lane:
 * added to what is there, or, if windows do not overlap, written. */
K_INLINE void window_route(const pool *p, const window *v, const void *x,
    void *dx, int64_t base, int64_t m, vf y, vf dy, bool half, bool apart)
{
    vi open = (y == y) | (y != y);
    for (int64_t h = v->h0; h < v->h1; h++)
        for (int64_t w = v->w0; w < v->w1; w++) {
            const int64_t at = base + (h * p->w.in + w) * p->block;
            const vf e = v_load_n(x, at, m, half);
            const vi hit = open & ((e == y) | ((e != e) & (y != y)));
            const vf old = apart ? (vf){0} : v_load_n(dx, at, m, half);
            const vf add = v_pick(hit, dy, (vf){0});
            v_store_n(dx, at, m, half, apart ? add : old + add);
            open &= ~hit;
        }
}
K_INLINE void plane_max_bwd(
    const pool *shared, const lmb_call *c, int64_t plane, bool half, bool apart)
{
    const pool own = *shared, *p = &own; /* stores cannot change a copy */
    const void *dy = c->in[0].data, *x = c->in[1].data, *y = c->in[2].data;
    void *dx = c->out[0].data;
    const int64_t size = p->h.in * p->w.in * p->block;
    const int64_t in = plane * size, bytes = half ? 2 : 4;
    if (!apart)
        memset((char *)dx + in * bytes, 0, (size_t)(size * bytes));
    for (int64_t oh = 0; oh < p->h.out; oh++)
        for (int64_t ow = 0; ow < p->w.out; ow++) {
            const window v = window_at(p, oh, ow);
            const int64_t out =
                ((plane * p->h.out + oh) * p->w.out + ow) * p->block;
            for (int64_t j = 0; j < p->block; j += VL) {
                const int64_t m = k_min(VL, p->block - j);
                window_route(p, &v, x, dx, in + j, m,
                    v_load_n(y, out + j, m, half),
                    v_load_n(dy, out + j, m, half), half, apart);
            }
        }
}
/* Windows tile the axis: each input lies in one. */
static bool tiles(const axis *a)
{
    return a->kernel == a->stride && a->pad == 0 && a->out * a->stride == a->in;
}
static void run_max_bwd(const lmb_call *c)
{
    const lmb_pool_bwd_attr *a = c->attr;
    const pool p = pool_windows(&c->out[0], &c->in[0], &a->pool);
    const bool apart = tiles(&p.h) && tiles(&p.w);
    K_PARALLEL_FOR(pool_elements(&p))
    for (int64_t k = 0; k < p.planes; k++) {
        if (p.half && apart)
            plane_max_bwd(&p, c, k, true, true);
        else if (p.half)
            plane_max_bwd(&p, c, k, true, false);
        else if (apart)
            plane_max_bwd(&p, c, k, false, true);
        else
            plane_max_bwd(&p, c, k, false, false);
    }
}

/* --- global average ------------------------------------------------------- */

/* Mean over rows of m channels from `at` on, step `block`. */
K_INLINE vf rows_mean(const void *x, int64_t at, int64_t rows, int64_t block,
    int64_t m, bool half)
{
    vf s[4] = {{0}, {0}, {0}, {0}};
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4)
        for (int k = 0; k < 4; k++)
            s[k] += v_load_n(x, at + (r + k) * block, m, half);
    for (; r < rows; r++)
        s[0] += v_load_n(x, at + r * block, m, half);
    return ((s[0] + s[1]) + (s[2] + s[3])) / (float)rows;
}
K_INLINE float run_mean(const void *x, int64_t at, int64_t n, bool half)
{
    vf s = {0};
    for (int64_t i = 0; i < n; i += VL)
        s += v_load_n(x, at + i, k_min(VL, n - i), half);
    return v_sum(s) / (float)n;
}
K_INLINE void global_avg(const lmb_call *c, int64_t k, bool half)
{
    const lmb_buf *x = &c->in[0];
    const int64_t block = x->block, rows = x->shape.dim[2] * x->shape.dim[3];
    float *y = (float *)c->out[0].data + k * block;
    if (block == 1) {
        *y = run_mean(x->data, k * rows, rows, half);
        return;
    }
    for (int64_t j = 0; j < block; j += VL) {
        const int64_t m = k_min(VL, block - j), at = k * rows * block + j;
        v_store_n(y, j, m, false, rows_mean(x->data, at, rows, block, m, half));
    }
}
static void run_global(const lmb_call *c)
{
    const lmb_buf *x = &c->in[0];
    const int64_t planes = x->shape.dim[0] * x->shape.dim[1] / x->block;
    K_PARALLEL_FOR(k_count(&x->shape))
    for (int64_t k = 0; k < planes; k++) {
        if (k_is_half(x))
            global_avg(c, k, true);
        else
            global_avg(c, k, false);
    }
}

K_INLINE void global_avg_bwd(const lmb_call *c, int64_t k, bool half)
{
    const lmb_buf *dx = &c->out[0];
    const int64_t block = dx->block, rows = dx->shape.dim[2] * dx->shape.dim[3];
    const float *dy = (const float *)c->in[0].data + k * block;
    const int64_t at = k * rows * block;
    if (block == 1) {
        const vf g = v_set(*dy / (float)rows);
        for (int64_t r = 0; r < rows; r += VL)
            v_store_n(dx->data, at + r, k_min(VL, rows - r), half, g);
        return;
    }
    for (int64_t j = 0; j < block; j += VL) {
        const int64_t m = k_min(VL, block - j);
        const vf g = v_load_n(dy, j, m, false) / (float)rows;
        for (int64_t r = 0; r < rows; r++)
            v_store_n(dx->data, at + r * block + j, m, half, g);
    }
}
static void run_global_bwd(const lmb_call *c)
{
    const lmb_buf *dx = &c->out[0];
    const int64_t planes = dx->shape.dim[0] * dx->shape.dim[1] / dx->block;
    K_PARALLEL_FOR(k_count(&dx->shape))
    for (int64_t k = 0; k < planes; k++) {
        if (k_is_half(dx))
            global_avg_bwd(c, k, true);
        else
            global_avg_bwd(c, k, false);
    }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_pool)[];
const lmb_kernel LMB_KERNEL_TABLE(k_pool)[] = {
    {&lmb_op_max_pool2d, LMB_RULE_SPATIAL, true, run_max, NULL, NULL},
    {&lmb_op_max_pool2d_bwd, LMB_RULE_SPATIAL, true, run_max_bwd, NULL, NULL},
    {&lmb_op_avg_pool2d, LMB_RULE_SPATIAL, true, run_avg, NULL, NULL},
    {&lmb_op_avg_pool2d_bwd, LMB_RULE_SPATIAL, true, run_avg_bwd, NULL, NULL},
    {&lmb_op_adaptive_avg_pool2d, LMB_RULE_SPATIAL, true, run_adaptive, NULL,
        NULL},
    {&lmb_op_adaptive_avg_pool2d_bwd, LMB_RULE_SPATIAL, true, run_adaptive_bwd,
        NULL, NULL},
    {&lmb_op_global_avg_pool, LMB_RULE_SPATIAL, true, run_global, NULL, NULL},
    {&lmb_op_global_avg_pool_bwd, LMB_RULE_SPATIAL, true, run_global_bwd, NULL,
        NULL},
    {0},
};
