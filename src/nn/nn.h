/* nn.h: building blocks of networks: layers that own named parameters.
 *
 * A lmb_nn is a building site: graph, parameter store, mode and a name prefix.
 * Layers find or make their parameters under "prefix.name.weight" (PyTorch's
 * names), so a network can be built many times (training, evaluation, other
 * batch sizes) over one store. Errors are sticky in the graph. */
#ifndef LMB_NN_NN_H
#define LMB_NN_NN_H

#include "op/op.h"

typedef enum lmb_mode {
    LMB_MODE_EVAL, /* batch norm uses running statistics */
    LMB_MODE_TRAIN, /* batch statistics, running ones are updated */
} lmb_mode;

enum { LMB_MAX_TAPS = 160, LMB_NN_DEPTH = 24 };

typedef struct lmb_nn {
    lmb_graph *g;
    lmb_params *params;
    lmb_mode mode;
    double bn_eps, bn_momentum; /* 1e-5, 0.1 */
    /* Set it if somebody reads a "pre*" tap. Published wide ResNets make these
     * taps with second calls of their batch norms, which in training move the
     * running statistics twice a step. That happens only if it is set (the
     * trainer does not); else the taps are the same values, from the network's
     * own calls. */
    bool want_pre;
    /* Parts that do not learn: their parameters are buffers, which no optimiser
     * and no gradient sees, and their batch norms use running statistics. */
    bool frozen;
    /* Batch norms keep their running statistics in training, too; gamma and
     * beta learn. */
    bool norm_eval;
    const void *options; /* the network's (model.h: lmb_model_opts), or NULL */
    struct lmb_detection *detection; /* detectors: model.h */
    char prefix[192];
    int16_t marks[LMB_NN_DEPTH]; /* lengths of prefix before each push */
    int depth;
    char head[256]; /* the classifier's name, "fc": set by lmb_nn_head */
    /* Taps declared by the model, in order. */
    struct {
        char name[16];
        lmb_value value;
    } taps[LMB_MAX_TAPS];
    int n_taps;
} lmb_nn;

void lmb_nn_init(lmb_nn *nn, lmb_graph *g, lmb_params *params, lmb_mode mode);
/* Appends ".name" to the prefix and opens the scope "name" in the graph; pop
 * undoes both. printf-like. */
void lmb_nn_push(lmb_nn *nn, const char *fmt, ...) LMB_PRINTF(2, 3);
void lmb_nn_pop(lmb_nn *nn);
/* Declares a tap: "f0", "pre0", "pooled", "logits". */
void lmb_nn_tap(lmb_nn *nn, const char *name, lmb_value v);
/* Declares tap "<name><i>". */
void lmb_nn_tap_at(lmb_nn *nn, const char *name, int i, lmb_value v);
/* LMB_NONE if there is no such tap. */
lmb_value lmb_nn_tap_find(const lmb_nn *nn, const char *name);
/* A parameter "<prefix>.<name>"; a buffer while nn->frozen. */
lmb_value lmb_nn_param(lmb_nn *nn, const char *name, lmb_shape shape,
    lmb_init init, bool trainable);

/* Initialisation rules for a weight [O, I/groups, kh, kw] or [O, I]. */
lmb_init lmb_init_kaiming_fan_out(lmb_shape weight); /* normal, ReLU gain */
lmb_init lmb_init_torch_default(lmb_shape weight); /* U(+-1/sqrt(fan_in)) */
lmb_init lmb_init_xavier_uniform(lmb_shape weight); /* gain 1 */
lmb_init lmb_init_lecun_uniform(lmb_shape weight); /* U(+-sqrt(3/fan_in)) */
lmb_init lmb_init_constant(double value);
lmb_init lmb_init_normal(double mean, double std);

typedef struct lmb_conv_opt {
    int out, kernel, stride, pad, groups; /* 0 means 1 for stride, groups */
    bool bias;
    bool kaiming; /* weight by lmb_init_kaiming_fan_out, bias 0 */
    lmb_init weight_init; /* if set; else PyTorch's default */
    bool weight_init_set;
    lmb_init bias_init; /* if set; else PyTorch's default */
    bool bias_init_set;
} lmb_conv_opt;
lmb_value lmb_nn_conv(
    lmb_nn *nn, const char *name, lmb_value x, const lmb_conv_opt *opt);
/* Batch norm with weight, bias, running_mean, running_var and (as PyTorch
 * files have it) no counter; gamma 1, beta 0. */
lmb_value lmb_nn_batch_norm(lmb_nn *nn, const char *name, lmb_value x);
/* Convolution, then batch norm: two layers with names of their own. In training
 * with running statistics (frozen, norm_eval) the norm is folded into weights
 * and bias at once, so that its gradients are sums over weights, not maps. */
lmb_value lmb_nn_conv_bn(lmb_nn *nn, const char *conv, const char *bn,
    lmb_value x, const lmb_conv_opt *opt);
/* Group norm with weight (gamma, 1) and bias (beta, 0), eps bn_eps. */
lmb_value lmb_nn_group_norm(
    lmb_nn *nn, const char *name, lmb_value x, int groups);
/* Layer norm of the last axis with weight (gamma, 1) and bias (beta, 0), eps
 * bn_eps. */
lmb_value lmb_nn_layer_norm(lmb_nn *nn, const char *name, lmb_value x);
/* Weight [out, in], bias [out]. */
lmb_value lmb_nn_linear(lmb_nn *nn, const char *name, lmb_value x, int out,
    lmb_init weight, lmb_init bias);
/* The same with PyTorch's default initialisation. */
lmb_value lmb_nn_linear_default(
    lmb_nn *nn, const char *name, lmb_value x, int out);
/* A linear layer on all elements of x [N, C, H, W], in this order: y [N, out,
 * 1, 1], weight [out, C H W], bias [out]. A convolution whose kernel covers x:
 * hidden layers on RoIs lie in bf16 where convolutions do. */
lmb_value lmb_nn_linear_whole(lmb_nn *nn, const char *name, lmb_value x,
    int out, lmb_init weight, lmb_init bias);
/* Says that linear layer `name` turns tap "pooled" into tap "logits", and
 * declares both taps. */
void lmb_nn_head(
    lmb_nn *nn, const char *name, lmb_value pooled, lmb_value logits);

#endif
