/* mimic.c: feature imitation inside ground-truth boxes.
 *
 * L = sum over levels of the mean of (F_s - F_t)^2 over channels and the places
 * whose centre lies inside a box (region=boxes) or over all (region=all);
 * a level without such a place adds 0. F [N, C, H, W].
 * Source: Li et al., "Mimicking very efficient network for object detection",
 * CVPR 2017; weight, region and mean are those of the imitation branch of LD's
 * harness (Zheng et al., arXiv:2102.12252), which takes the anchors'
 * centres. */
#include "distill/levels.h"
#include "distill/maps.h"
#include "distill/regions.h"

enum { REGION_BOXES, REGION_ALL };

typedef struct mimic_state {
    int64_t levels;
    int32_t region;
} mimic_state;

static const lmb_opt options[] = {
    {.name = "region",
        .help = "places compared: inside ground-truth boxes, or all",
        .type = LMB_OPT_ENUM,
        .offset = offsetof(mimic_state, region),
        .choices = "boxes|all"},
    LMB_OPT_LEVELS(mimic_state, 0),
    {0},
};

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const mimic_state *o = state;
    return lmb_levels_pairs("p", o->levels, student, teacher, out);
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    const mimic_state *o = state;
    lmb_graph *g = b->g;
    if (o->region == REGION_ALL)
        return lmb_mse(g, l->s, l->t);
    lmb_value inside = lmb_box_inside(b, l->shape.dim[2], l->shape.dim[3]);
    lmb_value squares = lmb_square(g, lmb_sub(g, l->s, l->t));
    lmb_value sum =
        lmb_sum(g, lmb_mul(g, squares, inside), LMB_ALL_AXES, false);
    lmb_value count = lmb_maximum(
        g, lmb_sum(g, inside, LMB_ALL_AXES, false), lmb_graph_scalar(g, 1));
    return lmb_div(g, lmb_scale(g, sum, 1 / (double)l->shape.dim[1]), count);
}

static lmb_value build(void *state, const lmb_build *b)
{
    const mimic_state *o = state;
    if (o->region == REGION_BOXES && !lmb_need_boxes(b))
        return LMB_NONE;
    return lmb_levels_sum(b, term, state);
}

const lmb_method lmb_method_mimic = {
    .name = "mimic",
    .title = "pyramid levels imitated inside ground-truth boxes",
    .source = "CVPR 2017; arXiv:2102.12252, section 4",
    .needs = LMB_NEED_BOXES,
    .ce_weight = 1,
    .weight = 2,
    .opts = options,
    .state_size = sizeof(mimic_state),
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .build = build,
};
