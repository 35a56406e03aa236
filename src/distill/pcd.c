/* pcd.c: progressive class-level distillation.
 *
 * Classes are sorted per sample by |z_t - z_s|, hardest first ([N, C] logits;
 * the standardised ones if `standardize`). For each number of groups n the
 * sorted list is cut into n groups of floor(C / n), the last takes what is
 * left. In each group G, p and q are the softmaxes over G of z_t / T, z_s / T:
 *   lambda_G = 1 - cos(p, q),   D_G = lambda_G T^2 KL(p || q),
 *   L = alpha sum_{directions} sum_{n=1..S} sum_{G of n} mean_samples D_G.
 * Fine-to-coarse walks n = S..1 and coarse-to-fine n = 1..S over the same
 * groups, so in one loss both have one value and `both` doubles it.
 * Source: Li et al., "Progressive class-level distillation",
 * arXiv:2505.24310. preset=paper is the printed method. preset=release is what
 * the authors' code computes, by its switches: no ranking (rank=index), each
 * stage one group of all classes (groups=full), lambda = 1 - cos(p, log q) in
 * [1, 2], batch means of lambda and KL multiplied (product_of_means).
 * Deviations: 1 - cos(p, q) is computed as |p/|p| - q/|q||^2 / 2, which keeps
 * its digits when p is near q; with cos_p_logq and groups=split the cosine is
 * taken inside the group (the code's -1e9 filling would make it 0); ties of
 * the ranking keep class order.
 * Detectors: rows are the RoIs that the student samples, or chosen places of
 * dense heads (dense.h). dense=binary: classes of such heads do not exclude
 * each other, so p and q are sigmoids and KL is the sum over G of two-way KLs.
 * schedule=staged: the run is cut into phases of one n each, S..1 for
 * fine-to-coarse, then 1..S; a phase's loss holds only its n groups, once. Not
 * with groups=full, where all phases would be the same.
 * lmb_build.phase says which phase a plan is of; phase_groups > 0 fixes n. */
#include "distill/logits.h"

enum { PAPER, RELEASE };
enum { RANK_LDR, RANK_INDEX };
enum { SCOPE_SAMPLE, SCOPE_BATCH };
enum { GROUPS_SPLIT, GROUPS_FULL };
enum { LAMBDA_COS_P_Q, LAMBDA_COS_P_LOGQ, LAMBDA_ONE };
enum { GRAD_ATTACHED, GRAD_DETACHED };
enum { MEAN_OF_PRODUCTS, PRODUCT_OF_MEANS };
enum { BOTH, F2CL, C2FL };
enum { JOINT, STAGED };
enum { MOST_STAGES = 64 };

typedef struct pcd_state {
    double temperature, alpha, phase_epochs;
    int64_t stages, phase_groups;
    int32_t preset, rank, rank_scope, groups, lambda, lambda_grad, reduction,
        directions, schedule, dense;
    lmb_logits_opts logits;
} pcd_state;

#define CHOICE(field, text, all, other_names) \
    { \
        .name = #field, .help = (text), .type = LMB_OPT_ENUM, \
        .offset = offsetof(pcd_state, field), .choices = (all), \
        .aliases = (other_names) \
    }

