/* k_roi_align.c: RoIAlign over feature levels and its adjoint.
 *
 * What an element adds to a bin is the product of a weight of its row and one
 * of its column (op/roi.h). So each RoI has two small tables, made first: for
 * each bin the run of elements that it touches, and their weights, samples
 * already added up. Forward: y of a bin = sum over its rows and columns.
 * Backward: a row of dx gathers from all RoIs that touch it, in their order,
 * in f32; rows are independent, so the bits do not depend on the number of
 * threads. A RoI that is no box on the images gives NaN: a kernel cannot
 * report an error, and NaN is found by who checks the loss. */
#include "backend/cpu/kernel_util.h"
#include "op/roi.h"

enum {
    SLOTS = 32, /* rows of dx in work at a time */
    SPREAD = 3, /* a bin's run is this much longer than the bin at most */
};

/* Of one bin along one axis: elements lo .. hi - 1, weights from `at` on. */
typedef struct run {
    int32_t lo, hi, at;
} run;

typedef struct roi {
    int32_t level; /* -1: no box on the images */
    int32_t image;
    int32_t lo, hi; /* rows that it touches */
} roi;

typedef struct tables {
    const lmb_roi_align_attr *a;
    int64_t rois, size, weights; /* weights: floats of one RoI */
    roi *roi; /* [rois] */
    run *run; /* [rois][2][size]: rows, columns */
    float *weight; /* [rois][weights] */
} tables;

/* `most`: the largest height plus width of the levels. A bin of length b
 * touches fewer than b + SPREAD elements. */
static tables tables_of(
    const lmb_roi_align_attr *a, const lmb_buf *rois, int64_t most)
{
    tables t = {.a = a, .rois = rois->shape.dim[0], .size = a->size};
    t.weights = most + 2 * SPREAD * t.size;
    return t;
}
static size_t tables_bytes(const tables *t)
{
    const size_t one = sizeof(roi) + (size_t)(2 * t->size) * sizeof(run) +
        (size_t)t->weights * sizeof(float);
    return ((size_t)t->rois * one + 63) / 64 * 64;
}
static void tables_scratch(tables *t, void *scratch)
{
    t->roi = scratch;
    t->run = (run *)(void *)(t->roi + t->rois);
    t->weight = (float *)(void *)(t->run + t->rois * 2 * t->size);
}

/* --- tables --------------------------------------------------------------- */

/* The run of bin p; its weights come to w[0 ..]. */
static run run_make(const lmb_roi_axis *x, int64_t p, float *w)
{
    int64_t from, to, lo = x->size, hi = 0;
    lmb__roi_samples(x, p, &from, &to);
    lmb_roi_blend b;
    for (int64_t i = from; i < to; i++)
        if (lmb__roi_blend(x, p, i, &b)) {
            lo = k_min(lo, b.i0);
            hi = k_max(hi, b.i1 + 1);
        }
    for (int64_t e = lo; e < hi; e++)
        w[e - lo] = 0;
    const double share = 1 / (double)k_max(x->grid, 1);
    for (int64_t i = from; i < to; i++)
        if (lmb__roi_blend(x, p, i, &b)) {
            w[b.i0 - lo] += (float)((1 - b.t) * share);
            w[b.i1 - lo] += (float)(b.t * share);
        }
    return (run){(int32_t)k_min(lo, hi), (int32_t)hi, 0};
}

/* All runs of one axis; returns where the next weights go. */
static int64_t axis_make(
    const lmb_roi_axis *x, int64_t size, run *runs, float *weight, int64_t at)
{
    for (int64_t p = 0; p < size; p++) {
        runs[p] = run_make(x, p, weight + at);
        runs[p].at = (int32_t)at;
        at += runs[p].hi - runs[p].lo;
    }
    return at;
}

static void roi_make(const tables *t, int64_t k, const float *box,
    int64_t images, const lmb_shape *const *levels)
{
    double r[5];
    for (int i = 0; i < 5; i++)
        r[i] = (double)box[i];
    roi *o = &t->roi[k];
    *o = (roi){-1, 0, INT32_MAX, 0};
    if (!lmb__roi_valid(r, images))
        return;
    o->level = lmb__roi_level(t->a, r);
    o->image = (int32_t)r[0];
    const lmb_shape *s = levels[o->level];
    if (s == NULL)
        return;
    const lmb_roi_axis h = lmb__roi_axis(t->a, o->level, r[2], r[4], s->dim[2]);
    const lmb_roi_axis w = lmb__roi_axis(t->a, o->level, r[1], r[3], s->dim[3]);
    run *const rows = t->run + k * 2 * t->size;
    float *const weight = t->weight + k * t->weights;
    const int64_t at = axis_make(&h, t->size, rows, weight, 0);
    (void)axis_make(&w, t->size, rows + t->size, weight, at);
    for (int64_t p = 0; p < t->size; p++)
        if (rows[p].lo < rows[p].hi) {
            o->lo = (int32_t)k_min(o->lo, rows[p].lo);
            o->hi = (int32_t)k_max(o->hi, rows[p].hi);
        }
}

