/* method.h: what a distillation method is.
 *
 * A method declares what it needs and builds graph; it returns only its own
 * loss term, a scalar. The trainer runs the networks, adds cross-entropy and
 * weights, updates parameters and logs each term. A method never names a
 * model or an optimiser: it sees taps by role. How the harder methods of the
 * field fit this interface: docs/decisions/002-method-interface.md.
 *
 * Life of a state: made and configured (lmb_method_new), pairs (which taps are
 * compared), build (once per compiled plan), freed (lmb_method_free). */
#ifndef LMB_DISTILL_METHOD_H
#define LMB_DISTILL_METHOD_H

#include "base/opt.h"
#include "nn/nn.h"

/* One side's value, by role. The same names as `limbeck list taps`: "logits",
 * "pooled", "f0".."f4", "pre0".."pre4" (before ReLU); of detectors "p3",
 * "cls.p3", "roi.logits"; "@strong" is appended for the second view of a batch.
 */
typedef struct lmb_tap {
    const char *name;
    lmb_value value; /* in the graph of the build call */
    lmb_shape shape;
    lmb_value labels; /* I32 [rows] if rows are not images (RoIs), or NONE */
    lmb_value row_weight; /* [rows], 0 for padding rows; NONE: all count 1 */
    const char *norm; /* "pre*": the batch norm it leaves, "layer1.0.bn2" */
} lmb_tap;

typedef struct lmb_taps {
    const lmb_tap *taps;
    int count;
} lmb_taps;

/* A teacher tap and the student tap it is compared with; a side that a method
 * reads alone has NULL on the other. Names are borrowed. */
typedef struct lmb_pairing {
    const char *teacher, *student;
} lmb_pairing;

enum { LMB_MAX_PAIRS = 16 };
typedef struct lmb_pairs {
    lmb_pairing pair[LMB_MAX_PAIRS];
    int count;
} lmb_pairs;

/* What a build call may use. Values that the method's `needs` do not name may
 * be LMB_NONE (NULL, 0). */
typedef struct lmb_build {
    lmb_graph *g;
    const char *method; /* for messages */
    lmb_mode mode; /* TRAIN; EVAL inside `predict` */
    const lmb_taps *student, *teacher;
    lmb_pairs pairs; /* from lmb_method_pairs: the user's map wins */
    lmb_params *params; /* the method's own: connectors, memory banks */
    const char *prefix; /* of their names, e.g. "fitnet/" */
    int stage; /* 0, 1, ..: which teacher stage this plan is of */
    int phase; /* 0 .. phases-1, see lmb_method.phases */
    lmb_value labels; /* I32 [N] */
    lmb_value index; /* I32 [N]: place of each sample in the training set */
    int64_t samples; /* size of the training set (memory banks) */
    /* Ground truth, padded to M boxes an image: [N, M, 4] x0 y0 x1 y1 in
     * input pixels, I32 [N, M], and 1 or 0 [N, M]; input height, width. */
    lmb_value boxes, box_labels, box_valid;
    int64_t input_size[2];
    int classes; /* of the task, without background; 0: not known */
    const char *teacher_box; /* lmb_model.box_code; NULL: not known */
    const lmb_params *teacher_params; /* read-only (OFD's margins) */
    /* The teacher's head applied to other features, frozen: "cls.p3" or
     * "box.p3" from behind tower convolution `after` (CrossKD), "head" from
     * pooled features (SimKD, SRRL). LMB_NONE and a sticky error if it has
     * none. */
    lmb_value (*teacher_head)(void *user, lmb_graph *g, const char *name,
        int after, lmb_value features);
    void *user;
} lmb_build;

/* What `feed` gets before every step: it fills the graph inputs that the
 * method's build made by lmb_graph_input (schedules, random masks, negatives).
 * Their names are the method's own: only inputs of its own term are looked
 * at. Plans of one run differ in size, so `size` says how many elements an
 * input has in the plan that is about to run (0: it has none of that name).
 * Random numbers come from (seed, step) alone, so a resumed run goes on. */
typedef struct lmb_feed {
    double epoch; /* 0 .. epochs, with fraction */
    double epochs;
    int64_t step;
    uint64_t seed;
    int64_t batch;
    const int32_t *labels, *index; /* of this batch; NULL if not needed */
    int64_t (*size)(void *user, const char *input);
    lmb_status (*set)(
        void *user, const char *input, int64_t count, const double *data);
    void *user;
} lmb_feed;

enum {
    LMB_NEED_LABELS = 1,
    LMB_NEED_INDEX = 2, /* index and samples */
    LMB_NEED_TEACHER_HEAD = 4,
    LMB_NEED_BOXES = 8,
    LMB_NEED_STRONG_VIEW = 16, /* both networks see a second view as well */
    LMB_NEED_TEACHER_PARAMS = 32,
};

