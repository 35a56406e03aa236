/* k_batch_norm.c: batch normalisation in training and inference.
 *
 *   mean_c, var_c over (n, h, w);  y = gamma (x - mean) / sqrt(var + eps)
 *   + beta [+ residual] [relu]
 *   g = (dy [+ dy2]) [where y > 0];  dbeta = sum g;  dgamma = sum g xhat
 *   dx = gamma / sqrt(var + eps) (g - dbeta / M - xhat dgamma / M)
 * Ioffe and Szegedy 2015, arXiv:1502.03167.
 *
 * Two passes over memory each way: sums, then output. Work is cut into units:
 * a few hundred rows (positions) of one channel block. A unit's sums are f32
 * in several short chains, relative to a pivot near the channel's mean, so
 * that squares do not cancel; units are added in double in their order. So
 * the bits do not depend on who computes which unit: where a channel block
 * fits the cache, one thread does both passes on it, else all threads do all
 * blocks with a barrier between the passes. The second pass goes backwards:
 * it begins with what the first one has left in the cache.
 *
 * The mask of ReLU is the sign of y: read in the first pass and kept as bits
 * for the second, or made anew from x where nothing was added to y. */
#include "backend/cpu/kernel_util.h"

enum {
    UNIT_ROWS = 256, /* longest chain of f32 additions */
    UNIT_ELEMENTS = 16384,
    PIVOT_ROWS = 16,
    STREAM_FROM = 12 << 20, /* bytes of an output that goes past the caches */
    TEAM_FITS = 16 << 20, /* bytes of a few blocks in the shared cache */
    BLOCK_FITS = 640 * 1024, /* bytes of one channel block in the L2 cache */
};

/* x as [images][blocks][rows][block]; planar is block == 1, where a "row" of
 * the vectors is a run of positions of one channel. */
typedef struct dims {
    int64_t images, blocks, rows, block, channels, count;
    int64_t row_parts, image_group; /* one of them is 1 */
    int64_t groups; /* units per channel block */
    int64_t part_rows;
    bool half, planar;
} dims;

static void dims_units(dims *d)
{
    int64_t most = UNIT_ELEMENTS / d->block;
    most = d->planar ? 2048 : k_min(k_max(most, 16), UNIT_ROWS);
    d->row_parts = k_max(1, k_ceil_div(d->rows, most));
    d->part_rows = k_ceil_div(d->rows, d->row_parts);
    d->row_parts = k_max(1, k_ceil_div(d->rows, k_max(1, d->part_rows)));
    d->image_group = d->row_parts > 1 ? 1 : k_max(1, most / k_max(1, d->rows));
    d->groups = k_ceil_div(d->images, d->image_group) * d->row_parts;
}

static dims dims_of(const lmb_buf *x)
{
    dims d = {.images = x->shape.dim[0], .channels = x->shape.dim[1]};
    d.half = k_is_half(x);
    d.rows = x->shape.rank == 4 ? x->shape.dim[2] * x->shape.dim[3] : 1;
    d.block = x->shape.rank == 4 ? x->block : d.channels;
    if (d.rows == 1)
        d.block = k_max(d.block, d.block == 1 ? d.channels : 1);
    d.blocks = d.block > 0 ? d.channels / d.block : 0;
    d.count = d.images * d.rows;
    d.planar = d.block == 1 && d.rows > 1;
    if (d.blocks == 1 && !d.planar) { /* rows of all images follow another */
        d.rows *= d.images;
        d.images = 1;
    }
    if (d.block > 0)
        dims_units(&d);
    return d;
}

/* One unit: images i0..i1-1, rows r0..r1-1 of block b. */
typedef struct unit {
    int64_t i0, i1, r0, r1, b, group;
} unit;

static unit unit_at(const dims *d, int64_t group, int64_t b)
{
    const int64_t i = group / d->row_parts * d->image_group;
    const int64_t r = group % d->row_parts * d->part_rows;
    return (unit){i, k_min(d->images, i + d->image_group), r,
        k_min(d->rows, r + d->part_rows), b, group};
}
/* Unit k of n blocks from b on, in the order of memory: images, blocks, rows.
 */
