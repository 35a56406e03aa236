/* bench.h: the speed of one training step on made-up data. */
#ifndef LMB_TRAIN_BENCH_H
#define LMB_TRAIN_BENCH_H

#include "plan/plan.h"
#include "train/run_config.h"

enum { LMB_BENCH_ROWS = 48 };

typedef struct lmb_bench_result {
    double images_per_second; /* step and update; the median of the steps */
    double limit_images_per_second; /* its convolutions alone (plan.h) */
    double limit_ratio;
    int64_t peak_memory_bytes; /* of the process */
    int64_t plan_bytes; /* activations and packed weights */
    double compile_seconds;
    bool bf16;
    int threads;
    lmb_plan_time rows[LMB_BENCH_ROWS]; /* where a step goes */
    int n_rows;
    double profile_seconds; /* sum of the rows */
} lmb_bench_result;

/* `config` gives student, teacher (a name: its weights are drawn), methods,
 * batch, precision, threads. size 0: the model's own. Steps are timed after
 * a third as many to warm up. */
lmb_status lmb_bench_step(const lmb_run_config *config, int64_t steps,
    int64_t size, lmb_bench_result *out) LMB_MUST_CHECK;

#endif
