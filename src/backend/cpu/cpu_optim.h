/* cpu_optim.h: optimiser updates over flat f32 arrays, per CPU level.
 *
 * Formulas as in optim/optim.h. Elementwise, so any number of threads gives
 * the same bits; the sum of squares is added in double over pieces of a fixed
 * size. Arrays do not overlap. */
#ifndef LMB_BACKEND_CPU_CPU_OPTIM_H
#define LMB_BACKEND_CPU_CPU_OPTIM_H

#include "base/base.h"

/* d = scale g + decay w;  v = momentum v + d (first: v = d);
 * w -= lr (nesterov ? d + momentum v : v) */
typedef struct lmb_sgd_step {
    double lr, scale, decay, momentum;
    bool nesterov, first;
} lmb_sgd_step;

/* g = scale g;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
 * w -= lr decay w;  w -= lr (m / c1) / (sqrt(v / c2) + eps),
 * c1 = 1 - beta1^t, c2 = 1 - beta2^t, t counted from 1 */
typedef struct lmb_adamw_step {
    double lr, scale, decay, beta1, beta2, eps;
    int64_t t;
} lmb_adamw_step;

typedef struct lmb_optim_kernels {
    void (*sgd)(
        const lmb_sgd_step *s, int64_t n, float *w, const float *g, float *v);
    void (*adamw)(const lmb_adamw_step *s, int64_t n, float *w, const float *g,
        float *m, float *v);
    /* y = decay y + (1 - decay) x: exponential moving average */
    void (*average)(double decay, int64_t n, const float *x, float *y);
    void (*scale)(double factor, int64_t n, float *x);
    double (*sum_squares)(int64_t n, const float *x);
} lmb_optim_kernels;

/* Those of the level in use. */
const lmb_optim_kernels *lmb_cpu_optim(void);

#endif
