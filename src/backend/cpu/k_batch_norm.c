/* k_batch_norm.c: batch normalisation in training and inference.
 *
 *   mean_c, var_c over (n, h, w);  y = gamma (x - mean) / sqrt(var + eps)
 *   + beta [+ residual] [relu]
 *   g = (dy [+ dy2]) [y > 0];  dbeta = sum g;  dgamma = sum g xhat
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
 * it begins with what the first one has left in the cache. */
#include "backend/cpu/kernel_util.h"

enum {
    UNIT_ROWS = 256, /* longest chain of f32 additions */
    UNIT_ELEMENTS = 16384,
    PIVOT_ROWS = 16,
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
    double eps;
    bool relu;
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

/* --- pass 1: sums -----------------------------------------------------------
 */

/* The two terms of one vector: forward d, d^2 with d = x - pivot; backward g,
 * g (x - mean). */
typedef struct pair {
    vf s, q;
} pair;

K_INLINE pair forward_terms(
    const work *w, int64_t at, int64_t m, vf pivot, bool half)
{
    const vf d = v_load_n(w->x, at, m, half) - pivot;
    return (pair){d, d};
}
K_INLINE vf masked_gradient(
    const work *w, int64_t at, int64_t m, bool half, bool mask)
{
    vf g = v_load_n(w->dy, at, m, half);
    if (w->dy2 != NULL)
        g += v_load_n(w->dy2, at, m, half);
    if (mask) {
        const vf y = v_load_n(w->y, at, m, half);
        g = v_pick(y > (vf){0}, g, (vf){0});
    }
    return g;
}
/* In bf16 the second pass reads back what was rounded here. */
K_INLINE pair backward_terms(const work *w, int64_t at, int64_t m, vf pivot,
    bool half, bool mask, bool res)
{
    const vf g = masked_gradient(w, at, m, half, mask);
    if (res)
        v_store_n(w->res, at, m, half, g);
    return (pair){g, v_load_n(w->x, at, m, half) - pivot};
}

/* Kind of a pass: bit 0 bf16, bit 1 backward, bit 2 mask, bit 3 residual. */
enum { HALF = 1, BACKWARD = 2, MASK = 4, RESIDUAL = 8 };

K_INLINE pair terms(const work *w, int64_t at, int64_t m, vf pivot, int kind)
{
    if ((kind & BACKWARD) != 0)
        return backward_terms(w, at, m, pivot, (kind & HALF) != 0,
            (kind & MASK) != 0, (kind & RESIDUAL) != 0);
    return forward_terms(w, at, m, pivot, (kind & HALF) != 0);
}

/* Sums of channels j .. j + lanes of a unit: W vectors side by side, U rows at
 * a time in chains of their own; m < VL lanes only with W == 1. */
K_INLINE void sum_columns(const work *w, const unit *u, int64_t j, int64_t m,
    int kind, const int W, const int U)
{
    const dims *d = &w->d;
    const int64_t channel = u->b * d->block + j;
    vf s[4] = {{0}, {0}, {0}, {0}}, q[4] = {{0}, {0}, {0}, {0}}, pivot[4];
    for (int k = 0; k < W; k++)
        pivot[k] = v_load_n(w->pivot, channel + k * VL, m, false);
    for (int64_t i = u->i0; i < u->i1; i++) {
        int64_t at = row_at(d, i, u->b, u->r0) + j;
        int64_t r = u->r0;
        for (; r + U <= u->r1; r += U, at += U * d->block)
            for (int k = 0; k < W * U; k++) {
                const int64_t here = at + k / W * d->block + k % W * VL;
                const pair t = terms(w, here, m, pivot[k % W], kind);
                s[k] += t.s;
                q[k] = v_fma(t.s, t.q, q[k]);
            }
        for (; r < u->r1; r++, at += d->block)
            for (int k = 0; k < W; k++) {
                const pair t = terms(w, at + k * VL, m, pivot[k], kind);
                s[k] += t.s;
                q[k] = v_fma(t.s, t.q, q[k]);
            }
    }
    float *sum = sums_at(w, u, channel);
    for (int k = 0; k < W; k++) {
        for (int n = 1; n < U; n++) {
            s[k] += s[k + n * W];
            q[k] += q[k + n * W];
        }
        v_store_n(sum, k * VL, m, false, s[k]);
        v_store_n(sum, d->channels + k * VL, m, false, q[k]);
    }
}

/* One channel in runs of positions (block == 1). */
K_INLINE void sum_plane(const work *w, const unit *u, int kind)
{
    const dims *d = &w->d;
    const vf pivot = v_set(w->pivot[u->b]);
    vf s = {0}, q = {0};
    for (int64_t i = u->i0; i < u->i1; i++) {
        const int64_t at = row_at(d, i, u->b, 0);
        int64_t r = u->r0;
        for (; r + VL <= u->r1; r += VL) {
            const pair t = terms(w, at + r, VL, pivot, kind);
            s += t.s;
            q = v_fma(t.s, t.q, q);
        }
        if (r < u->r1) { /* lanes beyond the end count nothing */
            const int64_t m = u->r1 - r;
            const pair t = terms(w, at + r, m, pivot, kind);
            const vf ts = v_first(m, t.s, (vf){0});
            s += ts;
            q = v_fma(ts, v_first(m, t.q, (vf){0}), q);
        }
    }
    float *sum = sums_at(w, u, u->b);
    sum[0] = v_sum(s);
    sum[d->channels] = v_sum(q);
}

K_INLINE void sum_unit(const work *w, const unit *u, int kind)
{
    if (w->d.planar) {
        sum_plane(w, u, kind);
        return;
    }
    const int64_t n = w->d.block;
    int64_t j = 0;
    for (; j + 4 * VL <= n; j += 4 * VL)
        sum_columns(w, u, j, VL, kind, 4, 1);
    for (; j + 2 * VL <= n; j += 2 * VL)
        sum_columns(w, u, j, VL, kind, 2, 2);
    for (; j + VL <= n; j += VL)
        sum_columns(w, u, j, VL, kind, 1, 4);
    if (j < n)
        sum_columns(w, u, j, n - j, kind, 1, 4);
}

typedef void unit_fn(const work *w, const unit *u);
#define K_SUM(name, kind) \
    static void name(const work *w, const unit *u) \
    { \
        sum_unit(w, u, (kind)); \
    }
K_SUM(sum_f32, 0)
K_SUM(sum_bf16, HALF)
K_SUM(sum_bwd_f32, BACKWARD)
K_SUM(sum_bwd_bf16, BACKWARD | HALF)
K_SUM(sum_bwd_mask_f32, BACKWARD | MASK)
K_SUM(sum_bwd_mask_bf16, BACKWARD | MASK | HALF)
K_SUM(sum_bwd_res_f32, BACKWARD | RESIDUAL)
K_SUM(sum_bwd_res_bf16, BACKWARD | RESIDUAL | HALF)
K_SUM(sum_bwd_mask_res_f32, BACKWARD | MASK | RESIDUAL)
K_SUM(sum_bwd_mask_res_bf16, BACKWARD | MASK | RESIDUAL | HALF)

/* --- pass 2: output ----------------------------------------------------------
 */

/* y = a (x - pivot) + b [+ residual] [relu] */
K_INLINE void forward_out(
    const work *w, int64_t at, int64_t m, vf pivot, vf a, vf b, bool half)
{
    vf y = v_fma(v_load_n(w->x, at, m, half) - pivot, a, b);
    if (w->res != NULL)
        y += v_load_n(w->res, at, m, half);
    if (w->relu)
        y = v_relu(y);
    v_store_n(w->out, at, m, half, y);
}
/* dx = a g + b (x - mean) + c; g was stored if there is a residual. */
K_INLINE void backward_out(
    const work *w, int64_t at, int64_t m, vf mean, vf a, vf b, vf c, int kind)
{
    const bool half = (kind & HALF) != 0;
    const vf g = (kind & RESIDUAL) != 0
        ? v_load_n(w->res, at, m, half)
        : masked_gradient(w, at, m, half, (kind & MASK) != 0);
    const vf d = v_load_n(w->x, at, m, half) - mean;
    v_store_n(w->out, at, m, half, v_fma(a, g, v_fma(b, d, c)));
}
K_INLINE void out_one(
    const work *w, int64_t at, int64_t m, vf pivot, vf a, vf b, vf c, int kind)
{
    if ((kind & BACKWARD) != 0)
        backward_out(w, at, m, pivot, a, b, c, kind);
    else
        forward_out(w, at, m, pivot, a, b, (kind & HALF) != 0);
}

K_INLINE void out_columns(
    const work *w, const unit *u, int64_t j, int64_t m, int kind, const int W)
{
    const dims *d = &w->d;
    const int64_t channel = u->b * d->block + j;
    vf pivot[4], a[4], b[4], c[4];
    for (int k = 0; k < W; k++) {
        pivot[k] = v_load_n(w->pivot, channel + k * VL, m, false);
        a[k] = v_load_n(w->a, channel + k * VL, m, false);
        b[k] = v_load_n(w->b, channel + k * VL, m, false);
        c[k] = v_load_n(w->c, channel + k * VL, m, false);
    }
    for (int64_t i = u->i0; i < u->i1; i++) {
        int64_t at = row_at(d, i, u->b, u->r0) + j;
        for (int64_t r = u->r0; r < u->r1; r++, at += d->block)
            for (int k = 0; k < W; k++)
                out_one(w, at + k * VL, m, pivot[k], a[k], b[k], c[k], kind);
    }
}

K_INLINE void out_unit(const work *w, const unit *u, int kind)
{
    const dims *d = &w->d;
    if (d->planar) {
        const vf pivot = v_set(w->pivot[u->b]), a = v_set(w->a[u->b]);
        const vf b = v_set(w->b[u->b]), c = v_set(w->c[u->b]);
        for (int64_t i = u->i0; i < u->i1; i++) {
            const int64_t at = row_at(d, i, u->b, 0);
            for (int64_t r = u->r0; r < u->r1; r += VL)
                out_one(w, at + r, k_min(VL, u->r1 - r), pivot, a, b, c, kind);
        }
        return;
    }
    int64_t j = 0;
    for (; j + 4 * VL <= d->block; j += 4 * VL)
        out_columns(w, u, j, VL, kind, 4);
    for (; j + 2 * VL <= d->block; j += 2 * VL)
        out_columns(w, u, j, VL, kind, 2);
    for (; j + VL <= d->block; j += VL)
        out_columns(w, u, j, VL, kind, 1);
    if (j < d->block)
        out_columns(w, u, j, d->block - j, kind, 1);
}
#define K_OUT(name, kind) \
    static void name(const work *w, const unit *u) \
    { \
        out_unit(w, u, (kind)); \
    }
K_OUT(out_f32, 0)
K_OUT(out_bf16, HALF)
K_OUT(out_bwd_f32, BACKWARD)
K_OUT(out_bwd_bf16, BACKWARD | HALF)
K_OUT(out_bwd_mask_f32, BACKWARD | MASK)
K_OUT(out_bwd_mask_bf16, BACKWARD | MASK | HALF)
K_OUT(out_bwd_res_f32, BACKWARD | RESIDUAL)
K_OUT(out_bwd_res_bf16, BACKWARD | RESIDUAL | HALF)

/* --- between the passes: constants per channel
 * -------------------------------- */

static void sums_total(const work *w, int64_t c, double *s, double *q)
{
    const float *sum = w->sums + c;
    *s = *q = 0;
    for (int64_t g = 0; g < w->d.groups; g++) {
        *s += (double)sum[0];
        *q += (double)sum[w->d.channels];
        sum += 2 * w->d.channels;
    }
}

static void finish_forward(const work *w, int64_t c)
{
    const double n = (double)w->d.count;
    double s, q;
    sums_total(w, c, &s, &q);
    const double shift = s / n; /* mean - pivot */
    const double var = fmax(q / n - shift * shift, 0.0);
    const double scale = (double)w->gamma[c] / sqrt(var + w->eps);
    w->mean[c] = (float)((double)w->pivot[c] + shift);
    w->var[c] = q == q ? (float)var : NAN;
    w->a[c] = (float)scale;
    w->b[c] = (float)((double)w->beta[c] - shift * scale);
    w->c[c] = 0;
}

static void finish_backward(const work *w, int64_t c)
{
    const double n = (double)w->d.count;
    const double inv = 1.0 / sqrt((double)w->var[c] + w->eps);
    const double a = (double)w->gamma[c] * inv;
    double s, q;
    sums_total(w, c, &s, &q);
    w->dbeta[c] = (float)s;
    w->dgamma[c] = (float)(q * inv);
    w->a[c] = (float)a;
    w->b[c] = (float)(-a * inv * inv * q / n);
    w->c[c] = (float)(-a * s / n);
}

/* --- driver
 * ------------------------------------------------------------------- */

typedef struct passes {
    unit_fn *sum, *out;
    void (*finish)(const work *w, int64_t channel);
} passes;

/* Both passes on one block, by one thread. */
static void block_run(const work *w, const passes *p, int64_t b)
{
    const dims *d = &w->d;
    for (int64_t g = 0; g < d->groups; g++) {
        const unit u = unit_at(d, g, b);
        p->sum(w, &u);
    }
    for (int64_t c = b * d->block; c < (b + 1) * d->block; c++)
        p->finish(w, c);
    for (int64_t g = d->groups - 1; g >= 0; g--) {
        const unit u = unit_at(d, g, b);
        p->out(w, &u);
    }
}

/* All threads, a barrier between the passes. */
static void team_run(const work *w, const passes *p)
{
    const dims *d = &w->d;
    const int64_t units = d->groups * d->blocks;
    const int64_t t = k_thread(), n = k_threads();
    const int64_t lo = units * t / n, hi = units * (t + 1) / n;
    for (int64_t k = lo; k < hi; k++) {
        const unit u = unit_at(d, k / d->blocks, k % d->blocks);
        p->sum(w, &u);
    }
    K_PRAGMA(omp barrier)
    for (int64_t c = d->channels * t / n; c < d->channels * (t + 1) / n; c++)
        p->finish(w, c);
    K_PRAGMA(omp barrier)
    for (int64_t k = hi - 1; k >= lo; k--) {
        const unit u = unit_at(d, k / d->blocks, k % d->blocks);
        p->out(w, &u);
    }
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

/* Near the mean of each channel: the mean of a few rows all over x. */
static void pivot_of(const dims *d, const void *x, float *pivot)
{
    const int64_t rows = d->images * d->rows;
    const int64_t step = k_max(1, rows / PIVOT_ROWS);
    const int64_t used = k_min(PIVOT_ROWS, rows);
    for (int64_t c = 0; c < d->channels; c++) {
        float s = 0;
        for (int64_t k = 0; k < used; k++) {
            const int64_t i = k * step / d->rows, r = k * step % d->rows;
            const int64_t at = row_at(d, i, c / d->block, r) + c % d->block;
            s += k_load(x, at, d->half);
        }
        s /= (float)used;
        pivot[c] = isfinite(s) ? s : 0;
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
    const lmb_buf *x = &c->in[0];
    work w = {.d = dims_of(x), .x = x->data, .out = c->out[0].data};
    float *const scratch = c->scratch;
    w.gamma = c->in[1].data;
    w.beta = c->in[2].data;
    w.res = c->n_in > 3 ? c->in[3].data : NULL;
    w.mean = c->out[1].data;
    w.var = c->out[2].data;
    w.eps = attr->eps;
    w.relu = attr->relu;
    work_scratch(&w, scratch);
    if (w.d.count == 0 || w.d.channels == 0)
        return;
    float *const pivot = scratch + 3 * w.d.channels;
    pivot_of(&w.d, w.x, pivot);
    w.pivot = pivot;
    const passes p = w.d.half ? (passes){sum_bf16, out_bf16, finish_forward}
                              : (passes){sum_f32, out_f32, finish_forward};
    passes_run(&w, &p);
}

static size_t scratch_bwd(const lmb_call *c)
{
    const dims d = dims_of(&c->in[2]);
    return work_floats(&d) * sizeof(float);
}

static passes passes_bwd(bool mask, bool res, bool half)
{
    static const passes table[] = {
        {sum_bwd_f32, out_bwd_f32, finish_backward},
        {sum_bwd_bf16, out_bwd_bf16, finish_backward},
        {sum_bwd_mask_f32, out_bwd_mask_f32, finish_backward},
        {sum_bwd_mask_bf16, out_bwd_mask_bf16, finish_backward},
        {sum_bwd_res_f32, out_bwd_res_f32, finish_backward},
        {sum_bwd_res_bf16, out_bwd_res_bf16, finish_backward},
        {sum_bwd_mask_res_f32, out_bwd_res_f32, finish_backward},
        {sum_bwd_mask_res_bf16, out_bwd_res_bf16, finish_backward},
    };
    return table[(res ? 4 : 0) + (mask ? 2 : 0) + (half ? 1 : 0)];
}

static void run_bwd(const lmb_call *c)
{
    const lmb_batch_norm_bwd_attr *attr = c->attr;
    const lmb_buf *x = &c->in[2];
    work w = {.d = dims_of(x),
        .x = x->data,
        .dy = c->in[0].data,
        .dy2 = c->in[1].data,
        .out = c->out[0].data};
    w.gamma = c->in[3].data;
    w.mean = c->in[4].data;
    w.var = c->in[5].data;
    w.pivot = w.mean;
    w.y = attr->relu && c->n_in > 6 ? c->in[6].data : NULL;
    w.dgamma = c->out[1].data;
    w.dbeta = c->out[2].data;
    w.res = attr->with_residual ? c->out[3].data : NULL;
    w.eps = attr->eps;
    work_scratch(&w, c->scratch);
    const passes p = passes_bwd(w.y != NULL, w.res != NULL, w.d.half);
    if (w.d.count > 0 && w.d.channels > 0)
        passes_run(&w, &p);
}

/* --- inference and running statistics
 * ------------------------------------------ */

static size_t scratch_infer(const lmb_call *c)
{
    return (size_t)(4 * c->in[0].shape.dim[1]) * sizeof(float);
}

static void run_infer(const lmb_call *c)
{
    const lmb_batch_norm_attr *attr = c->attr;
    work w = {.d = dims_of(&c->in[0]),
        .x = c->in[0].data,
        .out = c->out[0].data,
        .relu = attr->relu};
    const float *gamma = c->in[1].data, *var = c->in[4].data;
    w.b = c->in[2].data;
    w.pivot = c->in[3].data;
    w.a = c->scratch;
    w.c = w.a + w.d.channels;
    for (int64_t i = 0; i < w.d.channels; i++) {
        w.a[i] = (float)((double)gamma[i] / sqrt((double)var[i] + attr->eps));
        w.c[i] = 0;
    }
    unit_fn *const out = w.d.half ? out_bf16 : out_f32;
    if (w.d.count == 0 || w.d.channels == 0)
        return;
    const int64_t units = w.d.groups * w.d.blocks;
    K_PARALLEL_FOR(w.d.count * w.d.channels)
    for (int64_t k = 0; k < units; k++) {
        const unit u = unit_at(&w.d, k / w.d.blocks, k % w.d.blocks);
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
