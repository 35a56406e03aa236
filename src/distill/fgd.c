/* fgd.c: focal and global distillation.
 *
 * Of each level, F [N, C, H, W], with the attentions A_s, A_c of attention.c
 * and the weights of fore- and background cells of regions.c:
 *   L = (alpha  sum fore A_s A_c (F_s - F_t)^2       (A of the teacher)
 *      + beta   sum back A_s A_c (F_s - F_t)^2
 *      + gamma  (sum |A_s - A_s'| + sum |A_c - A_c'|) (of both sides)
 *      + lambda sum (R_s(F_s) - R_t(F_t))^2) / N;
 * R adds to a map a vector made of its context: the mean of F over places
 * weighed by softmax(conv1x1(F)), then conv1x1 to C/2, layer norm, ReLU,
 * conv1x1 to C (GcBlock), trained for either side.
 * Source: Yang et al., "Focal and global knowledge distillation for
 * detectors", arXiv:2111.11837, eq. 1-11, and the authors' code (its sums, its
 * rounding of boxes). Deviation: boxes are placed on the padded input, which
 * the map covers; the code divides by the size without padding. */
#include "distill/attention.h"
#include "distill/levels.h"
#include "distill/maps.h"
#include "distill/regions.h"

#include "op/op_detect.h"

#include <math.h>

typedef struct fgd_state {
    double alpha, beta, gamma, lambda, temperature;
    int64_t levels;
    int32_t detector;
} fgd_state;

#define NUMBER(field, text, value, least, most, other_name) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_F64, \
        .offset = offsetof(fgd_state, field), .def = (value), .low = (least), \
        .high = (most), .aliases = (other_name) \
    }

static const lmb_opt options[] = {
    {.name = "detector",
        .help = "which defaults: two_stage has weights 5e-5, 2.5e-5, 5e-5, "
                "5e-7 and levels 4",
        .type = LMB_OPT_ENUM,
        .offset = offsetof(fgd_state, detector),
        .choices = "one_stage|two_stage"},
    NUMBER(alpha, "weight of the foreground (FCOS: 1.6e-3)", 1e-3, 0, 1e6,
        "alpha_fgd"),
    NUMBER(beta, "weight of the background (FCOS: 8e-4)", 5e-4, 0, 1e6,
        "beta_fgd"),
    NUMBER(gamma, "weight of the attentions (FCOS: 8e-4)", 5e-4, 0, 1e6,
        "gamma_fgd"),
    NUMBER(lambda, "weight of the global relation (FCOS: 8e-6)", 5e-6, 0, 1e6,
        "lambda_fgd"),
    NUMBER(temperature, "softmax temperature of the attentions (FCOS: 0.8)",
        0.5, 0.01, 1000, "temp"),
    LMB_OPT_LEVELS(fgd_state, 0),
    {0},
};

static lmb_status resolve(void *state, const char *const *given, int n_given)
{
    fgd_state *o = state;
    const struct {
        const char *name;
        double *field, value;
    } rows[] = {{"alpha", &o->alpha, 5e-5}, {"beta", &o->beta, 2.5e-5},
        {"gamma", &o->gamma, 5e-5}, {"lambda", &o->lambda, 5e-7}};
    if (o->detector == 0)
        return LMB_OK;
    for (size_t i = 0; i < LMB_COUNT(rows); i++)
        if (!lmb_method_is_given(rows[i].name, given, n_given))
            *rows[i].field = rows[i].value;
    if (!lmb_method_is_given("levels", given, n_given))
        o->levels = 4; /* P2 .. P5: P6 is a maximum over P5 */
    return LMB_OK;
}

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const fgd_state *o = state;
    return lmb_levels_pairs_alike(o->levels, student, teacher, out);
}

static lmb_value total(lmb_graph *g, lmb_value x, double weight)
{
    return lmb_scale(g, lmb_sum(g, x, LMB_ALL_AXES, false), weight);
}

/* alpha and beta: attention-weighed squares. */
static lmb_value focal(const fgd_state *o, const lmb_build *b,
    const lmb_level *l, const lmb_attention *t)
{
    lmb_graph *g = b->g;
    const lmb_regions r = lmb_box_regions(b, l->shape.dim[2], l->shape.dim[3]);
    lmb_value place = lmb_add(
        g, lmb_scale(g, r.fore, o->alpha), lmb_scale(g, r.back, o->beta));
    place = lmb_mul(g, place, t->space);
    lmb_value squares = lmb_square(g, lmb_sub(g, l->s, l->t));
    squares = lmb_mul(g, lmb_mul(g, squares, t->channel), place);
    return total(g, squares, 1);
}

