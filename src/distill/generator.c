/* generator.c: the generator of masked distillation. */
#include "distill/generator.h"

lmb_value lmb_generate(lmb_nn *nn, const char *name, lmb_value x)
{
    const lmb_conv_opt conv = {
        .out = (int)lmb_graph_dim(nn->g, x, 1),
        .kernel = 3,
        .pad = 1,
        .bias = true,
    };
    lmb_nn_push(nn, "%s", name);
    x = lmb_relu(nn->g, lmb_nn_conv(nn, "0", x, &conv));
    x = lmb_nn_conv(nn, "2", x, &conv);
    lmb_nn_pop(nn);
    return x;
}
