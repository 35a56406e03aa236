/* nn_init.c: how weights start.
 *
 * fan_in = I/groups * kh * kw, fan_out = O * kh * kw of [O, I/groups, kh, kw];
 * I and O of a matrix [O, I]. As PyTorch counts them, so fan_out takes no
 * notice of groups.
 * Kaiming: He et al. 2015, arXiv:1502.01852, N(0, sqrt(2 / fan_out)).
 * Xavier: Glorot and Bengio 2010, equation 16. Lecun: kaiming_uniform_(a=1). */
#include "nn/nn.h"

#include <math.h>

/* Elements of one filter's window. */
static double window(const lmb_shape *weight)
{
    double size = 1;
    for (int32_t i = 2; i < weight->rank; i++)
        size *= (double)weight->dim[i];
    return size;
}

lmb_init lmb_init_kaiming_fan_out(lmb_shape weight)
{
    const double fan_out = (double)weight.dim[0] * window(&weight);
    return lmb_init_normal(0, sqrt(2 / fan_out));
}

lmb_init lmb_init_torch_default(lmb_shape weight)
{
    const double fan_in = (double)weight.dim[1] * window(&weight);
    const double bound = 1 / sqrt(fan_in);
    return (lmb_init){LMB_INIT_UNIFORM, -bound, bound};
}

static lmb_init uniform(double bound)
{
    return (lmb_init){LMB_INIT_UNIFORM, -bound, bound};
}

lmb_init lmb_init_xavier_uniform(lmb_shape weight)
{
    const double fans = (double)(weight.dim[0] + weight.dim[1]);
    return uniform(sqrt(6 / (fans * window(&weight))));
}

lmb_init lmb_init_lecun_uniform(lmb_shape weight)
{
    return uniform(sqrt(3 / ((double)weight.dim[1] * window(&weight))));
}

lmb_init lmb_init_constant(double value)
{
    return (lmb_init){LMB_INIT_CONSTANT, value, 0};
}

lmb_init lmb_init_normal(double mean, double std)
{
    return (lmb_init){LMB_INIT_NORMAL, mean, std};
}
