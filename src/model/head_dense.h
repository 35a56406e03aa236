/* head_dense.h: towers of dense heads, shared by all levels.
 *
 * A tower is opts->head_convs times conv3x3-[group norm]-ReLU; a predictor one
 * more conv3x3. Weights start as N(0, 0.01), biases at 0 or, for classes, at
 * -log((1 - pi) / pi), pi = 0.01 (arXiv:1708.02002, section 4.1). */
#ifndef LMB_MODEL_HEAD_DENSE_H
#define LMB_MODEL_HEAD_DENSE_H

#include "model/detector.h"

/* Names of a tower's layers: "<scope>.<conv[0]><number><conv[1]>" and the same
 * for norms. Layer i has number step * i, its norm step * i + norm_shift. */
typedef struct lmb_tower {
    const char *scope;
    const char *conv[2], *norm[2]; /* norm {NULL}: none */
    int step, norm_shift;
    bool bias; /* of the convolutions */
} lmb_tower;

/* Layers from number `from` on (then x is what layer from - 1 gives before its
 * ReLU). */
lmb_value lmb_tower_build(
    lmb_nn *nn, const lmb_tower *tower, int from, lmb_value x);
/* Both towers on all levels from `first` on. Declares taps "cls.feat1.p3", ..,
 * "box.feat1.p3", ..: what each layer but the last gives before its ReLU,
 * layers counted from 1; "cls.feat.p3", "box.feat.p3": the last but one. */
typedef struct lmb_dense_features {
    lmb_value cls[LMB_DETECTOR_LEVELS], box[LMB_DETECTOR_LEVELS];
} lmb_dense_features;
void lmb_dense_towers(lmb_nn *nn, const lmb_tower *cls, const lmb_tower *box,
    int first, const lmb_value p[LMB_DETECTOR_LEVELS], lmb_dense_features *out);
/* "<scope>.<name>": conv3x3 to `out` channels. */
lmb_value lmb_dense_predict(lmb_nn *nn, const char *scope, const char *name,
    lmb_value x, int out, double bias);
/* y times the learnt factor "<scope>.scales.<level>.scale", from 1. */
lmb_value lmb_dense_scale(
    lmb_nn *nn, const char *scope, int level, lmb_value y);
double lmb_dense_prior_bias(void); /* -log(99) */
/* Which tower "cls.p3" or "box.p3" names, if CrossKD's rest of it can start
 * after `after` layers; else a sticky error and LMB_TAIL_NONE. */
typedef enum lmb_tail {
    LMB_TAIL_NONE,
    LMB_TAIL_CLS,
    LMB_TAIL_BOX,
} lmb_tail;
lmb_tail lmb_dense_tail(
    lmb_nn *nn, const char *name, int after, int first_level, int *level);

#endif
