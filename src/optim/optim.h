/* optim.h: optimisers over the flat arrays of a parameter store.
 *
 * Formulas are PyTorch's, so learning rates and weight decays mean the same:
 *   sgd:   d = g + wd w;  v = mu v + d (first step: v = d);
 *          w -= lr (nesterov ? d + mu v : v)
 *   adamw: w -= lr wd w;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;
 *          w -= lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
 * Decay applies to all trainable parameters, norms and biases included. */
#ifndef LMB_OPTIM_OPTIM_H
#define LMB_OPTIM_OPTIM_H

#include "graph/param.h"

typedef enum lmb_optim_kind {
    LMB_OPTIM_SGD,
    LMB_OPTIM_ADAMW,
} lmb_optim_kind;

typedef struct lmb_optim_opts {
    lmb_optim_kind kind;
    double momentum, weight_decay;
    bool nesterov;
    double beta1, beta2, eps; /* adamw */
} lmb_optim_opts;

typedef struct lmb_optim lmb_optim;

/* For one sealed store, which must outlive it. */
lmb_status lmb_optim_new(const lmb_optim_opts *opts, lmb_params *store,
    lmb_optim **out) LMB_MUST_CHECK;
void lmb_optim_free(lmb_optim *o); /* accepts NULL */
/* One update from the store's gradients times grad_scale. */
void lmb_optim_step(lmb_optim *o, double lr, double grad_scale);
/* Sum of squared gradients of a store (fixed order, in double). */
double lmb_optim_grad_square(lmb_params *store);

/* State for checkpoints: slot i of 0 .. slots-1 is a flat array of the
 * store's size and dtype ("momentum"; "m", "v"); and the count of steps. */
int lmb_optim_slots(const lmb_optim *o);
const char *lmb_optim_slot_name(const lmb_optim *o, int i);
void *lmb_optim_slot(lmb_optim *o, int i);
/* As new: slots are zero, no step was taken. */
void lmb_optim_reset(lmb_optim *o);
int64_t lmb_optim_steps(const lmb_optim *o);
void lmb_optim_set_steps(lmb_optim *o, int64_t steps);

typedef enum lmb_schedule_kind {
    LMB_SCHEDULE_MULTISTEP,
    LMB_SCHEDULE_COSINE,
    LMB_SCHEDULE_CONSTANT,
} lmb_schedule_kind;

enum { LMB_MAX_DECAYS = 16 };

typedef struct lmb_schedule {
    lmb_schedule_kind kind;
    double lr, decay_rate, min_lr;
    double decay_epochs[LMB_MAX_DECAYS];
    int n_decays;
    double epochs;
    double warmup_epochs, warmup_start; /* linear from start * lr to lr */
} lmb_schedule;

/* Learning rate of a step. Multistep: lr * rate^(number of decay epochs that
 * `epoch`, counted from 1, has passed: epoch > d), as mdistiller counts. The
 * cosine and the warm-up move with every step. */
double lmb_schedule_lr(const lmb_schedule *s, int64_t epoch, int64_t step,
    int64_t steps_per_epoch);

#endif
