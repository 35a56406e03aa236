/* maps.c: standardised maps and distances between maps. */
#include "distill/maps.h"

enum { BY_CHANNEL = LMB_AXIS(0) | LMB_AXIS(2) | LMB_AXIS(3) };

lmb_moments lmb_map_moments(lmb_graph *g, lmb_value x)
{
    const lmb_shape shape = lmb_graph_shape(g, x);
    const int64_t m = shape.dim[0] * shape.dim[2] * shape.dim[3];
    const double free = m > 1 ? (double)(m - 1) : 1;
    lmb_value mean = lmb_mean(g, x, BY_CHANNEL, true);
    lmb_value squares =
        lmb_sum(g, lmb_square(g, lmb_sub(g, x, mean)), BY_CHANNEL, true);
    return (lmb_moments){
        .mean = mean,
        .std = lmb_sqrt(g, lmb_scale(g, squares, 1 / free)),
    };
}

lmb_value lmb_map_standardize(lmb_graph *g, lmb_value x)
{
    const lmb_moments m = lmb_map_moments(g, x);
    return lmb_div(g, lmb_sub(g, x, m.mean), lmb_shift(g, m.std, 1e-6));
}

lmb_value lmb_map_pearson(lmb_graph *g, lmb_value s, lmb_value t)
{
    return lmb_scale(g,
        lmb_mse(g, lmb_map_standardize(g, s), lmb_map_standardize(g, t)), 0.5);
}

lmb_value lmb_map_squares(lmb_graph *g, lmb_value a, lmb_value b)
{
    const double n = (double)lmb_graph_dim(g, a, 0);
    lmb_value squares = lmb_square(g, lmb_sub(g, a, b));
    return lmb_scale(g, lmb_sum(g, squares, LMB_ALL_AXES, false), 1 / n);
}
