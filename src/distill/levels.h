/* levels.h: methods on the levels of a feature pyramid: which are compared,
 * and the student's map brought to the teacher's shape. */
#ifndef LMB_DISTILL_LEVELS_H
#define LMB_DISTILL_LEVELS_H

#include "distill/connector.h"

/* The level that a tap's name ends in: 3 of "p3" and "cls.p3"; else -1. Level
 * k lies at stride 2^k of the input. */
int lmb_level_of(const char *name);

/* Pairs stem2 .. stem7 ("p", "cls.p") with their like as far as both sides
 * have them, finest first, at most `most` of them (0: all).
 * ENOTFOUND if there is none. */
lmb_status lmb_levels_pairs(const char *stem, int64_t most,
    const lmb_taps *student, const lmb_taps *teacher,
    lmb_pairs *out) LMB_MUST_CHECK;

/* The same of "p", but none coarser than P5 between a detector of two stages
 * and one of one stage: P6 of the first is a maximum over its P5, that of the
 * other a level of its own. */
lmb_status lmb_levels_pairs_alike(int64_t most, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out) LMB_MUST_CHECK;

/* Do both have one such tap? */
bool lmb_levels_shared(
    const char *stem, const lmb_taps *student, const lmb_taps *teacher);

/* Pair i of b->pairs, ready to be compared: both of `shape` [N, C, H, W]. */
typedef struct lmb_level {
    lmb_value s; /* aligned (lmb_align) */
    lmb_value t; /* without gradient */
    lmb_shape shape; /* the teacher's */
    const char *name; /* the student's tap */
    int index; /* i */
} lmb_level;
/* The taps of pair i, both [N, C, H, W] of the same images; false, and a sticky
 * error, if there is no such pair or a side is no such map. */
bool lmb_level_taps(
    const lmb_build *b, int i, lmb_tap *student, lmb_tap *teacher);
/* The same, aligned. */
bool lmb_level_pair(const lmb_build *b, int i, lmb_level *out);
/* A building site for the trained parts of pair i: names "level<i>.*". */
void lmb_level_nn(const lmb_build *b, int i, lmb_nn *out);

/* What the student's own assigner says of the level that `tap` belongs to: its
 * tap "<what>.p3", a row for each anchor of each place, [N, rows].
 * "positive": 1 or 0; "label": class or background, I32; "valuable": LD's
 * region. NULL without one: eval, teachers, and arrays given to a loss. A tap
 * with another number of rows (0: any) is a sticky error, and NULL. */
const lmb_tap *lmb_level_assigned(
    const lmb_build *b, const char *what, const char *tap, int64_t rows);

/* The sum of a term over all pairs. */
typedef lmb_value lmb_level_term(
    const void *state, const lmb_build *b, const lmb_level *l);
lmb_value lmb_levels_sum(
    const lmb_build *b, lmb_level_term *term, const void *state);

/* For lmb_method.describe: what lmb_align does. */
lmb_status lmb_levels_describe(const void *state, const lmb_shape *student,
    const lmb_shape *teacher, lmb_str *out) LMB_MUST_CHECK;

/* The option row of the number of levels. */
#define LMB_OPT_LEVELS(state_type, most) \
    { \
        .name = "levels", \
        .help = "pyramid levels compared, finest first (0: all that both " \
                "have; `map` lines win)", \
        .type = LMB_OPT_I64, .offset = offsetof(state_type, levels), \
        .def = (most), .high = 6 \
    }

#endif