static const lmb_opt options[] = {
    CHOICE(preset, "the printed method or the authors' code", "paper|release",
        NULL),
    {.name = "temperature",
        .help = "softmax temperature T of both sides",
        .type = LMB_OPT_F64,
        .offset = offsetof(pcd_state, temperature),
        .def = 4,
        .low = 0.01,
        .high = 1000,
        .aliases = "PCD.T|T|tau"},
    {.name = "stages",
        .help = "stages S: 3 within a family of models, 5 across",
        .type = LMB_OPT_I64,
        .offset = offsetof(pcd_state, stages),
        .def = 3,
        .low = 1,
        .high = MOST_STAGES,
        .aliases = "PCD.STEPS|steps"},
    {.name = "alpha",
        .help = "factor of the whole term",
        .type = LMB_OPT_F64,
        .offset = offsetof(pcd_state, alpha),
        .def = 1,
        .high = 1e6,
        .aliases = "PCD.ALPHA"},
    CHOICE(rank, "order of the classes: by logit difference or as they are",
        "ldr|index", NULL),
    CHOICE(rank_scope, "rank each sample, or the batch by its mean difference",
        "sample|batch", NULL),
    CHOICE(groups, "n groups at stage n, or one of all classes at each",
        "split|full", NULL),
    CHOICE(lambda, "weight of a group", "cos_p_q|cos_p_logq|one", NULL),
    CHOICE(lambda_grad, "does the weight pass gradient to the student",
        "attached|detached", NULL),
    CHOICE(reduction,
        "over the batch: mean(lambda KL) or mean(lambda) mean(KL)",
        "mean_of_products|product_of_means", NULL),
    CHOICE(directions, "fine-to-coarse, coarse-to-fine, or the sum of both",
        "both|f2cl|c2fl", NULL),
    CHOICE(schedule, "all stages in each step, or one after another",
        "joint|staged", NULL),
    {.name = "phase_epochs",
        .help = "staged: epochs of a phase (0: divide the run evenly)",
        .type = LMB_OPT_F64,
        .offset = offsetof(pcd_state, phase_epochs),
        .high = 1e6},
    {.name = "phase_groups",
        .help = "only the stage of this many groups (0: as scheduled)",
        .type = LMB_OPT_I64,
        .offset = offsetof(pcd_state, phase_groups),
        .high = MOST_STAGES},
    LMB_OPT_DENSE_FORM(pcd_state),
    LMB_OPTS_LOGITS(pcd_state),
    {0},
};

/* Sets a preset's choice unless the user gave the key. */
static void yield(int32_t *field, int32_t value, const char *name,
    const char *const *given, int n_given)
{
    if (!lmb_method_is_given(name, given, n_given))
        *field = value;
}

static lmb_status resolve(void *state, const char *const *given, int n_given)
{
    pcd_state *o = state;
    if (o->phase_groups > o->stages)
        return LMB_FAIL(LMB_EINVAL,
            "pcd.phase_groups: %lld is more than the %lld stages",
            (long long)o->phase_groups, (long long)o->stages);
    if (o->preset == RELEASE) {
        yield(&o->rank, RANK_INDEX, "rank", given, n_given);
        yield(&o->groups, GROUPS_FULL, "groups", given, n_given);
        yield(&o->lambda, LAMBDA_COS_P_LOGQ, "lambda", given, n_given);
        yield(&o->reduction, PRODUCT_OF_MEANS, "reduction", given, n_given);
    }
    if (o->schedule == STAGED && o->groups == GROUPS_FULL)
        return LMB_FAIL(LMB_EINVAL,
            "pcd.schedule: staged has phases of 1 .. %lld groups, and "
            "groups=full (preset=release) one group in each: joint, or "
            "groups=split",
            (long long)o->stages);
    return LMB_OK;
}

static int phases(const void *state, double *epochs_each)
{
    const pcd_state *o = state;
    *epochs_each = o->phase_epochs;
    if (o->schedule == JOINT || o->phase_groups > 0)
        return 1;
    return (int)o->stages * (o->directions == BOTH ? 2 : 1);
}

/* The stages of this loss: from n = first to n = last groups, each `times`. */
typedef struct span {
    int64_t first, last;
    double times;
} span;

static span stages_of(const pcd_state *o, int phase)
{
    const int64_t S = o->stages;
    if (o->phase_groups > 0)
        return (span){o->phase_groups, o->phase_groups, 1};
    if (o->schedule == JOINT)
        return (span){1, S, o->directions == BOTH ? 2 : 1};
    const bool rising = o->directions == C2FL || phase >= S;
    const int64_t n = rising ? 1 + phase % S : S - phase % S;
    return (span){n, n, 1};
}

/* All groups of all stages side by side, as segments of one long axis of
 * `copies` times C: one sort, one gather and one pass serve every stage. */
typedef struct layout {
    int32_t *bounds;
    int n;
    int64_t copies;
} layout;

