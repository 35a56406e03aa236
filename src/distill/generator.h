/* generator.h: the small trained network that completes a masked map. */
#ifndef LMB_DISTILL_GENERATOR_H
#define LMB_DISTILL_GENERATOR_H

#include "nn/nn.h"

/* 3x3 convolution, ReLU, 3x3 convolution, all with as many channels as x and
 * with bias: parameters <name>.0.* and <name>.2.*. Yang et al., "Masked
 * generative distillation", arXiv:2205.01529, eq. 3. */
lmb_value lmb_generate(lmb_nn *nn, const char *name, lmb_value x);

#endif
