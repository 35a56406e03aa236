/* param.h: named parameters and buffers in flat arrays.
 *
 * After lmb_params_seal all trainable parameters of a store lie in one array
 * (and so do their gradients), all buffers (batch-norm statistics) in
 * another, each parameter aligned to 64 bytes: optimisers, EMA, clipping and
 * checkpoints are single passes over flat memory. Padding is always zero. */
#ifndef LMB_GRAPH_PARAM_H
#define LMB_GRAPH_PARAM_H

#include "base/base.h"
#include "tensor/shape.h"

typedef enum lmb_init_kind {
    LMB_INIT_CONSTANT, /* a = value */
    LMB_INIT_NORMAL, /* a = mean, b = standard deviation */
    LMB_INIT_UNIFORM, /* a = low, b = high */
} lmb_init_kind;

typedef struct lmb_init {
    lmb_init_kind kind;
    double a, b;
} lmb_init;

typedef struct lmb_params lmb_params;

typedef struct lmb_param {
    const char *name; /* PyTorch's: "layer1.0.conv1.weight" */
    lmb_shape shape;
    int64_t count;
    bool trainable; /* false: a buffer */
    lmb_init init;
    lmb_params *owner;
    int64_t offset; /* elements, into data or buffers of the owner */
} lmb_param;

/* dtype: LMB_F32, or LMB_F64 for exact reference runs. */
lmb_status lmb_params_new(lmb_dtype dtype, lmb_params **out) LMB_MUST_CHECK;
void lmb_params_free(lmb_params *store);

/* Adds a parameter, or finds it if one of that name and shape exists already
 * (so a network can be built many times over one store).
 * Errors: ESHAPE if it exists with another shape; EINVAL after sealing. */
lmb_status lmb_params_add(lmb_params *store, const char *name,
    const lmb_shape *shape, lmb_init init, bool trainable,
    lmb_param **out) LMB_MUST_CHECK;
lmb_param *lmb_params_find(const lmb_params *store, const char *name);
int lmb_params_count(const lmb_params *store);
lmb_param *lmb_params_at(const lmb_params *store, int i); /* insertion order */
lmb_dtype lmb_params_dtype(const lmb_params *store);
/* Trainable elements without padding: what tables call "parameters". */
int64_t lmb_params_trainable(const lmb_params *store);

/* Fixes the set and allocates the flat arrays, zeroed. Idempotent. */
lmb_status lmb_params_seal(lmb_params *store) LMB_MUST_CHECK;
/* Draws every parameter from its init rule; each depends on (seed, its name)
 * alone. */
void lmb_params_init(lmb_params *store, uint64_t seed);

/* Flat arrays, valid after sealing. */
void *lmb_params_data(lmb_params *store); /* trainable values */
void *lmb_params_grads(lmb_params *store); /* same layout as data */
void *lmb_params_buffers(lmb_params *store);
int64_t lmb_params_data_size(const lmb_params *store); /* elements */
int64_t lmb_params_buffers_size(const lmb_params *store); /* elements */

void *lmb_param_data(const lmb_param *p);
void *lmb_param_grad(const lmb_param *p); /* NULL for a buffer */
double lmb_param_get(const lmb_param *p, int64_t i);
void lmb_param_set(const lmb_param *p, int64_t i, double value);
/* Says that values were changed by hand, so that plans repack them. */
void lmb_params_touch(lmb_params *store);
uint64_t lmb_params_version(const lmb_params *store);

/* Weights in and out: as tensors by name. Loading checks names and shapes
 * both ways; EFORMAT lists what is missing, extra and misshapen. */
struct lmb_tensor;
lmb_status lmb_param_load(
    lmb_param *p, const struct lmb_tensor *t) LMB_MUST_CHECK;

#endif
