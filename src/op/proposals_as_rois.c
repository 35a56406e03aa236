/* proposals_as_rois.c: all proposals as RoIs, for evaluation.
 *
 *   boxes [N, P, 4], count I32 [N]
 *   -> rois [N P, 5], label I32 [N P], box [N P, 4], positives []
 * Label C (background) for the first `count` rows of an image, -1 for the
 * rest; box and positives are zeros. A host op without gradient. */
#include "op/host_rois.h"
#include "op/op_util.h"

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_proposals(in));
    lmb__rois_types(in[0].shape.dim[0], in[0].shape.dim[1], out);
    return LMB_OK;
}

static lmb_status reference(const lmb_ref *r)
{
    const int32_t classes = ((const lmb_as_rois_attr *)r->attr)->classes;
    const int64_t rows = r->in_type[0].shape.dim[1];
    for (int64_t image = 0; image < r->in_type[0].shape.dim[0]; image++) {
        int64_t count = 0;
        LMB_TRY(lmb__proposals_count(r, image, "proposals_as_rois", &count));
        for (int64_t i = image * rows; i < (image + 1) * rows; i++) {
            const bool there = i - image * rows < count;
            r->out[0][5 * i] = (double)image;
            r->out[1][i] = there ? classes : -1;
            for (int k = 0; k < 4; k++) {
                r->out[0][5 * i + 1 + k] = there ? r->in[0][4 * i + k] : 0;
                r->out[2][4 * i + k] = 0;
            }
        }
    }
    r->out[3][0] = 0;
    return LMB_OK;
}

const lmb_op lmb_op_proposals_as_rois = {
    .name = "proposals_as_rois",
    .min_in = 2,
    .max_in = 2,
    .n_out = 4,
    .attr_size = sizeof(lmb_as_rois_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .host = true,
    .reference = reference,
};

lmb_rois lmb_proposals_as_rois(
    lmb_graph *g, const lmb_proposals *proposals, int32_t classes)
{
    const lmb_as_rois_attr attr = {classes};
    const lmb_value in[] = {proposals->boxes, proposals->count};
    lmb_value out[4];
    lmb__apply_all(g, &lmb_op_proposals_as_rois, &attr, 2, in, out);
    return (lmb_rois){out[0], out[1], out[2], out[3]};
}
