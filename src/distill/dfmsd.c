/* dfmsd.c: dual feature masking stage-wise distillation.
 *
 * One stage k with its teacher, F [N, C, H, W] of each pyramid level:
 *   L = alpha sum |R - F_t|^2 / N            dual feature masking (dfm),
 *                                             dual_mask.c
 *     + sfa_weight sum 0.5 mean (n(F_s) - n(F_t))^2
 *                                             feature alignment (sfa), n
 *                                             standardises each channel.
 * sal: the run has several stages, each with a teacher of its own, the near one
 * first; the trainer runs them, lmb_build.stage says which one a plan is of.
 * mes: from stage `mes_from` on the masks are strengthened where it matters:
 *   gap    the attention A becomes A D^gamma / mean(A D^gamma), D the mean over
 *          channels (places) of |n(F_t) - n(F_s)|: places that are salient and
 *          still badly imitated are hidden;
 *   ratio  the hidden share rises from ratio_* to mes_ratio;
 *   soft   M = 1 - sigmoid((A - level) / mes_softness), level where the hard
 *          mask cuts.
 * sfa=standardize: instead of the added loss the masked map and the target are
 * n(F_s) and n(F_t); alpha then weighs a target of variance 1.
 * Source: Zhang et al., "DFMSD: dual feature masking stage-wise knowledge
 * distillation for object detection", arXiv:2407.13147, which names the
 * modules. A reconstruction of their formulas from its ancestors (FGD's
 * attention, MGD's generator and alpha, DMKD's two masks, PKD's alignment):
 * there is no published code, and every choice is an option. */
#include "distill/dual_mask.h"
#include "distill/maps.h"

enum { ONE_STAGE, TWO_STAGE };
enum { MES_GAP, MES_RATIO, MES_SOFT, MES_OFF };
enum { SFA_LOSS, SFA_STANDARDIZE, SFA_OFF };

typedef struct dfmsd_state {
    double alpha, sfa_weight, mes_gamma, mes_ratio, mes_softness;
    int64_t levels, mes_from;
    int32_t detector, mes, sfa;
    bool dfm, sal;
    lmb_dual_mask mask;
} dfmsd_state;

#define NUMBER(field, text, value, least, most) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_F64, \
        .offset = offsetof(dfmsd_state, field), .def = (value), \
        .low = (least), .high = (most) \
    }
#define CHOICE(field, text, all) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_ENUM, \
        .offset = offsetof(dfmsd_state, field), .choices = (all) \
    }
#define SWITCH(field, text) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_BOOL, \
        .offset = offsetof(dfmsd_state, field), .def = 1, .high = 1 \
    }

static const lmb_opt options[] = {
    CHOICE(detector,
        "which defaults: two_stage has alpha 5e-7, ratios 0.45, sfa_weight 6, "
        "levels 4",
        "one_stage|two_stage"),
    SWITCH(dfm, "dual feature masking"),
    SWITCH(sal, "stage-wise adaptation: the run has several stages"),
    CHOICE(mes, "masking enhancement", "gap|ratio|soft|off"),
    CHOICE(sfa, "semantic feature alignment: a loss, or standardised maps",
        "loss|standardize|off"),
    NUMBER(alpha, "factor of the masking term", 2e-5, 0, 1e6),
    NUMBER(sfa_weight, "factor of the alignment loss", 10, 0, 1e6),
    {.name = "mes_from",
        .help = "first stage with masking enhancement, counted from 1",
        .type = LMB_OPT_I64,
        .offset = offsetof(dfmsd_state, mes_from),
        .def = 2,
        .low = 1,
        .high = 1000},
    NUMBER(mes_gamma, "mes=gap: power of the gap", 1, 0, 100),
    NUMBER(mes_ratio, "mes=ratio: hidden share of places and channels", 0.65, 0,
        1),
    NUMBER(mes_softness, "mes=soft: width of the cut", 0.5, 1e-6, 1e6),
    LMB_DUAL_MASK_OPTS(dfmsd_state),
    LMB_OPT_LEVELS(dfmsd_state, 0),
    {0},
};

