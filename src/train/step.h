/* step.h: the compiled step of a run: networks, methods and losses as one
 * graph and one plan; and networks alone, for evaluation. */
#ifndef LMB_TRAIN_STEP_H
#define LMB_TRAIN_STEP_H

#include "data/loader.h"
#include "distill/method.h"
#include "metric/boxes.h"
#include "model/model.h"
#include "plan/plan.h"
#include "train/feed.h"
#include "train/run_config.h"
#include "train/scores.h"

#include <signal.h>

enum { LMB_MAX_TERMS = 8, LMB_MAX_PARTS = LMB_MAX_DETECT_LOSSES };

/* A network with its parameters and the input that it expects. */
typedef struct lmb_network {
    const lmb_model *model;
    lmb_model_opts opts; /* zero: the defaults */
    char text[160]; /* as lmb_model_spec.text */
    lmb_params *params;
    int classes;
    double mean[3], std[3]; /* of channels scaled to [0, 1] */
    /* Detectors: the long and short side that pictures are made to fit, as in
     * training; 0: not known. */
    int side[2];
} lmb_network;

/* Builds it on x; a detector gets and gives `detection` (NULL for others).
 * Returns the logits, or LMB_NONE. */
lmb_value lmb_network_build(
    const lmb_network *net, lmb_nn *nn, lmb_value x, lmb_detection *detection);
bool lmb_network_detects(const lmb_network *net);

/* A side of the teacher's input: the student's times the factor, in whole
 * multiples of `pad` (0: pixels). */
int64_t lmb_teacher_side(int64_t pixels, double factor, int32_t pad);

/* The teacher's input made of the student's, x: its mean and deviation, and
 * size (height, width; 0: the student's). sizes [N, 2]: height and width of
 * the pictures in x, whose rest is padding; NONE: there is none. */
lmb_value lmb_teacher_input(lmb_graph *g, lmb_value x, lmb_value sizes,
    const lmb_network *student, const lmb_network *teacher,
    const int64_t size[2]);

/* A method of the run, configured. */
typedef struct lmb_term {
    const lmb_method *method;
    void *state;
    lmb_params *params; /* its connectors */
    double weight, warmup;
    /* What its warm-up and phases count: the epochs behind `before`, so many:
     * of the run, or of a stage that begins anew. */
    int64_t before, epochs;
    lmb_term_schedule schedule;
    lmb_pairing map[LMB_MAX_PAIRS];
    int n_map;
} lmb_term;

/* Where a step has the teacher's logits from. */
typedef enum lmb_teacher_logits {
    LMB_LOGITS_LIVE, /* the teacher runs in the step */
    LMB_LOGITS_KEPT, /* so it does, and they can be read afterwards */
    LMB_LOGITS_GIVEN, /* they are an input; the teacher does not run */
} lmb_teacher_logits;

typedef struct lmb_step_spec {
    int64_t batch, height, width, samples;
    int64_t boxes; /* detection: capacity of an image's ground truth */
    const lmb_network *student, *teacher; /* teacher may be NULL */
    int64_t teacher_size[2]; /* height, width it sees; 0: the student's */
    const lmb_term *terms;
    int n_terms;
    double task_weight; /* of cross-entropy, of a detector's own losses */
    int phase[LMB_MAX_TERMS];
    int stage; /* which teacher of several in turn */
    lmb_teacher_logits teacher_logits;
    bool reference; /* f64, exact */
    bool bf16, allow_reference;
    lmb_workspace *workspace;
} lmb_step_spec;

typedef struct lmb_train_step {
    lmb_step_spec spec;
    lmb_graph *g;
    lmb_plan *plan;
    lmb_value x, labels, index, logits, loss;
    lmb_value teacher_logits; /* an input, or to be read: see the spec */
    lmb_truth truth; /* detection */
    lmb_value sizes;
    /* The task's losses: "ce", or a detector's "cls", "box", .. */
    int n_parts;
    const char *part_name[LMB_MAX_PARTS];
    lmb_value part[LMB_MAX_PARTS];
    lmb_value share[LMB_MAX_TERMS], term[LMB_MAX_TERMS];
    float share_data[LMB_MAX_TERMS];
    int32_t *index_data, draw_data[4];
    lmb_feeds feeds[LMB_MAX_TERMS]; /* what each method fills itself */
    lmb_str pairs; /* a line per compared pair, for the table */
} lmb_train_step;

