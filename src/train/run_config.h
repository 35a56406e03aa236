/* run_config.h: everything that decides a run, as typed values. */
#ifndef LMB_TRAIN_RUN_CONFIG_H
#define LMB_TRAIN_RUN_CONFIG_H

#include "base/opt.h"
#include "data/data.h"
#include "distill/method.h"
#include "optim/optim.h"

enum {
    LMB_MAX_METHODS = 8,
    LMB_MAX_TEACHERS = 4,
    LMB_MAX_STAGES = 4,
    LMB_MAX_OPTIONS = 48,
};

typedef enum lmb_precision {
    LMB_PRECISION_AUTO, /* bf16 where the CPU has it at speed, else f32 */
    LMB_PRECISION_F32,
    LMB_PRECISION_BF16,
} lmb_precision;

typedef enum lmb_augment {
    LMB_AUGMENT_DEFAULT, /* crop and flip, as the data set is used */
    LMB_AUGMENT_NONE,
    LMB_AUGMENT_STRONG, /* and RandAugment, Cutout */
} lmb_augment;

/* The `train:` section; rows in lmb_train_opts_table (run_config.c). */
typedef struct lmb_train_opts {
    int64_t epochs, batch;
    double lr; /* 0: as the table's row says */
    double momentum, weight_decay;
    bool nesterov;
    int32_t optimizer; /* lmb_optim_kind */
    double beta1, beta2, eps;
    int32_t schedule; /* lmb_schedule_kind */
    double decay_rate, min_lr, warmup_epochs;
    double clip_norm; /* 0: off */
    double ema; /* decay; 0: off */
    int64_t threads; /* of the arithmetic; 0: all cores */
    int64_t loader_threads;
    int64_t seed;
    int32_t precision; /* lmb_precision */
    int32_t augment; /* lmb_augment */
    double val_split, fraction;
    int64_t save_every; /* steps between checkpoints; 0: epochs only */
    double save_minutes; /* and minutes */
    int64_t eval_every; /* epochs */
    int64_t eval_batch;
    int64_t log_every; /* steps between lines without a terminal */
    int64_t teacher_check; /* samples; 0: off */
    int64_t max_steps; /* stop after so many; 0: off (tests, benchmarks) */
    bool allow_reference;
    bool inherit; /* a detector starts with its teacher's neck and heads */
    bool stage_restart; /* optimiser and connectors begin anew in a stage */
} lmb_train_opts;
extern const lmb_opt lmb_train_opts_table[];

/* The `data:` section's numbers, for pictures with boxes; rows in
 * lmb_picture_opts_table. */
typedef struct lmb_picture_opts {
    /* Sides that pictures are made to fit; 0: 1333 and 800, or those of the
     * largest picture if all are smaller. */
    int64_t size, short_side;
    int64_t short_least; /* multi-scale: short sides from here; 0: off */
    /* flip < 0: the data's own; jitter: brightness, contrast, saturation. */
    double flip, jitter, hue;
    double mosaic;
    int64_t max_sizes; /* padded sizes, a plan each */
    int64_t max_boxes; /* an image; 0: what the data need */
    int32_t label_by; /* lmb_label_by */
    bool filter_empty;
} lmb_picture_opts;
extern const lmb_opt lmb_picture_opts_table[];

/* A term's weight over the run, whatever its stages: see lmb_term_share. */
typedef enum lmb_term_schedule {
    LMB_TERM_CONSTANT,
    LMB_TERM_LINEAR,
    LMB_TERM_COSINE,
} lmb_term_schedule;
/* "constant", "linear", "cosine", NULL, in that order. */
extern const char *const lmb_term_schedules[];
/* The position of `name` among them, or -1. */
int lmb_term_schedule_find(const char *name);

typedef struct lmb_method_config {
    const char *name;
    double weight, warmup; /* NaN: the method's default */
    lmb_term_schedule schedule;
    const char *key[LMB_MAX_OPTIONS], *value[LMB_MAX_OPTIONS];
    int n_options;
    int yielded; /* lmb_config: options from places up to it are not heard */
    const char *map[LMB_MAX_PAIRS]; /* "teacher.f3 -> student.f3" */
    int n_map;
} lmb_method_config;

typedef struct lmb_teacher_config {
    const char *model; /* NULL: from the weights' metadata */
    const char *weights;
    bool has_norm; /* both of these */
    bool has_mean, has_std;
    double mean[3], std[3];
    double input; /* factor on the student's input size; 1 */
} lmb_teacher_config;

/* One entry of `stages:`: which teacher teaches until when. */
typedef struct lmb_stage_config {
    int teacher; /* of teachers[], from 0 */
    double until; /* its last epoch; NaN: equal parts of what is left */
    double lr; /* NaN: the run's */
    bool has_methods; /* else all of them */
    bool method[LMB_MAX_METHODS];
} lmb_stage_config;

/* Texts are borrowed: they live in `arena`. */
typedef struct lmb_run_config {
    lmb_arena *arena;
    const char *student; /* model name; `train` calls it model */
    const char *init; /* weights to start from, or NULL */
    const char *data; /* "cifar100:DIR" */
    const char *train_split, *test_split; /* NULL: "train", "test" */
    /* coco: files named outright */
    const char *train_json, *train_images, *test_json, *test_images;
    lmb_picture_opts pictures;
    int64_t classes; /* 0: from the data */
    lmb_teacher_config teachers[LMB_MAX_TEACHERS];
    int n_teachers;
    lmb_stage_config stages[LMB_MAX_STAGES];
    int n_stages; /* 0: one for each teacher, or what the methods ask for */
    lmb_method_config methods[LMB_MAX_METHODS];
    int n_methods;
    double ce_weight; /* NaN: the first method's default; detectors: 1 */
    lmb_train_opts train;
    double decay_epochs[LMB_MAX_DECAYS];
    int n_decays; /* -1: the usual ones of the task (run_stages.c) */
    const char *cache; /* folder of the teacher's logits, or NULL */
    const char *out;
    bool resume, force;
} lmb_run_config;

/* Defaults of everything; an empty arena. */
lmb_status lmb_run_config_init(lmb_run_config *c) LMB_MUST_CHECK;
void lmb_run_config_fini(lmb_run_config *c);

/* Does the model's text say what of its backbone is frozen, be it the default?
 * Where it does not, a drawn backbone is free (run_open.c). */
bool lmb_says_frozen(const char *model);

/* Epochs of a term's warm-up: as configured, else the method's own, which is
 * published for classification: none for detectors. */
double lmb_term_warmup(
    const lmb_method_config *c, const lmb_method *m, bool detector);
/* Opens the split to train on, or the one to test on, of c->data: with its
 * classes, files and input size. */
lmb_status lmb_run_config_data(
    const lmb_run_config *c, bool train, lmb_dataset **out) LMB_MUST_CHECK;

#endif