/* --- options that depend on others ---------------------------------------- */

static void yield(double *field, double value, const char *name,
    const char *const *given, int n)
{
    if (!lmb_method_is_given(name, given, n))
        *field = value;
}

/* The masked share of stages before mes=ratio acts is MGD's smaller one. */
static void apply_defaults(dfmsd_state *o, const char *const *given, int n)
{
    if (o->detector == TWO_STAGE) {
        yield(&o->alpha, 5e-7, "alpha", given, n);
        yield(&o->sfa_weight, 6, "sfa_weight", given, n);
        if (!lmb_method_is_given("levels", given, n))
            o->levels = 4; /* P2 .. P5: P6 is a maximum over P5 */
    }
    if (o->detector == TWO_STAGE || o->mes == MES_RATIO) {
        yield(&o->mask.ratio_space, 0.45, "ratio_space", given, n);
        yield(&o->mask.ratio_channel, 0.45, "ratio_channel", given, n);
    }
    const bool idle = !o->dfm || (!o->sal && o->mes_from > 1);
    if (idle && !lmb_method_is_given("mes", given, n))
        o->mes = MES_OFF;
}

static lmb_status check_mes(const dfmsd_state *o)
{
    if (o->mes == MES_OFF)
        return LMB_OK;
    if (!o->dfm)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.mes: it strengthens masks, and dfm=false has none: mes=off");
    if (!o->sal && o->mes_from > 1)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.mes: it starts in stage %lld, and sal=false has one stage: "
            "mes=off or mes_from=1",
            (long long)o->mes_from);
    if (o->mes != MES_RATIO)
        return LMB_OK;
    if (o->mask.rule != LMB_RULE_QUANTILE)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.mes: ratio changes the hidden share, which rule=threshold "
            "does not have");
    if (o->mes_ratio <= o->mask.ratio_space ||
        o->mes_ratio <= o->mask.ratio_channel)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.mes_ratio: %g must be above ratio_space %g and "
            "ratio_channel %g",
            o->mes_ratio, o->mask.ratio_space, o->mask.ratio_channel);
    return LMB_OK;
}

static lmb_status resolve(void *state, const char *const *given, int n_given)
{
    dfmsd_state *o = state;
    apply_defaults(o, given, n_given);
    if (!o->dfm && o->sfa == SFA_STANDARDIZE)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.sfa: standardize changes the masked maps, and dfm=false "
            "has none: sfa=loss");
    if (!o->dfm && o->sfa == SFA_OFF)
        return LMB_FAIL(
            LMB_EINVAL, "dfmsd: dfm=false and sfa=off leave no loss");
    return check_mes(o);
}

static lmb_status check_stages(const void *state, int n_stages, int last)
{
    const dfmsd_state *o = state;
    if (o->sal && n_stages < 2)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.sal: the run has one stage; give it a teacher for each "
            "stage, or set sal=false");
    if (!o->sal && n_stages > 1)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.sal: false, but the run has %d stages", n_stages);
    if (o->mes != MES_OFF && o->mes_from > n_stages)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.mes_from: stage %lld, but the run has %d; mes=off leaves "
            "masking enhancement out",
            (long long)o->mes_from, n_stages);
    if (o->mes != MES_OFF && o->mes_from > last)
        return LMB_FAIL(LMB_EINVAL,
            "dfmsd.mes_from: stage %lld, but the last with dfmsd is %d; "
            "mes=off leaves masking enhancement out",
            (long long)o->mes_from, last);
    return LMB_OK;
}

/* The near stage plain, the next with masking enhancement: two, unless the
 * user gives as many teachers. */
static int stages(const void *state)
{
    const dfmsd_state *o = state;
    return o->sal ? 2 : 1;
}