static unit unit_linear(const dims *d, int64_t b, int64_t n, int64_t k)
{
    const int64_t part = k % d->row_parts, rest = k / d->row_parts;
    return unit_at(d, rest / n * d->row_parts + part, b + rest % n);
}
/* Index of the first element of row r of image i. */
K_INLINE int64_t row_at(const dims *d, int64_t i, int64_t b, int64_t r)
{
    return ((i * d->blocks + b) * d->rows + r) * d->block;
}

/* What both directions keep in scratch: floats per channel. */
typedef struct work {
    dims d;
    const void *x, *y, *dy, *dy2;
    void *out, *res;
    const float *gamma, *beta;
    const float *pivot; /* forward: near the mean; backward: the mean */
    float *mean, *var; /* forward: outputs; backward: inputs */
    float *dgamma, *dbeta; /* backward */
    float *a, *b, *c; /* constants of the second pass */
    float *sums; /* [groups][2][channels] */
    uint16_t *bits; /* backward: y > 0, one word for VL lanes */
    bool stream; /* the output goes past the caches */
    double eps;
} work;

static size_t work_floats(const dims *d)
{
    return (size_t)(d->channels * (4 + 2 * d->groups));
}
static void work_scratch(work *w, float *scratch)
{
    const int64_t n = w->d.channels;
    w->a = scratch;
    w->b = scratch + n;
    w->c = scratch + 2 * n;
    w->sums = scratch + 4 * n;
}
static float *sums_at(const work *w, const unit *u, int64_t channel)
{
    return w->sums + u->group * 2 * w->d.channels + channel;
}

/* What a pass does, known when it is compiled. */
enum {
    HALF = 1, /* bf16 */
    BACKWARD = 2,
    MASK = 4, /* backward: g = 0 where y <= 0 */
    RESIDUAL = 8, /* forward: add one; backward: give one (g itself) */
    BITS = 16, /* backward: pass 1 keeps the mask as bits for pass 2 */
    RELU = 32, /* forward */
    SIGN = 64, /* backward: the mask is a (x - mean) + beta > 0 */
};

/* The constants of the channels in one vector. */
typedef struct consts {
    vf pivot, a, b, c, beta;
} consts;

K_INLINE consts consts_first(
    const work *w, int64_t channel, int64_t m, int kind)
{
    consts k = {.pivot = v_load_n(w->pivot, channel, m, false)};
    if ((kind & SIGN) != 0) {
        k.a = v_load_n(w->a, channel, m, false);
        k.beta = v_load_n(w->beta, channel, m, false);
    }
    return k;
}
K_INLINE consts consts_second(
    const work *w, int64_t channel, int64_t m, int kind)
{
    consts k = consts_first(w, channel, m, kind);
    k.a = v_load_n(w->a, channel, m, false);
    k.b = v_load_n(w->b, channel, m, false);
    k.c = v_load_n(w->c, channel, m, false);
    return k;
}
/* The same channel in all lanes. */
K_INLINE consts consts_repeat(const work *w, int64_t channel, int kind)
{
    consts k = {.pivot = v_set(w->pivot[channel])};
    k.a = v_set(w->a[channel]);
    k.b = v_set(w->b[channel]);
    k.c = v_set(w->c[channel]);
    if ((kind & SIGN) != 0)
        k.beta = v_set(w->beta[channel]);
    return k;
}

/* --- pass 1: sums --------------------------------------------------------- */

K_INLINE vf gradient(const work *w, int64_t at, int64_t m, int kind)
{
    const bool half = (kind & HALF) != 0;
    vf g = v_load_n(w->dy, at, m, half);
    if (w->dy2 != NULL)
        g += v_load_n(w->dy2, at, m, half);
    return g;
}
/* d = x - mean. With BITS `at` is a multiple of VL and m is VL. */
K_INLINE vf masked_gradient(
    const work *w, int64_t at, int64_t m, const consts *k, vf d, int kind)
{
    const vf g = gradient(w, at, m, kind);
    if ((kind & SIGN) != 0)
        return v_keep(g, v_positive(v_fma(d, k->a, k->beta)));
    if ((kind & MASK) == 0)
        return g;
    const uint16_t keep = v_positive(v_load_n(w->y, at, m, (kind & HALF) != 0));
    if ((kind & BITS) != 0)
        w->bits[(uint64_t)at / VL] = keep;
    return v_keep(g, keep);
}

