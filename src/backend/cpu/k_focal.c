/* k_focal.c: losses over rows of logits [R, C] with labels, fused: one pass
 * for the sum, one for the gradient.
 *
 * Of a class' z (the logit, negative where the label says so) come
 *   e = e^-|z|, s = sigmoid(z), l = log(1 + e),
 *   softplus(z) = max(z, 0) + l, log s = min(z, 0) - l.
 * Sums: f32 within pieces of rows, whose size depends on the shape alone,
 * then double in order. */
#include "backend/cpu/kernel_math.h"

enum { PIECE = 4096 }; /* elements, about */

typedef struct rows {
    int64_t rows, classes, per_piece, pieces;
} rows;

static rows rows_of(const lmb_shape *logits, const lmb_shape *label)
{
    rows v = {.rows = k_count(label)};
    v.classes = logits->dim[logits->rank - 1];
    v.per_piece = k_max(1, PIECE / v.classes);
    v.pieces = k_ceil_div(v.rows, v.per_piece);
    return v;
}
static size_t scratch_sum(const lmb_call *c)
{
    return (size_t)rows_of(&c->in[0].shape, &c->in[1].shape).pieces *
        sizeof(double);
}
static void add_pieces(const rows *v, const double *piece, float *sum)
{
    double all = 0;
    for (int64_t p = 0; p < v->pieces; p++)
        all += piece[p];
    *sum = (float)all;
}
/* Lanes whose class, from `first` on, is the label. */
K_INLINE vi hits(int64_t first, int32_t label)
{
    vi lane;
    for (int i = 0; i < VL; i++)
        lane[i] = i;
    return lane == (int32_t)(label - first);
}

/* --- focal loss ----------------------------------------------------------- */

typedef struct logistic {
    vf s, rest, plus, log_s; /* rest: 1 - s */
} logistic;

K_INLINE logistic logistic_of(vf z)
{
    const vf zero = {0};
    const vf e = v_exp(-v_abs(z));
    const vf u = 1.0f + e, d = u - 1.0f;
    const vf r = 1.0f / u;
    const vf l = v_pick(d == zero, e, v_log(u) * (e / d));
    const vi below = z < zero;
    return (logistic){
        .s = v_pick(below, e * r, r),
        .rest = v_pick(below, r, e * r),
        .plus = v_pick(below, zero, z) + l,
        .log_s = v_pick(below, z, zero) - l,
    };
}
K_INLINE vf power(const logistic *q, float gamma)
{
    if (gamma == 2.0f)
        return q->s * q->s;
    return gamma == 0.0f ? v_set(1) : v_exp(q->log_s * gamma);
}
K_INLINE vf focal_weight(const lmb_focal_attr *a, vi hit)
{
    return v_pick(hit, v_set((float)a->alpha), v_set((float)(1 - a->alpha)));
}
K_INLINE vf focal_value(const lmb_focal_attr *a, vf x, vi hit)
{
    const logistic q = logistic_of(v_pick(hit, -x, x));
    return focal_weight(a, hit) * power(&q, (float)a->gamma) * q.plus;
}
K_INLINE vf focal_slope(const lmb_focal_attr *a, vf x, vi hit)
{
    const float gamma = (float)a->gamma;
    const logistic q = logistic_of(v_pick(hit, -x, x));
    const vf slope = focal_weight(a, hit) * power(&q, gamma) *
        (gamma * q.rest * q.plus + q.s);
    return v_pick(hit, -slope, slope);
}

static void run_focal_loss(const lmb_call *c)
{
    const lmb_focal_attr *a = c->attr;
    const rows v = rows_of(&c->in[0].shape, &c->in[1].shape);
    const float *x = c->in[0].data;
    const int32_t *label = c->in[1].data;
    double *piece = c->scratch;
    K_PARALLEL_FOR(8 * v.rows * v.classes)
    for (int64_t p = 0; p < v.pieces; p++) {
        const int64_t end = k_min(v.rows, (p + 1) * v.per_piece);
        vf sum = {0};
        for (int64_t r = p * v.per_piece; r < end; r++)
            for (int64_t k = 0; label[r] >= 0 && k < v.classes; k += VL) {
                const int64_t m = k_min(VL, v.classes - k);
                const vf t = v_load_n(x, r * v.classes + k, m, false);
                const vf y = focal_value(a, t, hits(k, label[r]));
                sum += v_first(m, y, (vf){0});
            }
        piece[p] = (double)v_sum(sum);
    }
    add_pieces(&v, piece, c->out[0].data);
}

