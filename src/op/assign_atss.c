/* assign_atss.c: anchors to boxes by adaptive training sample selection, and
 * the anchors around those.
 *
 *   anchors [A, 4], boxes [N, M, 4], labels [N, M], valid [N, M], sizes [N, 2]?
 *   assign_atss   -> label I32 [N, A], box [N, A, 4], positives []
 *   valuable_atss -> region [N, A]
 * The rules are those of lmb_assign_by_atss and lmb_valuable_by_atss
 * (detect/match.h), image by image. Host ops without gradient. */
#include "op/host.h"
#include "op/op_util.h"

#include <math.h>

enum { IN_ANCHORS, IN_TRUTH /* boxes, labels, valid */, IN_SIZES = 4 };

static lmb_status check_inputs(
    const lmb_atss_attr *a, int n_in, const lmb_type *in)
{
    LMB_TRY(lmb__want_real(in, IN_ANCHORS));
    LMB_TRY(lmb__want_rank("anchors", in, IN_ANCHORS, 2, 4));
    LMB_TRY(lmb__want_truth(in, IN_TRUTH));
    LMB_TRY(lmb__want_sizes(n_in, in, IN_SIZES, in[IN_TRUTH].shape.dim[0]));
    return lmb__want_levels(
        a->levels, a->level_size, in[IN_ANCHORS].shape.dim[0]);
}

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    LMB_TRY(check_inputs(attr, n_in, in));
    lmb__assigned_types(
        in[IN_TRUTH].shape.dim[0], in[IN_ANCHORS].shape.dim[0], out);
    return LMB_OK;
}

static lmb_status region_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    LMB_TRY(check_inputs(attr, n_in, in));
    out[0] = (lmb_type){LMB_F32,
        LMB_SHAPE(in[IN_TRUTH].shape.dim[0], in[IN_ANCHORS].shape.dim[0])};
    return LMB_OK;
}

static size_t scratch(const void *attr, int n_in, const lmb_type *in)
{
    const int64_t topk = ((const lmb_atss_attr *)attr)->topk;
    const int64_t anchors = in[IN_ANCHORS].shape.dim[0];
    (void)n_in;
    return 2 * lmb__work_size(anchors, sizeof(lmb_box)) +
        lmb__work_size(anchors, sizeof(int32_t)) +
        lmb__truth_size(&in[IN_TRUTH]) +
        lmb__work_size(topk, sizeof(uint64_t)) +
        lmb__work_size(LMB_MATCH_LEVELS * topk, sizeof(int64_t)) +
        lmb__work_size(anchors, sizeof(float));
}

typedef struct atss {
    const lmb_ref *r;
    const lmb_box *anchor;
    lmb_box *shown; /* those of an image with sizes */
    const lmb_match_levels *levels;
    int64_t n, topk;
    lmb_atss_memory memory;
} atss;

/* The anchors of an image: those in its padding are no numbers, which the rule
 * passes over. */
static const lmb_box *anchors_of(const atss *a, int64_t image)
{
    const lmb_box none = {NAN, NAN, NAN, NAN};
    if (a->r->n_in <= IN_SIZES)
        return a->anchor;
    for (int64_t i = 0; i < a->n; i++)
        a->shown[i] = lmb__is_padding(a->r, IN_SIZES, image, &a->anchor[i])
            ? none
            : a->anchor[i];
    return a->shown;
}

static void match_image(const void *user, lmb__truth *t, int32_t *match)
{
    const atss *a = user;
    const lmb_box *anchor = anchors_of(a, t->image);
    lmb_assign_by_atss(anchor, a->levels, (lmb_truth_boxes){t->box, t->n},
        a->topk, a->memory, match);
    for (int64_t i = 0; i < a->n; i++)
        if (isnan(anchor[i].x0))
            match[i] = LMB_MATCH_IGNORED;
}

/* What both ops work with. */
typedef struct room {
    lmb_box *anchor;
    void *each; /* of each anchor its match, int32_t, or its region, float */
    lmb__truth truth;
    atss rule;
} room;