/* The sums gather s and s t: forward s = t = x - pivot; backward s = g and
 * t = x - mean. */
typedef struct pair {
    vf s, t;
} pair;

K_INLINE pair terms(
    const work *w, int64_t at, int64_t m, const consts *k, int kind)
{
    const bool half = (kind & HALF) != 0;
    const vf d = v_load_n(w->x, at, m, half) - k->pivot;
    if ((kind & BACKWARD) == 0)
        return (pair){d, d};
    const vf g = masked_gradient(w, at, m, k, d, kind);
    if ((kind & RESIDUAL) != 0)
        v_store_n(w->res, at, m, half, g);
    return (pair){g, d};
}

/* Lanes of vector k of W, of which the last one has m. */
K_INLINE int64_t lanes(int k, int W, int64_t m)
{
    return k == W - 1 ? m : VL;
}

/* Sums of channels from j on of a unit: W vectors side by side, the last one
 * of m lanes, U rows at a time in chains of their own. */
K_INLINE void sum_columns(const work *shared, const unit *shared_u, int64_t j,
    int64_t m, int kind, const int W, const int U)
{
    const work own = *shared, *w = &own; /* stores cannot change copies */
    const unit own_u = *shared_u, *u = &own_u;
    const int64_t block = w->d.block, channel = u->b * block + j;
    vf s[4] = {{0}, {0}, {0}, {0}}, q[4] = {{0}, {0}, {0}, {0}};
    consts con[4];
    for (int k = 0; k < W; k++)
        con[k] = consts_first(w, channel + k * VL, lanes(k, W, m), kind);
    for (int64_t i = u->i0; i < u->i1; i++) {
        int64_t at = row_at(&w->d, i, u->b, u->r0) + j;
        int64_t r = u->r0;
        for (; r + U <= u->r1; r += U, at += U * block)
            for (int k = 0; k < W * U; k++) {
                const int64_t here = at + k / W * block + k % W * VL;
                const pair t =
                    terms(w, here, lanes(k % W, W, m), &con[k % W], kind);
                s[k] += t.s;
                q[k] = v_fma(t.s, t.t, q[k]);
            }
        for (; r < u->r1; r++, at += block)
            for (int k = 0; k < W; k++) {
                const pair t =
                    terms(w, at + k * VL, lanes(k, W, m), &con[k], kind);
                s[k] += t.s;
                q[k] = v_fma(t.s, t.t, q[k]);
            }
    }
    float *sum = sums_at(w, u, channel);
    for (int k = 0; k < W; k++) {
        for (int n = 1; n < U; n++) {
            s[k] += s[k + n * W];
            q[k] += q[k + n * W];
        }
        v_store_n(sum, k * VL, lanes(k, W, m), false, s[k]);
        v_store_n(sum, w->d.channels + k * VL, lanes(k, W, m), false, q[k]);
    }
}

/* One channel in runs of positions (block == 1). */
K_INLINE void sum_plane(const work *w, const unit *u, int kind)
{
    const dims *d = &w->d;
    const consts con = consts_repeat(w, u->b, kind);
    vf s = {0}, q = {0};
    for (int64_t i = u->i0; i < u->i1; i++) {
        const int64_t at = row_at(d, i, u->b, 0);
        int64_t r = u->r0;
        for (; r + VL <= u->r1; r += VL) {
            const pair t = terms(w, at + r, VL, &con, kind);
            s += t.s;
            q = v_fma(t.s, t.t, q);
        }
        if (r < u->r1) { /* lanes beyond the end count nothing */
            const int64_t m = u->r1 - r;
            const pair t = terms(w, at + r, m, &con, kind);
            const vf ts = v_first(m, t.s, (vf){0});
            s += ts;
            q = v_fma(ts, v_first(m, t.t, (vf){0}), q);
        }
    }
    float *sum = sums_at(w, u, u->b);
    sum[0] = v_sum(s);
    sum[d->channels] = v_sum(q);
}

