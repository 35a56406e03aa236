/* run_impl.h: the inside of a run, shared by trainer.c and the files run_*.c.
 */
#ifndef LMB_TRAIN_RUN_IMPL_H
#define LMB_TRAIN_RUN_IMPL_H

#include "train/checkpoint.h"
#include "train/network.h"
#include "train/runlog.h"
#include "train/trainer.h"

enum { LMB_MAX_STEPS = 16 };

/* A part of the epochs with a teacher, terms and a schedule of its own. */
typedef struct lmb_stage {
    const lmb_network *teacher; /* NULL: none */
    int teacher_index;
    int64_t first, last; /* epochs, from 1 */
    lmb_term terms[LMB_MAX_TERMS];
    int store[LMB_MAX_TERMS]; /* of lmb_run_state.stores */
    int config[LMB_MAX_TERMS]; /* of lmb_run_config.methods */
    int n_terms;
    double task_weight; /* of cross-entropy, of a detector's own losses */
    lmb_str pairs; /* a line per compared pair, for the table */
    lmb_schedule schedule;
    int64_t schedule_first; /* the epoch that the schedule counts as 1 */
} lmb_stage;

struct lmb_run {
    const lmb_run_config *config;
    lmb_observer observer;
    /* Data: `chosen` is what the best epoch is chosen on, `test` the final. */
    lmb_dataset *opened, *rest, *held, *fraction;
    lmb_dataset *test;
    const lmb_dataset *train_data, *chosen;
    lmb_transform train_transform;
    lmb_loader *loader;
    lmb_network student, teachers[LMB_MAX_TEACHERS];
    int n_teachers;
    /* In turn; without teachers there is one stage with no terms. */
    lmb_stage stages[LMB_MAX_STAGES];
    int n_stages;
    lmb_stage *stage; /* the one of the current epoch */
    bool bf16;
    int threads;
    lmb_workspace *workspace;
    /* By batch size and origin of the teacher's logits, of one phase set. */
    lmb_train_step *steps[LMB_MAX_STEPS];
    int n_steps;
    lmb_train_step *last_step; /* that ran last, one of them; or NULL */
    int phase[LMB_MAX_TERMS];
    lmb_evaluator *evaluator;
    struct lmb_run_cache *cache; /* NULL: off */
    lmb_run_state state;
    lmb_runlog *log;
    lmb_runlog_mark before_row; /* where the logs were before an epoch's row */
    /* The directory: there before, but empty; made or filled by this run; had
     * and has a checkpoint; its lock. */
    bool found_directory, made_directory, has_checkpoint, saved;
    bool looked_at; /* lmb_run_look: nothing is written */
    int lock;
    const char *lock_path;
    const lmb_task *task;
    double teacher_score[LMB_MAX_TEACHERS]; /* of the check; NaN: not tried */
    int64_t teacher_checked, start_step;
    double begun, last_save; /* seconds of the monotonic clock */
    double train_seconds;
    int64_t trained_images;
};

/* "out/name" in the config's arena; NULL and a message when out of memory. */
lmb_status lmb_run_path(
    const lmb_run *run, const char *name, const char **out) LMB_MUST_CHECK;
/* The compiled step for a batch of so many pictures of a height and width, in
 * the current stage and phases. */
lmb_status lmb_run_step_for(
    lmb_run *run, const int64_t size[3], lmb_train_step **out) LMB_MUST_CHECK;
/* Pictures of an epoch: without those that the loader leaves out. */
int64_t lmb_run_epoch_images(const lmb_run *run);
/* One that most runs have: a whole batch of the first size. */
void lmb_run_usual_size(const lmb_run *run, int64_t size[3]);
/* Takes the next batch and learns from it (run_batch.c). */
lmb_status lmb_run_batch(lmb_run *run) LMB_MUST_CHECK;
/* The learning rate of a step of the current epoch. */
double lmb_run_lr(const lmb_run *run, int64_t step_in_epoch);
lmb_status lmb_run_save(lmb_run *run) LMB_MUST_CHECK;
/* The student's weights, as they are now, under this name. */
lmb_status lmb_run_save_student(lmb_run *run, const char *name) LMB_MUST_CHECK;
/* Data sets and transforms; after the networks the loader (run_data.c). */
lmb_status lmb_run_open_data(lmb_run *run) LMB_MUST_CHECK;
lmb_status lmb_run_open_loader(lmb_run *run) LMB_MUST_CHECK;
/* The student's first weights (run_start.c). */
lmb_status lmb_run_start(lmb_run *run) LMB_MUST_CHECK;
/* Methods, stages and their schedules (run_stages.c); fini frees the terms. */
lmb_status lmb_run_open_stages(lmb_run *run) LMB_MUST_CHECK;
/* The teacher of stage i, from 0; -1 if there are none. EINVAL if the
 * configuration names one that is not there. */
lmb_status lmb_run_stage_teacher(
    const lmb_run *run, int i, int *out) LMB_MUST_CHECK;
/* After the networks: declares and draws the connectors of every stage. */
lmb_status lmb_run_open_connectors(lmb_run *run) LMB_MUST_CHECK;
/* Adds what a resumed run must have in common to the hash. */
lmb_status lmb_run_hash_stages(
    const lmb_run *run, lmb_str *text) LMB_MUST_CHECK;
void lmb_run_fini_stages(lmb_run *run);
/* The stage of an epoch. */
lmb_stage *lmb_run_stage_at(lmb_run *run, int64_t epoch);
/* What such a step is made of. */
lmb_step_spec lmb_run_step_spec(const lmb_run *run, const int64_t size[3]);
/* Phases of the terms at `epoch`; plans of other phases are dropped. */
void lmb_run_enter_epoch(lmb_run *run, int64_t epoch);
/* Continues the hash *h over the parameters and buffers of a store. */
void lmb_run_hash_store(uint64_t *h, const lmb_params *store);
lmb_eval_spec lmb_run_eval_spec(const lmb_run *run);
/* And of teacher i, whose pictures may be of another size than the student's
 * (only a detector's: classifiers are tried at the student's). */
lmb_eval_spec lmb_run_teacher_spec(const lmb_run *run, int i);
/* The averaged weights in place of the student's own, and back again. */
void lmb_run_swap_average(lmb_run *run);

/* What a training step is made of, in a run and in a benchmark. The method, its
 * options, weight and map as configured; the caller gives it parameters. */
lmb_status lmb_term_open(lmb_arena *arena, const lmb_method_config *c,
    bool detector, lmb_term *term) LMB_MUST_CHECK;
/* Of cross-entropy. Of a detector's losses 1, whatever the methods say:
 * cross-entropy beside them is a matter of classification. */
double lmb_task_weight(
    const lmb_run_config *c, const lmb_term *terms, int n_terms, bool detector);
lmb_optim_opts lmb_run_optim_opts(const lmb_train_opts *t);
/* Where nobody said otherwise: the learning rate, and the epochs after which it
 * falls (at most 3; returns how many). */
double lmb_usual_lr(const lmb_train_opts *t, const lmb_model *m);
int lmb_usual_decays(bool detector, double epochs, double *out);

#endif