/* levels: shapes, NULL for those whose RoIs are not asked for. */
static void tables_make(const tables *t, const float *boxes, int64_t images,
    const lmb_shape *const *levels)
{
    K_PARALLEL_FOR(t->rois * t->weights)
    for (int64_t k = 0; k < t->rois; k++)
        roi_make(t, k, boxes + 5 * k, images, levels);
}

/* --- forward -------------------------------------------------------------- */

/* m channels from j on of one bin; x points to the image's block. */
K_INLINE vf bin_sum(const void *x, int64_t at, int64_t width, int64_t block,
    const run *h, const run *w, const float *weight, int64_t m, bool half)
{
    vf s = {0};
    for (int64_t i = h->lo; i < h->hi; i++)
        for (int64_t k = w->lo; k < w->hi; k++) {
            const float share =
                weight[h->at + i - h->lo] * weight[w->at + k - w->lo];
            if (share != 0) /* or 0 * inf of an unused element */
                s = v_fma(v_set(share),
                    v_load_n(x, at + (i * width + k) * block, m, half), s);
        }
    return s;
}

/* All bins of RoI k, in the block of channels `b` of y. */
K_INLINE void roi_forward(
    const tables *t, const lmb_call *c, int64_t k, int64_t b, bool half)
{
    const roi *o = &t->roi[k];
    const lmb_buf *y = &c->out[0], *x = &c->in[o->level < 0 ? 0 : o->level];
    const int64_t block = y->block, blocks = y->shape.dim[1] / block;
    const int64_t width = x->shape.dim[3], area = width * x->shape.dim[2];
    const int64_t from = (o->image * blocks + b) * area * block;
    const int64_t to = (k * blocks + b) * t->size * t->size * block;
    const run *rows = t->run + k * 2 * t->size, *columns = rows + t->size;
    const float *weight = t->weight + k * t->weights;
    for (int64_t bin = 0; bin < t->size * t->size; bin++)
        for (int64_t j = 0; j < block; j += VL) {
            const int64_t m = k_min(VL, block - j);
            vf s = v_set(NAN);
            if (o->level >= 0)
                s = bin_sum(x->data, from + j, width, block,
                    &rows[bin / t->size], &columns[bin % t->size], weight, m,
                    half);
            v_store_n(y->data, to + bin * block + j, m, half, s);
        }
}

static tables forward_tables(const lmb_call *c)
{
    const lmb_roi_align_attr *a = c->attr;
    int64_t most = 0;
    for (int l = 0; l < a->levels; l++)
        most = k_max(most, c->in[l].shape.dim[2] + c->in[l].shape.dim[3]);
    return tables_of(a, &c->in[a->levels], most);
}
static size_t scratch_forward(const lmb_call *c)
{
    const tables t = forward_tables(c);
    return tables_bytes(&t);
}
static void run_forward(const lmb_call *c)
{
    tables t = forward_tables(c);
    const lmb_buf *y = &c->out[0];
    const int64_t blocks = y->shape.dim[1] / y->block;
    const lmb_shape *levels[LMB_MAX_LEVELS] = {NULL};
    for (int l = 0; l < t.a->levels; l++)
        levels[l] = &c->in[l].shape;
    tables_scratch(&t, c->scratch);
    tables_make(&t, c->in[t.a->levels].data, c->in[0].shape.dim[0], levels);
    K_PARALLEL_FOR(8 * k_count(&y->shape))
    for (int64_t u = 0; u < t.rois * blocks; u++) {
        if (k_is_half(y))
            roi_forward(&t, c, u / blocks, u % blocks, true);
        else
            roi_forward(&t, c, u / blocks, u % blocks, false);
    }
}

/* --- backward ------------------------------------------------------------- */

/* What one row of bins adds to a row of dx, times wh. `row` is f32, one block
 * of channels at each column; from: the first bin's elements in dy. */