K_INLINE void sum_unit(const work *w, const unit *u, int kind)
{
    if ((kind & BITS) == 0 && w->d.planar) {
        sum_plane(w, u, kind);
        return;
    }
    const int64_t n = w->d.block;
    int64_t j = 0;
    for (; j + 4 * VL <= n; j += 4 * VL)
        sum_columns(w, u, j, VL, kind, 4, 1);
    const int64_t rest = (n - j + VL - 1) / VL, m = n - j - (rest - 1) * VL;
    if (n - j == VL)
        sum_columns(w, u, j, VL, kind, 1, 4);
    else if (rest == 1)
        sum_columns(w, u, j, m, kind, 1, 4);
    else if (rest == 2)
        sum_columns(w, u, j, m, kind, 2, 2);
    else if (rest == 3)
        sum_columns(w, u, j, m, kind, 3, 1);
    else if (rest == 4)
        sum_columns(w, u, j, m, kind, 4, 1);
}

/* --- pass 2: output ------------------------------------------------------- */

/* y = a (x - pivot) + b [+ residual] [relu] */
K_INLINE vf forward_out(
    const work *w, int64_t at, int64_t m, vf d, vf a, vf b, int kind)
{
    vf y = v_fma(d, a, b);
    if ((kind & RESIDUAL) != 0)
        y += v_load_n(w->res, at, m, (kind & HALF) != 0);
    return (kind & RELU) != 0 ? v_relu(y) : y;
}
/* The gradient as pass 1 has seen it. */
K_INLINE vf gradient_again(
    const work *w, int64_t at, int64_t m, const consts *k, vf d, int kind)
{
    if ((kind & RESIDUAL) != 0)
        return v_load_n(w->res, at, m, (kind & HALF) != 0);
    if ((kind & BITS) != 0)
        return v_keep(gradient(w, at, m, kind), w->bits[(uint64_t)at / VL]);
    return masked_gradient(w, at, m, k, d, kind);
}
/* Backward: dx = a g + b (x - mean) + c. */
K_INLINE void out_one(
    const work *w, int64_t at, int64_t m, const consts *k, int kind)
{
    const bool half = (kind & HALF) != 0;
    const vf d = v_load_n(w->x, at, m, half) - k->pivot;
    const vf y = (kind & BACKWARD) == 0
        ? forward_out(w, at, m, d, k->a, k->b, kind)
        : v_fma(
              k->a, gradient_again(w, at, m, k, d, kind), v_fma(k->b, d, k->c));
    if (w->stream)
        v_stream(w->out, at, half, y);
    else
        v_store_n(w->out, at, m, half, y);
}

K_INLINE void out_columns(const work *shared, const unit *shared_u, int64_t j,
    int64_t m, int kind, const int W)
{
    const work own = *shared, *w = &own;
    const unit own_u = *shared_u, *u = &own_u;
    const int64_t block = w->d.block, channel = u->b * block + j;
    consts con[4];
    for (int k = 0; k < W; k++)
        con[k] = consts_second(w, channel + k * VL, lanes(k, W, m), kind);
    for (int64_t i = u->i0; i < u->i1; i++) {
        int64_t at = row_at(&w->d, i, u->b, u->r0) + j;
        for (int64_t r = u->r0; r < u->r1; r++, at += block)
            for (int k = 0; k < W; k++)
                out_one(w, at + k * VL, lanes(k, W, m), &con[k], kind);
    }
}

K_INLINE void out_plane(const work *shared, const unit *u, int kind)
{
    const work own = *shared, *w = &own;
    const consts con = consts_repeat(w, u->b, kind);
    for (int64_t i = u->i0; i < u->i1; i++) {
        const int64_t at = row_at(&w->d, i, u->b, 0);
        for (int64_t r = u->r0; r < u->r1; r += VL)
            out_one(w, at + r, k_min(VL, u->r1 - r), &con, kind);
    }
}

K_INLINE void out_unit(const work *w, const unit *u, int kind)
{
    const int64_t n = w->d.block;
    if ((kind & BITS) == 0 && w->d.planar) {
        out_plane(w, u, kind);
        return;
    }
    int64_t j = 0;
    for (; j + 4 * VL <= n; j += 4 * VL)
        out_columns(w, u, j, VL, kind, 4);
    const int64_t rest = (n - j + VL - 1) / VL, m = n - j - (rest - 1) * VL;
    if (n - j == VL)
        out_columns(w, u, j, VL, kind, 1);
    else if (rest == 1)
        out_columns(w, u, j, m, kind, 1);
    else if (rest == 2)
        out_columns(w, u, j, m, kind, 2);
    else if (rest == 3)
        out_columns(w, u, j, m, kind, 3);
    else if (rest == 4)
        out_columns(w, u, j, m, kind, 4);
}

