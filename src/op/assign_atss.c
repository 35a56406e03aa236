/* assign_atss.c: anchors to boxes by adaptive training sample selection.
 *
 *   anchors [A, 4], boxes [N, M, 4], labels [N, M], valid [N, M]
 *   -> label I32 [N, A], box [N, A, 4], positives []
 * The rule is that of lmb_assign_by_atss (detect/match.h), image by image. A
 * host op without gradient. */
#include "op/host.h"
#include "op/op_util.h"

enum { IN_ANCHORS, IN_TRUTH };

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_atss_attr *a = attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, IN_ANCHORS));
    LMB_TRY(lmb__want_rank("anchors", in, IN_ANCHORS, 2, 4));
    LMB_TRY(lmb__want_truth(in, IN_TRUTH));
    LMB_TRY(lmb__want_levels(
        a->levels, a->level_size, in[IN_ANCHORS].shape.dim[0]));
    lmb__assigned_types(
        in[IN_TRUTH].shape.dim[0], in[IN_ANCHORS].shape.dim[0], out);
    return LMB_OK;
}

static size_t scratch(const void *attr, int n_in, const lmb_type *in)
{
    const int64_t topk = ((const lmb_atss_attr *)attr)->topk;
    const int64_t anchors = in[IN_ANCHORS].shape.dim[0];
    (void)n_in;
    return lmb__work_size(anchors, sizeof(lmb_box)) +
        lmb__work_size(anchors, sizeof(int32_t)) +
        lmb__truth_size(&in[IN_TRUTH]) +
        lmb__work_size(topk, sizeof(uint64_t)) +
        lmb__work_size(LMB_MATCH_LEVELS * topk, sizeof(int64_t)) +
        lmb__work_size(anchors, sizeof(float));
}

typedef struct atss {
    const lmb_box *anchor;
    const lmb_match_levels *levels;
    int64_t topk;
    lmb_atss_memory memory;
} atss;

static void match_image(const void *user, lmb__truth *t, int32_t *match)
{
    const atss *a = user;
    lmb_assign_by_atss(a->anchor, a->levels, (lmb_truth_boxes){t->box, t->n},
        a->topk, a->memory, match);
}

static lmb_status assign(const lmb_ref *r, lmb__work *w)
{
    const lmb_atss_attr *a = r->attr;
    const int64_t n = r->in_type[IN_ANCHORS].shape.dim[0];
    const lmb_match_levels levels = lmb__levels(a->levels, a->level_size);
    atss s = {.levels = &levels, .topk = a->topk};
    lmb_box *anchor;
    int32_t *match;
    lmb__truth t;
    LMB__TAKE(w, anchor, n);
    LMB__TAKE(w, match, n);
    lmb__truth_take(w, &r->in_type[IN_TRUTH], &t);
    LMB__TAKE(w, s.memory.key, s.topk);
    LMB__TAKE(w, s.memory.candidate, LMB_MATCH_LEVELS * s.topk);
    LMB__TAKE(w, s.memory.best, n);
    s.anchor = anchor;
    LMB_TRY(
        lmb__boxes_read(r->in[IN_ANCHORS], n, "assign_atss: anchors", anchor));
    return lmb__assign_images(
        r, "assign_atss", a->classes, match_image, &s, &t, match);
}

static lmb_status reference(const lmb_ref *r)
{
    lmb__work w;
    LMB_TRY(lmb__work_init(&w, &lmb_op_assign_atss, r));
    const lmb_status st = assign(r, &w);
    lmb__work_fini(&w);
    return st;
}

const lmb_op lmb_op_assign_atss = {
    .name = "assign_atss",
    .min_in = 4,
    .max_in = 4,
    .n_out = 3,
    .attr_size = sizeof(lmb_atss_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
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
    const lmb_value in[] = {anchors, truth->boxes, truth->labels, truth->valid};
    lmb_value out[3];
    lmb_graph_fail(g, check(attr));
    lmb__apply_all(g, &lmb_op_assign_atss, attr, 4, in, out);
    return (lmb_assigned){out[0], out[1], out[2]};
}
