/* dnn.h: the few things we take from oneDNN, without its types.
 *
 * dnn.c is the only file that includes dnnl.h and knows 2.x from 3.x. All
 * primitives are made once, when a plan is compiled, and run many times.
 * Activations are in one of three layouts named by their block (kernel.h):
 * 1 = NCHW, 8 = nChw8c, 0 = NHWC. Weights are packed as oneDNN likes. */
#ifndef LMB_BACKEND_ONEDNN_DNN_H
#define LMB_BACKEND_ONEDNN_DNN_H

#include "op/ops.h"

typedef enum lmb_dnn_kind {
    LMB_DNN_FORWARD_TRAIN,
    LMB_DNN_FORWARD_INFER,
    LMB_DNN_BACKWARD_DATA,
    LMB_DNN_BACKWARD_WEIGHTS,
} lmb_dnn_kind;

enum { LMB_DNN_ANY = -1, LMB_DNN_NHWC = 0 };

typedef struct lmb_dnn_conv_spec {
    lmb_dnn_kind kind;
    int64_t x[4]; /* N, I, H, W of the convolution's input */
    int64_t y[4]; /* N, O, oh, ow of its output */
    lmb_conv_attr attr;
    int64_t kernel[2];
    lmb_dtype dtype; /* of x, y and the packed weights: F32 or BF16 */
    lmb_dtype y_dtype; /* forward only */
    int block_x, block_y; /* 1, 8, LMB_DNN_NHWC or LMB_DNN_ANY */
    bool bias, relu;
    bool residual; /* added; has y's layout and dtype */
    bool in_place; /* y holds the residual before, the result after */
} lmb_dnn_conv_spec;

/* A convolution primitive, its packed-weights layout and scratchpad need. */
typedef struct lmb_dnn_conv lmb_dnn_conv;
lmb_status lmb_dnn_conv_new(
    const lmb_dnn_conv_spec *spec, lmb_dnn_conv **out) LMB_MUST_CHECK;
void lmb_dnn_conv_free(lmb_dnn_conv *conv);
/* Bytes of x and of y, in the layouts that the primitive chose. */
size_t lmb_dnn_conv_x_size(const lmb_dnn_conv *conv);
size_t lmb_dnn_conv_y_size(const lmb_dnn_conv *conv);
size_t lmb_dnn_conv_weights_size(const lmb_dnn_conv *conv); /* packed bytes */
size_t lmb_dnn_conv_scratch_size(const lmb_dnn_conv *conv);
const char *lmb_dnn_conv_impl(const lmb_dnn_conv *conv); /* for reports */
/* Equal packed layouts can share one copy. */
bool lmb_dnn_conv_same_weights(const lmb_dnn_conv *a, const lmb_dnn_conv *b);
/* Pointers by role; backward data reads y (dy) and writes x (dx); backward
 * weights reads x and y, writes packed f32 weights and bias. */
typedef struct lmb_dnn_conv_args {
    void *x, *y, *weights, *bias, *residual, *scratch;
} lmb_dnn_conv_args;
lmb_status lmb_dnn_conv_run(
    lmb_dnn_conv *conv, const lmb_dnn_conv_args *args) LMB_MUST_CHECK;

/* Plain f32 weights [O, I/g, kh, kw] to the packed layout (and dtype), and
 * packed f32 gradients back to plain. */
typedef struct lmb_dnn_reorder lmb_dnn_reorder;
lmb_status lmb_dnn_pack_new(
    const lmb_dnn_conv *conv, lmb_dnn_reorder **out) LMB_MUST_CHECK;
lmb_status lmb_dnn_unpack_new(
    const lmb_dnn_conv *conv, lmb_dnn_reorder **out) LMB_MUST_CHECK;
lmb_status lmb_dnn_reorder_run(
    lmb_dnn_reorder *r, const void *from, void *to) LMB_MUST_CHECK;
void lmb_dnn_reorder_free(lmb_dnn_reorder *r);

/* c [m, n] = op(a) op(b), row-major f32. */
lmb_status lmb_dnn_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
    const float *a, const float *b, float *c) LMB_MUST_CHECK;

/* False in a build without oneDNN. */
bool lmb_dnn_available(void);
/* "oneDNN 2.6.3". */
const char *lmb_dnn_version(void);
/* The instructions that oneDNN has chosen its kernels for: its own number. */
unsigned lmb_dnn_isa(void);
/* Can this CPU do bf16 convolutions (AVX512_BF16 or AMX)? */
bool lmb_dnn_has_bf16(void);
/* And is it faster at them than in f32? */
bool lmb_dnn_fast_bf16(void);
/* Are its f32 convolutions faster in blocks of 8 channels than in NHWC? */
bool lmb_dnn_fast_blocks(void);

#endif