/* --- the passes that exist ------------------------------------------------ */

typedef void unit_fn(const work *w, const unit *u);
/* name_f32, name_bf16, and a row of both. */
#define K_PASS(name, body, kind) \
    static void name##_f32(const work *w, const unit *u) \
    { \
        body(w, u, (kind)); \
    } \
    static void name##_bf16(const work *w, const unit *u) \
    { \
        body(w, u, (kind) | HALF); \
    }
#define K_ROW(name) \
    { \
        name##_f32, name##_bf16 \
    }

K_PASS(sum_forward, sum_unit, 0)
K_PASS(sum_g, sum_unit, BACKWARD)
K_PASS(sum_mask, sum_unit, BACKWARD | MASK)
K_PASS(sum_bits, sum_unit, BACKWARD | MASK | BITS)
K_PASS(sum_sign, sum_unit, BACKWARD | SIGN)
K_PASS(sum_res, sum_unit, BACKWARD | RESIDUAL)
K_PASS(sum_mask_res, sum_unit, BACKWARD | MASK | RESIDUAL)
K_PASS(out_plain, out_unit, 0)
K_PASS(out_relu, out_unit, RELU)
K_PASS(out_add, out_unit, RESIDUAL)
K_PASS(out_add_relu, out_unit, RESIDUAL | RELU)
K_PASS(out_g, out_unit, BACKWARD)
K_PASS(out_mask, out_unit, BACKWARD | MASK)
K_PASS(out_bits, out_unit, BACKWARD | MASK | BITS)
K_PASS(out_sign, out_unit, BACKWARD | SIGN)
K_PASS(out_res, out_unit, BACKWARD | RESIDUAL)

/* [relu][residual][bf16] */
static unit_fn *const outs_forward[2][2][2] = {
    {K_ROW(out_plain), K_ROW(out_add)},
    {K_ROW(out_relu), K_ROW(out_add_relu)},
};
/* [mask_kind][residual][bf16]; with a residual the mask comes from y. */
enum { NO_MASK, MASK_Y, MASK_BITS, MASK_SIGN };
static unit_fn *const sums_backward[4][2][2] = {
    {K_ROW(sum_g), K_ROW(sum_res)},
    {K_ROW(sum_mask), K_ROW(sum_mask_res)},
    {K_ROW(sum_bits), K_ROW(sum_mask_res)},
    {K_ROW(sum_sign), {NULL, NULL}},
};
static unit_fn *const outs_backward[4][2][2] = {
    {K_ROW(out_g), K_ROW(out_res)},
    {K_ROW(out_mask), K_ROW(out_res)},
    {K_ROW(out_bits), K_ROW(out_res)},
    {K_ROW(out_sign), {NULL, NULL}},
};

/* --- between the passes: constants per channel ---------------------------- */

enum { TILE = 16 };

/* Sums of m <= TILE channels from c on. */
static void sums_total(
    const work *w, int64_t c, int64_t m, double s[TILE], double q[TILE])
{
    const int64_t n = w->d.channels;
    const float *sum = w->sums + c;
    memset(s, 0, TILE * sizeof *s);
    memset(q, 0, TILE * sizeof *q);
    for (int64_t g = 0; g < w->d.groups; g++, sum += 2 * n)
        if (m == TILE) {
            for (int i = 0; i < TILE; i++) {
                s[i] += (double)sum[i];
                q[i] += (double)sum[n + i];
            }
        } else {
            for (int64_t i = 0; i < m; i++) {
                s[i] += (double)sum[i];
                q[i] += (double)sum[n + i];
            }
        }
}

