/* sample_rois.c: the RoIs on which the second stage is trained.
 *
 *   proposals boxes [N, P, 4], count I32 [N], truth boxes [N, M, 4], labels
 *   [N, M], valid [N, M], draw I32 [4]
 *   -> rois [N rows, 5], label I32 [N rows], box [N rows, 4], positives []
 * Of each image the candidates are its ground truth (add_truth) and then its
 * proposals, matched by the largest IoU (detect/match.h, no low quality) and
 * drawn as lmb_sample does (detect/sample.h). Rows are positives, then
 * background, each in the order of the candidates, then padding: image, an
 * empty box, label -1. A host op without gradient. Source: Ren et al. 2015,
 * arXiv:1506.01497; fractions and thresholds of arXiv:1504.08083, section
 * 2.3. */
#include "op/host_rois.h"
#include "op/op_util.h"

enum { IN_BOXES, IN_COUNT, IN_TRUTH, IN_DRAW = 5 };

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_sample_attr *a = attr;
    (void)n_in;
    LMB_TRY(lmb__want_proposals(in));
    LMB_TRY(lmb__want_truth(in, IN_TRUTH));
    LMB_TRY(lmb__want_draw(in, IN_DRAW));
    const int64_t images = in[IN_BOXES].shape.dim[0];
    if (in[IN_TRUTH].shape.dim[0] != images)
        return LMB_FAIL(LMB_ESHAPE, "proposals %s and boxes %s: images differ",
            lmb_shape_text(&in[IN_BOXES].shape),
            lmb_shape_text(&in[IN_TRUTH].shape));
    lmb__rois_types(images, a->rows, out);
    return LMB_OK;
}

static int64_t most_candidates(const lmb_type *in)
{
    return in[IN_BOXES].shape.dim[1] + in[IN_TRUTH].shape.dim[1];
}

static size_t scratch(const void *attr, int n_in, const lmb_type *in)
{
    const int64_t most = most_candidates(in);
    (void)n_in;
    return lmb__work_size(most, sizeof(lmb_box)) +
        lmb__truth_size(&in[IN_TRUTH]) + lmb__sample_size(attr, most);
}

typedef struct state {
    lmb_box *candidate;
    int64_t n;
    lmb__truth truth;
    lmb__sample sample;
} state;

static lmb_status gather(
    const lmb_ref *r, const lmb_sample_attr *a, int64_t image, state *s)
{
    int64_t count = 0;
    LMB_TRY(lmb__proposals_count(r, image, "sample_rois", &count));
    LMB_TRY(lmb__truth_read(
        r, IN_TRUTH, image, a->classes, "sample_rois", &s->truth));
    s->n = 0;
    for (int64_t t = 0; a->add_truth && t < s->truth.n; t++)
        s->candidate[s->n++] = s->truth.box[t];
    const int64_t stride = r->in_type[IN_BOXES].shape.dim[1] * 4;
    LMB_TRY(lmb__boxes_read(r->in[IN_BOXES] + image * stride, count,
        "sample_rois: proposals", s->candidate + s->n));
    s->n += count;
    return LMB_OK;
}

static void write_row(const state *s, int64_t i, int64_t image,
    const lmb_sample_attr *a, int64_t row, const lmb_ref *r)
{
    const int32_t match = i < 0 ? LMB_MATCH_IGNORED : s->sample.match[i];
    const lmb_box none = {0};
    r->out[0][5 * row] = (double)image;
    lmb__box_write(i < 0 ? &none : &s->candidate[i], r->out[0] + 5 * row + 1);
    r->out[1][row] = i < 0 ? -1
        : match < 0        ? a->classes
                           : s->truth.label[match];
    lmb__box_write(
        match < 0 ? &none : &s->truth.box[match], r->out[2] + 4 * row);
}

/* Positives, then background, then padding; the number of positives. */
static int64_t write_image(
    const state *s, int64_t image, const lmb_sample_attr *a, const lmb_ref *r)
{
    int64_t row = image * a->rows, positives = 0;
    const int64_t end = row + a->rows;
    for (int kind = 0; kind < 2; kind++)
        for (int64_t i = 0; i < s->n; i++)
            if (s->sample.keep[i] && (s->sample.match[i] >= 0) == (kind == 0)) {
                write_row(s, i, image, a, row++, r);
                positives += kind == 0;
            }
    while (row < end)
        write_row(s, -1, image, a, row++, r);
    return positives;
}

static lmb_status run(const lmb_ref *r, lmb__work *w)
{
    const lmb_sample_attr *a = r->attr;
    const lmb_iou_rule rule = {
        a->positive, a->negative, 0, LMB_LOW_QUALITY_OFF};
    const int64_t most = most_candidates(r->in_type);
    state s;
    int64_t positives = 0;
    LMB__TAKE(w, s.candidate, most);
    lmb__truth_take(w, &r->in_type[IN_TRUTH], &s.truth);
    lmb__sample_take(w, a, most, &s.sample);
    for (int64_t i = 0; i < r->in_type[IN_BOXES].shape.dim[0]; i++) {
        LMB_TRY(gather(r, a, i, &s));
        lmb_assign_by_iou(s.candidate, s.n,
            (lmb_truth_boxes){s.truth.box, s.truth.n}, &rule, s.truth.best,
            s.sample.match);
        lmb__sample_draw(r->in[IN_DRAW], a, i, s.n, &s.sample);
        positives += write_image(&s, i, a, r);
    }
    r->out[3][0] = (double)positives;
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    return lmb__work_run(&lmb_op_sample_rois, r, run);
}

const lmb_op lmb_op_sample_rois = {
    .name = "sample_rois",
    .min_in = 6,
    .max_in = 6,
    .n_out = 4,
    .attr_size = sizeof(lmb_sample_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
    .scratch = scratch,
};

lmb_rois lmb_sample_rois(lmb_graph *g, const lmb_proposals *proposals,
    const lmb_truth *truth, const lmb_sample_attr *attr)
{
    const lmb_value in[] = {proposals->boxes, proposals->count, truth->boxes,
        truth->labels, truth->valid, truth->draw};
    lmb_value out[4];
    lmb_graph_fail(g, lmb__sample_check("sample_rois", attr));
    if (!(attr->positive > 0 && attr->negative > 0 &&
            attr->negative <= attr->positive))
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL,
                "sample_rois: positive = %g and negative = %g: 0 < negative "
                "<= positive",
                attr->positive, attr->negative));
    lmb__apply_all(g, &lmb_op_sample_rois, attr, 6, in, out);
    return (lmb_rois){out[0], out[1], out[2], out[3]};
}