typedef struct lmb_method {
    const char *name; /* config key, lower case; equals the file name */
    const char *title; /* one line for `limbeck list methods` */
    const char *source; /* arXiv id or DOI, with section or equation */
    uint32_t needs;
    double ce_weight; /* default weight of cross-entropy beside this method */
    double weight; /* default weight of the method's term */
    double warmup; /* default epochs of linear warm-up of the term, or 0 */
    /* Spellings of these three in mdistiller's files, "DKD.WARMUP"; and keys
     * that such files may hold but that mean nothing here; "A|B" or NULL. */
    const char *ce_weight_keys, *weight_keys, *warmup_keys, *ignored_keys;
    const lmb_opt *opts; /* table ended by {0} */
    /* Optional: the option from which the defaults of others follow. Given over
     * another value from an older place (a run's config.yaml), it takes that
     * place's options with it. */
    const char *preset;
    /* Optional: options whose published value for detectors differs from the
     * default, key, value, .., NULL; a detector's run sets them where the user
     * says nothing. */
    const char *const *detector_options;
    /* Optional, after those: for students with a second stage (RoIs). */
    const char *const *two_stage_options;
    double two_stage_weight; /* theirs in place of `weight`; 0: the same */
    size_t state_size;
    /* Called once after all options were stored, so that presets can yield to
     * explicit keys; optional. `given` lists the row names the user set. */
    lmb_status (*resolve)(void *state, const char *const *given, int n_given);
    /* Pairs it compares when the user maps nothing, given which taps exist. */
    lmb_status (*pairs)(const void *state, const lmb_taps *student,
        const lmb_taps *teacher, lmb_pairs *out);
    /* Optional: names the connector between a pair for the table of pairs. */
    lmb_status (*describe)(const void *state, const lmb_shape *student,
        const lmb_shape *teacher, lmb_str *out);
    /* Optional: into how many phases, each with a plan of its own, the epochs
     * are cut (1: none), and how many epochs each lasts (0: all the epochs
     * after the warm-up, divided evenly). */
    int (*phases)(const void *state, double *epochs_each);
    /* Optional: how many stages a run with one teacher is cut into, for
     * methods that change from stage to stage (NULL: one). */
    int (*stages)(const void *state);
    /* Builds the term for one batch: a real scalar in b->g. */
    lmb_value (*build)(void *state, const lmb_build *b);
    /* Optional: fills its graph inputs before each step. */
    lmb_status (*feed)(void *state, const lmb_feed *f);
    /* Optional, called once when the stage plan is known: EINVAL if a part that
     * is switched on would never act in a run of so many stages, of which
     * `last` (from 1) is the last with this method. */
    lmb_status (*check_stages)(const void *state, int n_stages, int last);
    /* Optional: logits to evaluate in place of the student's own (SimKD). */
    lmb_value (*predict)(void *state, const lmb_build *b);
    /* Optional, for pictures: what hides places of the student's map of pair i,
     * [N, 1, H, W], 0 hides and 1 shows; LMB_NONE if nothing does. */
    lmb_value (*mask)(const void *state, const lmb_build *b, int i);
    void (*fini)(void *state); /* optional; accepts a half-made state */
} lmb_method;

const lmb_method *const *lmb_methods(int *count);
/* Any case; NULL if unknown. */
const lmb_method *lmb_method_find(const char *name);
/* EINVAL names the nearest method. */
lmb_status lmb_method_get(
    const char *name, const lmb_method **out) LMB_MUST_CHECK;

/* A configured state: defaults, then n options key[i] = value[i] (any
 * spelling; a later one wins), then `resolve`. Owned by the caller. */
lmb_status lmb_method_new(const lmb_method *m, int n, const char *const *key,
    const char *const *value, void **state) LMB_MUST_CHECK;
void lmb_method_free(const lmb_method *m, void *state); /* accepts NULL */
/* For `resolve`: has the user set the option? */
bool lmb_method_is_given(const char *name, const char *const *given, int n);

/* The pairs in force: the n_map lines of the user's map if there are any, else
 * the method's own. Every name is checked, and an error lists the taps: EINVAL
 * for a name of the map, ENOTFOUND for one of the method's own. */
lmb_status lmb_method_pairs(const lmb_method *m, const void *state,
    const lmb_taps *student, const lmb_taps *teacher, int n_map,
    const lmb_pairing *map, lmb_pairs *out) LMB_MUST_CHECK;

/* Number of phases (>= 1), and the phase that `epoch` (from 1) belongs to when
 * a run, or a stage that begins anew, has `epochs` and this term warms up for
 * `warmup` of them. The warm-up belongs to phase 0; what is left after the last
 * phase to the last. Too few epochs leave phases out: runs refuse that. */
int lmb_method_phases(const lmb_method *m, const void *state);
int lmb_method_phase(const lmb_method *m, const void *state, int64_t epoch,
    int64_t epochs, double warmup);

/* --- taps.c: for the methods -------------------------------------------- */

/* NULL if there is none of that name (or name is NULL). */
const lmb_tap *lmb_taps_find(const lmb_taps *taps, const char *name);
lmb_status lmb_pairs_add(
    lmb_pairs *pairs, const char *student, const char *teacher) LMB_MUST_CHECK;
/* Reads "teacher.f3 -> student.f2" (or the other way round); names live in the
 * arena. EINVAL says what a line looks like. */
lmb_status lmb_pairing_parse(
    lmb_arena *arena, const char *line, lmb_pairing *out) LMB_MUST_CHECK;
/* Pairs a tap that both sides must have; ENOTFOUND lists what there is. */
lmb_status lmb_pairs_add_same(lmb_pairs *pairs, const char *name,
    const lmb_taps *student, const lmb_taps *teacher) LMB_MUST_CHECK;
/* Number of taps f0, f1, .. (stem "f") or pre0, .. (stem "pre"). */
int lmb_taps_levels(const lmb_taps *taps, const char *stem);
/* Taps of pair i of b->pairs, the teacher's behind a stop_gradient; false, and
 * a sticky error in b->g, if there is no such pair or tap. NULL skips. */
bool lmb_build_pair(
    const lmb_build *b, int i, lmb_tap *student, lmb_tap *teacher);

#endif
