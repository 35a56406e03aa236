/* optim.c: SGD and AdamW over flat arrays. */
#include "optim/optim.h"

#include "backend/cpu/cpu_optim.h"

#include <math.h>
#include <string.h>

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

void lmb_optim_reset(lmb_optim *o)
{
    const size_t size = (size_t)lmb_params_data_size(o->store) *
        lmb_dtype_size(lmb_params_dtype(o->store));
    for (int i = 0; i < o->slots; i++)
        memset(o->slot[i], 0, size);
    o->steps = 0;
}

/* f64 stores are the exact reference: plain loops. f32 ones run on the
 * kernels of the CPU's level (cpu_optim.h). */
static void sgd_f64(
    const lmb_sgd_step *s, int64_t n, double *w, const double *g, double *v)
{
    for (int64_t i = 0; i < n; i++) {
        const double d = g[i] * s->scale + s->decay * w[i];
        v[i] = s->first ? d : s->momentum * v[i] + d;
        w[i] -= s->lr * (s->nesterov ? d + s->momentum * v[i] : v[i]);
    }
}

static void adamw_f64(const lmb_adamw_step *s, int64_t n, double *w,
    const double *g, double *m, double *v)
{
    const double c1 = 1 - pow(s->beta1, (double)s->t);
    const double c2 = 1 - pow(s->beta2, (double)s->t);
    for (int64_t i = 0; i < n; i++) {
        const double gi = g[i] * s->scale;
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * gi;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * gi * gi;
        w[i] -= s->lr * s->decay * w[i];
        w[i] -= s->lr * (m[i] / c1) / (sqrt(v[i] / c2) + s->eps);
    }
}

static void sgd(lmb_optim *o, int64_t n, double lr, double scale, bool f64)
{
    const lmb_sgd_step s = {
        .lr = lr,
        .scale = scale,
        .decay = o->opts.weight_decay,
        .momentum = o->opts.momentum,
        .nesterov = o->opts.nesterov,
        .first = o->steps == 0,
    };
    void *w = lmb_params_data(o->store);
    const void *g = lmb_params_grads(o->store);
    if (f64)
        sgd_f64(&s, n, w, g, o->slot[0]);
    else
        lmb_cpu_optim()->sgd(&s, n, w, g, o->slot[0]);
}

static void adamw(lmb_optim *o, int64_t n, double lr, double scale, bool f64)
{
    const lmb_adamw_step s = {
        .lr = lr,
        .scale = scale,
        .decay = o->opts.weight_decay,
        .beta1 = o->opts.beta1,
        .beta2 = o->opts.beta2,
        .eps = o->opts.eps,
        .t = o->steps + 1,
    };
    void *w = lmb_params_data(o->store);
    const void *g = lmb_params_grads(o->store);
    if (f64)
        adamw_f64(&s, n, w, g, o->slot[0], o->slot[1]);
    else
        lmb_cpu_optim()->adamw(&s, n, w, g, o->slot[0], o->slot[1]);
}

void lmb_optim_step(lmb_optim *o, double lr, double grad_scale)
{
    const int64_t n = lmb_params_data_size(o->store);
    const bool f64 = lmb_params_dtype(o->store) == LMB_F64;
    if (o->opts.kind == LMB_OPTIM_ADAMW)
        adamw(o, n, lr, grad_scale, f64);
    else
        sgd(o, n, lr, grad_scale, f64);
    o->steps++;
    lmb_params_touch(o->store);
}

double lmb_optim_grad_square(lmb_params *store)
{
    const int64_t n = lmb_params_data_size(store);
    const void *grads = lmb_params_grads(store);
    if (lmb_params_dtype(store) == LMB_F32)
        return lmb_cpu_optim()->sum_squares(n, grads);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += ((const double *)grads)[i] * ((const double *)grads)[i];
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

/* --- schedules ------------------------------------------------------------ */

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
