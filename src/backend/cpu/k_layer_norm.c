/* k_layer_norm.c: layer normalisation of rows and its backward op.
 *
 *   y = gamma (x - mean) / sqrt(var + eps) + beta, mean and var of the row
 *   dx = (d - sum d / C - xhat sum(d xhat) / C) / sqrt(var + eps),
 *   d = gamma dy;  dgamma = sum dy xhat,  dbeta = sum dy over the rows
 * Ba, Kiros and Hinton 2016, arXiv:1607.06450.
 *
 * A row stays in the cache: its mean, then the squares about it, then the
 * output. Rows come in parts of PART_ROWS; each part adds up its shares of
 * dgamma and dbeta in f32, parts are added in double in their order, so the
 * bits do not depend on the number of threads. */
#include "backend/cpu/kernel_util.h"

enum { PART_ROWS = 64 };

static int64_t row_size(const lmb_buf *x)
{
    return x->shape.dim[x->shape.rank - 1];
}

/* --- forward -------------------------------------------------------------- */

K_INLINE float row_sum(const float *x, int64_t n)
{
    vf s = {0};
    for (int64_t i = 0; i < n; i += VL)
        s += v_load_n(x, i, k_min(VL, n - i), false);
    return v_sum(s);
}
/* Of x - mean; lanes beyond the end count nothing. */
K_INLINE float row_squares(const float *x, int64_t n, float mean)
{
    vf s = {0};
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf d = v_load_n(x, i, m, false) - v_set(mean);
        const vf d0 = m < VL ? v_first(m, d, (vf){0}) : d;
        s = v_fma(d0, d0, s);
    }
    return v_sum(s);
}

static void run_forward(const lmb_call *c)
{
    const double eps = ((const lmb_layer_norm_attr *)c->attr)->eps;
    const int64_t n = row_size(&c->in[0]), total = k_count(&c->in[0].shape);
    const float *gamma = c->in[1].data, *beta = c->in[2].data;
    float *means = c->out[1].data, *vars = c->out[2].data;
    K_PARALLEL_FOR(total)
    for (int64_t k = 0; k < total / n; k++) {
        const float *x = (const float *)c->in[0].data + k * n;
        float *y = (float *)c->out[0].data + k * n;
        const float mean = row_sum(x, n) / (float)n;
        const float var = row_squares(x, n, mean) / (float)n;
        const vf scale = v_set((float)(1 / sqrt((double)var + eps)));
        for (int64_t i = 0; i < n; i += VL) {
            const int64_t m = k_min(VL, n - i);
            const vf d = v_load_n(x, i, m, false) - v_set(mean);
            const vf b = v_load_n(beta, i, m, false);
            v_store_n(y, i, m, false,
                v_fma(d * scale, v_load_n(gamma, i, m, false), b));
        }
        means[k] = mean;
        vars[k] = var;
    }
}

/* --- backward ------------------------------------------------------------- */

typedef struct row {
    const float *dy, *x, *gamma;
    float *dx;
    float *dgamma, *dbeta; /* of the part */
    int64_t n;
    float mean, inverse;
} row;

/* The sums of a row, and its shares of dgamma and dbeta; then dx. */
static void row_backward(const row *shared)
{
    const row own = *shared, *r = &own; /* stores cannot change a copy */
    const vf mean = v_set(r->mean), inverse = v_set(r->inverse);
    vf sum = {0}, dot = {0};
    for (int64_t i = 0; i < r->n; i += VL) {
        const int64_t m = k_min(VL, r->n - i);
        const vf dy = v_load_n(r->dy, i, m, false);
        const vf xhat = (v_load_n(r->x, i, m, false) - mean) * inverse;
        const vf d = dy * v_load_n(r->gamma, i, m, false); /* 0 past the end */
        sum += d;
        dot = v_fma(d, m < VL ? v_first(m, xhat, (vf){0}) : xhat, dot);
        const vf dg = v_load_n(r->dgamma, i, m, false);
        const vf db = v_load_n(r->dbeta, i, m, false);
        v_store_n(r->dgamma, i, m, false, v_fma(dy, xhat, dg));
        v_store_n(r->dbeta, i, m, false, db + dy);
    }
    const vf b = v_set(-r->inverse * v_sum(dot) / (float)r->n);
    const vf c = v_set(-r->inverse * v_sum(sum) / (float)r->n);
    for (int64_t i = 0; i < r->n; i += VL) {
        const int64_t m = k_min(VL, r->n - i);
        const vf d =
            v_load_n(r->dy, i, m, false) * v_load_n(r->gamma, i, m, false);
        const vf xhat = (v_load_n(r->x, i, m, false) - mean) * inverse;
        v_store_n(r->dx, i, m, false, v_fma(d, inverse, v_fma(xhat, b, c)));
    }
}

static int64_t parts_of(const lmb_call *c)
{
    const int64_t rows = k_count(&c->in[1].shape) / row_size(&c->in[1]);
    return k_ceil_div(rows, PART_ROWS);
}

static void part_backward(const lmb_call *c, int64_t part)
{
    const double eps = ((const lmb_layer_norm_attr *)c->attr)->eps;
    const int64_t n = row_size(&c->in[1]);
    const int64_t rows = k_count(&c->in[1].shape) / n;
    const float *mean = c->in[3].data, *var = c->in[4].data;
    float *share = (float *)c->scratch + part * 2 * n;
    memset(share, 0, (size_t)(2 * n) * sizeof *share);
    row r = {.gamma = c->in[2].data, .n = n};
    r.dgamma = share;
    r.dbeta = share + n;
    const int64_t end = k_min(rows, (part + 1) * PART_ROWS);
    for (int64_t k = part * PART_ROWS; k < end; k++) {
        r.dy = (const float *)c->in[0].data + k * n;
        r.x = (const float *)c->in[1].data + k * n;
        r.dx = (float *)c->out[0].data + k * n;
        r.mean = mean[k];
        r.inverse = (float)(1 / sqrt((double)var[k] + eps));
        row_backward(&r);
    }
}

static size_t scratch_backward(const lmb_call *c)
{
    return (size_t)(parts_of(c) * 2 * row_size(&c->in[1])) * sizeof(float);
}
static void run_backward(const lmb_call *c)
{
    const int64_t n = row_size(&c->in[1]), parts = parts_of(c);
    float *dgamma = c->out[1].data, *dbeta = c->out[2].data;
    K_PARALLEL_FOR(k_count(&c->in[1].shape))
    for (int64_t p = 0; p < parts; p++)
        part_backward(c, p);
    const float *share = c->scratch;
    K_PARALLEL_FOR(2 * n * parts)
    for (int64_t i = 0; i < 2 * n; i++) {
        double s = 0;
        for (int64_t p = 0; p < parts; p++)
            s += (double)share[p * 2 * n + i];
        *(i < n ? &dgamma[i] : &dbeta[i - n]) = (float)s;
    }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_layer_norm)[];
const lmb_kernel LMB_KERNEL_TABLE(k_layer_norm)[] = {
    {&lmb_op_layer_norm, LMB_RULE_PLAIN, false, run_forward, NULL, NULL},
    {&lmb_op_layer_norm_bwd, LMB_RULE_PLAIN, false, run_backward,
        scratch_backward, NULL},
    {0},
};