/* --- building ------------------------------------------------------------- */

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const dfmsd_state *o = state;
    return lmb_levels_pairs_alike(o->levels, student, teacher, out);
}

/* |n(F_t) - n(F_s)|, the student without gradient. */
static lmb_value gap_of(lmb_graph *g, const lmb_level *l)
{
    lmb_value s = lmb_map_standardize(g, lmb_stop_gradient(g, l->s));
    return lmb_abs(g, lmb_sub(g, lmb_map_standardize(g, l->t), s));
}

/* Sets the masks' options and emphasis for this stage. */
static void enhance(lmb_graph *g, const dfmsd_state *o, const lmb_level *l,
    lmb_dual_mask *mask, lmb_emphasis *e)
{
    if (o->mes == MES_GAP) {
        lmb_value gap = gap_of(g, l);
        e->gamma = o->mes_gamma;
        e->gap_space = lmb_mean(g, gap, LMB_AXIS(1), true);
        e->gap_channel = lmb_mean(g, gap, LMB_AXIS(2) | LMB_AXIS(3), true);
    } else if (o->mes == MES_RATIO) {
        mask->ratio_space = mask->ratio_channel = o->mes_ratio;
    } else if (o->mes == MES_SOFT) {
        e->softness = o->mes_softness;
    }
}

/* The masks of this stage. */
static lmb_masks masks_of(
    const dfmsd_state *o, const lmb_build *b, const lmb_level *l)
{
    lmb_dual_mask mask = o->mask;
    lmb_emphasis e = {.gap_space = LMB_NONE};
    if (o->mes != MES_OFF && b->stage + 1 >= o->mes_from)
        enhance(b->g, o, l, &mask, &e);
    return lmb_dual_masks(b->g, &mask, &e, l->t);
}

static lmb_value mask(const void *state, const lmb_build *b, int i)
{
    const dfmsd_state *o = state;
    lmb_level l;
    if (!o->dfm || !lmb_level_pair(b, i, &l))
        return LMB_NONE;
    return masks_of(o, b, &l).space;
}

static lmb_value masking_loss(
    const dfmsd_state *o, const lmb_build *b, const lmb_level *l)
{
    lmb_graph *g = b->g;
    const lmb_masks masks = masks_of(o, b, l);
    const bool standard = o->sfa == SFA_STANDARDIZE;
    lmb_value source = standard ? lmb_map_standardize(g, l->s) : l->s;
    lmb_value target = standard ? lmb_map_standardize(g, l->t) : l->t;
    lmb_nn nn;
    lmb_level_nn(b, l->index, &nn);
    return lmb_scale(
        g, lmb_dual_mask_loss(&nn, &o->mask, &masks, source, target), o->alpha);
}

static lmb_value term(const void *state, const lmb_build *b, const lmb_level *l)
{
    const dfmsd_state *o = state;
    lmb_value dfm = o->dfm ? masking_loss(o, b, l) : LMB_NONE;
    if (o->sfa != SFA_LOSS)
        return dfm;
    lmb_value sfa =
        lmb_scale(b->g, lmb_map_pearson(b->g, l->s, l->t), o->sfa_weight);
    return o->dfm ? lmb_add(b->g, dfm, sfa) : sfa;
}

static lmb_value build(void *state, const lmb_build *b)
{
    return lmb_levels_sum(b, term, state);
}

static const char *const on_two_stages[] = {"detector", "two_stage", NULL};

const lmb_method lmb_method_dfmsd = {
    .name = "dfmsd",
    .title = "stage-wise dual masking with alignment, across detectors",
    .source = "arXiv:2407.13147 (reconstruction)",
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .preset = "detector",
    .two_stage_options = on_two_stages,
    .state_size = sizeof(dfmsd_state),
    .resolve = resolve,
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .mask = mask,
    .build = build,
    .stages = stages,
    .check_stages = check_stages,
};
