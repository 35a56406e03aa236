/* logits.h: what methods on logits share: the compared rows [N, C], logit
 * standardisation, means over rows, softmax over the non-target classes.
 *
 * Rows are images ("logits"), RoIs ("roi.logits") or chosen places of a dense
 * head ("cls.p3", ..: dense.h). */
#ifndef LMB_DISTILL_LOGITS_H
#define LMB_DISTILL_LOGITS_H

#include "distill/method.h"

typedef struct lmb_logits {
    lmb_value s, t; /* [N, C]; t without gradient */
    lmb_value labels; /* I32 [N]: of these rows; -1 for padding */
    lmb_value row_weight; /* [N] or LMB_NONE */
    int64_t rows, classes;
    bool dense; /* rows of a dense head: no background class */
} lmb_logits;

/* Options of all logit methods; rows LMB_OPTS_LOGITS. */
typedef struct lmb_logits_opts {
    bool standardize;
    int64_t dense_anchors, dense_positives, dense_top;
} lmb_logits_opts;

/* Default pairs of a logit method, the first that both sides have: "logits",
 * "roi.logits", "cls.p2" .. "cls.p7". */
lmb_status lmb_logits_pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out);

/* The first pair of b->pairs, or of maps [N, A C, H, W] the chosen places of
 * all pairs; standardised if asked for. False, and a sticky error, if there is
 * none, if the shapes differ or are of another rank, or if `min_classes` is
 * not reached. */
bool lmb_logits_pair(const lmb_build *b, const lmb_logits_opts *o,
    int64_t min_classes, lmb_logits *out);

/* Labels of the rows as one-hot [N, C] (zeros for padding rows); a sticky
 * error if there are none. */
lmb_value lmb_logits_target(const lmb_build *b, const lmb_logits *z);

/* (z - mean) / (std + 1e-7) over the last axis, unbiased std. Sun et al.,
 * "Logit standardization in knowledge distillation", arXiv:2403.01427, eq. 9
 * and the released code (which has the 1e-7). */
lmb_value lmb_standardize(lmb_graph *g, lmb_value z);

/* log softmax(z / temperature). */
lmb_value lmb_log_probs(lmb_graph *g, lmb_value z, double temperature);

/* Mean over the rows (axis 0), weighted by z->row_weight if there are weights:
 * [N] -> [], [N, K] -> [K]. */
lmb_value lmb_rows_mean(lmb_graph *g, const lmb_logits *z, lmb_value per_row);

/* KL between (p, 1 - p) and (q, 1 - q), elementwise, from log-odds: p =
 * sigmoid(t), q = sigmoid(s). */
lmb_value lmb_two_way_kl(lmb_graph *g, lmb_value t, lmb_value s);
lmb_value lmb_log_sigmoid(lmb_graph *g, lmb_value x);

enum { LMB_DENSE_SOFTMAX, LMB_DENSE_BINARY };
/* Is each class of a dense head taken by itself? `choice` is the option of
 * LMB_OPT_DENSE_FORM; a sticky error if the rows are of no dense head. */
bool lmb_logits_binary(const lmb_build *b, const lmb_logits *z, int32_t choice);
#define LMB_OPT_DENSE_FORM(state_type) \
    { \
        .name = "dense", \
        .help = "dense heads: softmax over the classes, or each by itself", \
        .type = LMB_OPT_ENUM, .offset = offsetof(state_type, dense), \
        .choices = "softmax|binary" \
    }

/* Of one side: the target's log-odds against all others, and the log softmax
 * over the others (about -1e9 at the target, whose probability is then 0). */
typedef struct lmb_decoupled {
    lmb_value odds; /* [N, 1]: z_y - log sum_{k != y} exp z_k */
    lmb_value others; /* [N, C] */
} lmb_decoupled;
/* z [N, C] already divided by the temperature, target [N, C] one-hot. */
lmb_decoupled lmb_decouple(lmb_graph *g, lmb_value z, lmb_value target);

#define LMB_OPT_DENSE(state_type, field, text, value, most) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_I64, \
        .offset = offsetof(state_type, logits.field), .def = (value), \
        .high = (most) \
    }
/* Option rows of every logit method, whose state has lmb_logits_opts logits. */
#define LMB_OPTS_LOGITS(state_type) \
    {.name = "standardize", \
        .help = "standardise both sides' logits before everything else", \
        .type = LMB_OPT_BOOL, \
        .offset = offsetof(state_type, logits.standardize), \
        .high = 1, \
        .aliases = "EXPERIMENT.LOGIT_STAND|LOGIT_STAND"}, \
        LMB_OPT_DENSE(state_type, dense_anchors, \
            "dense heads: anchors a place (0: from the run's classes, else " \
            "1)", \
            0, 100), \
        LMB_OPT_DENSE(state_type, dense_positives, \
            "dense heads: rows an image that the student's assigner makes " \
            "positive (`loss`: inside boxes), best first", \
            256, 100000), \
        LMB_OPT_DENSE(state_type, dense_top, \
            "dense heads: rows an image of the teacher's best elsewhere", 256, \
            100000)

#endif
