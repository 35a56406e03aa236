/* k_softmax.c: softmax, log-softmax and their gradients along an axis or in
 * segments of the last axis; segment sums and broadcasts.
 *
 *   softmax y = e^(x - max) / sum;  log-softmax y = (x - max) - log sum
 * Lines along the last axis run in vectors; along another axis the vectors
 * hold neighbouring lines. */
#include "backend/cpu/kernel_math.h"

/* --- one line of n contiguous elements ------------------------------------ */

K_INLINE vf load_or(const float *x, int64_t i, int64_t n, float other)
{
    if (n - i >= VL)
        return v_load(x, i, false);
    return v_first(n - i, v_load_n(x, i, n - i, false), v_set(other));
}
static float line_max(const float *x, int64_t n)
{
    vf m = v_set(-INFINITY);
    for (int64_t i = 0; i < n; i += VL)
        m = v_max(m, load_or(x, i, n, -INFINITY));
    return v_reduce_max(m);
}
/* Sum of e^(x - max); writes the terms to e unless it is NULL. */
K_INLINE float line_exp_sum(const float *x, int64_t n, float max, float *e)
{
    vf s = {0};
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf t = v_exp(v_load_n(x, i, m, false) - v_set(max));
        s += v_first(m, t, (vf){0});
        if (e != NULL)
            v_store_n(e, i, m, false, t);
    }
    return v_sum(s);
}
typedef void line_fn(const float *a, const float *b, float *y, int64_t n);

static void line_softmax(const float *x, const float *b, float *y, int64_t n)
{
    (void)b;
    const vf scale = 1.0f / v_set(line_exp_sum(x, n, line_max(x, n), y));
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        v_store_n(y, i, m, false, v_load_n(y, i, m, false) * scale);
    }
}
static void line_log_softmax(
    const float *x, const float *b, float *y, int64_t n)
{
    (void)b;
    const float max = line_max(x, n);
    const vf log_sum = v_log(v_set(line_exp_sum(x, n, max, NULL)));
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf d = v_load_n(x, i, m, false) - v_set(max);
        v_store_n(y, i, m, false, d - log_sum);
    }
}
static void line_softmax_bwd(
    const float *dy, const float *y, float *dx, int64_t n)
{
    vf s = {0};
    for (int64_t i = 0; i < n; i += VL)
        s = v_fma(load_or(dy, i, n, 0), load_or(y, i, n, 0), s);
    const vf dot = v_set(v_sum(s));
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf d = v_load_n(dy, i, m, false) - dot;
        v_store_n(dx, i, m, false, v_load_n(y, i, m, false) * d);
    }
}
static float line_sum(const float *x, int64_t n)
{
    vf s = {0};
    for (int64_t i = 0; i < n; i += VL)
        s += load_or(x, i, n, 0);
    return v_sum(s);
}
static void line_log_softmax_bwd(
    const float *dy, const float *y, float *dx, int64_t n)
{
    const vf sum = v_set(line_sum(dy, n));
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf e = v_exp(v_load_n(y, i, m, false));
        const vf d = v_load_n(dy, i, m, false);
        v_store_n(dx, i, m, false, v_fma(-e, sum, d));
    }
}

/* --- m neighbouring lines, elements `step` apart -------------------------- */

typedef void lanes_fn(const float *a, const float *b, float *y, int64_t n,
    int64_t step, int64_t m);

K_INLINE vf lanes_max(const float *x, int64_t n, int64_t step, int64_t m)
{
    vf max = v_set(-INFINITY);
    for (int64_t i = 0; i < n; i++)
        max = v_max(max, v_load_n(x, i * step, m, false));
    return max;
}
static void lanes_softmax(const float *x, const float *b, float *y, int64_t n,
    int64_t step, int64_t m)
{
    (void)b;
    const vf max = lanes_max(x, n, step, m);
    vf s = {0};
    for (int64_t i = 0; i < n; i++) {
        const vf e = v_exp(v_load_n(x, i * step, m, false) - max);
        s += e;
        v_store_n(y, i * step, m, false, e);
    }
    const vf scale = 1.0f / s;
    for (int64_t i = 0; i < n; i++) {
        const vf e = v_load_n(y, i * step, m, false);
        v_store_n(y, i * step, m, false, e * scale);
    }
}
static void lanes_log_softmax(const float *x, const float *b, float *y,
    int64_t n, int64_t step, int64_t m)
{
    (void)b;
    const vf max = lanes_max(x, n, step, m);
    vf s = {0};
    for (int64_t i = 0; i < n; i++)
        s += v_exp(v_load_n(x, i * step, m, false) - max);
    const vf log_sum = v_log(s);
    for (int64_t i = 0; i < n; i++) {
        const vf d = v_load_n(x, i * step, m, false) - max;
        v_store_n(y, i * step, m, false, d - log_sum);
    }
}
static void lanes_softmax_bwd(const float *dy, const float *y, float *dx,
    int64_t n, int64_t step, int64_t m)
{
    vf dot = {0};
    for (int64_t i = 0; i < n; i++)
        dot = v_fma(v_load_n(dy, i * step, m, false),
            v_load_n(y, i * step, m, false), dot);
    for (int64_t i = 0; i < n; i++) {
        const vf d = v_load_n(dy, i * step, m, false) - dot;
        const vf r = v_load_n(y, i * step, m, false) * d;
        v_store_n(dx, i * step, m, false, r);
    }
}
static void lanes_log_softmax_bwd(const float *dy, const float *y, float *dx,
    int64_t n, int64_t step, int64_t m)
{
    vf sum = {0};
    for (int64_t i = 0; i < n; i++)
        sum += v_load_n(dy, i * step, m, false);
    for (int64_t i = 0; i < n; i++) {
        const vf e = v_exp(v_load_n(y, i * step, m, false));
        const vf d = v_load_n(dy, i * step, m, false);
        v_store_n(dx, i * step, m, false, v_fma(-e, sum, d));
    }
}

