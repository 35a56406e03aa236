/* model.h: networks as rows of a table: one file per family. */
#ifndef LMB_MODEL_MODEL_H
#define LMB_MODEL_MODEL_H

#include "nn/nn.h"

typedef struct lmb_model lmb_model;
struct lmb_model {
    const char *name; /* "resnet20"; matched without case */
    const char *aliases; /* "a|b", or NULL */
    const char *task; /* "classification" */
    int default_classes; /* 100, 1000 */
    int default_size; /* 32, 224: the size of tables */
    double default_lr; /* 0.05, or 0.01 for the light families */
    int depth, width, variant; /* free for the family's build function */
    /* Builds the network on x [N, 3, H, W]; declares taps f*, pre*, pooled,
     * logits on nn. */
    lmb_value (*build)(
        const lmb_model *m, lmb_nn *nn, lmb_value x, int classes);
};

const lmb_model *const *lmb_models(int *count);
/* Any case; NULL if unknown. */
const lmb_model *lmb_model_find(const char *name);
/* EINVAL names the nearest model. */
lmb_status lmb_model_get(
    const char *name, const lmb_model **out) LMB_MUST_CHECK;

#endif
