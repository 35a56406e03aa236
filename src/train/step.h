/* step.h: the compiled step of a run: networks, methods and losses as one
 * graph and one plan; and networks alone, for evaluation. */
#ifndef LMB_TRAIN_STEP_H
#define LMB_TRAIN_STEP_H

#include "data/loader.h"
#include "distill/method.h"
#include "model/model.h"
#include "plan/plan.h"
#include "train/scores.h"

#include <signal.h>

/* A network with its parameters and the input that it expects. */
typedef struct lmb_network {
    const lmb_model *model;
    lmb_params *params;
    int classes;
    double mean[3], std[3]; /* of channels scaled to [0, 1] */
} lmb_network;

/* A method of the run, configured. */
typedef struct lmb_term {
    const lmb_method *method;
    void *state;
    lmb_params *params; /* its connectors */
    double weight, warmup;
    lmb_pairing map[LMB_MAX_PAIRS];
    int n_map;
} lmb_term;

typedef struct lmb_step_spec {
    int64_t batch, height, width, samples;
    const lmb_network *student, *teacher; /* teacher may be NULL */
    const lmb_term *terms;
    int n_terms;
    double ce_weight;
    int phase[8]; /* of each term */
    bool reference; /* f64, exact */
    bool bf16, allow_reference;
    lmb_workspace *workspace;
} lmb_step_spec;

enum { LMB_MAX_TERMS = 8 };

typedef struct lmb_train_step {
    lmb_step_spec spec;
    lmb_graph *g;
    lmb_plan *plan;
    lmb_value x, labels, index, logits, loss, ce;
    lmb_value warm[LMB_MAX_TERMS], term[LMB_MAX_TERMS];
    float warm_data[LMB_MAX_TERMS];
    int32_t *index_data;
    lmb_str pairs; /* a line per compared pair, for the table */
} lmb_train_step;

/* Student input is normalised with the student's mean and deviation; the
 * teacher's is made from it inside the graph. Parameters are added to the
 * stores when the first step is made, and the stores are sealed. */
lmb_status lmb_train_step_new(
    const lmb_step_spec *spec, lmb_train_step **out) LMB_MUST_CHECK;
void lmb_train_step_free(lmb_train_step *s);

typedef struct lmb_step_result {
    double loss, ce; /* ce and terms are weighted: they sum to loss */
    double term[LMB_MAX_TERMS];
    int64_t correct; /* of the batch, in training mode */
} lmb_step_result;

/* Where the run is, for schedules and feeds. */
typedef struct lmb_step_at {
    int64_t epoch; /* from 1 */
    int64_t step; /* over all epochs, from 0 */
    double epoch_part, epochs;
    uint64_t seed;
} lmb_step_at;

/* Forward and backward of one batch: gradients are in the stores. */
/* Linear warm-up of a term: min(epoch / warmup, 1), epochs counted from 1. */
double lmb_warm_up(double warmup, int64_t epoch);

lmb_status lmb_train_step_run(lmb_train_step *s, const lmb_batch *batch,
    const lmb_step_at *at, lmb_step_result *out) LMB_MUST_CHECK;

/* --- evaluation
 * ----------------------------------------------------------------- */

typedef struct lmb_eval_spec {
    int64_t batch, limit; /* limit: images, 0 = all */
    int32_t loader_threads;
    bool bf16, allow_reference, reference;
    bool transform_train; /* keep false */
    /* May be NULL; once set, the evaluation ends with EINTERRUPTED. */
    const volatile sig_atomic_t *stop;
} lmb_eval_spec;

typedef struct lmb_eval_result {
    double score[LMB_MAX_SCORES]; /* of the task, in its order */
    double loss; /* mean cross-entropy */
    int64_t count;
    int32_t classes;
    int64_t *class_count, *class_correct; /* `classes` each, owned */
    double seconds;
} lmb_eval_result;

/* Runs a network over a data set; *out is owned: lmb_eval_fini. */
lmb_status lmb_evaluate(const lmb_network *net, const lmb_dataset *data,
    const lmb_eval_spec *spec, lmb_eval_result *out) LMB_MUST_CHECK;
void lmb_eval_fini(lmb_eval_result *r);

/* An evaluation that is run many times over: plans are made once. */
typedef struct lmb_evaluator lmb_evaluator;
lmb_status lmb_evaluator_new(const lmb_network *net, const lmb_dataset *data,
    const lmb_eval_spec *spec, lmb_workspace *workspace,
    lmb_evaluator **out) LMB_MUST_CHECK;
lmb_status lmb_evaluator_run(
    lmb_evaluator *e, lmb_eval_result *out) LMB_MUST_CHECK;
void lmb_evaluator_free(lmb_evaluator *e);

#endif
