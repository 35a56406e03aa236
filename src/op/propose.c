/* propose.c: the best boxes of a region proposal network.
 *
 *   objectness [N, A], deltas [N, A, 4], anchors [A, 4], sizes [N, 2]
 *   (height, width) -> boxes [N, P, 4], scores [N, P], count I32 [N]
 * Of each level the pre_nms largest logits (of equals the first), decoded with
 * the anchors, clipped to the image; those not wider and higher than min_size
 * are dropped; suppression within each level; the best `post_nms` = P of all.
 * Scores are sigmoids; rows from `count` on are zeros. A host op without
 * gradient. Source: Ren et al. 2015, arXiv:1506.01497, section 3; levels as in
 * Lin et al. 2017, arXiv:1612.03144. */
#include "detect/nms.h"
#include "op/host.h"
#include "op/label_rows.h"

enum { IN_OBJECTNESS, IN_DELTAS, IN_ANCHORS, IN_SIZES };

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_proposals_attr *a = attr;
    for (int i = 0; i < n_in; i++)
        LMB_TRY(lmb__want_real(in, i));
    LMB_TRY(lmb__want_rank("objectness", in, IN_OBJECTNESS, 2, 0));
    const int64_t n = in[0].shape.dim[0], anchors = in[0].shape.dim[1];
    const lmb_shape want[] = {in[0].shape, LMB_SHAPE(n, anchors, 4),
        LMB_SHAPE(anchors, 4), LMB_SHAPE(n, 2)};
    static const char *const name[] = {
        "objectness", "deltas", "anchors", "sizes"};
    for (int i = 1; i < 4; i++)
        if (!lmb_shape_equal(&in[i].shape, &want[i]))
            return LMB_FAIL(LMB_ESHAPE, "%s %s, not %s", name[i],
                lmb_shape_text(&in[i].shape), lmb_shape_text(&want[i]));
    LMB_TRY(lmb__want_levels(a->levels, a->level_size, anchors));
    out[0] = (lmb_type){LMB_F32, LMB_SHAPE(n, a->post_nms, 4)};
    out[1] = (lmb_type){LMB_F32, LMB_SHAPE(n, a->post_nms)};
    out[2] = (lmb_type){LMB_I32, LMB_SHAPE(n)};
    return LMB_OK;
}

/* Candidates of one image, level after level, then sorted. */
typedef struct state {
    uint64_t *key; /* pre_nms * levels */
    lmb_box *found, *box;
    float *logit;
    int32_t *found_level, *level;
    lmb_nms_tile *tile;
    int64_t *from, *kept;
    int64_t n;
} state;

static int64_t most_candidates(const lmb_proposals_attr *a)
{
    return (int64_t)a->pre_nms * a->levels;
}

static size_t scratch(const void *attr, int n_in, const lmb_type *in)
{
    const lmb_proposals_attr *a = attr;
    const int64_t most = most_candidates(a);
    (void)n_in;
    (void)in;
    return lmb__work_size(most, sizeof(uint64_t)) +
        2 * lmb__work_size(most, sizeof(lmb_box)) +
        lmb__work_size(most, sizeof(float)) +
        2 * lmb__work_size(most, sizeof(int32_t)) +
        lmb__work_size(most, sizeof(int64_t)) +
        lmb__work_size(lmb_nms_tiles(a->post_nms), sizeof(lmb_nms_tile)) +
        lmb__work_size(a->post_nms, sizeof(int64_t));
}

static void take(lmb__work *w, const lmb_proposals_attr *a, state *s)
{
    const int64_t most = most_candidates(a);
    LMB__TAKE(w, s->key, most);
    LMB__TAKE(w, s->found, most);
    LMB__TAKE(w, s->box, most);
    LMB__TAKE(w, s->logit, most);
    LMB__TAKE(w, s->found_level, most);
    LMB__TAKE(w, s->level, most);
    LMB__TAKE(w, s->from, most);
    LMB__TAKE(w, s->tile, lmb_nms_tiles(a->post_nms));
    LMB__TAKE(w, s->kept, a->post_nms);
}

static lmb_status not_finite(int64_t image, int64_t anchor, const char *what)
{
    return LMB_FAIL(LMB_ENUMERIC,
        "propose: the %s of anchor %lld of image %lld is not finite", what,
        (long long)anchor, (long long)image);
}

