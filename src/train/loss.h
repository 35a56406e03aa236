/* loss.h: a distillation loss on arrays: see include/limbeck/loss.h, whose
 * functions are implemented here over the planner. */
#ifndef LMB_TRAIN_LOSS_H
#define LMB_TRAIN_LOSS_H

#include "distill/method.h"
#include "limbeck/loss.h"
#include "plan/plan.h"

const lmb_method *lmb_loss_method(const lmb_loss *loss);
/* The compiled plan, for tests and benchmarks. */
lmb_plan *lmb_loss_plan(lmb_loss *loss);

#endif
