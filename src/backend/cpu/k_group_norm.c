/* k_group_norm.c: group normalisation and its backward op.
 *
 *   mean, var over (C / G, H, W) of each image and group,
 *   y = gamma (x - mean) / sqrt(var + eps) + beta
 *   dx = (d - sum d / M - xhat sum(d xhat) / M) / sqrt(var + eps),
 *   d = gamma dy;  dgamma = sum dy xhat,  dbeta = sum dy
 * Wu and He 2018, arXiv:1803.08494.
 *
 * Two passes over memory each way. The first one gives two sums for each
 * image, channel and part of the rows (positions): f32 chains of at most
 * PART_ROWS, of x - pivot and its square, or of dy and dy (x - mean). The
 * pivot is the channel's first element, so that squares of a large mean do not
 * cancel. What is between the passes is done in double, channels in their
 * order; so the bits do not depend on the number of threads. */
#include "backend/cpu/kernel_util.h"

enum { PART_ROWS = 256 };

/* x as [images][blocks][rows][block]. */
typedef struct work {
    int64_t images, channels, rows, block, groups, parts;
    const void *x, *dy;
    void *out;
    const float *gamma, *beta;
    float *mean, *var; /* [images][groups] */
    float *sums; /* [images][parts][2][channels] */
    /* Second pass, [images][channels]: out = a s + b (x - pivot) + c. */
    float *pivot, *a, *b, *c;
    double eps;
} work;

static work work_of(const lmb_call *call, const lmb_buf *x)
{
    const lmb_group_norm_attr *attr = call->attr;
    work w = {.images = x->shape.dim[0], .channels = x->shape.dim[1]};
    w.rows = x->shape.dim[2] * x->shape.dim[3];
    w.block = x->block;
    w.groups = attr->groups;
    w.eps = attr->eps;
    w.parts = k_ceil_div(w.rows, PART_ROWS);
    w.x = x->data;
    w.out = call->out[0].data;
    return w;
}

static size_t work_bytes(const work *w)
{
    return (size_t)(w->images * w->channels * (4 + 2 * w->parts)) *
        sizeof(float);
}
static void work_scratch(work *w, float *scratch)
{
    const int64_t n = w->images * w->channels;
    w->pivot = scratch;
    w->a = scratch + n;
    w->b = scratch + 2 * n;
    w->c = scratch + 3 * n;
    w->sums = scratch + 4 * n;
}

/* Index of the first element of row r of the block that holds channel c. */
K_INLINE int64_t row_at(const work *w, int64_t image, int64_t c, int64_t r)
{
    const int64_t b = c / w->block;
    return (image * w->channels / w->block + b) * w->rows * w->block +
        r * w->block;
}

/* --- pass 1: sums --------------------------------------------------------- */

/* Channels c .. of one part, in W vectors, the last of m lanes: forward of d =
 * x - pivot and d^2, backward of dy and dy (x - pivot). */
K_INLINE void sum_columns(const work *w, int64_t image, int64_t part, int64_t c,
    int64_t m, bool half, bool back, const int W)
{
    const int64_t r0 = part * PART_ROWS, n = w->channels;
    const int64_t r1 = k_min(w->rows, r0 + PART_ROWS);
    int64_t at = row_at(w, image, c, r0) + c % w->block;
    vf s[4], q[4], pivot[4];
    for (int k = 0; k < W; k++) {
        const int64_t lanes = k == W - 1 ? m : VL;
        s[k] = q[k] = (vf){0};
        pivot[k] = v_load_n(w->pivot, image * n + c + k * VL, lanes, false);
    }
    for (int64_t r = r0; r < r1; r++, at += w->block)
        for (int k = 0; k < W; k++) {
            const int64_t lanes = k == W - 1 ? m : VL;
            const vf d = v_load_n(w->x, at + k * VL, lanes, half) - pivot[k];
            const vf t = back ? v_load_n(w->dy, at + k * VL, lanes, half) : d;
            s[k] += t;
            q[k] = v_fma(t, d, q[k]);
        }
    float *sum = w->sums + (image * w->parts + part) * 2 * n + c;
    for (int k = 0; k < W; k++) {
        v_store_n(sum, k * VL, k == W - 1 ? m : VL, false, s[k]);
        v_store_n(sum + n, k * VL, k == W - 1 ? m : VL, false, q[k]);
    }
}

