/* optim.c: SGD and AdamW over flat arrays. */
#include "optim/optim.h"

#include <math.h>

struct lmb_optim {
    lmb_optim_opts opts;
    lmb_params *store;
    void *slot[2];
    int slots;
    int64_t steps;
};

lmb_status lmb_optim_new(
    const lmb_optim_opts *opts, lmb_params *store, lmb_optim **out)
{
    lmb_optim *o = NULL;
    LMB_TRY(LMB_NEW(o, 1));
    o->opts = *opts;
    o->store = store;
    o->slots = opts->kind == LMB_OPTIM_ADAMW ? 2 : 1;
    const size_t n = (size_t)lmb_params_data_size(store);
    for (int i = 0; i < o->slots; i++) {
        o->slot[i] = lmb_alloc(n, lmb_dtype_size(lmb_params_dtype(store)));
        if (o->slot[i] == NULL) {
            lmb_optim_free(o);
            return LMB_FAIL(LMB_ENOMEM, "out of memory: optimiser state");
        }
    }
    *out = o;
    return LMB_OK;
}

void lmb_optim_free(lmb_optim *o)
{
    if (o == NULL)
        return;
    lmb_free(o->slot[0]);
    lmb_free(o->slot[1]);
    lmb_free(o);
}

/* The scalars of one step, in the type of the store. */
#define SGD_BODY(real) \
    const real lr = (real)rate; \
    const real scale = (real)grad_scale; \
    const real wd = (real)o->opts.weight_decay; \
    const real mu = o->steps == 0 ? 0 : (real)o->opts.momentum; \
    const real ahead = o->opts.nesterov ? (real)o->opts.momentum : 0; \
    const real self = o->opts.nesterov ? 1 : 0; \
    for (int64_t i = 0; i < n; i++) { \
        const real d = g[i] * scale + wd * w[i]; \
        v[i] = mu * v[i] + d; \
        w[i] -= lr * (self != 0 ? d + ahead * v[i] : v[i]); \
    }

static void sgd_f32(const lmb_optim *o, int64_t n, double rate,
    double grad_scale, float *restrict w, const float *restrict g,
    float *restrict v)
{
    SGD_BODY(float)
}

static void sgd_f64(const lmb_optim *o, int64_t n, double rate,
    double grad_scale, double *restrict w, const double *restrict g,
    double *restrict v)
{
    SGD_BODY(double)
}

/* AdamW is computed in double in both stores: it is no bottleneck. */
static void adamw(
    const lmb_optim *o, int64_t n, double lr, double grad_scale, bool f64)
{
    const lmb_optim_opts *a = &o->opts;
    const double t = (double)(o->steps + 1);
    const double c1 = 1 - pow(a->beta1, t);
    const double c2 = 1 - pow(a->beta2, t);
    void *data = lmb_params_data(o->store);
    const void *grads = lmb_params_grads(o->store);
    for (int64_t i = 0; i < n; i++) {
        const double g = grad_scale *
            (f64 ? ((const double *)grads)[i]
                 : (double)((const float *)grads)[i]);
        double w = f64 ? ((double *)data)[i] : (double)((float *)data)[i];
        double m =
            f64 ? ((double *)o->slot[0])[i] : (double)((float *)o->slot[0])[i];
        double v =
            f64 ? ((double *)o->slot[1])[i] : (double)((float *)o->slot[1])[i];
        m = a->beta1 * m + (1 - a->beta1) * g;
        v = a->beta2 * v + (1 - a->beta2) * g * g;
        w -= lr * a->weight_decay * w;
        w -= lr * (m / c1) / (sqrt(v / c2) + a->eps);
        if (f64) {
            ((double *)data)[i] = w;
            ((double *)o->slot[0])[i] = m;
            ((double *)o->slot[1])[i] = v;
        } else {
            ((float *)data)[i] = (float)w;
            ((float *)o->slot[0])[i] = (float)m;
            ((float *)o->slot[1])[i] = (float)v;
        }
    }
}

void lmb_optim_step(lmb_optim *o, double lr, double grad_scale)
{
    const int64_t n = lmb_params_data_size(o->store);
    const bool f64 = lmb_params_dtype(o->store) == LMB_F64;
    if (o->opts.kind == LMB_OPTIM_ADAMW)
        adamw(o, n, lr, grad_scale, f64);
    else if (f64)
        sgd_f64(o, n, lr, grad_scale, lmb_params_data(o->store),
            lmb_params_grads(o->store), o->slot[0]);
    else
        sgd_f32(o, n, lr, grad_scale, lmb_params_data(o->store),
            lmb_params_grads(o->store), o->slot[0]);
    o->steps++;
    lmb_params_touch(o->store);
}

double lmb_optim_grad_square(lmb_params *store)
{
    const int64_t n = lmb_params_data_size(store);
    const void *grads = lmb_params_grads(store);
    const bool f64 = lmb_params_dtype(store) == LMB_F64;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const double g = f64 ? ((const double *)grads)[i]
                             : (double)((const float *)grads)[i];
        sum += g * g;
    }
    return sum;
}

int lmb_optim_slots(const lmb_optim *o)
{
    return o->slots;
}

const char *lmb_optim_slot_name(const lmb_optim *o, int i)
{
    if (o->opts.kind == LMB_OPTIM_SGD)
        return "momentum";
    return i == 0 ? "m" : "v";
}

void *lmb_optim_slot(lmb_optim *o, int i)
{
    return o->slot[i];
}

int64_t lmb_optim_steps(const lmb_optim *o)
{
    return o->steps;
}

void lmb_optim_set_steps(lmb_optim *o, int64_t steps)
{
    o->steps = steps;
}

/* --- schedules
 * ------------------------------------------------------------------ */

double lmb_schedule_lr(
    const lmb_schedule *s, int64_t epoch, int64_t step, int64_t steps_per_epoch)
{
    const double at = (double)(epoch - 1) +
        (double)step / (double)steps_per_epoch; /* epochs done */
    double lr = s->lr;
    if (s->kind == LMB_SCHEDULE_MULTISTEP) {
        for (int i = 0; i < s->n_decays; i++)
            if ((double)epoch > s->decay_epochs[i])
                lr *= s->decay_rate;
    } else if (s->kind == LMB_SCHEDULE_COSINE) {
        const double part = at / s->epochs < 1 ? at / s->epochs : 1;
        lr = s->min_lr +
            0.5 * (s->lr - s->min_lr) *
                (1 + cos(3.14159265358979323846 * part));
    }
    if (at < s->warmup_epochs)
        lr *= s->warmup_start + (1 - s->warmup_start) * (at / s->warmup_epochs);
    return lr;
}
