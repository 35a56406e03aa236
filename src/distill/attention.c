/* attention.c: spatial and channel attention of a feature map. */
#include "distill/attention.h"

/* size softmax(x / t) over all but the first axis; x [N, ..]. */
static lmb_value normalise(lmb_graph *g, lmb_value x, double temperature)
{
    if (!lmb_is(x))
        return LMB_NONE; /* the graph has failed */
    const lmb_shape shape = lmb_graph_shape(g, x);
    const int64_t n = shape.dim[0], size = lmb_shape_count(&shape) / n;
    lmb_value rows = lmb_reshape(g, x, LMB_SHAPE(n, size));
    rows = lmb_softmax(g, lmb_scale(g, rows, 1 / temperature), -1);
    return lmb_reshape(g, lmb_scale(g, rows, (double)size), shape);
}

lmb_attention lmb_attend(lmb_graph *g, lmb_value x, double temperature)
{
    lmb_value size = lmb_abs(g, x);
    lmb_value space = lmb_mean(g, size, LMB_AXIS(1), true);
    lmb_value channel = lmb_mean(g, size, LMB_AXIS(2) | LMB_AXIS(3), true);
    return (lmb_attention){
        .space = normalise(g, space, temperature),
        .channel = normalise(g, channel, temperature),
    };
}

/* exp(gamma log gap): where the gap is 0 the weight becomes 0. */
lmb_value lmb_reweigh(
    lmb_graph *g, lmb_value weight, lmb_value gap, double gamma)
{
    const uint32_t image = LMB_AXIS(1) | LMB_AXIS(2) | LMB_AXIS(3);
    lmb_value least = lmb_graph_scalar(g, 1e-30);
    lmb_value power = gap;
    if (gamma != 1)
        power = lmb_exp(
            g, lmb_scale(g, lmb_log(g, lmb_maximum(g, gap, least)), gamma));
    lmb_value product = lmb_mul(g, weight, power);
    lmb_value mean = lmb_maximum(g, lmb_mean(g, product, image, true), least);
    return lmb_stop_gradient(g, lmb_div(g, product, mean));
}
