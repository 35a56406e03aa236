/* k_label_rows.c: softmax losses of rows: cross-entropy with a label each,
 * and distribution focal loss with the two bins beside a target.
 *
 * Rows that count nothing (label -1, weight 0) are not read. Sums: double, in
 * pieces of rows whose size depends on the shape alone. */
#include "backend/cpu/kernel_math.h"

enum { PIECE_ROWS = 256 };

K_INLINE vf load_or(const float *x, int64_t i, int64_t n, float other)
{
    const int64_t m = k_min(VL, n - i);
    return v_first(m, v_load_n(x, i, m, false), v_set(other));
}
/* log sum e^x of n >= 1 elements */
static float log_sum(const float *x, int64_t n)
{
    vf most = v_set(-INFINITY), sum = {0};
    for (int64_t i = 0; i < n; i += VL)
        most = v_max(most, load_or(x, i, n, -INFINITY));
    const float max = v_reduce_max(most);
    for (int64_t i = 0; i < n; i += VL)
        sum += v_first(
            k_min(VL, n - i), v_exp(load_or(x, i, n, 0) - v_set(max)), (vf){0});
    return max + logf(v_sum(sum));
}
/* dx = scale e^(x - all); 0 where scale says so. */
static void scaled_softmax(
    const float *x, float scale, float all, int64_t n, float *dx)
{
    for (int64_t i = 0; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf e = v_exp(v_load_n(x, i, m, false) - v_set(all));
        v_store_n(dx, i, m, false, v_set(scale) * e);
    }
}

/* --- cross-entropy -------------------------------------------------------- */

static void run_cross_entropy_rows(const lmb_call *c)
{
    const lmb_shape *s = &c->in[0].shape;
    const int64_t n = s->dim[s->rank - 1], rows = k_count(&c->out[0].shape);
    const float *x = c->in[0].data;
    const int32_t *label = c->in[1].data;
    float *y = c->out[0].data;
    K_PARALLEL_FOR(4 * rows * n)
    for (int64_t r = 0; r < rows; r++) {
        const int64_t k = label[r];
        y[r] = k < 0 ? 0 : k < n ? log_sum(x + r * n, n) - x[r * n + k] : NAN;
    }
}
static void run_cross_entropy_rows_bwd(const lmb_call *c)
{
    const lmb_shape *s = &c->in[1].shape;
    const int64_t n = s->dim[s->rank - 1], rows = k_count(&c->in[0].shape);
    const float *dy = c->in[0].data, *x = c->in[1].data;
    const int32_t *label = c->in[2].data;
    float *dx = c->out[0].data;
    K_PARALLEL_FOR(4 * rows * n)
    for (int64_t r = 0; r < rows; r++) {
        if (label[r] < 0) {
            memset(dx + r * n, 0, (size_t)n * sizeof *dx);
            continue;
        }
        scaled_softmax(x + r * n, dy[r], log_sum(x + r * n, n), n, dx + r * n);
        if (label[r] < n)
            dx[r * n + label[r]] -= dy[r];
        else
            dx[r * n] = NAN;
    }
}

/* --- distribution focal loss ---------------------------------------------- */

typedef struct bins {
    int64_t left;
    float right;
} bins;

K_INLINE bins bins_of(float target, int64_t n)
{
    const float top = (float)(n - 1);
    const float t = target < 0 ? 0 : target > top ? top : target;
    const int64_t left = t == t ? k_min((int64_t)t, n - 2) : 0;
    return (bins){left, t - (float)left};
}
static size_t scratch_distribution(const lmb_call *c)
{
    const int64_t rows = c->in[0].shape.dim[0];
    return (size_t)k_ceil_div(rows, PIECE_ROWS) * sizeof(double);
}
static void run_distribution(const lmb_call *c)
{
    const int64_t rows = c->in[0].shape.dim[0], n = c->in[0].shape.dim[1];
    const int64_t pieces = k_ceil_div(rows, PIECE_ROWS);
    const float *x = c->in[0].data, *target = c->in[1].data;
    const float *weight = c->in[2].data;
    double *piece = c->scratch, all = 0;
    K_PARALLEL_FOR(rows * n)
    for (int64_t p = 0; p < pieces; p++) {
        const int64_t end = k_min(rows, (p + 1) * PIECE_ROWS);
        double sum = 0;
        for (int64_t r = p * PIECE_ROWS; r < end; r++) {
            const float *row = x + r * n;
            const bins b = bins_of(target[r], n);
            if (weight[r] != 0)
                sum += (double)(weight[r] *
                    (log_sum(row, n) - (1 - b.right) * row[b.left] -
                        b.right * row[b.left + 1]));
        }
        piece[p] = sum;
    }
    for (int64_t p = 0; p < pieces; p++)
        all += piece[p];
    *(float *)c->out[0].data = (float)all;
}
static void run_distribution_bwd(const lmb_call *c)
{
    const int64_t rows = c->in[1].shape.dim[0], n = c->in[1].shape.dim[1];
    const float dy = *(const float *)c->in[0].data;
    const float *x = c->in[1].data, *target = c->in[2].data;
    const float *weight = c->in[3].data;
    float *dx = c->out[0].data;
    K_PARALLEL_FOR(rows * n)
    for (int64_t r = 0; r < rows; r++) {
        float *d = dx + r * n;
        if (weight[r] == 0) {
            memset(d, 0, (size_t)n * sizeof *d);
            continue;
        }
        const bins b = bins_of(target[r], n);
        const float scale = dy * weight[r];
        scaled_softmax(x + r * n, scale, log_sum(x + r * n, n), n, d);
        d[b.left] -= scale * (1 - b.right);
        d[b.left + 1] -= scale * b.right;
    }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_label_rows)[];
const lmb_kernel LMB_KERNEL_TABLE(k_label_rows)[] = {
    {&lmb_op_cross_entropy_rows, LMB_RULE_PLAIN, false, run_cross_entropy_rows,
        NULL, NULL},
    {&lmb_op_cross_entropy_rows_bwd, LMB_RULE_PLAIN, false,
        run_cross_entropy_rows_bwd, NULL, NULL},
    {&lmb_op_distribution_focal_loss, LMB_RULE_PLAIN, false, run_distribution,
        scratch_distribution, NULL},
    {&lmb_op_distribution_focal_loss_bwd, LMB_RULE_PLAIN, false,
        run_distribution_bwd, NULL, NULL},
    {0},
};
