/* box_code.c: offsets of boxes from anchors, and boxes from offsets.
 *
 *   box_encode(anchors, boxes) -> deltas [.., A, 4], 0 where a box is empty
 *   box_decode(anchors, deltas) -> boxes
 *   box_decode_bwd(dboxes, anchors, deltas) -> ddeltas
 * anchors [A, 4] serve every image, or have the shape of the other operand.
 * The code is lmb_detect_encode's (detect/box.h). With w = size of the anchor
 * and g = std2 clamp(dw): centre moves by w std0 ddx, half the size by
 * w e^g / 2 std2 ddw (0 where clamped). No gradient to anchors, and none of
 * box_encode. */
#include "detect/box.h"
#include "op/op_util.h"

#include <math.h>

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    const lmb_shape *anchors = &in[n_in - 2].shape, *x = &in[n_in - 1].shape;
    for (int i = 0; i < n_in; i++)
        LMB_TRY(lmb__want_real(in, i));
    LMB_TRY(lmb__want_last(in, n_in - 1, 4));
    const bool shared = anchors->rank == 2 && x->rank >= 2 &&
        anchors->dim[0] == x->dim[x->rank - 2] && anchors->dim[1] == 4;
    if (!shared && !lmb_shape_equal(anchors, x))
        return LMB_FAIL(LMB_ESHAPE, "anchors %s do not belong to rows %s",
            lmb_shape_text(anchors), lmb_shape_text(x));
    if (n_in == 3 && !lmb_shape_equal(&in[0].shape, x))
        return LMB_FAIL(LMB_ESHAPE, "shapes %s and %s must be equal",
            lmb_shape_text(&in[0].shape), lmb_shape_text(x));
    out[0] = (lmb_type){LMB_F32, *x};
    return LMB_OK;
}

/* The anchor of row r; anchors repeat. */
static const double *anchor_at(const lmb_ref *r, int input, int64_t row)
{
    const int64_t anchors = lmb__count(&r->in_type[input]) / 4;
    return r->in[input] + row % anchors * 4;
}

static lmb_status encode_reference(const lmb_ref *r)
{
    const lmb_box_code_attr *a = r->attr;
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]) / 4; i++)
        lmb_detect_encode(
            anchor_at(r, 0, i), r->in[1] + 4 * i, a->std, r->out[0] + 4 * i);
    return LMB_OK;
}

static lmb_status decode_reference(const lmb_ref *r)
{
    const lmb_box_code_attr *a = r->attr;
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]) / 4; i++)
        lmb_detect_decode(anchor_at(r, 0, i), r->in[1] + 4 * i, a->std, a->most,
            r->out[0] + 4 * i);
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const lmb_box_code_attr *a = r->attr;
    for (int64_t i = 0; i < lmb__count(&r->out_type[0]) / 4; i++) {
        const double *dbox = r->in[0] + 4 * i, *anchor = anchor_at(r, 1, i);
        const double *delta = r->in[2] + 4 * i;
        double *out = r->out[0] + 4 * i;
        for (int k = 0; k < 2; k++) {
            const double size = anchor[k + 2] - anchor[k];
            const double grow = delta[k + 2] * a->std[k + 2];
            const double half = fabs(grow) > a->most ? 0 : size * exp(grow) / 2;
            out[k] = size * a->std[k] * (dbox[k] + dbox[k + 2]);
            out[k + 2] = half * a->std[k + 2] * (dbox[k + 2] - dbox[k]);
        }
    }
    return LMB_OK;
}

static void decode_grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_value in[] = {c->dy[0], c->in[0], c->in[1]};
    if (c->need[1])
        c->dx[1] = lmb__apply(g, &lmb_op_box_decode_bwd, c->attr, 3, in);
}

const lmb_op lmb_op_box_encode = {
    .name = "box_encode",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_box_code_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .reference = encode_reference,
};

const lmb_op lmb_op_box_decode = {
    .name = "box_decode",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_box_code_attr),
    .shape = shape_rule,
    .grad = decode_grad,
    .reference = decode_reference,
};

const lmb_op lmb_op_box_decode_bwd = {
    .name = "box_decode_bwd",
    .min_in = 3,
    .max_in = 3,
    .n_out = 1,
    .attr_size = sizeof(lmb_box_code_attr),
    .shape = shape_rule,
    .reference = bwd_reference,
};

static lmb_value code(lmb_graph *g, const lmb_op *op, lmb_value anchors,
    lmb_value x, const double std[4], double most)
{
    lmb_box_code_attr attr = {.most = most};
    for (int i = 0; i < 4; i++) {
        attr.std[i] = std[i];
        if (!(std[i] > 0))
            lmb_graph_fail(g,
                LMB_FAIL(LMB_EINVAL, "%s: std %d is %g, not above 0", op->name,
                    i, std[i]));
    }
    const lmb_value in[] = {anchors, x};
    return lmb__apply(g, op, &attr, 2, in);
}

lmb_value lmb_box_encode(
    lmb_graph *g, lmb_value anchors, lmb_value boxes, const double std[4])
{
    return code(g, &lmb_op_box_encode, anchors, boxes, std, 0);
}

lmb_value lmb_box_decode(lmb_graph *g, lmb_value anchors, lmb_value deltas,
    const double std[4], double most)
{
    if (!(most > 0))
        lmb_graph_fail(g,
            LMB_FAIL(LMB_EINVAL, "box_decode: most = %g, not above 0", most));
    return code(g, &lmb_op_box_decode, anchors, deltas, std, most);
}