static layout lay_out(lmb_graph *g, const pcd_state *o, span at, int64_t C)
{
    const bool full = o->groups == GROUPS_FULL;
    layout l = {.copies = full ? 1 : at.last - at.first + 1};
    int64_t most = l.copies + 1;
    for (int64_t n = at.first; !full && n <= at.last; n++)
        most += n - 1;
    l.bounds = lmb_graph_memory(g, (size_t)most * sizeof *l.bounds);
    if (l.bounds == NULL)
        return l;
    for (int64_t i = 0; i < l.copies; i++) {
        const int64_t n = full ? 1 : at.first + i;
        for (int64_t j = 1; j <= n; j++)
            l.bounds[++l.n] = (int32_t)(i * C + (j < n ? j * (C / n) : C));
    }
    return l;
}

/* Classes of each row, hardest first: I32 [N, C]. */
static lmb_value rank_classes(
    lmb_graph *g, const pcd_state *o, const lmb_logits *z)
{
    lmb_value gap = lmb_abs(g, lmb_sub(g, z->t, z->s));
    gap = lmb_stop_gradient(g, gap);
    if (o->rank_scope == SCOPE_BATCH)
        gap = lmb_broadcast(
            g, lmb_rows_mean(g, z, gap), LMB_SHAPE(z->rows, z->classes));
    return lmb_argsort(g, gap, true);
}

/* z / T in the order of the layout: [N, C] -> [N, copies C]. */
static lmb_value spread(lmb_graph *g, const pcd_state *o, const lmb_logits *z,
    const layout *l, lmb_value x, lmb_value order)
{
    x = lmb_scale(g, x, 1 / o->temperature);
    if (lmb_is(order))
        x = lmb_gather(g, x, order, 1);
    if (l->copies == 1)
        return x;
    x = lmb_reshape(g, x, LMB_SHAPE(z->rows, 1, z->classes));
    x = lmb_broadcast(g, x, LMB_SHAPE(z->rows, l->copies, z->classes));
    return lmb_reshape(g, x, LMB_SHAPE(z->rows, l->copies * z->classes));
}

/* Length of each group's vector: [N, groups]. */
static lmb_value lengths(lmb_graph *g, const layout *l, lmb_value x)
{
    return lmb_sqrt(g, lmb_segment_sum(g, lmb_square(g, x), l->n, l->bounds));
}

static lmb_value directions_of(lmb_graph *g, const layout *l, lmb_value x)
{
    return lmb_div(
        g, x, lmb_segment_broadcast(g, lengths(g, l, x), l->n, l->bounds));
}

/* Probabilities and KL of the groups of t and s: [N, copies C], [N, groups].
 * p and q are divided by their sums over the group: their directions are all
 * that counts, and no group of tiny sigmoids has the length 0. */
typedef struct grouped {
    lmb_value p, q, lq, kl;
} grouped;

/* lambda of each group: [N, groups]; LMB_NONE stands for 1. */
static lmb_value group_weight(
    lmb_graph *g, const pcd_state *o, const layout *l, const grouped *in)
{
    lmb_value p = in->p, lq = in->lq, lambda = LMB_NONE;
    if (o->lambda == LAMBDA_COS_P_Q) {
        lmb_value gap =
            lmb_sub(g, directions_of(g, l, p), directions_of(g, l, in->q));
        lambda = lmb_scale(
            g, lmb_segment_sum(g, lmb_square(g, gap), l->n, l->bounds), 0.5);
    } else if (o->lambda == LAMBDA_COS_P_LOGQ) {
        lmb_value dot = lmb_segment_sum(g, lmb_mul(g, p, lq), l->n, l->bounds);
        lmb_value size = lmb_mul(g, lengths(g, l, p), lengths(g, l, lq));
        size = lmb_maximum(g, size, lmb_graph_scalar(g, 1e-8));
        lambda = lmb_affine(g, lmb_div(g, dot, size), -1, 1);
    }
    if (o->lambda_grad == GRAD_DETACHED && lmb_is(lambda))
        lambda = lmb_stop_gradient(g, lambda);
    return lambda;
}

