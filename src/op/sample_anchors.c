/* sample_anchors.c: a random part of the assigned anchors, for an RPN's loss.
 *
 *   label I32 [N, A], draw I32 [4] -> label I32 [N, A], where what was not
 *   drawn is -1
 * Drawn as lmb_sample does (detect/sample.h); labels below `classes` are
 * positive, others from 0 on are background. A host op without gradient. */
#include "op/host_rois.h"
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_index(in, 0));
    LMB_TRY(lmb__want_rank("labels", in, 0, 2, 0));
    LMB_TRY(lmb__want_draw(in, 1));
    out[0] = in[0];
    return LMB_OK;
}

static size_t scratch(const void *attr, int n_in, const lmb_type *in)
{
    (void)n_in;
    return lmb__sample_size(attr, in[0].shape.dim[1]);
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_sample_attr *a = r->attr;
    const int64_t n = r->in_type[0].shape.dim[1];
    lmb__work w;
    lmb__sample s;
    LMB_TRY(lmb__work_init(&w, &lmb_op_sample_anchors, r));
    lmb__sample_take(&w, a, n, &s);
    for (int64_t image = 0; image < r->in_type[0].shape.dim[0]; image++) {
        const double *label = r->in[0] + image * n;
        for (int64_t i = 0; i < n; i++)
            s.match[i] = label[i] < 0   ? LMB_MATCH_IGNORED
                : label[i] < a->classes ? (int32_t)label[i]
                                        : LMB_MATCH_NONE;
        lmb__sample_draw(r->in[1], a, image, n, &s);
        for (int64_t i = 0; i < n; i++)
            r->out[0][image * n + i] = s.keep[i] ? label[i] : -1;
    }
    lmb__work_fini(&w);
    return LMB_OK;
}

const lmb_op lmb_op_sample_anchors = {
    .name = "sample_anchors",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_sample_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
    .scratch = scratch,
};

lmb_value lmb_sample_anchors(lmb_graph *g, lmb_value label,
    const lmb_truth *truth, const lmb_sample_attr *attr)
{
    const lmb_value in[] = {label, truth->draw};
    lmb_graph_fail(g, lmb__sample_check("sample_anchors", attr));
    return lmb__apply(g, &lmb_op_sample_anchors, attr, 2, in);
}
