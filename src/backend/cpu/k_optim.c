/* k_optim.c: optimiser updates over flat f32 arrays (cpu_optim.h). */
#include "backend/cpu/cpu_optim.h"
#include "backend/cpu/kernel_util.h"

enum { PIECE = 16384 };

static void sgd_piece(const lmb_sgd_step *s, int64_t lo, int64_t hi, float *w,
    const float *g, float *v)
{
    const vf lr = v_set((float)-s->lr), scale = v_set((float)s->scale);
    const vf decay = v_set((float)s->decay), mu = v_set((float)s->momentum);
    const vf keep = s->first ? (vf){0} : mu;
    const bool nesterov = s->nesterov;
    for (int64_t i = lo; i < hi; i += VL) {
        const int64_t m = k_min(VL, hi - i);
        const vf wi = v_load_n(w, i, m, false);
        const vf d = v_fma(decay, wi, scale * v_load_n(g, i, m, false));
        const vf vi_new = v_fma(keep, v_load_n(v, i, m, false), d);
        const vf step = nesterov ? v_fma(mu, vi_new, d) : vi_new;
        v_store_n(v, i, m, false, vi_new);
        v_store_n(w, i, m, false, v_fma(lr, step, wi));
    }
}
static void sgd(
    const lmb_sgd_step *s, int64_t n, float *w, const float *g, float *v)
{
    K_PARALLEL_FOR(n)
    for (int64_t k = 0; k < k_ceil_div(n, PIECE); k++)
        sgd_piece(s, k * PIECE, k_min(n, (k + 1) * PIECE), w, g, v);
}

static void adamw_piece(const lmb_adamw_step *s, int64_t lo, int64_t hi,
    float *w, const float *g, float *m, float *v)
{
    const double c1 = 1 - pow(s->beta1, (double)s->t);
    const double c2 = 1 - pow(s->beta2, (double)s->t);
    const vf b1 = v_set((float)s->beta1), a1 = v_set((float)(1 - s->beta1));
    const vf b2 = v_set((float)s->beta2), a2 = v_set((float)(1 - s->beta2));
    const vf shrink = v_set((float)(1 - s->lr * s->decay));
    const vf rate = v_set((float)(-s->lr / c1)), eps = v_set((float)s->eps);
    const vf root = v_set((float)(1 / sqrt(c2))),
             scale = v_set((float)s->scale);
    for (int64_t i = lo; i < hi; i += VL) {
        const int64_t k = k_min(VL, hi - i);
        const vf gi = scale * v_load_n(g, i, k, false);
        const vf mi = v_fma(b1, v_load_n(m, i, k, false), a1 * gi);
        const vf v2 = v_fma(b2, v_load_n(v, i, k, false), a2 * gi * gi);
        const vf wi = shrink * v_load_n(w, i, k, false);
        const vf step = mi / v_fma(v_sqrt(v2), root, eps);
        v_store_n(m, i, k, false, mi);
        v_store_n(v, i, k, false, v2);
        v_store_n(w, i, k, false, v_fma(rate, step, wi));
    }
}
static void adamw(const lmb_adamw_step *s, int64_t n, float *w, const float *g,
    float *m, float *v)
{
    K_PARALLEL_FOR(n)
    for (int64_t k = 0; k < k_ceil_div(n, PIECE); k++)
        adamw_piece(s, k * PIECE, k_min(n, (k + 1) * PIECE), w, g, m, v);
}

static void average(double decay, int64_t n, const float *x, float *y)
{
    const vf a = v_set((float)decay), b = v_set((float)(1 - decay));
    K_PARALLEL_FOR(n)
    for (int64_t k = 0; k < k_ceil_div(n, VL); k++) {
        const int64_t i = k * VL, m = k_min(VL, n - i);
        const vf old = v_load_n(y, i, m, false);
        v_store_n(y, i, m, false, v_fma(a, old, b * v_load_n(x, i, m, false)));
    }
}

static void scale(double factor, int64_t n, float *x)
{
    const vf a = v_set((float)factor);
    K_PARALLEL_FOR(n)
    for (int64_t k = 0; k < k_ceil_div(n, VL); k++) {
        const int64_t i = k * VL, m = k_min(VL, n - i);
        v_store_n(x, i, m, false, a * v_load_n(x, i, m, false));
    }
}

/* Of elements begin .. end - 1, in four chains a lane. */
K_INLINE double squares_of(const float *x, int64_t begin, int64_t end)
{
    vd s[4] = {{0}, {0}, {0}, {0}};
    int64_t i = begin;
    for (; i + 4 * VL <= end; i += 4 * VL)
        for (int k = 0; k < 4; k++) {
            const vd d = v_double(v_load(x, i + k * VL, false));
            s[k] += d * d;
        }
    for (; i < end; i += VL) {
        const vd d = v_double(v_load_n(x, i, k_min(VL, end - i), false));
        s[0] += d * d;
    }
    const vd all = (s[0] + s[1]) + (s[2] + s[3]);
    double sum = 0;
    for (int k = 0; k < VL; k++)
        sum += all[k];
    return sum;
}

/* The parts and the order of their sum depend on n alone. */
static double sum_squares(int64_t n, const float *x)
{
    enum { PARTS = 64 };
    double part[PARTS];
    K_PARALLEL_FOR(n)
    for (int p = 0; p < PARTS; p++)
        part[p] = squares_of(x, n * p / PARTS, n * (p + 1) / PARTS);
    double sum = 0;
    for (int p = 0; p < PARTS; p++)
        sum += part[p];
    return sum;
}

extern const lmb_optim_kernels LMB_KERNEL_TABLE(k_optim);
const lmb_optim_kernels LMB_KERNEL_TABLE(k_optim) = {
    sgd, adamw, average, scale, sum_squares};
