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
    double default_lr; /* for batches of 64: 0.05; light families 0.01 */
    int depth, width, variant; /* free for the family's build function */
    /* Builds the network on x [N, 3, H, W]; declares taps f*, pre*, pooled,
     * logits on nn and returns the logits. */
    lmb_value (*build)(
        const lmb_model *m, lmb_nn *nn, lmb_value x, int classes);
};

const lmb_model *const *lmb_models(int *count);
/* Any case, aliases too; NULL if unknown. */
const lmb_model *lmb_model_find(const char *name);
/* EINVAL names the nearest model. */
lmb_status lmb_model_get(
    const char *name, const lmb_model **out) LMB_MUST_CHECK;

typedef struct lmb_model_info {
    int64_t parameters; /* trainable: without running statistics */
    int64_t macs; /* multiply-adds of convolutions and products, one image */
    int convs;
    char head[64]; /* the classifier's name: "fc" */
    int n_taps;
    struct {
        char name[16];
        lmb_shape shape; /* of one image: [1, C, H, W] or [1, C] */
    } taps[LMB_MAX_TAPS];
} lmb_model_info;

/* What the network is at these classes and this input size (0: the defaults),
 * from a graph that is built and thrown away; no weights are made.
 * Errors: ESHAPE if it cannot be built so. */
lmb_status lmb_model_describe(const lmb_model *m, int classes, int size,
    lmb_model_info *out) LMB_MUST_CHECK;

#endif