K_INLINE void sum_part(
    const work *shared, int64_t image, int64_t part, bool half, bool back)
{
    const work own = *shared, *w = &own; /* stores cannot change a copy */
    for (int64_t b = 0; b < w->channels; b += w->block) {
        int64_t j = 0;
        for (; j + 4 * VL <= w->block; j += 4 * VL)
            sum_columns(w, image, part, b + j, VL, half, back, 4);
        for (; j < w->block; j += VL)
            sum_columns(
                w, image, part, b + j, k_min(VL, w->block - j), half, back, 1);
    }
}

/* --- pass 2: output ------------------------------------------------------- */

K_INLINE void out_row(
    const work *w, int64_t image, int64_t c0, int64_t r, bool half, bool back)
{
    const int64_t at = row_at(w, image, c0, r), k = image * w->channels + c0;
    for (int64_t j = 0; j < w->block; j += VL) {
        const int64_t m = k_min(VL, w->block - j);
        const vf d = v_load_n(w->x, at + j, m, half) -
            v_load_n(w->pivot, k + j, m, false);
        const vf a = v_load_n(w->a, k + j, m, false);
        const vf c = v_load_n(w->c, k + j, m, false);
        vf y = v_fma(a, d, c);
        if (back)
            y = v_fma(a, v_load_n(w->dy, at + j, m, half),
                v_fma(v_load_n(w->b, k + j, m, false), d, c));
        v_store_n(w->out, at + j, m, half, y);
    }
}

K_INLINE void out_part(
    const work *shared, int64_t image, int64_t part, bool half, bool back)
{
    const work own = *shared, *w = &own;
    const int64_t r0 = part * PART_ROWS;
    const int64_t r1 = k_min(w->rows, r0 + PART_ROWS);
    for (int64_t c = 0; c < w->channels; c += w->block)
        for (int64_t r = r0; r < r1; r++)
            out_row(w, image, c, r, half, back);
}

/* --- between the passes --------------------------------------------------- */

typedef struct pair {
    double s, q;
} pair;

static pair channel_total(const work *w, int64_t image, int64_t c)
{
    const float *sum = w->sums + image * w->parts * 2 * w->channels + c;
    pair t = {0, 0};
    for (int64_t p = 0; p < w->parts; p++, sum += 2 * w->channels) {
        t.s += (double)sum[0];
        t.q += (double)sum[w->channels];
    }
    return t;
}

/* The mean of the channels' means; then their squares about it. */
static void group_forward(const work *w, int64_t image, int64_t g)
{
    const int64_t size = w->channels / w->groups;
    const int64_t c0 = g * size, k0 = image * w->channels;
    const double rows = (double)w->rows, count = rows * (double)size;
    double mean = 0, squares = 0;
    for (int64_t c = c0; c < c0 + size; c++)
        mean += (double)w->pivot[k0 + c] + channel_total(w, image, c).s / rows;
    mean /= (double)size;
    for (int64_t c = c0; c < c0 + size; c++) {
        const pair t = channel_total(w, image, c);
        const double inside = t.q - t.s * t.s / rows;
        const double d = (double)w->pivot[k0 + c] + t.s / rows - mean;
        squares += (inside < 0 ? 0 : inside) + rows * d * d; /* NaN stays */
    }
    const double inverse = 1 / sqrt(squares / count + w->eps);
    const float near = (float)mean;
    for (int64_t c = c0; c < c0 + size; c++) {
        const double a = (double)w->gamma[c] * inverse;
        w->pivot[k0 + c] = near;
        w->a[k0 + c] = (float)a;
        w->c[k0 + c] = (float)((double)w->beta[c] + ((double)near - mean) * a);
    }
    w->mean[image * w->groups + g] = near;
    w->var[image * w->groups + g] = (float)(squares / count);
}

/* Leaves an image's shares of dgamma and dbeta in the first part's sums. */
static void group_backward(const work *w, int64_t image, int64_t g)
{
    const int64_t size = w->channels / w->groups;
    const int64_t c0 = g * size, k0 = image * w->channels;
    const double count = (double)(w->rows * size);
    const double inverse =
        1 / sqrt((double)w->var[image * w->groups + g] + w->eps);
    float *share = w->sums + image * w->parts * 2 * w->channels;
    double sum = 0, dot = 0; /* of d and of d xhat */
    for (int64_t c = c0; c < c0 + size; c++) {
        const pair t = channel_total(w, image, c);
        share[c] = (float)t.s;
        share[w->channels + c] = (float)(t.q * inverse);
        sum += (double)w->gamma[c] * t.s;
        dot += (double)w->gamma[c] * t.q * inverse;
    }
    for (int64_t c = c0; c < c0 + size; c++) {
        w->a[k0 + c] = (float)((double)w->gamma[c] * inverse);
        w->b[k0 + c] = (float)(-inverse * inverse * dot / count);
        w->c[k0 + c] = (float)(-inverse * sum / count);
    }
}

