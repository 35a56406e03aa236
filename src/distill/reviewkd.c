/* reviewkd.c: knowledge review: deep levels help the student's shallow ones.
 *
 * From the coarsest level to the finest, F_i the student's map [N, C, H, W]:
 *   x = conv1x1, batch norm of F_i (to `mid` channels);
 *   x = a_0 x + a_1 up(previous x), a = sigmoid(conv1x1 of both) (not at the
 *     coarsest, up = nearest);
 *   y_i = conv3x3, batch norm of x (to the teacher's channels);
 *   L = sum over levels hcl(y_i, T_i),
 * hcl the mean squared difference at full size and of the maps pooled to 4x4,
 * 2x2, 1x1 (sizes below the height), weighted 1, 1/2, 1/4, 1/8 over their sum.
 * Source: Chen et al., "Distilling knowledge via knowledge review",
 * arXiv:2104.09044, section 3; the authors' code for detectors (P2-P6, mid
 * 256, weight 1 for R50, 1.2 for R18, 2 for MobileNetV2). Deviation: where the
 * teacher's map has another size, y_i is interpolated to it. */
#include "distill/levels.h"

#include <math.h>

typedef struct reviewkd_state {
    int64_t levels, mid;
} reviewkd_state;

static const lmb_opt options[] = {
    {.name = "mid",
        .help = "channels of the fused maps",
        .type = LMB_OPT_I64,
        .offset = offsetof(reviewkd_state, mid),
        .def = 256,
        .low = 1,
        .high = 4096},
    LMB_OPT_LEVELS(reviewkd_state, 0),
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const reviewkd_state *o = state;
    return lmb_levels_pairs("p", o->levels, student, teacher, out);
}

static int64_t places(const lmb_build *b, int i)
{
    const lmb_tap *s = lmb_taps_find(b->student, b->pairs.pair[i].student);
    return s != NULL && s->shape.rank == 4 ? s->shape.dim[2] * s->shape.dim[3]
                                           : 0;
}

/* The pairs from the student's finest map to its coarsest: a user's map may
 * have its lines in any order. */
static void sort_pairs(const lmb_build *b, int order[LMB_MAX_PAIRS])
{
    for (int i = 0; i < b->pairs.count; i++) {
        int at = i;
        for (; at > 0 && places(b, order[at - 1]) < places(b, i); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* <name>.0 a convolution without bias, <name>.1 its batch norm. */
static lmb_value conv_bn(
    lmb_nn *nn, const char *name, lmb_value x, int out, int kernel)
{
    const double fan_in =
        (double)(lmb_graph_dim(nn->g, x, 1) * kernel * kernel);
    const double bound = sqrt(3 / fan_in);
    const lmb_conv_opt conv = {
        .out = out,
        .kernel = kernel,
        .pad = kernel / 2,
        .weight_init_set = true,
        .weight_init = {LMB_INIT_UNIFORM, -bound, bound},
    };
    const lmb_shape s = lmb_graph_shape(nn->g, x);
    /* A single value has no statistics of its own: the running ones serve (a
     * last batch of one picture on a level of one place). */
    if (s.dim[0] * s.dim[2] * s.dim[3] == 1)
        nn->mode = LMB_MODE_EVAL;
    lmb_nn_push(nn, "%s", name);
    x = lmb_nn_conv_bn(nn, "0", "1", x, &conv);
    lmb_nn_pop(nn);
    return x;
}

/* Both weighed by an attention of two channels. */
static lmb_value fuse(lmb_nn *nn, lmb_value x, lmb_value deeper)
{
    lmb_graph *g = nn->g;
    lmb_value y = lmb_resize(g, deeper, lmb_graph_dim(g, x, 2),
        lmb_graph_dim(g, x, 3), LMB_RESIZE_NEAREST);
    lmb_nn_push(nn, "att_conv");
    lmb_value a = lmb_nn_conv(nn, "0", lmb_concat(g, 2, (lmb_value[]){x, y}, 1),
        &(lmb_conv_opt){.out = 2, .kernel = 1, .bias = true});
    lmb_nn_pop(nn);
    a = lmb_sigmoid(g, a);
    return lmb_add(g, lmb_mul(g, x, lmb_slice(g, a, 1, 0, 1)),
        lmb_mul(g, y, lmb_slice(g, a, 1, 1, 2)));
}

/* Hierarchical context loss of maps of one shape. */
static lmb_value hcl(lmb_graph *g, lmb_value s, lmb_value t)
{
    const int64_t h = lmb_graph_dim(g, t, 2);
    lmb_value loss = lmb_mse(g, s, t);
    double weight = 1, sum = 1;
    for (int64_t l = 4; l >= 1; l /= 2) {
        if (l >= h)
            continue;
        weight /= 2;
        sum += weight;
        lmb_value part = lmb_mse(g, lmb_adaptive_avg_pool2d(g, s, l, l),
            lmb_adaptive_avg_pool2d(g, t, l, l));
        loss = lmb_add(g, loss, lmb_scale(g, part, weight));
    }
    return lmb_scale(g, loss, 1 / sum);
}

static lmb_value to_size(lmb_graph *g, lmb_value x, const lmb_shape *target)
{
    const int64_t h = target->dim[2], w = target->dim[3];
    if (lmb_graph_dim(g, x, 2) == h && lmb_graph_dim(g, x, 3) == w)
        return x;
    return lmb_resize(g, x, h, w, LMB_RESIZE_BILINEAR);
}

static lmb_value build(void *state, const lmb_build *b)
{
    const reviewkd_state *o = state;
    lmb_graph *g = b->g;
    lmb_value total = LMB_NONE, deeper = LMB_NONE;
    int order[LMB_MAX_PAIRS];
    sort_pairs(b, order);
    for (int i = b->pairs.count - 1; i >= 0; i--) {
        lmb_tap s, t;
        lmb_nn nn;
        if (!lmb_level_taps(b, order[i], &s, &t))
            return LMB_NONE;
        lmb_level_nn(b, i, &nn);
        lmb_value x = conv_bn(&nn, "conv1", s.value, (int)o->mid, 1);
        if (lmb_is(deeper))
            x = fuse(&nn, x, deeper);
        deeper = x;
        lmb_value y = conv_bn(&nn, "conv2", x, (int)t.shape.dim[1], 3);
        lmb_value loss = hcl(g, to_size(g, y, &t.shape), t.value);
        total = lmb_is(total) ? lmb_add(g, total, loss) : loss;
    }
    return total;
}

const lmb_method lmb_method_reviewkd = {
    .name = "reviewkd",
    .title = "knowledge review: levels fused from coarse to fine",
    .source = "arXiv:2104.09044, section 3",
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .state_size = sizeof(reviewkd_state),
    .pairs = pairs,
    .build = build,
};