/* Decodes and clips anchor i of the image; adds it unless it is small. */
static lmb_status add(
    const lmb_ref *r, int64_t image, int64_t i, int32_t level, state *s)
{
    const lmb_proposals_attr *a = r->attr;
    const int64_t anchors = r->in_type[0].shape.dim[1];
    const double *size = r->in[IN_SIZES] + 2 * image;
    double decoded[4];
    lmb_detect_decode(r->in[IN_ANCHORS] + 4 * i,
        r->in[IN_DELTAS] + 4 * (image * anchors + i), a->std, LMB_DETECT_MOST,
        decoded);
    const lmb_box whole = lmb_detect_box(decoded);
    if (!lmb_detect_finite(&whole))
        return not_finite(image, i, "box");
    const lmb_box box = lmb_detect_clip(whole, size[0], size[1]);
    if (!((double)(box.x1 - box.x0) > a->min_size &&
            (double)(box.y1 - box.y0) > a->min_size))
        return LMB_OK;
    s->found[s->n] = box;
    s->found_level[s->n] = level;
    s->logit[s->n++] = (float)r->in[IN_OBJECTNESS][image * anchors + i];
    return LMB_OK;
}

static lmb_status find(const lmb_ref *r, int64_t image, state *s)
{
    const lmb_proposals_attr *a = r->attr;
    const double *logit =
        r->in[IN_OBJECTNESS] + image * r->in_type[0].shape.dim[1];
    int64_t i = 0;
    s->n = 0;
    for (int32_t l = 0; l < a->levels; l++) {
        lmb_top top = {s->key, a->pre_nms, 0};
        for (const int64_t end = i + a->level_size[l]; i < end; i++) {
            if (!isfinite(logit[i]))
                return not_finite(image, i, "objectness");
            lmb_top_push(&top, lmb_top_key(lmb_top_rank((float)logit[i]), i));
        }
        lmb_top_sort(&top);
        for (int64_t k = 0; k < top.count; k++)
            LMB_TRY(add(r, image, lmb_top_index(top.key[k]), l, s));
    }
    return LMB_OK;
}

/* All levels in one order, best first. */
static void sort(state *s)
{
    lmb_top top = {s->key, s->n, 0};
    for (int64_t i = 0; i < s->n; i++)
        lmb_top_push(&top, lmb_top_key(lmb_top_rank(s->logit[i]), i));
    lmb_top_sort(&top);
    for (int64_t k = 0; k < s->n; k++) {
        s->from[k] = lmb_top_index(top.key[k]);
        s->box[k] = s->found[s->from[k]];
        s->level[k] = s->found_level[s->from[k]];
    }
}

static void write_image(
    const lmb_ref *r, int64_t image, int64_t kept, const state *s)
{
    const int64_t rows = ((const lmb_proposals_attr *)r->attr)->post_nms;
    double *box = r->out[0] + image * rows * 4;
    double *score = r->out[1] + image * rows;
    const lmb_box none = {0};
    for (int64_t k = 0; k < rows; k++) {
        const int64_t i = k < kept ? s->kept[k] : 0;
        lmb__box_write(k < kept ? &s->box[i] : &none, box + 4 * k);
        score[k] = k < kept ? lmb__sigmoid((double)s->logit[s->from[i]]) : 0;
    }
    r->out[2][image] = (double)kept;
}

static lmb_status run(const lmb_ref *r, lmb__work *w)
{
    const lmb_proposals_attr *a = r->attr;
    state s;
    take(w, a, &s);
    for (int64_t image = 0; image < r->in_type[0].shape.dim[0]; image++) {
        LMB_TRY(find(r, image, &s));
        sort(&s);
        const int64_t kept = lmb_nms((lmb_nms_boxes){s.box, s.level, s.n},
            a->nms, a->post_nms, s.tile, s.kept);
        write_image(r, image, kept, &s);
    }
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    return lmb__work_run(&lmb_op_propose, r, run);
}

const lmb_op lmb_op_propose = {
    .name = "propose",
    .min_in = 4,
    .max_in = 4,
    .n_out = 3,
    .attr_size = sizeof(lmb_proposals_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
    .scratch = scratch,
};

static lmb_status check(const lmb_proposals_attr *a)
{
    if (a->pre_nms < 1 || a->post_nms < 1)
        return LMB_FAIL(LMB_EINVAL,
            "propose: pre_nms = %d and post_nms = %d, at least 1", a->pre_nms,
            a->post_nms);
    if (!(a->nms >= 0 && a->nms <= 1 && a->min_size >= 0))
        return LMB_FAIL(LMB_EINVAL,
            "propose: nms = %g and min_size = %g: 0 <= nms <= 1, 0 <= min_size",
            a->nms, a->min_size);
    for (int i = 0; i < 4; i++)
        if (!(a->std[i] > 0))
            return LMB_FAIL(
                LMB_EINVAL, "propose: std %d is %g, not above 0", i, a->std[i]);
    return LMB_OK;
}

lmb_proposals lmb_propose(lmb_graph *g, lmb_value objectness, lmb_value deltas,
    lmb_value anchors, lmb_value sizes, const lmb_proposals_attr *attr)
{
    const lmb_value in[] = {objectness, deltas, anchors, sizes};
    lmb_value out[3];
    lmb_graph_fail(g, check(attr));
    lmb__apply_all(g, &lmb_op_propose, attr, 4, in, out);
    return (lmb_proposals){out[0], out[1], out[2]};
}
