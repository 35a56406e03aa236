/* crosskd.c: cross-head distillation of dense heads.
 *
 * The student's head features F_s (before the ReLU of tower convolution
 * `after`) get the teacher's mean and deviation of each channel,
 *   F = (F_s - m_s) / (d_s + 1e-6) d_t + m_t,
 * and go through the rest of the frozen teacher's head; what comes out is
 * compared with the teacher's own output, z_t and box_t:
 *   L = cls_weight sum over places and classes of
 *         |sigmoid(z) - sigmoid(z_t)| BCE(z, sigmoid(z_t)) / P
 *     + box_weight sum over places of w D(box, box_t) / sum w,
 * P the anchors or places that the student's assigner makes positive, at least
 * 1 (where no assigner is, sum w), w the teacher's largest class score of the
 * place (of each anchor). D:
 *   deltas         1 - GIoU of boxes coded as offsets from anchors (RetinaNet),
 *   log_distances  1 - GIoU of boxes by exp of four side distances (FCOS),
 *   distances      the same, of ReLU of them (torchvision's FCOS),
 *   bins           KL of the distributions of the four sides, mean (GFL).
 * GIoU does not change when both boxes are moved and stretched alike, so
 * neither anchors nor points are needed.
 * Source: Wang et al., "CrossKD: cross-head knowledge distillation for object
 * detection", arXiv:2306.11369, section 3.3, and the authors' code (after = 3
 * of 4; box_weight 1, for bins 4). */
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
    bool weighed; /* box_weight was given */
} crosskd_state;

static const lmb_opt options[] = {
    {.name = "box",
        .help = "how the teacher codes boxes; auto: as its model does",
        .type = LMB_OPT_ENUM,
        .offset = offsetof(crosskd_state, box),
        .choices = BOX_CHOICES},
    {.name = "after",
        .help = "the tower convolution whose output crosses over, from 1; 0: "
                "the teacher's last but one",
        .type = LMB_OPT_I64,
        .offset = offsetof(crosskd_state, after),
        .high = 64},
    {.name = "cls_weight",
        .help = "weight of the class part",
        .type = LMB_OPT_F64,
        .offset = offsetof(crosskd_state, cls_weight),
        .def = 1,
        .high = 1e6},
    {.name = "box_weight",
        .help = "weight of the box part (bins: 4)",
        .type = LMB_OPT_F64,
        .offset = offsetof(crosskd_state, box_weight),
        .def = 1,
        .high = 1e6},
    LMB_OPT_LEVELS(crosskd_state, 0),
    {0},
};

static lmb_status resolve(void *state, const char *const *given, int n_given)
{
    crosskd_state *o = state;
    o->weighed = lmb_method_is_given("box_weight", given, n_given);
    if (o->box == BOX_BINS && !o->weighed)
        o->box_weight = 4;
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
    if (asked == BOX_OFF)
        return LMB_OK;
    if (asked == BOX_AUTO)
        o->box = BOX_DELTAS;
    if (b->teacher_box == NULL)
        return LMB_OK;
    for (int32_t i = BOX_DELTAS; i <= BOX_BINS; i++)
        if (strcmp(code[i], b->teacher_box) == 0)
            o->box = i;
    if (asked != BOX_AUTO && asked != o->box)
        return LMB_FAIL(LMB_EUSAGE,
            "box=%s, and the teacher codes boxes as %s (leave it out, or "
            "off)",
            code[asked], b->teacher_box);
    if (o->box == BOX_BINS && !o->weighed)
        o->box_weight = 4;
    return LMB_OK;
}

static lmb_status pairs(const void *state, const lmb_taps *student,
    const lmb_taps *teacher, lmb_pairs *out)
{
    const crosskd_state *o = state;
    LMB_TRY(lmb_levels_pairs("cls.feat.p", o->levels, student, teacher, out));
    lmb_pairs boxes = {.count = 0};
    if (o->box == BOX_OFF)
        return LMB_OK;
    LMB_TRY(
        lmb_levels_pairs("box.feat.p", o->levels, student, teacher, &boxes));
    for (int i = 0; i < boxes.count; i++)
        LMB_TRY(
            lmb_pairs_add(out, boxes.pair[i].student, boxes.pair[i].teacher));
    return LMB_OK;
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

/* The student's features with the teacher's moments, through its head. */
static lmb_value cross(const lmb_build *b, const crosskd_state *o,
    const lmb_level *l, const char *name)
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
    return b->teacher_head(b->user, g, name, (int)o->after, x);
}

/* Anchors of a place, by the teacher's box map. */
static bool anchors_at(const lmb_build *b, const crosskd_state *o,
    const char *features, const lmb_tap *cls, int64_t *anchors)
{
    char name[16];
    lmb_tap box;
    *anchors = 1;
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

/* w: [N, P], P places and anchors. */
static lmb_value place_weight(lmb_graph *g, lmb_value cls_rows)
{
    return lmb_sigmoid(g, lmb_max(g, cls_rows, LMB_AXIS(2), false));
}

static lmb_value total(lmb_graph *g, lmb_value x)
{
    return lmb_sum(g, x, LMB_ALL_AXES, false);
}

static bool cls_part(
    const lmb_build *b, const crosskd_state *o, const lmb_level *l, part *out)
{
    lmb_graph *g = b->g;
    char name[16];
    lmb_tap cls;
    int64_t anchors = 1;
    if (!output_of(b, l->name, "cls", name, &cls) ||
        !anchors_at(b, o, l->name, &cls, &anchors))
        return false;
    lmb_value z = cross(b, o, l, name);
    lmb_value target = lmb_sigmoid(g, cls.value);
    lmb_value gap = lmb_abs(g, lmb_sub(g, lmb_sigmoid(g, z), target));
    const lmb_tap *own = lmb_level_assigned(b, "positive", l->name, 0);
    lmb_value weight = own != NULL
        ? own->value
        : place_weight(g, lmb_dense_rows(g, cls.value, anchors));
    *out = (part){
        .sum = total(g, lmb_mul(g, gap, lmb_bce_logits(g, z, target))),
        .weight = total(g, weight),
        .least = own != NULL ? 1 : 1e-12,
    };
    return lmb_is(z);
}

/* [N, P, 4] as boxes that GIoU compares. */
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

/* D of each place: [N, P]. */
static lmb_value distance(const crosskd_state *o, lmb_graph *g, lmb_value x,
    lmb_value t, int64_t anchors)
{
    lmb_value a = lmb_dense_rows(g, x, anchors);
    lmb_value b = lmb_dense_rows(g, t, anchors);
    if (o->box != BOX_BINS) {
        lmb_value giou = lmb_box_giou(g, decode(o, g, a), decode(o, g, b));
        return lmb_affine(g, giou, -1, 1);
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
    if (!output_of(b, l->name, "cls", name, &cls) ||
        !output_of(b, l->name, "box", name, &box) ||
        !anchors_at(b, o, l->name, &cls, &anchors))
        return false;
    lmb_value w = place_weight(g, lmb_dense_rows(g, cls.value, anchors));
    lmb_value x = cross(b, o, l, name);
    lmb_value d = distance(o, g, x, box.value, anchors);
    *out = (part){
        .sum = total(g, lmb_mul(g, d, w)),
        .weight = total(g, w),
        .least = 1e-12,
    };
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
