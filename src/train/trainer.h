/* trainer.h: a run: data, networks, methods, the loop, checkpoints.
 *
 * A run reads lmb_run_config, and writes a run directory (runlog.h writes the
 * logs, checkpoint.h the state). It reports to an observer; it prints nothing.
 */
#ifndef LMB_TRAIN_TRAINER_H
#define LMB_TRAIN_TRAINER_H

#include "train/run_config.h"
#include "train/step.h"

#include <signal.h>

typedef struct lmb_run lmb_run;

/* One row of metrics.jsonl, and what progress shows. */
typedef struct lmb_row {
    int64_t epoch, step; /* step: over all epochs */
    /* "train", "test" (what --split names) or "val" (a part held out). */
    const char *split;
    double loss;
    int n_parts; /* the task's losses: "ce" is logged as loss_ce */
    const char *part_name[LMB_MAX_PARTS];
    double part[LMB_MAX_PARTS];
    const lmb_task *task;
    double score[LMB_MAX_SCORES]; /* NaN: not of this row */
    int n_terms;
    const char *term_name[LMB_MAX_TERMS]; /* "kd": logged as loss_kd */
    double term[LMB_MAX_TERMS];
    double lr, images_per_second;
    double seconds; /* since the run (or its resumption) began */
} lmb_row;

typedef struct lmb_progress {
    int64_t epoch, epochs, step_in_epoch, steps_per_epoch;
    lmb_row so_far; /* means over the epoch until now */
    double seconds_left;
} lmb_progress;

/* All members may be NULL. */
typedef struct lmb_observer {
    /* Before step one; the run ends if it fails. */
    lmb_status (*on_start)(const lmb_run *run, void *user);
    void (*on_step)(const lmb_progress *p, void *user);
    void (*on_row)(const lmb_row *row, void *user); /* end of epoch, eval */
    void (*on_checkpoint)(const char *path, int64_t step, void *user);
    /* In evaluations, the teacher's check among them: lmb_eval_spec. */
    void (*on_images)(int64_t done, int64_t count, void *user);
    void *user;
    /* Set by a signal handler: the step is finished, the state is saved, and
     * lmb_run_train returns EINTERRUPTED. */
    const volatile sig_atomic_t *stop;
} lmb_observer;

/* Opens everything: data, teacher (with its check), student, methods; makes
 * the directory (EINVAL if it exists and resume is off); with resume restores
 * the last checkpoint. The config must outlive the run. */
lmb_status lmb_run_open(const lmb_run_config *config,
    const lmb_observer *observer, lmb_run **out) LMB_MUST_CHECK;
/* The state that a run has saved, to be looked at: nothing is written, no lock
 * is taken, and it cannot be trained. config->resume is set. Networks and
 * methods must be those of the run; precision and data may be others. */
lmb_status lmb_run_look(
    const lmb_run_config *config, lmb_run **out) LMB_MUST_CHECK;
/* Trains to the end. ENUMERIC names loss and layer (the last good checkpoint
 * stays); EINTERRUPTED after a stop. */
lmb_status lmb_run_train(lmb_run *run) LMB_MUST_CHECK;
void lmb_run_free(lmb_run *run);

typedef struct lmb_stage_facts {
    int teacher; /* of lmb_run_facts.teachers; -1: none */
    int64_t first, last; /* epochs */
    double lr;
    double decay_epochs[LMB_MAX_DECAYS]; /* of the run */
    int n_decays;
    const lmb_term *terms;
    int n_terms;
    double task_weight;
    /* Taps of the pairs that each method compares, for the table before the
     * first step: lines "kd: student.logits [64, 100] <- teacher.logits
     * [64, 100]"; NULL: none. */
    const char *pairs;
} lmb_stage_facts;

/* What a run is made of, for tables, manifests and reports. */
typedef struct lmb_run_facts {
    const lmb_run_config *config;
    const lmb_network *student, *teachers;
    int n_teachers; /* 0: plain training */
    lmb_stage_facts stages[LMB_MAX_STAGES];
    int n_stages;
    double lr;
    bool bf16;
    int threads;
    const lmb_dataset *train, *test; /* test: what `best` is chosen on */
    bool chosen_on_test; /* no held-out split */
    bool held_out; /* `test` is a part held out, and there is a test split */
    const lmb_dataset *final_test; /* that split then, else NULL */
    int64_t left_out; /* pictures to train on that have no boxes */
    int64_t steps_per_epoch;
    const lmb_task *task;
    const double *teacher_score; /* of each check; NaN: it was not tried */
    int64_t teacher_checked;
    bool lr_restarts; /* its schedule begins anew with each of several stages */
    bool resumed; /* it goes on from a state, be that of step 0 */
    int64_t start_step; /* 0, or where it was resumed */
    int64_t peak_plan_bytes;
} lmb_run_facts;
/* Borrows from the run. */
lmb_run_facts lmb_run_describe(const lmb_run *run);

/* After training: last and best, and evaluations with per-class counts of the
 * student and (if there is one) the teacher on the test split. */
typedef struct lmb_run_result {
    double last[LMB_MAX_SCORES], best[LMB_MAX_SCORES];
    int64_t best_epoch;
    double train_seconds, images_per_second;
    lmb_eval_result student, teacher; /* teacher.count 0 if none */
} lmb_run_result;
lmb_status lmb_run_finish(lmb_run *run, lmb_run_result *out) LMB_MUST_CHECK;
void lmb_run_result_fini(lmb_run_result *r);

/* Files of a run directory, relative to it. */
#define LMB_RUN_LAST "last.safetensors" /* state: --resume */
#define LMB_RUN_BEST "best.safetensors" /* student of the best epoch */
#define LMB_RUN_STUDENT "student.safetensors" /* student of the last epoch */
#define LMB_RUN_METRICS "metrics.jsonl"
#define LMB_RUN_CONFIG "config.yaml"
#define LMB_RUN_MANIFEST "manifest.json"

#endif