static void parameters_backward(const work *w, float *dgamma, float *dbeta)
{
    for (int64_t c = 0; c < w->channels; c++) {
        double s = 0, q = 0;
        for (int64_t i = 0; i < w->images; i++) {
            const float *share = w->sums + i * w->parts * 2 * w->channels + c;
            s += (double)share[0];
            q += (double)share[w->channels];
        }
        dbeta[c] = (float)s;
        dgamma[c] = (float)q;
    }
}

/* --- driver --------------------------------------------------------------- */

typedef void part_fn(const work *w, int64_t image, int64_t part);
#define K_PART(name, body, half, back) \
    static void name(const work *w, int64_t image, int64_t part) \
    { \
        body(w, image, part, half, back); \
    }
K_PART(sum_f32, sum_part, false, false)
K_PART(sum_bf16, sum_part, true, false)
K_PART(sum_back_f32, sum_part, false, true)
K_PART(sum_back_bf16, sum_part, true, true)
K_PART(out_f32, out_part, false, false)
K_PART(out_bf16, out_part, true, false)
K_PART(out_back_f32, out_part, false, true)
K_PART(out_back_bf16, out_part, true, true)

static void parts_run(const work *w, part_fn *fn)
{
    K_PARALLEL_FOR(w->images * w->channels * w->rows)
    for (int64_t u = 0; u < w->images * w->parts; u++)
        fn(w, u / w->parts, u % w->parts);
}
static void groups_run(const work *w, part_fn *fn)
{
    K_PARALLEL_FOR(2 * w->images * w->channels * w->parts)
    for (int64_t k = 0; k < w->images * w->groups; k++)
        fn(w, k / w->groups, k % w->groups);
}

static size_t scratch_forward(const lmb_call *c)
{
    const work w = work_of(c, &c->in[0]);
    return work_bytes(&w);
}
static void run_forward(const lmb_call *c)
{
    const bool half = k_is_half(&c->in[0]);
    work w = work_of(c, &c->in[0]);
    w.gamma = c->in[1].data;
    w.beta = c->in[2].data;
    w.mean = c->out[1].data;
    w.var = c->out[2].data;
    work_scratch(&w, c->scratch);
    for (int64_t i = 0; i < w.images; i++)
        for (int64_t k = 0; k < w.channels; k++)
            w.pivot[i * w.channels + k] =
                k_load(w.x, row_at(&w, i, k, 0) + k % w.block, half);
    parts_run(&w, half ? sum_bf16 : sum_f32);
    groups_run(&w, group_forward);
    parts_run(&w, half ? out_bf16 : out_f32);
}

static size_t scratch_bwd(const lmb_call *c)
{
    const work w = work_of(c, &c->in[1]);
    return work_bytes(&w);
}
static void run_bwd(const lmb_call *c)
{
    const bool half = k_is_half(&c->in[0]);
    work w = work_of(c, &c->in[1]);
    w.dy = c->in[0].data;
    w.gamma = c->in[2].data;
    w.mean = c->in[3].data;
    w.var = c->in[4].data;
    work_scratch(&w, c->scratch);
    const int64_t size = w.channels / w.groups;
    for (int64_t i = 0; i < w.images; i++)
        for (int64_t k = 0; k < w.channels; k++)
            w.pivot[i * w.channels + k] = w.mean[i * w.groups + k / size];
    parts_run(&w, half ? sum_back_bf16 : sum_back_f32);
    groups_run(&w, group_backward);
    parts_run(&w, half ? out_back_bf16 : out_back_f32);
    parameters_backward(&w, c->out[1].data, c->out[2].data);
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_group_norm)[];
const lmb_kernel LMB_KERNEL_TABLE(k_group_norm)[] = {
    {&lmb_op_group_norm, LMB_RULE_SPATIAL, true, run_forward, scratch_forward,
        NULL},
    {&lmb_op_group_norm_bwd, LMB_RULE_SPATIAL, true, run_bwd, scratch_bwd,
        NULL},
    {0},
};
