/* logits.h: what methods on logits share: the compared pair [N, C], logit
 * standardisation, means over rows, softmax over the non-target classes. */
#ifndef LMB_DISTILL_LOGITS_H
#define LMB_DISTILL_LOGITS_H

#include "distill/method.h"

typedef struct lmb_logits {
    lmb_value s, t; /* [N, C]; t without gradient */
    lmb_value labels; /* I32 [N]: of these rows */
    lmb_value row_weight; /* [N] or LMB_NONE */
    int64_t rows, classes;
} lmb_logits;

/* Default pairs of a logit method: "logits" with "logits". */
lmb_status lmb_logits_pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out);

/* The first pair of b->pairs, standardised if asked for. False, and a sticky
 * error, if there is none, if the shapes differ or are not [N, C], or if
 * `min_classes` is not reached. */
bool lmb_logits_pair(
    const lmb_build *b, bool standardize, int64_t min_classes, lmb_logits *out);

/* Labels of the rows; a sticky error if the batch has none. */
lmb_value lmb_logits_labels(const lmb_build *b, const lmb_logits *z);

/* (z - mean) / (std + 1e-7) over the last axis, unbiased std. Sun et al.,
 * "Logit standardization in knowledge distillation", arXiv:2403.01427, eq. 9
 * and the released code (which has the 1e-7). */
lmb_value lmb_standardize(lmb_graph *g, lmb_value z);

/* log softmax(z / temperature). */
lmb_value lmb_log_probs(lmb_graph *g, lmb_value z, double temperature);

/* Mean over the rows (axis 0), weighted by z->row_weight if there are weights:
 * [N] -> [], [N, K] -> [K]. */
lmb_value lmb_rows_mean(lmb_graph *g, const lmb_logits *z, lmb_value per_row);

/* Of one side: the target's log-odds against all others, and the log softmax
 * over the others (about -1e9 at the target, whose probability is then 0). */
typedef struct lmb_decoupled {
    lmb_value odds; /* [N, 1]: z_y - log sum_{k != y} exp z_k */
    lmb_value others; /* [N, C] */
} lmb_decoupled;
/* z [N, C] already divided by the temperature, target [N, C] one-hot. */
lmb_decoupled lmb_decouple(lmb_graph *g, lmb_value z, lmb_value target);

/* The option row of logit standardisation, for every logit method. */
#define LMB_OPT_STANDARDIZE(state_type) \
    { \
        .name = "standardize", \
        .help = "standardise both sides' logits before everything else", \
        .type = LMB_OPT_BOOL, .offset = offsetof(state_type, standardize), \
        .high = 1, .aliases = "EXPERIMENT.LOGIT_STAND|LOGIT_STAND" \
    }

#endif
