/* plan.h: a graph compiled for running: passes, layouts, memory, steps.
 *
 * A plan is made once per (graph, shapes, precision) and run many times. On
 * the fast backend activations are NHWC in f32 or bf16, or f32 in blocks of
 * eight channels, everything else is dense f32; on the reference everything is
 * dense f64. Values that depend on constants and unchanging parameters alone
 * (folded and packed weights of a frozen teacher) are computed when those
 * parameters change, not every run. A steady run allocates nothing. */
#ifndef LMB_PLAN_PLAN_H
#define LMB_PLAN_PLAN_H

#include "graph/graph.h"
#include "graph/param.h"

typedef struct lmb_plan lmb_plan;

/* Memory for intermediate values, sized by the largest plan that uses it. One
 * plan of a workspace runs at a time, and its outputs are valid until another
 * one runs. */
typedef struct lmb_workspace lmb_workspace;
lmb_status lmb_workspace_new(lmb_workspace **out) LMB_MUST_CHECK;
void lmb_workspace_free(lmb_workspace *w);
int64_t lmb_workspace_size(const lmb_workspace *w); /* bytes */

/* How activations in f32 lie on the way of the convolutions. */
typedef enum lmb_plan_layout {
    LMB_LAYOUT_AUTO, /* as this CPU's convolutions are faster */
    LMB_LAYOUT_NHWC,
    LMB_LAYOUT_BLOCKED, /* [N][C / 8][H * W][8] where C is a multiple of 8 */
} lmb_plan_layout;

typedef struct lmb_plan_opts {
    bool reference; /* f64 reference kernels, no fusion */
    bool bf16; /* activations and packed weights in bf16 */
    lmb_plan_layout layout; /* without bf16 */
    bool allow_reference; /* f64 kernels for ops that have no fast one */
    lmb_workspace *workspace; /* NULL: the plan has its own */
} lmb_plan_opts;

/* The passes before differentiation (fusion of batch norm with what follows);
 * `keep` lists values that must stay readable. Not for reference plans. */
void lmb_passes_forward(lmb_graph *g, int n_keep, const lmb_value *keep);
/* The passes after it (fold batch norm, fuse convolutions and additions). */
void lmb_passes_backward(lmb_graph *g, int n_keep, const lmb_value *keep);

/* Compiles what the outputs and side effects need. The graph must outlive the
 * plan. Errors: the graph's own; EUNSUPPORTED names an op without a fast
 * kernel (unless allow_reference); ENOMEM. */
lmb_status lmb_plan_compile(lmb_graph *g, int n_outputs,
    const lmb_value *outputs, const lmb_plan_opts *opts,
    lmb_plan **out) LMB_MUST_CHECK;
void lmb_plan_free(lmb_plan *plan);

/* Points an input at dense row-major memory of the given dtype: F32 or F64 for
 * reals (F64 on the reference only), I32 for indices. It is read at each run.
 * An input that the plan does not use is ignored. */
lmb_status lmb_plan_set(lmb_plan *plan, lmb_value input, lmb_dtype dtype,
    const void *data) LMB_MUST_CHECK;
lmb_status lmb_plan_run(lmb_plan *plan) LMB_MUST_CHECK;
/* Copies an output of the last run to dense memory: F32, F64 or I32. */
lmb_status lmb_plan_read(const lmb_plan *plan, lmb_value output,
    lmb_dtype dtype, void *data) LMB_MUST_CHECK;
/* An output of the last run where it lies: dense f32 (f64 on the reference) or
 * int32; valid until the next run of any plan of the workspace. */
const void *lmb_plan_view(const lmb_plan *plan, lmb_value output);
/* A scalar output (or the first element). */
double lmb_plan_scalar(const lmb_plan *plan, lmb_value output);

/* Runs again, step by step and without side effects, and describes the first
 * step that gives a non-finite number: "batch_norm_train in student/layer1"
 * (empty if there is none). */
lmb_status lmb_plan_find_nonfinite(
    lmb_plan *plan, char *text, size_t size) LMB_MUST_CHECK;

/* What a plan is made of, for reports and benchmarks. */
typedef struct lmb_plan_stats {
    int steps, static_steps, reference_steps;
    int64_t arena_bytes, static_bytes;
    int64_t conv_macs; /* multiply-adds of convolutions and products a run */
} lmb_plan_stats;
lmb_plan_stats lmb_plan_describe(const lmb_plan *plan);
/* Names of ops that run on the reference, comma separated; "" if none. */
const char *lmb_plan_fallbacks(const lmb_plan *plan);
/* Runs `runs` times and adds up the seconds of each op; rows in out[] sorted
 * by time; returns the number of rows. */
typedef struct lmb_plan_time {
    const char *op;
    double seconds; /* a run */
    int count; /* steps */
} lmb_plan_time;
lmb_status lmb_plan_profile(lmb_plan *plan, int runs, int max,
    lmb_plan_time *out, int *n) LMB_MUST_CHECK;
/* Seconds a run of the plan's convolutions and matrix products alone, each
 * timed by itself, in oneDNN's free choice of layout: the limit of any plan. It
 * has run before; its outputs are lost. */
lmb_status lmb_plan_limit(lmb_plan *plan, double *seconds) LMB_MUST_CHECK;

#endif