static void run_focal_loss_bwd(const lmb_call *c)
{
    const lmb_focal_attr *a = c->attr;
    const rows v = rows_of(&c->in[1].shape, &c->in[2].shape);
    const vf dy = v_set(*(const float *)c->in[0].data);
    const float *x = c->in[1].data;
    const int32_t *label = c->in[2].data;
    float *dx = c->out[0].data;
    K_PARALLEL_FOR(8 * v.rows * v.classes)
    for (int64_t r = 0; r < v.rows; r++)
        for (int64_t k = 0; k < v.classes; k += VL) {
            const int64_t m = k_min(VL, v.classes - k);
            const int64_t at = r * v.classes + k;
            vf d = {0};
            if (label[r] >= 0)
                d = dy *
                    focal_slope(
                        a, v_load_n(x, at, m, false), hits(k, label[r]));
            v_store_n(dx, at, m, false, d);
        }
}

/* --- quality focal loss ----------------------------------------------------
 */

K_INLINE vf to_power(vf away, float beta)
{
    if (beta == 2.0f)
        return away * away;
    return beta == 1.0f ? away : v_exp(v_log(away) * beta);
}
K_INLINE vf quality_value(float beta, vf x, vf q)
{
    const logistic l = logistic_of(x);
    return to_power(v_abs(q - l.s), beta) * (l.plus - x * q);
}
K_INLINE vf quality_slope(float beta, vf x, vf q)
{
    const logistic l = logistic_of(x);
    const vf off = l.s - q, away = v_abs(off);
    const vf sign = v_pick(off > (vf){0}, v_set(1), v_set(-1));
    vf turn = beta * off;
    if (beta != 2.0f)
        turn = beta == 1.0f ? sign : beta * sign * to_power(away, beta - 1);
    turn = v_pick(away == (vf){0}, (vf){0}, turn);
    return to_power(away, beta) * off + turn * l.s * l.rest * (l.plus - x * q);
}
K_INLINE vf targets(int64_t first, int32_t label, float quality)
{
    return v_pick(hits(first, label), v_set(quality), (vf){0});
}

static void run_quality_focal_loss(const lmb_call *c)
{
    const float beta = (float)((const lmb_quality_attr *)c->attr)->beta;
    const rows v = rows_of(&c->in[0].shape, &c->in[1].shape);
    const float *x = c->in[0].data, *quality = c->in[2].data;
    const int32_t *label = c->in[1].data;
    double *piece = c->scratch;
    K_PARALLEL_FOR(8 * v.rows * v.classes)
    for (int64_t p = 0; p < v.pieces; p++) {
        const int64_t end = k_min(v.rows, (p + 1) * v.per_piece);
        vf sum = {0};
        for (int64_t r = p * v.per_piece; r < end; r++)
            for (int64_t k = 0; label[r] >= 0 && k < v.classes; k += VL) {
                const int64_t m = k_min(VL, v.classes - k);
                const vf t = v_load_n(x, r * v.classes + k, m, false);
                const vf q = targets(k, label[r], quality[r]);
                sum += v_first(m, quality_value(beta, t, q), (vf){0});
            }
        piece[p] = (double)v_sum(sum);
    }
    add_pieces(&v, piece, c->out[0].data);
}

static void run_quality_focal_loss_bwd(const lmb_call *c)
{
    const float beta = (float)((const lmb_quality_attr *)c->attr)->beta;
    const rows v = rows_of(&c->in[1].shape, &c->in[2].shape);
    const vf dy = v_set(*(const float *)c->in[0].data);
    const float *x = c->in[1].data, *quality = c->in[3].data;
    const int32_t *label = c->in[2].data;
    float *dx = c->out[0].data;
    K_PARALLEL_FOR(8 * v.rows * v.classes)
    for (int64_t r = 0; r < v.rows; r++)
        for (int64_t k = 0; k < v.classes; k += VL) {
            const int64_t m = k_min(VL, v.classes - k);
            const int64_t at = r * v.classes + k;
            vf d = {0};
            if (label[r] >= 0)
                d = dy *
                    quality_slope(beta, v_load_n(x, at, m, false),
                        targets(k, label[r], quality[r]));
            v_store_n(dx, at, m, false, d);
        }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_focal)[];
const lmb_kernel LMB_KERNEL_TABLE(k_focal)[] = {
    {&lmb_op_focal_loss, LMB_RULE_PLAIN, false, run_focal_loss, scratch_sum,
        NULL},
    {&lmb_op_focal_loss_bwd, LMB_RULE_PLAIN, false, run_focal_loss_bwd, NULL,
        NULL},
    {&lmb_op_quality_focal_loss, LMB_RULE_PLAIN, false, run_quality_focal_loss,
        scratch_sum, NULL},
    {&lmb_op_quality_focal_loss_bwd, LMB_RULE_PLAIN, false,
        run_quality_focal_loss_bwd, NULL, NULL},
    {0},
};
