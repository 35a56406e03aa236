/* crosskd.c: cross-head distillation of dense heads.
 *
 * The student's head features F_s (before the ReLU of tower convolution
 * `after`) get the mean and deviation of each channel of the teacher's own,
 *   F = (F_s - m_s) / (d_s + 1e-6) d_t + m_t,
 * and go through the rest of the frozen teacher's head; what comes out is
 * compared with the teacher's own output, z_t and box_t:
 *   L = cls_weight sum over places and classes of
 *         |sigmoid(z) - sigmoid(z_t)| BCE(z, sigmoid(z_t)) / A
 *     + box_weight sum over places of w D(box, box_t) / B,
 * w the teacher's largest class score of the place (of each anchor; anchors
 * that the student's assigner ignores count in neither sum). By the code of the
 * teacher's boxes:
 *   deltas (RetinaNet): D = 1 - GIoU; A = B = number of positives, at least 1,
 *   log_distances, distances (FCOS): D = -log IoU; A = B = sum of the
 *     centreness of the positives; cls_weight 0.4, box_weight 0.75, after 2,
 *   bins (GFL): D = KL of the distributions of the four sides, mean; A as for
 *     deltas, B = sum w; box_weight 4.
 * Where no assigner is, A and B are sum w. IoU and GIoU do not change when both
 * boxes are moved and stretched alike, so neither anchors nor points are
 * needed.
 * Source: Wang et al., "CrossKD: cross-head knowledge distillation for object
 * detection", arXiv:2306.11369, section 3.3, and the authors' code. */
#include "distill/dense.h"
#include "distill/levels.h"
#include "distill/maps.h"

#include "op/op_detect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    BOX_AUTO,
    BOX_DELTAS,
    BOX_LOG_DISTANCES,
    BOX_DISTANCES,
    BOX_BINS,
    BOX_OFF
};
#define BOX_CHOICES "auto|deltas|log_distances|distances|bins|off"

typedef struct crosskd_state {
    double cls_weight, box_weight;
    int64_t levels, after;
    int32_t box;
    int32_t code; /* the teacher's, with box=off as well */
} crosskd_state;

static const lmb_opt options[] = {
    {.name = "box",
        .help = "how the teacher codes boxes; auto: as its model does",
        .type = LMB_OPT_ENUM,
        .offset = offsetof(crosskd_state, box),
        .choices = BOX_CHOICES},
    {.name = "after",
        .help = "the tower convolution whose output crosses over, from 1; 0: "
                "of FCOS the second, else the last but one",
        .type = LMB_OPT_I64,
        .offset = offsetof(crosskd_state, after),
        .high = 64},
    {.name = "cls_weight",
        .help = "weight of the class part; -1: 1, of FCOS 0.4",
        .type = LMB_OPT_F64,
        .offset = offsetof(crosskd_state, cls_weight),
        .def = -1,
        .low = -1,
        .high = 1e6},
    {.name = "box_weight",
        .help = "weight of the box part; -1: 1, of bins 4, of FCOS 0.75",
        .type = LMB_OPT_F64,
        .offset = offsetof(crosskd_state, box_weight),
        .def = -1,
        .low = -1,
        .high = 1e6},
    LMB_OPT_LEVELS(crosskd_state, 0),
    {0},
};

/* FCOS. */
static bool has_distances(const crosskd_state *o)
{
    return o->code == BOX_LOG_DISTANCES || o->code == BOX_DISTANCES;
}

/* The weights of the authors' runs where -1 leaves them to the boxes' code:
 * only in the copy of a build, so that a run's config.yaml keeps the -1. */
static void take_weights(crosskd_state *o)
{
    const bool distances = has_distances(o);
    if (o->cls_weight < 0)
        o->cls_weight = distances ? 0.4 : 1;
    if (o->box_weight < 0)
        o->box_weight = distances ? 0.75 : o->code == BOX_BINS ? 4 : 1;
}

/* A number between is a slip of the finger. */
static lmb_status resolve(void *state, const char *const *given, int n_given)
{
    const crosskd_state *o = state;
    const double weight[] = {o->cls_weight, o->box_weight};
    (void)given;
    (void)n_given;
    for (int i = 0; i < 2; i++)
        if (weight[i] < 0 && weight[i] != -1)
            return LMB_FAIL(LMB_EINVAL,
                "crosskd.%s_weight: %g is less than 0 (-1: by the code of the "
                "boxes)",
                i == 0 ? "cls" : "box", weight[i]);
    return LMB_OK;
}

/* `box` as the teacher's model says. Numbers read as another code's would
 * train without a sign of it, so what contradicts the model is refused. */