static void finish_forward(const work *w, int64_t c0, int64_t m)
{
    const double n = (double)w->d.count;
    double s[TILE], q[TILE];
    sums_total(w, c0, m, s, q);
    for (int64_t i = 0; i < m; i++) {
        const int64_t c = c0 + i;
        const double shift = s[i] / n; /* mean - pivot */
        const double var = q[i] / n - shift * shift;
        const double positive = var < 0 ? 0 : var; /* NaN stays */
        const double scale = (double)w->gamma[c] / sqrt(positive + w->eps);
        w->mean[c] = (float)((double)w->pivot[c] + shift);
        w->var[c] = (float)positive;
        w->a[c] = (float)scale;
        w->b[c] = (float)((double)w->beta[c] - shift * scale);
        w->c[c] = 0;
    }
}

static void finish_backward(const work *w, int64_t c0, int64_t m)
{
    const double n = (double)w->d.count;
    double s[TILE], q[TILE];
    sums_total(w, c0, m, s, q);
    for (int64_t i = 0; i < m; i++) {
        const int64_t c = c0 + i;
        const double inv = 1.0 / sqrt((double)w->var[c] + w->eps);
        const double a = (double)w->gamma[c] * inv;
        w->dbeta[c] = (float)s[i];
        w->dgamma[c] = (float)(q[i] * inv);
        w->a[c] = (float)a;
        w->b[c] = (float)(-a * inv * inv * q[i] / n);
        w->c[c] = (float)(-a * s[i] / n);
    }
}

/* --- driver --------------------------------------------------------------- */

typedef struct passes {
    unit_fn *sum, *out;
    void (*finish)(const work *w, int64_t channel, int64_t n);
    int operands; /* of x's size, for what a cache holds */
} passes;

static void finish_channels(
    const work *w, const passes *p, int64_t lo, int64_t hi)
{
    for (int64_t c = lo; c < hi; c += TILE)
        p->finish(w, c, k_min(TILE, hi - c));
}

/* Both passes on one block, by one thread. */
static void block_run(const work *w, const passes *p, int64_t b)
{
    const dims *d = &w->d;
    for (int64_t g = 0; g < d->groups; g++) {
        const unit u = unit_at(d, g, b);
        p->sum(w, &u);
    }
    finish_channels(w, p, b * d->block, (b + 1) * d->block);
    for (int64_t g = d->groups - 1; g >= 0; g--) {
        const unit u = unit_at(d, g, b);
        p->out(w, &u);
    }
    if (w->stream)
        k_stream_end();
}

/* All threads on n blocks from b on, a barrier between the passes. */
static void team_blocks(const work *w, const passes *p, int64_t b, int64_t n)
{
    const dims *d = &w->d;
    const int64_t t = k_thread(), all = k_threads();
    const int64_t units = d->groups * n, channels = n * d->block;
    const int64_t lo = units * t / all, hi = units * (t + 1) / all;
    for (int64_t k = lo; k < hi; k++) {
        const unit u = unit_linear(d, b, n, k);
        p->sum(w, &u);
    }
    K_PRAGMA(omp barrier)
    finish_channels(w, p, b * d->block + channels * t / all,
        b * d->block + channels * (t + 1) / all);
    K_PRAGMA(omp barrier)
    for (int64_t k = hi - 1; k >= lo; k--) {
        const unit u = unit_linear(d, b, n, k);
        p->out(w, &u);
    }
}
/* As many blocks at a time as the shared cache holds. */
static void team_run(const work *w, const passes *p)
{
    const dims *d = &w->d;
    const int64_t bytes = d->count * d->block * (d->half ? 2 : 4);
    const int64_t n = k_max(1, TEAM_FITS / (p->operands * bytes));
    for (int64_t b = 0; b < d->blocks; b += n)
        team_blocks(w, p, b, k_min(n, d->blocks - b));
    if (w->stream)
        k_stream_end();
}

static bool blocks_by_thread(const dims *d)
{
    const int64_t threads = k_max_threads();
    const int64_t bytes = d->count * d->block * (d->half ? 2 : 4);
    const bool even = d->blocks % threads == 0 || d->blocks >= 4 * threads;
    return d->blocks >= threads && even && bytes <= BLOCK_FITS;
}

static void passes_run(const work *w, const passes *p)
{
    const dims *d = &w->d;
    if (blocks_by_thread(d)) {
        K_PARALLEL_FOR(d->count * d->channels)
        for (int64_t b = 0; b < d->blocks; b++)
            block_run(w, p, b);
        return;
    }
    K_PRAGMA(omp parallel if (LMB_PARALLEL(d->count * d->channels)))
    team_run(w, p);
}