K_INLINE void bins_scatter(const tables *t, const lmb_buf *dy, int64_t from,
    const run *columns, const float *weight, float wh, float *row, bool half)
{
    const int64_t block = dy->block;
    for (int64_t q = 0; q < t->size; q++) {
        const run *w = &columns[q];
        for (int64_t e = w->lo; e < w->hi; e++) {
            const float share = wh * weight[w->at + e - w->lo];
            if (share == 0)
                continue;
            for (int64_t j = 0; j < block; j += VL) {
                const int64_t m = k_min(VL, block - j), at = e * block + j;
                const vf d = v_load_n(dy->data, from + q * block + j, m, half);
                const vf old = v_load_n(row, at, m, false);
                v_store_n(row, at, m, false, v_fma(v_set(share), d, old));
            }
        }
    }
}

/* What RoI k adds to row i of dx. */
K_INLINE void roi_scatter(const tables *t, const lmb_buf *dy, int64_t k,
    int64_t b, int64_t i, float *row, bool half)
{
    const int64_t blocks = dy->shape.dim[1] / dy->block;
    const int64_t from = (k * blocks + b) * t->size * t->size * dy->block;
    const run *rows = t->run + k * 2 * t->size;
    const float *weight = t->weight + k * t->weights;
    for (int64_t p = 0; p < t->size; p++) {
        const run *h = &rows[p];
        if (i < h->lo || i >= h->hi || weight[h->at + i - h->lo] == 0)
            continue;
        bins_scatter(t, dy, from + p * t->size * dy->block, rows + t->size,
            weight, weight[h->at + i - h->lo], row, half);
    }
}

/* Row u of dx, counted over images, blocks and rows. */
K_INLINE void row_backward(
    const tables *t, const lmb_call *c, int64_t u, float *row, bool half)
{
    const lmb_roi_align_bwd_attr *a = c->attr;
    const lmb_buf *dx = &c->out[0];
    const int64_t height = dx->shape.dim[2], n = dx->shape.dim[3] * dx->block;
    const int64_t blocks = dx->shape.dim[1] / dx->block;
    const int64_t i = u % height, b = u / height % blocks;
    memset(row, 0, (size_t)n * sizeof *row);
    for (int64_t k = 0; k < t->rois; k++) {
        const roi *o = &t->roi[k];
        if (o->level == a->level && o->image == u / height / blocks &&
            i >= o->lo && i < o->hi)
            roi_scatter(t, &c->in[0], k, b, i, row, half);
    }
    for (int64_t e = 0; half && e < n; e += VL)
        v_store_n(dx->data, u * n + e, k_min(VL, n - e), true,
            v_load_n(row, e, k_min(VL, n - e), false));
}

static tables backward_tables(const lmb_call *c)
{
    const lmb_roi_align_bwd_attr *a = c->attr;
    return tables_of(&a->align, &c->in[1], a->shape.dim[2] + a->shape.dim[3]);
}
/* f32 rows are written where they belong, others in a buffer of the slot. */
static size_t scratch_backward(const lmb_call *c)
{
    const tables t = backward_tables(c);
    const lmb_buf *dx = &c->out[0];
    const size_t row = (size_t)(dx->shape.dim[3] * dx->block) * sizeof(float);
    return tables_bytes(&t) + (k_is_half(dx) ? SLOTS * row : 0);
}
static void run_backward(const lmb_call *c)
{
    const lmb_roi_align_bwd_attr *a = c->attr;
    tables t = backward_tables(c);
    const lmb_buf *dx = &c->out[0];
    const int64_t n = dx->shape.dim[3] * dx->block;
    const int64_t units = n > 0 ? k_count(&dx->shape) / n : 0;
    const lmb_shape *levels[LMB_MAX_LEVELS] = {NULL};
    levels[a->level] = &a->shape;
    tables_scratch(&t, c->scratch);
    tables_make(&t, c->in[1].data, a->shape.dim[0], levels);
    float *const rows =
        (float *)(void *)((char *)c->scratch + tables_bytes(&t));
    K_PARALLEL_FOR(k_count(&dx->shape))
    for (int64_t s = 0; s < SLOTS; s++)
        for (int64_t u = s; u < units; u += SLOTS) {
            if (k_is_half(dx))
                row_backward(&t, c, u, rows + s * n, true);
            else
                row_backward(&t, c, u, (float *)dx->data + u * n, false);
        }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_roi_align)[];
const lmb_kernel LMB_KERNEL_TABLE(k_roi_align)[] = {
    {&lmb_op_roi_align, LMB_RULE_SPATIAL, true, run_forward, scratch_forward,
        NULL},
    {&lmb_op_roi_align_bwd, LMB_RULE_SPATIAL, true, run_backward,
        scratch_backward, NULL},
    {0},
};
