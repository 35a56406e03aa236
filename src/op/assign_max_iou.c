/* assign_max_iou.c: anchors to the boxes they overlap most.
 *
 *   anchors [A, 4], boxes [N, M, 4], labels [N, M], valid [N, M], sizes [N, 2]?
 *   -> label I32 [N, A], box [N, A, 4], positives []
 * The rule is that of lmb_assign_by_iou (detect/match.h), image by image. A
 * host op without gradient. */
#include "op/host.h"
#include "op/op_util.h"

enum { IN_ANCHORS, IN_TRUTH /* boxes, labels, valid */, IN_SIZES = 4 };

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    LMB_TRY(lmb__want_real(in, IN_ANCHORS));
    LMB_TRY(lmb__want_rank("anchors", in, IN_ANCHORS, 2, 4));
    LMB_TRY(lmb__want_truth(in, IN_TRUTH));
    LMB_TRY(lmb__want_sizes(n_in, in, IN_SIZES, in[IN_TRUTH].shape.dim[0]));
    lmb__assigned_types(
        in[IN_TRUTH].shape.dim[0], in[IN_ANCHORS].shape.dim[0], out);
    return LMB_OK;
}

static size_t scratch(const void *attr, int n_in, const lmb_type *in)
{
    (void)attr;
    (void)n_in;
    const int64_t anchors = in[IN_ANCHORS].shape.dim[0];
    return 2 * lmb__work_size(anchors, sizeof(lmb_box)) +
        lmb__work_size(anchors, sizeof(int32_t)) +
        lmb__truth_size(&in[IN_TRUTH]);
}

typedef struct by_iou {
    const lmb_ref *r;
    const lmb_box *anchor;
    lmb_box *shown; /* those of an image with sizes */
    int64_t n;
    lmb_iou_rule rule;
} by_iou;

/* Anchors in the padding are empty boxes: they overlap nothing. */
static void show(const by_iou *b, int64_t image)
{
    const lmb_box empty = {0};
    for (int64_t i = 0; i < b->n; i++)
        b->shown[i] = lmb__is_padding(b->r, IN_SIZES, image, &b->anchor[i])
            ? empty
            : b->anchor[i];
}

static void match_image(const void *user, lmb__truth *t, int32_t *match)
{
    const by_iou *b = user;
    const bool sized = b->r->n_in > IN_SIZES;
    if (sized)
        show(b, t->image);
    lmb_assign_by_iou(sized ? b->shown : b->anchor, b->n,
        (lmb_truth_boxes){t->box, t->n}, &b->rule, t->best, match);
    for (int64_t i = 0; i < b->n && sized; i++)
        if (lmb__is_padding(b->r, IN_SIZES, t->image, &b->anchor[i]))
            match[i] = LMB_MATCH_IGNORED;
}

static lmb_status assign(const lmb_ref *r, lmb__work *w)
{
    const lmb_max_iou_attr *a = r->attr;
    by_iou b = {.r = r,
        .n = r->in_type[IN_ANCHORS].shape.dim[0],
        .rule = {a->positive, a->negative, a->least, a->low_quality}};
    lmb_box *anchor;
    int32_t *match;
    lmb__truth t;
    LMB__TAKE(w, anchor, b.n);
    LMB__TAKE(w, b.shown, b.n);
    LMB__TAKE(w, match, b.n);
    lmb__truth_take(w, &r->in_type[IN_TRUTH], &t);
    LMB_TRY(lmb__boxes_read(
        r->in[IN_ANCHORS], b.n, "assign_max_iou: anchors", anchor));
    b.anchor = anchor;
    return lmb__assign_images(
        r, "assign_max_iou", a->classes, match_image, &b, &t, match);
}

static lmb_status reference(const lmb_ref *r)
{
    return lmb__work_run(&lmb_op_assign_max_iou, r, assign);
}

const lmb_op lmb_op_assign_max_iou = {
    .name = "assign_max_iou",
    .min_in = 4,
    .max_in = 5,
    .n_out = 3,
    .attr_size = sizeof(lmb_max_iou_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
    .scratch = scratch,
};

static lmb_status check(const lmb_max_iou_attr *a)
{
    if (a->classes < 1)
        return LMB_FAIL(
            LMB_EINVAL, "assign_max_iou: classes = %d, at least 1", a->classes);
    if (a->low_quality < LMB_LOW_QUALITY_OFF ||
        a->low_quality > LMB_LOW_QUALITY_OWN)
        return LMB_FAIL(LMB_EINVAL,
            "assign_max_iou: low_quality = %d, not 0 to 2", a->low_quality);
    if (!(a->positive > 0 && a->negative > 0 && a->negative <= a->positive))
        return LMB_FAIL(LMB_EINVAL,
            "assign_max_iou: positive = %g and negative = %g: 0 < negative <= "
            "positive",
            a->positive, a->negative);
    return LMB_OK;
}

lmb_assigned lmb_assign_max_iou(lmb_graph *g, lmb_value anchors,
    const lmb_truth *truth, const lmb_max_iou_attr *attr)
{
    const lmb_value in[] = {
        anchors, truth->boxes, truth->labels, truth->valid, truth->sizes};
    lmb_value out[3];
    lmb_graph_fail(g, check(attr));
    lmb__apply_all(
        g, &lmb_op_assign_max_iou, attr, lmb_is(truth->sizes) ? 5 : 4, in, out);
    return (lmb_assigned){out[0], out[1], out[2]};
}