/* Student input is normalised with the student's mean and deviation; the
 * teacher's is made from it inside the graph. Parameters are added to the
 * stores when the first step is made, and the stores are sealed. */
lmb_status lmb_train_step_new(
    const lmb_step_spec *spec, lmb_train_step **out) LMB_MUST_CHECK;
void lmb_train_step_free(lmb_train_step *s);
/* Only adds the parameters that the step needs to the stores, and its pairs to
 * `pairs` (may be NULL). Nothing is compiled. */
lmb_status lmb_train_step_declare(
    const lmb_step_spec *spec, lmb_str *pairs) LMB_MUST_CHECK;
/* Points the plan at the step's own input memory (step_run.c). */
lmb_status lmb_train_step_connect(lmb_train_step *s) LMB_MUST_CHECK;

typedef struct lmb_step_result {
    double loss; /* parts and terms are weighted: they sum to it */
    double part[LMB_MAX_PARTS], term[LMB_MAX_TERMS];
    int64_t correct; /* classification: of the batch, in training mode */
} lmb_step_result;

/* Where the run is, for schedules and feeds. */
typedef struct lmb_step_at {
    int64_t epoch; /* from 1 */
    int64_t step; /* over all epochs, from 0 */
    double epoch_part, epochs;
    uint64_t seed;
} lmb_step_at;

/* The share of a term's weight in an epoch of the run, counted from 1: linear
 * warm-up, min((epoch - before) / warmup, 1), times its schedule over the run:
 * with t = (epoch - 1) / epochs, 1, 1 - t (linear) or (1 + cos(pi t)) / 2
 * (cosine). */
double lmb_term_share(const lmb_term *term, int64_t epoch, double epochs);
/* The phase of its method in that epoch. */
int lmb_term_phase(const lmb_term *term, int64_t epoch);

/* Forward and backward of one batch: gradients are in the stores. */
lmb_status lmb_train_step_run(lmb_train_step *s, const lmb_batch *batch,
    const lmb_step_at *at, lmb_step_result *out) LMB_MUST_CHECK;

/* --- evaluation ----------------------------------------------------------- */

/* Images a step where nobody said: those of detectors are larger. */
static inline int64_t lmb_eval_batch(int64_t asked, bool detector)
{
    return asked > 0 ? asked : detector ? 8 : 100;
}

typedef struct lmb_eval_spec {
    int64_t batch, limit; /* 0: the usual batch; limit: images, 0 = all */
    int32_t loader_threads;
    bool bf16, allow_reference, reference;
    /* Detection: how pictures are prepared, and how the network's input is
     * normalised (evaluators fill it in). */
    lmb_picture_opts pictures;
    double mean[3], std[3];
    lmb_detect_opts detect;
    bool keep_found; /* detection: the result has the boxes, too */
    /* Classification: the input is resized by it, as a teacher's is in
     * training (bilinear); 0: not. */
    double input_factor;
    /* May be NULL; once set, the evaluation ends with EINTERRUPTED. */
    const volatile sig_atomic_t *stop;
    /* May be NULL: told how many of the images are done, before the first
     * batch (0) and after each. */
    void (*on_images)(int64_t done, int64_t count, void *user);
    void *user;
} lmb_eval_spec;

typedef struct lmb_eval_result {
    double score[LMB_MAX_SCORES]; /* of the task, in its order */
    double loss; /* mean cross-entropy; NaN for detectors */
    int64_t count;
    int32_t classes;
    int64_t *class_count, *class_correct; /* `classes` each, owned */
    double *class_ap; /* detection, in place of class_correct; -1: undefined */
    lmb_dt_box *found; /* with keep_found; image: place in the set; owned */
    int64_t n_found;
    double seconds;
} lmb_eval_result;

/* The part that a limit asks for, evenly spread; NULL if that is all. */
lmb_status lmb_eval_part(
    const lmb_dataset *data, int64_t limit, lmb_dataset **out) LMB_MUST_CHECK;
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