static void axis_run(const lmb_call *c, line_fn *line, lanes_fn *lanes)
{
    const lmb_axis_attr *a = c->attr;
    const lmb_shape *s = &c->in[0].shape;
    const float *x = c->in[0].data;
    const float *b = c->n_in > 1 ? c->in[1].data : x;
    float *y = c->out[0].data;
    const int64_t total = k_count(s), n = s->rank > 0 ? s->dim[a->axis] : 1;
    int64_t inner = 1;
    for (int d = a->axis + 1; d < s->rank; d++)
        inner *= s->dim[d];
    if (total == 0)
        return;
    const int64_t outer = total / (n * inner);
    const int64_t tiles = inner == 1 ? 1 : k_ceil_div(inner, VL);
    K_PARALLEL_FOR(4 * total)
    for (int64_t k = 0; k < outer * tiles; k++) {
        const int64_t j = k % tiles * VL;
        const int64_t at = k / tiles * n * inner + j;
        if (inner == 1)
            line(x + at, b + at, y + at, n);
        else
            lanes(x + at, b + at, y + at, n, inner, k_min(VL, inner - j));
    }
}
static void run_softmax(const lmb_call *c)
{
    axis_run(c, line_softmax, lanes_softmax);
}
static void run_softmax_bwd(const lmb_call *c)
{
    axis_run(c, line_softmax_bwd, lanes_softmax_bwd);
}
static void run_log_softmax(const lmb_call *c)
{
    axis_run(c, line_log_softmax, lanes_log_softmax);
}
static void run_log_softmax_bwd(const lmb_call *c)
{
    axis_run(c, line_log_softmax_bwd, lanes_log_softmax_bwd);
}

/* --- segments ------------------------------------------------------------- */

static void segments_run(const lmb_call *c, line_fn *line)
{
    const lmb_segment_attr *a = c->attr;
    const int64_t size = a->bounds[a->n];
    const int64_t total = k_count(&c->in[0].shape);
    const float *x = c->in[0].data;
    const float *b = c->n_in > 1 ? c->in[1].data : x;
    float *y = c->out[0].data;
    const int64_t rows = size > 0 ? total / size : 0;
    K_PARALLEL_FOR(4 * total)
    for (int64_t r = 0; r < rows; r++)
        for (int32_t j = 0; j < a->n; j++) {
            const int64_t at = r * size + a->bounds[j];
            line(x + at, b + at, y + at, a->bounds[j + 1] - a->bounds[j]);
        }
}
static void run_segment_log_softmax(const lmb_call *c)
{
    segments_run(c, line_log_softmax);
}
static void run_segment_log_softmax_bwd(const lmb_call *c)
{
    segments_run(c, line_log_softmax_bwd);
}
static void run_segment_sum(const lmb_call *c)
{
    const lmb_segment_attr *a = c->attr;
    const int64_t size = a->bounds[a->n];
    const int64_t total = k_count(&c->in[0].shape);
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    const int64_t rows = size > 0 ? total / size : 0;
    K_PARALLEL_FOR(total)
    for (int64_t r = 0; r < rows; r++)
        for (int32_t j = 0; j < a->n; j++)
            y[r * a->n + j] = line_sum(
                x + r * size + a->bounds[j], a->bounds[j + 1] - a->bounds[j]);
}
static void run_segment_broadcast(const lmb_call *c)
{
    const lmb_segment_attr *a = c->attr;
    const int64_t size = a->bounds[a->n];
    const int64_t total = k_count(&c->out[0].shape);
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    const int64_t rows = size > 0 ? total / size : 0;
    K_PARALLEL_FOR(total)
    for (int64_t r = 0; r < rows; r++)
        for (int32_t j = 0; j < a->n; j++)
            for (int32_t k = a->bounds[j]; k < a->bounds[j + 1]; k++)
                y[r * size + k] = x[r * a->n + j];
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_softmax)[];
const lmb_kernel LMB_KERNEL_TABLE(k_softmax)[] = {
    {&lmb_op_softmax, LMB_RULE_PLAIN, false, run_softmax, NULL, NULL},
    {&lmb_op_softmax_bwd, LMB_RULE_PLAIN, false, run_softmax_bwd, NULL, NULL},
    {&lmb_op_log_softmax, LMB_RULE_PLAIN, false, run_log_softmax, NULL, NULL},
    {&lmb_op_log_softmax_bwd, LMB_RULE_PLAIN, false, run_log_softmax_bwd, NULL,
        NULL},
    {&lmb_op_segment_log_softmax, LMB_RULE_PLAIN, false,
        run_segment_log_softmax, NULL, NULL},
    {&lmb_op_segment_log_softmax_bwd, LMB_RULE_PLAIN, false,
        run_segment_log_softmax_bwd, NULL, NULL},
    {&lmb_op_segment_sum, LMB_RULE_PLAIN, false, run_segment_sum, NULL, NULL},
    {&lmb_op_segment_broadcast, LMB_RULE_PLAIN, false, run_segment_broadcast,
        NULL, NULL},
    {0},
};