/* Outputs that no cache will hold until they are read go past it: that saves
 * reading the old lines. Lines must be written whole, one after another. */
static bool streams(const dims *d, const void *out)
{
    const bool lines =
        d->half ? d->block == 16 || d->block % 64 == 0 : d->block % 16 == 0;
    const int64_t bytes = d->count * d->channels * (d->half ? 2 : 4);
    return VL == 16 && lines && !d->planar && (uintptr_t)out % 64 == 0 &&
        bytes >= STREAM_FROM;
}

/* Near the mean of each channel: the mean of a few rows all over x. */
static void pivot_of(const dims *d, const void *x, float *pivot)
{
    const int64_t rows = d->images * d->rows;
    const int64_t step = k_max(1, rows / PIVOT_ROWS);
    const int64_t used = k_min(PIVOT_ROWS, rows);
    memset(pivot, 0, (size_t)d->channels * sizeof *pivot);
    for (int64_t k = 0; k < used; k++) {
        const int64_t i = k * step / d->rows, r = k * step % d->rows;
        for (int64_t b = 0; b < d->blocks; b++) {
            const int64_t at = row_at(d, i, b, r);
            float *sum = pivot + b * d->block;
            for (int64_t j = 0; j < d->block; j += VL) {
                const int64_t m = k_min(VL, d->block - j);
                const vf v = v_load_n(x, at + j, m, d->half);
                v_store_n(sum, j, m, false, v_load_n(sum, j, m, false) + v);
            }
        }
    }
    for (int64_t c = 0; c < d->channels; c++) {
        const float mean = pivot[c] / (float)used;
        pivot[c] = isfinite(mean) ? mean : 0;
    }
}

static size_t scratch_train(const lmb_call *c)
{
    const dims d = dims_of(&c->in[0]);
    return work_floats(&d) * sizeof(float);
}

static void run_train(const lmb_call *c)
{
    const lmb_batch_norm_attr *attr = c->attr;
    work w = {.d = dims_of(&c->in[0])};
    if (w.d.count == 0 || w.d.channels == 0)
        return;
    w.x = c->in[0].data;
    w.gamma = c->in[1].data;
    w.beta = c->in[2].data;
    w.res = c->n_in > 3 ? c->in[3].data : NULL;
    w.out = c->out[0].data;
    w.mean = c->out[1].data;
    w.var = c->out[2].data;
    w.eps = attr->eps;
    work_scratch(&w, c->scratch);
    float *const pivot = (float *)c->scratch + 3 * w.d.channels;
    pivot_of(&w.d, w.x, pivot);
    w.pivot = pivot;
    w.stream = streams(&w.d, w.out);
    const passes p = {w.d.half ? sum_forward_bf16 : sum_forward_f32,
        outs_forward[attr->relu][w.res != NULL][w.d.half], finish_forward, 2};
    passes_run(&w, &p);
}

/* The mask is kept as bits if every vector is whole. */
static bool bits_fit(const dims *d)
{
    return !d->planar && d->block % VL == 0;
}
static int mask_kind(const work *w, bool relu)
{
    if (!relu)
        return NO_MASK;
    if (w->y == NULL)
        return MASK_SIGN;
    return bits_fit(&w->d) ? MASK_BITS : MASK_Y;
}
/* a = gamma / sqrt(var + eps), which the mask needs in the first pass. */
static void slopes(const work *w)
{
    for (int64_t i = 0; i < w->d.channels; i++)
        w->a[i] = (float)((double)w->gamma[i] *
            (1.0 / sqrt((double)w->var[i] + w->eps)));
}

static size_t scratch_bwd(const lmb_call *c)
{
    const lmb_batch_norm_bwd_attr *attr = c->attr;
    const dims d = dims_of(&c->in[2]);
    const bool bits = attr->relu && !attr->with_residual && bits_fit(&d);
    const size_t words = bits ? (size_t)(d.count * d.channels / VL) : 0;
    return work_floats(&d) * sizeof(float) + words * sizeof(uint16_t);
}

