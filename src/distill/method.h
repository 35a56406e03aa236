/* method.h: what a distillation method is.
 *
 * A method declares what it needs and builds graph; it returns only its own
 * loss term, a scalar. The trainer runs the networks, adds cross-entropy and
 * weights, updates parameters and logs each term. A method never names a
 * model, an optimiser or an epoch: it sees taps by role.
 *
 * Life of a state: zeroed, options filled from the table, init (shapes are
 * known now: connectors are made), build (once per compiled plan), fini. */
#ifndef LMB_DISTILL_METHOD_H
#define LMB_DISTILL_METHOD_H

#include "base/opt.h"
#include "op/op.h"

/* One side's values, by role. The same names as `limbeck list taps`: "logits",
 * "pooled", "f0".."f4", "pre0".."pre4" (before ReLU), later "p3", "cls.p3".. */
typedef struct lmb_tap {
    const char *name;
    lmb_value value; /* in the graph of the build call */
    lmb_shape shape;
} lmb_tap;

typedef struct lmb_taps {
    const lmb_tap *taps;
    int count;
} lmb_taps;

/* NULL if there is none of that name. */
const lmb_tap *lmb_taps_find(const lmb_taps *taps, const char *name);

/* A teacher tap and the student tap it is compared with. */
typedef struct lmb_pairing {
    const char *teacher, *student;
} lmb_pairing;

/* What a build call may use. Values a method did not ask for are LMB_NONE. */
typedef struct lmb_build {
    lmb_graph *g;
    const lmb_taps *student, *teacher;
    lmb_value labels; /* I32 [N] */
    lmb_value index; /* I32 [N]: place of each sample in the training set */
    lmb_params *params; /* the method's own: connectors, projectors */
    const char *prefix; /* of their names, e.g. "fitnet/" */
    const lmb_pairing *map; /* the user's `map` lines, first to last */
    int n_map;
    /* The teacher's head applied to other features (SimKD, SRRL, CrossKD):
     * "head" or "head.p3"; LMB_NONE and a sticky error if it has none. */
    lmb_value (*teacher_head)(
        void *user, lmb_graph *g, const char *name, lmb_value features);
    void *user;
} lmb_build;

enum {
    LMB_NEED_LABELS = 1,
    LMB_NEED_INDEX = 2,
    LMB_NEED_TEACHER_HEAD = 4,
};

typedef struct lmb_method {
    const char *name; /* config key, lower case; equals the file name */
    const char *title; /* one line for `limbeck list methods` */
    const char *source; /* arXiv id or DOI, with section or equation */
    uint32_t needs;
    double ce_weight; /* default weight of cross-entropy beside this method */
    double weight; /* default weight of the method's term */
    double warmup; /* default epochs of linear warm-up of the term, or 0 */
    const lmb_opt *opts; /* table ended by {0}; fills the state before init */
    size_t state_size;
    /* Called for each option set by the user, after all were stored, so that
     * presets can yield to explicit keys; optional. `given` lists names. */
    lmb_status (*resolve)(void *state, const char *const *given, int n_given);
    /* Names of the taps it reads, student and teacher, comma separated: into
     * out (for pruning), given which exist on both sides; e.g. "logits" or
     * "f1,f2,f3". */
    lmb_status (*taps)(const void *state, const lmb_taps *student,
        const lmb_taps *teacher, lmb_str *student_out, lmb_str *teacher_out);
    /* Builds the term for one batch; result is a scalar in b->g. */
    lmb_value (*build)(void *state, const lmb_build *b);
    void (*fini)(void *state); /* optional; accepts a half-made state */
} lmb_method;

const lmb_method *const *lmb_methods(int *count);
/* Any case; NULL if unknown. */
const lmb_method *lmb_method_find(const char *name);

#endif
