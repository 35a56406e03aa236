/* connector.h: layers that bring a student's map to the teacher's shape. Their
 * parameters live in the method's store under b->prefix. */
#ifndef LMB_DISTILL_CONNECTOR_H
#define LMB_DISTILL_CONNECTOR_H

#include "distill/method.h"

/* x [N, Cs, Hs, Ws] -> [N, Ct, Ht, Wt]: a convolution with bias, batch norm,
 * and ReLU if `relu`. The convolution is 3x3 stride 2 if the student's map is
 * twice as high, a transposed 4x4 stride 2 if half as high, else a valid one
 * of (Hs - Ht + 1) x (Ws - Wt + 1). Parameters: prefix + name + ".conv.weight",
 * ".conv.bias", ".bn.*"; PyTorch's default initialisation.
 * Sticky ESHAPE if none of the three fits. */
lmb_value lmb_connector(const lmb_build *b, const char *name, lmb_value x,
    const lmb_shape *target, bool relu);

/* "conv3x3/2 64->128, bn, relu"; ESHAPE as above. */
lmb_status lmb_connector_describe(const lmb_shape *student,
    const lmb_shape *teacher, bool relu, lmb_str *out) LMB_MUST_CHECK;

/* x [N, Cs, Hs, Ws] -> [N, Ct, Ht, Wt]: a 1x1 convolution with bias if the
 * channels differ, bilinear interpolation if the sizes differ, else x itself.
 * Any map fits any other. Parameters: nn's prefix + ".align.*". */
lmb_value lmb_align(lmb_nn *nn, lmb_value x, const lmb_shape *target);
/* "conv1x1 64->256, bilinear 4x4->8x8"; nothing if x is taken as it is. */
lmb_status lmb_align_describe(const lmb_shape *student,
    const lmb_shape *teacher, lmb_str *out) LMB_MUST_CHECK;

#endif