static void run_bwd(const lmb_call *c)
{
    const lmb_batch_norm_bwd_attr *attr = c->attr;
    work w = {.d = dims_of(&c->in[2])};
    if (w.d.count == 0 || w.d.channels == 0)
        return;
    w.dy = c->in[0].data;
    w.dy2 = c->in[1].data;
    w.x = c->in[2].data;
    w.gamma = c->in[3].data;
    w.mean = c->in[4].data;
    w.pivot = w.mean;
    w.var = c->in[5].data;
    w.y = attr->relu && c->n_in > 6 ? c->in[6].data : NULL;
    w.out = c->out[0].data;
    w.dgamma = c->out[1].data;
    w.dbeta = c->out[2].data;
    w.beta = c->n_in > 7 ? c->in[7].data : NULL;
    w.res = attr->with_residual ? c->out[3].data : NULL;
    w.eps = attr->eps;
    work_scratch(&w, c->scratch);
    w.bits = (uint16_t *)c->scratch + 2 * work_floats(&w.d);
    const int mask = mask_kind(&w, attr->relu);
    if (mask == MASK_SIGN)
        slopes(&w);
    const int res = w.res != NULL, half = w.d.half;
    w.stream = streams(&w.d, w.out);
    const passes p = {sums_backward[mask][res][half],
        outs_backward[mask][res][half], finish_backward, 4};
    passes_run(&w, &p);
}

/* --- inference and running statistics ------------------------------------- */

static size_t scratch_infer(const lmb_call *c)
{
    return (size_t)(4 * c->in[0].shape.dim[1]) * sizeof(float);
}

static void run_infer(const lmb_call *c)
{
    const lmb_batch_norm_attr *attr = c->attr;
    work w = {
        .d = dims_of(&c->in[0]), .x = c->in[0].data, .out = c->out[0].data};
    const float *gamma = c->in[1].data, *var = c->in[4].data;
    w.b = c->in[2].data;
    w.pivot = c->in[3].data;
    w.a = c->scratch;
    w.c = w.a + w.d.channels;
    for (int64_t i = 0; i < w.d.channels; i++) {
        w.a[i] = (float)((double)gamma[i] / sqrt((double)var[i] + attr->eps));
        w.c[i] = 0;
    }
    unit_fn *const out = outs_forward[attr->relu][0][w.d.half];
    if (w.d.count == 0 || w.d.channels == 0)
        return;
    const int64_t units = w.d.groups * w.d.blocks;
    K_PARALLEL_FOR(w.d.count * w.d.channels)
    for (int64_t k = 0; k < units; k++) {
        const unit u = unit_linear(&w.d, 0, w.d.blocks, k);
        out(&w, &u);
    }
}

/* r = (1 - m) r + m batch, the variance unbiased. */
static void run_update(const lmb_call *c)
{
    const lmb_batch_norm_update_attr *attr = c->attr;
    const float *mean = c->in[0].data, *var = c->in[1].data;
    const double m = attr->momentum, n = (double)attr->count;
    const double unbias = attr->count > 1 ? n / (n - 1) : 1;
    for (int64_t i = 0; i < c->in[0].shape.dim[0]; i++) {
        const double mu = lmb_param_get(attr->running_mean, i);
        const double v = lmb_param_get(attr->running_var, i);
        lmb_param_set(
            attr->running_mean, i, (1 - m) * mu + m * (double)mean[i]);
        lmb_param_set(
            attr->running_var, i, (1 - m) * v + m * (double)var[i] * unbias);
    }
    if (c->n_out > 0 && c->out[0].data != NULL)
        *(float *)c->out[0].data = 0;
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_batch_norm)[];
const lmb_kernel LMB_KERNEL_TABLE(k_batch_norm)[] = {
    {&lmb_op_batch_norm_train, LMB_RULE_SPATIAL, true, run_train, scratch_train,
        NULL},
    {&lmb_op_batch_norm_bwd, LMB_RULE_SPATIAL, true, run_bwd, scratch_bwd,
        NULL},
    {&lmb_op_batch_norm_update, LMB_RULE_PLAIN, false, run_update, NULL, NULL},
    {&lmb_op_batch_norm_infer, LMB_RULE_SPATIAL, true, run_infer, scratch_infer,
        NULL},
    {0},
};
