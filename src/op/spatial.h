/* spatial.h: what the ops on [N, C, H, W] share: shape checks and windows.
 *
 * A window of `kernel` taps, `dilation` apart, slides over an axis of `size`
 * elements with `pad` of padding at both ends; output o, tap k touch element
 *   i = o * stride - pad + k * dilation,
 * which lies in the padding when outside [0, size). Private to src/op. */
#ifndef LMB_OP_SPATIAL_H
#define LMB_OP_SPATIAL_H

#include "graph/graph.h"

typedef struct lmb_window {
    int64_t size, kernel, stride, pad, dilation;
    int64_t out; /* positions: (size + 2 pad - dilation (kernel-1) - 1)
                  *     / stride + 1, set by lmb__window_fit */
} lmb_window;

/* Checks the five numbers and sets w->out; ESHAPE if the window is larger
 * than the padded axis, EINVAL for a stride, padding, ... out of range.
 * `axis` ("height") is for the message. */
lmb_status lmb__window_fit(const char *axis, lmb_window *w) LMB_MUST_CHECK;
/* Pooling: padding is at most half the kernel, so that no window lies wholly
 * in the padding. */
lmb_status lmb__window_half_padded(
    const lmb_window *h, const lmb_window *w) LMB_MUST_CHECK;
/* The outputs lo .. hi-1 whose tap k is not in the padding. */
void lmb__window_outputs(
    const lmb_window *w, int64_t k, int64_t *lo, int64_t *hi);
/* The elements lo .. hi-1 that a window of dilation 1 sees at output o. */
void lmb__window_inputs(
    const lmb_window *w, int64_t o, int64_t *lo, int64_t *hi);

/* Was optional input i given? (Kernels and gradient rules.) */
bool lmb__ref_has(const lmb_ref *r, int i);
bool lmb__grad_has(const lmb_grad *c, int i);

/* Shape rules: input i must be there, real, and of the rank or shape asked. */
bool lmb__type_has(int n_in, const lmb_type *in, int i);
lmb_status lmb__need_real(
    const char *name, int n_in, const lmb_type *in, int i) LMB_MUST_CHECK;
lmb_status lmb__need_rank(const char *name, int rank, int n_in,
    const lmb_type *in, int i) LMB_MUST_CHECK;
lmb_status lmb__need_shape(const char *name, lmb_shape want, int n_in,
    const lmb_type *in, int i) LMB_MUST_CHECK;

/* Shape rule of what brings input 0, [N, C, h, w], to another size. ESHAPE for
 * a height or width below 1. */
lmb_status lmb__resized(const char *name, const int64_t size[2], int n_in,
    const lmb_type *in, lmb_type *out) LMB_MUST_CHECK;

/* A real type of that shape. */
lmb_type lmb__real(lmb_shape shape);

#endif