static lmb_status settle(const lmb_build *b, crosskd_state *o)
{
    static const char *const code[] = {[BOX_DELTAS] = "deltas",
        [BOX_LOG_DISTANCES] = "log_distances",
        [BOX_DISTANCES] = "distances",
        [BOX_BINS] = "bins"};
    const int32_t asked = o->box;
    o->code = asked == BOX_AUTO || asked == BOX_OFF ? BOX_DELTAS : asked;
    for (int32_t i = BOX_DELTAS; b->teacher_box != NULL && i <= BOX_BINS; i++)
        if (strcmp(code[i], b->teacher_box) == 0)
            o->code = i;
    if (asked != BOX_OFF)
        o->box = o->code;
    if (asked != BOX_AUTO && asked != o->box)
        return LMB_FAIL(LMB_EUSAGE,
            "box=%s, and the teacher codes boxes as %s (leave it out, or "
            "off)",
            code[asked], b->teacher_box);
    take_weights(o);
    return LMB_OK;
}

/* "cls.feat2.p" or, of the last layer but one, "cls.feat.p". */
static void stem_of(char stem[16], const char *head, int64_t after)
{
    if (after > 0)
        (void)snprintf(stem, 16, "%s.feat%d.p", head, (int)after);
    else
        (void)snprintf(stem, 16, "%s.feat.p", head);
}

static bool shared(int64_t after, const lmb_taps *s, const lmb_taps *t)
{
    char stem[16];
    stem_of(stem, "cls", after);
    return lmb_levels_shared(stem, s, t);
}

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const crosskd_state *o = state;
    const bool fcos = lmb_levels_shared("ctr.p", teacher, teacher);
    const int64_t after =
        o->after == 0 && fcos && shared(2, student, teacher) ? 2 : o->after;
    char stem[16];
    stem_of(stem, "cls", after);
    LMB_TRY(lmb_levels_pairs(stem, o->levels, student, teacher, out));
    lmb_pairs boxes = {.count = 0};
    if (o->box == BOX_OFF)
        return LMB_OK;
    stem_of(stem, "box", after);
    LMB_TRY(lmb_levels_pairs(stem, o->levels, student, teacher, &boxes));
    for (int i = 0; i < boxes.count; i++)
        LMB_TRY(
            lmb_pairs_add(out, boxes.pair[i].student, boxes.pair[i].teacher));
    return LMB_OK;
}

/* Where a tap lies in its tower: 2 of "cls.feat2.p3", 0 of "cls.feat.p3". */
static int layer_of(const char *tap)
{
    const char *at = strstr(tap, ".feat");
    return at != NULL && at[5] >= '1' && at[5] <= '9' ? at[5] - '0' : 0;
}

/* The teacher's output beside its features: "cls.feat.p3" -> "cls.p3". */
static bool output_of(const lmb_build *b, const char *features,
    const char *head, char name[16], lmb_tap *out)
{
    (void)snprintf(name, 16, "%s.p%d", head, lmb_level_of(features));
    const lmb_tap *tap = lmb_taps_find(b->teacher, name);
    if (tap == NULL || tap->shape.rank != 4) {
        lmb_graph_fail(b->g,
            LMB_FAIL(LMB_ENOTFOUND, "%s: the teacher has no map '%s' beside %s",
                b->method, name, features));
        return false;
    }
    *out = *tap;
    out->value = lmb_stop_gradient(b->g, tap->value);
    return true;
}

/* The teacher's tap of a pair, "cls.feat.p4": its outputs are of that level,
 * which a map may pair with another one of the student's. */
static const char *teachers(const lmb_build *b, const lmb_level *l)
{
    return b->pairs.pair[l->index].teacher;
}

/* The student's features with the teacher's moments, through its head. */
static lmb_value cross(const lmb_build *b, const lmb_level *l, const char *name)
{
    lmb_graph *g = b->g;
    const lmb_moments t = lmb_map_moments(g, l->t);
    lmb_value x = lmb_map_standardize(g, l->s);
    x = lmb_add(g, lmb_mul(g, x, t.std), t.mean);
    if (b->teacher_head == NULL) {
        lmb_graph_fail(g,
            LMB_FAIL(
                LMB_EUNSUPPORTED, "%s: needs the teacher's head", b->method));
        return LMB_NONE;
    }
    return b->teacher_head(b->user, g, name, layer_of(teachers(b, l)), x);
}