/* gamma: distance of the attentions. */
static lmb_value attention_gap(const fgd_state *o, lmb_graph *g,
    const lmb_attention *s, const lmb_attention *t)
{
    lmb_value space = lmb_abs(g, lmb_sub(g, s->space, t->space));
    lmb_value channel = lmb_abs(g, lmb_sub(g, s->channel, t->channel));
    return lmb_add(g, total(g, space, o->gamma), total(g, channel, o->gamma));
}

/* softmax-weighed mean over places: [N, C, H, W] -> [N, C, 1, 1]. */
static lmb_value context(lmb_nn *nn, const char *name, lmb_value x)
{
    lmb_graph *g = nn->g;
    const lmb_shape s = lmb_graph_shape(g, x);
    const int64_t n = s.dim[0], c = s.dim[1], places = s.dim[2] * s.dim[3];
    const lmb_conv_opt conv = {
        .out = 1,
        .kernel = 1,
        .bias = true,
        .weight_init_set = true,
        .weight_init = lmb_init_normal(0, sqrt(2 / (double)c)),
        .bias_init_set = true,
        .bias_init = lmb_init_constant(0),
    };
    lmb_value w = lmb_nn_conv(nn, name, x, &conv);
    w = lmb_softmax(g, lmb_reshape(g, w, LMB_SHAPE(n, 1, places)), -1);
    lmb_value rows = lmb_reshape(g, x, LMB_SHAPE(n, c, places));
    return lmb_reshape(
        g, lmb_matmul(g, rows, w, false, true), LMB_SHAPE(n, c, 1, 1));
}

/* conv1x1 to C/2, layer norm, ReLU, conv1x1 to C; the last starts at 0. */
static lmb_value transform(lmb_nn *nn, const char *name, lmb_value x)
{
    lmb_graph *g = nn->g;
    const int64_t n = lmb_graph_dim(g, x, 0), c = lmb_graph_dim(g, x, 1);
    const int64_t half = c > 1 ? c / 2 : 1;
    const lmb_init zero = lmb_init_constant(0);
    lmb_nn_push(nn, "%s", name);
    x = lmb_nn_conv(nn, "0", x,
        &(lmb_conv_opt){.out = (int)half, .kernel = 1, .bias = true});
    lmb_nn_push(nn, "1");
    lmb_value gain =
        lmb_nn_param(nn, "weight", LMB_SHAPE(half), lmb_init_constant(1), true);
    lmb_value shift = lmb_nn_param(nn, "bias", LMB_SHAPE(half), zero, true);
    lmb_nn_pop(nn);
    x = lmb_layer_norm(
        g, lmb_reshape(g, x, LMB_SHAPE(n, half)), gain, shift, 1e-5);
    x = lmb_reshape(g, lmb_relu(g, x), LMB_SHAPE(n, half, 1, 1));
    x = lmb_nn_conv(nn, "3", x,
        &(lmb_conv_opt){.out = (int)c,
            .kernel = 1,
            .bias = true,
            .weight_init_set = true,
            .weight_init = zero,
            .bias_init_set = true,
            .bias_init = zero});
    lmb_nn_pop(nn);
    return x;
}

static lmb_value relation(const lmb_build *b, const lmb_level *l)
{
    lmb_graph *g = b->g;
    lmb_nn nn;
    lmb_level_nn(b, l->index, &nn);
    lmb_value s =
        transform(&nn, "channel_add_conv_s", context(&nn, "conv_mask_s", l->s));
    lmb_value t =
        transform(&nn, "channel_add_conv_t", context(&nn, "conv_mask_t", l->t));
    return lmb_map_squares(g, lmb_add(g, l->s, s), lmb_add(g, l->t, t));
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    const fgd_state *o = state;
    lmb_graph *g = b->g;
    const double n = (double)l->shape.dim[0];
    const lmb_attention s = lmb_attend(g, l->s, o->temperature);
    const lmb_attention t = lmb_attend(g, l->t, o->temperature);
    lmb_value local =
        lmb_add(g, focal(o, b, l, &t), attention_gap(o, g, &s, &t));
    return lmb_add(
        g, lmb_scale(g, local, 1 / n), lmb_scale(g, relation(b, l), o->lambda));
}

static lmb_value build(void *state, const lmb_build *b)
{
    return lmb_need_boxes(b) ? lmb_levels_sum(b, term, state) : LMB_NONE;
}

static const char *const on_two_stages[] = {"detector", "two_stage", NULL};

const lmb_method lmb_method_fgd = {
    .name = "fgd",
    .title = "fore- and background by attention, and global relations",
    .source = "arXiv:2111.11837, eq. 1-11",
    .needs = LMB_NEED_BOXES,
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .preset = "detector",
    .two_stage_options = on_two_stages,
    .state_size = sizeof(fgd_state),
    .resolve = resolve,
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .build = build,
};