static lmb_status take_room(const lmb_ref *r, lmb__work *w,
    const lmb_match_levels *levels, const char *anchors, room *m)
{
    const lmb_atss_attr *a = r->attr;
    const int64_t n = r->in_type[IN_ANCHORS].shape.dim[0];
    _Static_assert(sizeof(float) == sizeof(int32_t), "one of the two");
    m->rule = (atss){.r = r, .levels = levels, .n = n, .topk = a->topk};
    LMB__TAKE(w, m->anchor, n);
    m->each = lmb__work_take(w, n, sizeof(int32_t));
    lmb__truth_take(w, &r->in_type[IN_TRUTH], &m->truth);
    LMB__TAKE(w, m->rule.memory.key, a->topk);
    LMB__TAKE(w, m->rule.memory.candidate, LMB_MATCH_LEVELS * a->topk);
    LMB__TAKE(w, m->rule.memory.best, n);
    m->rule.anchor = m->anchor;
    LMB__TAKE(w, m->rule.shown, n);
    return lmb__boxes_read(r->in[IN_ANCHORS], n, anchors, m->anchor);
}

static lmb_status assign(const lmb_ref *r, lmb__work *w)
{
    const lmb_atss_attr *a = r->attr;
    const lmb_match_levels levels = lmb__levels(a->levels, a->level_size);
    room m;
    LMB_TRY(take_room(r, w, &levels, "assign_atss: anchors", &m));
    return lmb__assign_images(
        r, "assign_atss", a->classes, match_image, &m.rule, &m.truth, m.each);
}

static lmb_status find_region(const lmb_ref *r, lmb__work *w)
{
    const lmb_atss_attr *a = r->attr;
    const int64_t images = r->out_type[0].shape.dim[0];
    const int64_t n = r->out_type[0].shape.dim[1];
    const lmb_match_levels levels = lmb__levels(a->levels, a->level_size);
    room m;
    LMB_TRY(take_room(r, w, &levels, "valuable_atss: anchors", &m));
    const float *region = m.each;
    for (int64_t i = 0; i < images; i++) {
        LMB_TRY(lmb__truth_read(
            r, IN_TRUTH, i, a->classes, "valuable_atss", &m.truth));
        lmb_valuable_by_atss(anchors_of(&m.rule, i), &levels,
            (lmb_truth_boxes){m.truth.box, m.truth.n}, a->topk, 0.25f,
            m.rule.memory, m.each);
        for (int64_t k = 0; k < n; k++)
            r->out[0][i * n + k] = (double)region[k];
    }
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    return lmb__work_run(&lmb_op_assign_atss, r, assign);
}

static lmb_status region_reference(const lmb_ref *r)
{
    return lmb__work_run(&lmb_op_valuable_atss, r, find_region);
}

const lmb_op lmb_op_assign_atss = {
    .name = "assign_atss",
    .min_in = 4,
    .max_in = 5,
    .n_out = 3,
    .attr_size = sizeof(lmb_atss_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
    .scratch = scratch,
};

const lmb_op lmb_op_valuable_atss = {
    .name = "valuable_atss",
    .min_in = 4,
    .max_in = 5,
    .n_out = 1,
    .attr_size = sizeof(lmb_atss_attr),
    .shape = region_shape,
    .no_gradient = true,
    .host = true,
    .reference = region_reference,
    .scratch = scratch,
};

static lmb_status check(const lmb_atss_attr *a)
{
    if (a->classes < 1 || a->topk < 1)
        return LMB_FAIL(LMB_EINVAL,
            "assign_atss: classes = %d and topk = %d, at least 1", a->classes,
            a->topk);
    return LMB_OK;
}

lmb_assigned lmb_assign_atss(lmb_graph *g, lmb_value anchors,
    const lmb_truth *truth, const lmb_atss_attr *attr)
{
    const lmb_value in[] = {
        anchors, truth->boxes, truth->labels, truth->valid, truth->sizes};
    const int n_in = lmb_is(truth->sizes) ? 5 : 4;
    lmb_value out[3];
    lmb_graph_fail(g, check(attr));
    lmb__apply_all(g, &lmb_op_assign_atss, attr, n_in, in, out);
    return (lmb_assigned){out[0], out[1], out[2]};
}

lmb_value lmb_valuable_atss(lmb_graph *g, lmb_value anchors,
    const lmb_truth *truth, const lmb_atss_attr *attr)
{
    const lmb_value in[] = {
        anchors, truth->boxes, truth->labels, truth->valid, truth->sizes};
    const int n_in = lmb_is(truth->sizes) ? 5 : 4;
    lmb_graph_fail(g, check(attr));
    return lmb__apply(g, &lmb_op_valuable_atss, attr, n_in, in);
}