/* Anchors of a place, by the teacher's box map. */
static bool anchors_at(const lmb_build *b, const crosskd_state *o,
    const char *features, const lmb_tap *cls, int64_t *anchors)
{
    char name[16];
    lmb_tap box;
    const int64_t channels = cls->shape.dim[1];
    *anchors = 1;
    if (o->box == BOX_OFF && b->classes > 0 && channels % b->classes == 0)
        *anchors = channels / b->classes;
    if (o->box != BOX_DELTAS)
        return true;
    if (!output_of(b, features, "box", name, &box))
        return false;
    *anchors = box.shape.dim[1] / 4;
    if (*anchors > 0 && box.shape.dim[1] % 4 == 0 &&
        cls->shape.dim[1] % *anchors == 0)
        return true;
    lmb_graph_fail(b->g,
        LMB_FAIL(LMB_ESHAPE,
            "%s.box: deltas: teacher.%s %s and teacher.%s %s are no [N, 4 A, "
            "H, "
            "W] and [N, C A, H, W]",
            b->method, name, lmb_shape_text(&box.shape), cls->name,
            lmb_shape_text(&cls->shape)));
    return false;
}

/* Sums of one pair: the term and the weights that it is divided by, which
 * count as `least` at least. */
typedef struct part {
    lmb_value sum, weight;
    double least;
} part;

static lmb_value total(lmb_graph *g, lmb_value x)
{
    return lmb_sum(g, x, LMB_ALL_AXES, false);
}

/* 1 of the anchors that count, 0 of those that the student's assigner ignores:
 * [N, P]; NONE: all count. */
static lmb_value counted(const lmb_build *b, const char *name, int64_t rows)
{
    const lmb_tap *label = lmb_level_assigned(b, "label", name, 0);
    return label != NULL && label->shape.dim[1] == rows
        ? lmb_label_mask(b->g, label->value, 0, INT32_MAX)
        : LMB_NONE;
}

/* w of each anchor: [N, P]. */
static lmb_value place_weight(
    const lmb_build *b, const char *name, const lmb_tap *cls, int64_t anchors)
{
    lmb_graph *g = b->g;
    lmb_value rows = lmb_dense_rows(g, cls->value, anchors);
    lmb_value w = lmb_sigmoid(g, lmb_max(g, rows, LMB_AXIS(2), false));
    lmb_value mask = counted(b, name, lmb_graph_dim(g, rows, 1));
    return lmb_is(mask) ? lmb_mul(g, w, mask) : w;
}

/* What the sum of a level is divided by, w where nothing else is. */
static part divided(const lmb_build *b, const crosskd_state *o,
    const lmb_level *l, lmb_value sum, lmb_value w)
{
    const lmb_tap *centred = has_distances(o)
        ? lmb_level_assigned(b, "ctr_target", l->name, 0)
        : NULL;
    const lmb_tap *own = lmb_level_assigned(b, "positive", l->name, 0);
    if (centred != NULL)
        return (part){sum, total(b->g, centred->value), 1e-6};
    if (own != NULL)
        return (part){sum, total(b->g, own->value), 1};
    return (part){sum, total(b->g, w), 1e-12};
}

static bool cls_part(
    const lmb_build *b, const crosskd_state *o, const lmb_level *l, part *out)
{
    lmb_graph *g = b->g;
    char name[16];
    lmb_tap cls;
    int64_t anchors = 1;
    if (!output_of(b, teachers(b, l), "cls", name, &cls) ||
        !anchors_at(b, o, teachers(b, l), &cls, &anchors))
        return false;
    lmb_value z = cross(b, l, name);
    lmb_value target = lmb_sigmoid(g, cls.value);
    lmb_value gap = lmb_abs(g, lmb_sub(g, lmb_sigmoid(g, z), target));
    lmb_value each = lmb_dense_rows(
        g, lmb_mul(g, gap, lmb_bce_logits(g, z, target)), anchors);
    const int64_t rows = lmb_graph_dim(g, each, 1);
    lmb_value mask = counted(b, l->name, rows);
    if (lmb_is(mask))
        each = lmb_mul(g, each,
            lmb_reshape(g, mask, LMB_SHAPE(cls.shape.dim[0], rows, 1)));
    *out = divided(
        b, o, l, total(g, each), place_weight(b, l->name, &cls, anchors));
    return lmb_is(z);
}

/* [N, P, 4] as boxes to be compared. */
static lmb_value decode(const crosskd_state *o, lmb_graph *g, lmb_value rows)
{
    static const double one[4] = {1, 1, 1, 1};
    static const double unit[4] = {-0.5, -0.5, 0.5, 0.5};
    const int64_t p = lmb_graph_dim(g, rows, 1);
    lmb_value origin = lmb_graph_constant(g, LMB_SHAPE(p, 2), NULL, 0);
    if (o->box == BOX_LOG_DISTANCES)
        return lmb_distance_decode(g, origin, lmb_exp(g, rows));
    if (o->box == BOX_DISTANCES)
        return lmb_distance_decode(g, origin, lmb_relu(g, rows));
    lmb_value anchor = lmb_graph_constant(g, LMB_SHAPE(1, 4), unit, 0);
    return lmb_box_decode(g, lmb_broadcast(g, anchor, LMB_SHAPE(p, 4)), rows,
        one, log(1000.0 / 16));
}