/* sum over groups of the batch mean of lambda KL: []. */
static lmb_value reduce(lmb_graph *g, const pcd_state *o, const lmb_logits *z,
    lmb_value lambda, lmb_value kl)
{
    if (!lmb_is(lambda)) {
        kl = lmb_rows_mean(g, z, kl);
    } else if (o->reduction == MEAN_OF_PRODUCTS) {
        kl = lmb_rows_mean(g, z, lmb_mul(g, lambda, kl));
    } else {
        kl = lmb_mul(g, lmb_rows_mean(g, z, lambda), lmb_rows_mean(g, z, kl));
    }
    return lmb_sum(g, kl, LMB_ALL_AXES, false);
}

static grouped by_group(lmb_graph *g, const layout *l, lmb_value t, lmb_value s)
{
    lmb_value lp = lmb_segment_log_softmax(g, t, l->n, l->bounds);
    lmb_value lq = lmb_segment_log_softmax(g, s, l->n, l->bounds);
    lmb_value p = lmb_exp(g, lp);
    lmb_value each = lmb_mul(g, p, lmb_sub(g, lp, lq));
    return (grouped){
        p, lmb_exp(g, lq), lq, lmb_segment_sum(g, each, l->n, l->bounds)};
}

static lmb_value shares(lmb_graph *g, const layout *l, lmb_value log_p)
{
    return lmb_exp(g, lmb_segment_log_softmax(g, log_p, l->n, l->bounds));
}

/* Each class by itself: sigmoids, and the sum of two-way KLs. */
static grouped by_class(lmb_graph *g, const layout *l, lmb_value t, lmb_value s)
{
    lmb_value lp = lmb_log_sigmoid(g, t), lq = lmb_log_sigmoid(g, s);
    lmb_value kl = lmb_two_way_kl(g, t, s);
    return (grouped){shares(g, l, lp), shares(g, l, lq), lq,
        lmb_segment_sum(g, kl, l->n, l->bounds)};
}

static lmb_value build(void *state, const lmb_build *b)
{
    const pcd_state *o = state;
    lmb_graph *g = b->g;
    lmb_logits z;
    /* One class has no share but 1, and no direction: lambda is 0. */
    const bool one = o->dense == LMB_DENSE_BINARY && o->lambda == LAMBDA_ONE;
    if (!lmb_logits_pair(b, &o->logits, one ? 1 : 2, &z))
        return LMB_NONE;
    const span at = stages_of(o, b->phase);
    /* Of all phases, not of this one: the first is built before a run. */
    const int64_t most = o->phase_groups > 0 ? o->phase_groups : o->stages;
    if (most > z.classes) {
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL,
                "pcd.stages: %lld groups are more than the %lld classes",
                (long long)most, (long long)z.classes));
        return LMB_NONE;
    }
    const layout l = lay_out(g, o, at, z.classes);
    /* The order inside a group changes nothing: one group needs none. */
    const bool sorted = o->rank == RANK_LDR && l.n > 1;
    lmb_value order = sorted ? rank_classes(g, o, &z) : LMB_NONE;
    lmb_value t = spread(g, o, &z, &l, z.t, order);
    lmb_value s = spread(g, o, &z, &l, z.s, order);
    const grouped in = lmb_logits_binary(b, &z, o->dense)
        ? by_class(g, &l, t, s)
        : by_group(g, &l, t, s);
    lmb_value lambda = group_weight(g, o, &l, &in);
    lmb_value loss = reduce(g, o, &z, lambda, in.kl);
    const double repeats =
        o->groups == GROUPS_FULL ? (double)(at.last - at.first + 1) : 1;
    return lmb_scale(g, loss,
        o->alpha * at.times * repeats * o->temperature * o->temperature);
}

static const char *const on_detectors[] = {"temperature", "1", NULL};

const lmb_method lmb_method_pcd = {
    .name = "pcd",
    .title = "progressive class-level KD: hard classes first, in groups",
    .source = "arXiv:2505.24310",
    .ce_weight = 1,
    .weight = 1,
    .warmup = 20,
    .ce_weight_keys = "PCD.CE_WEIGHT",
    .warmup_keys = "PCD.WARMUP",
    .ignored_keys = "PCD.BETA",
    .opts = options,
    .preset = "preset",
    .detector_options = on_detectors,
    .state_size = sizeof(pcd_state),
    .resolve = resolve,
    .pairs = lmb_logits_pairs,
    .phases = phases,
    .build = build,
};
