/* dual_mask.c: dual feature masking.
 *
 * With the teacher's attention A_s [N, 1, H, W], A_c [N, C, 1, 1]
 * (attention.c) and masks M of each (masking.c):
 *   R_s = G_s(M_s F), R_c = G_c(M_c F), two generators of MGD's form;
 *   softmax: L = |w_s R_s + w_c R_c - T|^2 / N, w = softmax(a), a learned
 *     from 0;
 *   losses:  L = (w_s |R_s - T|^2 + w_c |R_c - T|^2) / N, same w;
 *   sum:     L = |R_s + R_c - T|^2 / N.
 * Source: Yang et al., "DMKD: improving feature-based object detection via
 * dual masking augmentation", arXiv:2309.02719, which names the two guided
 * masks and their self-adjustable fusion. What it leaves open to us is a
 * reconstruction and an option: the rule that cuts the attention, the form of
 * the weights. */
#include "distill/dual_mask.h"

#include "distill/attention.h"
#include "distill/generator.h"
#include "distill/maps.h"

/* One of the two: its own rule, ratio and threshold. */
static lmb_value mask_of(lmb_graph *g, const lmb_dual_mask *o,
    const lmb_emphasis *e, lmb_value weight, double ratio, double threshold)
{
    const bool by_rank = o->rule == LMB_RULE_QUANTILE;
    if (e->softness > 0) {
        lmb_value level = by_rank
            ? lmb_mask_level(g, weight, ratio, o->polarity)
            : lmb_graph_scalar(g, threshold);
        return lmb_mask_soft(g, weight, level, e->softness, o->polarity);
    }
    return by_rank ? lmb_mask_quantile(g, weight, ratio, o->polarity)
                   : lmb_mask_threshold(g, weight, threshold, o->polarity);
}

lmb_masks lmb_dual_masks(lmb_graph *g, const lmb_dual_mask *o,
    const lmb_emphasis *e, lmb_value teacher)
{
    lmb_attention a = lmb_attend(g, teacher, o->temperature);
    if (lmb_is(e->gap_space))
        a.space = lmb_reweigh(g, a.space, e->gap_space, e->gamma);
    if (lmb_is(e->gap_channel))
        a.channel = lmb_reweigh(g, a.channel, e->gap_channel, e->gamma);
    return (lmb_masks){
        .space = mask_of(g, o, e, a.space, o->ratio_space, o->threshold_space),
        .channel =
            mask_of(g, o, e, a.channel, o->ratio_channel, o->threshold_channel),
    };
}

/* softmax of the learned pair, [2]. */
static lmb_value weights_of(lmb_nn *nn)
{
    lmb_value a =
        lmb_nn_param(nn, "fusion", LMB_SHAPE(2), lmb_init_constant(0), true);
    return lmb_softmax(nn->g, a, -1);
}

/* x times element k of w [2]. */
static lmb_value weighted(lmb_graph *g, lmb_value x, lmb_value w, int k)
{
    lmb_value one =
        lmb_sum(g, lmb_slice(g, w, 0, k, k + 1), LMB_AXIS(0), false);
    return lmb_mul(g, x, one);
}

lmb_value lmb_dual_mask_loss(lmb_nn *nn, const lmb_dual_mask *o,
    const lmb_masks *masks, lmb_value source, lmb_value target)
{
    lmb_graph *g = nn->g;
    lmb_value space =
        lmb_generate(nn, "generation_space", lmb_mul(g, source, masks->space));
    lmb_value channel = lmb_generate(
        nn, "generation_channel", lmb_mul(g, source, masks->channel));
    if (o->fusion == LMB_FUSE_SUM)
        return lmb_map_squares(g, lmb_add(g, space, channel), target);
    lmb_value w = weights_of(nn);
    if (o->fusion == LMB_FUSE_LOSSES) {
        space = lmb_map_squares(g, space, target);
        channel = lmb_map_squares(g, channel, target);
    }
    lmb_value both =
        lmb_add(g, weighted(g, space, w, 0), weighted(g, channel, w, 1));
    return o->fusion == LMB_FUSE_LOSSES ? both
                                        : lmb_map_squares(g, both, target);
}