/* D of each anchor: [N, P]. */
static lmb_value distance(const crosskd_state *o, lmb_graph *g, lmb_value x,
    lmb_value t, int64_t anchors)
{
    lmb_value a = lmb_dense_rows(g, x, anchors);
    lmb_value b = lmb_dense_rows(g, t, anchors);
    if (o->box == BOX_DELTAS) {
        lmb_value giou = lmb_box_giou(g, decode(o, g, a), decode(o, g, b));
        return lmb_affine(g, giou, -1, 1);
    }
    if (o->box != BOX_BINS) {
        lmb_value iou = lmb_box_iou(g, decode(o, g, a), decode(o, g, b));
        iou = lmb_maximum(g, iou, lmb_graph_scalar(g, 1e-6));
        return lmb_neg(g, lmb_log(g, iou));
    }
    const int64_t n = lmb_graph_dim(g, a, 0), p = lmb_graph_dim(g, a, 1);
    const lmb_shape sides = LMB_SHAPE(n, p, 4, lmb_graph_dim(g, a, 2) / 4);
    lmb_value lp = lmb_log_softmax(g, lmb_reshape(g, b, sides), -1);
    lmb_value lq = lmb_log_softmax(g, lmb_reshape(g, a, sides), -1);
    return lmb_mean(g, lmb_kl_log(g, lp, lq), LMB_AXIS(2), false);
}

static bool box_part(
    const lmb_build *b, const crosskd_state *o, const lmb_level *l, part *out)
{
    lmb_graph *g = b->g;
    char name[16];
    lmb_tap cls, box;
    int64_t anchors = 1;
    if (!output_of(b, teachers(b, l), "cls", name, &cls) ||
        !output_of(b, teachers(b, l), "box", name, &box) ||
        !anchors_at(b, o, teachers(b, l), &cls, &anchors))
        return false;
    lmb_value w = place_weight(b, l->name, &cls, anchors);
    lmb_value x = cross(b, l, name);
    lmb_value d = distance(o, g, x, box.value, anchors);
    lmb_value sum = total(g, lmb_mul(g, d, w));
    *out = o->box == BOX_BINS ? (part){sum, total(g, w), 1e-12}
                              : divided(b, o, l, sum, w);
    return lmb_is(x);
}

static part add(lmb_graph *g, part a, part b)
{
    if (!lmb_is(a.sum))
        return b;
    return (part){
        lmb_add(g, a.sum, b.sum),
        lmb_add(g, a.weight, b.weight),
        b.least,
    };
}

/* weight sum / sum of w. */
static lmb_value ratio(lmb_graph *g, part p, double weight)
{
    lmb_value least = lmb_graph_scalar(g, p.least);
    return lmb_scale(
        g, lmb_div(g, p.sum, lmb_maximum(g, p.weight, least)), weight);
}

static lmb_value build(void *state, const lmb_build *b)
{
    crosskd_state settled = *(const crosskd_state *)state;
    const crosskd_state *o = &settled;
    lmb_graph *g = b->g;
    const lmb_status st = settle(b, &settled);
    if (st != LMB_OK) {
        lmb_graph_fail(g, st);
        return LMB_NONE;
    }
    part cls = {.sum = LMB_NONE}, box = {.sum = LMB_NONE};
    for (int i = 0; i < b->pairs.count; i++) {
        lmb_level l;
        part p;
        if (!lmb_level_pair(b, i, &l))
            return LMB_NONE;
        const bool is_box = strncmp(l.name, "box", 3) == 0;
        if (!(is_box ? box_part(b, o, &l, &p) : cls_part(b, o, &l, &p)))
            return LMB_NONE;
        *(is_box ? &box : &cls) = add(g, is_box ? box : cls, p);
    }
    lmb_value loss = LMB_NONE;
    if (lmb_is(cls.sum))
        loss = ratio(g, cls, o->cls_weight);
    if (!lmb_is(box.sum))
        return loss;
    lmb_value boxes = ratio(g, box, o->box_weight);
    return lmb_is(loss) ? lmb_add(g, loss, boxes) : boxes;
}

const lmb_method lmb_method_crosskd = {
    .name = "crosskd",
    .title = "the student's head features through the teacher's head",
    .source = "arXiv:2306.11369, section 3.3",
    .needs = LMB_NEED_TEACHER_HEAD,
    .ce_weight = 1,
    .weight = 1,
    .opts = options,
    .state_size = sizeof(crosskd_state),
    .resolve = resolve,
    .pairs = pairs,
    .describe = lmb_levels_describe,
    .build = build,
};
