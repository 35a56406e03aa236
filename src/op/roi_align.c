/* roi_align: a RoI's features on a grid of size x size, averages of bilinear
 * samples, and the backward op of one level.
 *
 *   y[r, c, p, q] = 1 / (gh gw) sum over the samples (i, j) of bin (p, q) of
 *                   x_l[n, c, .., ..] blended at the sample's place,
 * r = (n, box) lies on level l = floor(canonical_level + log2(sqrt(w h) /
 * canonical_size)), clamped. roi.h has the places. The map is linear in x;
 * roi_align_bwd is its transpose, one node for each level. No gradient to the
 * RoIs.
 * Sources: He et al. 2017, arXiv:1703.06870, section 3 (RoIAlign); Lin et al.
 * 2017, arXiv:1612.03144, equation 1 (levels). */
#include "op/ops.h"
#include "op/roi.h"
#include "op/spatial.h"

static lmb_status check_attr(const lmb_roi_align_attr *a)
{
    if (a->levels < 1 || a->levels > LMB_MAX_LEVELS)
        return LMB_FAIL(LMB_EINVAL, "%d levels are not in 1..%d",
            (int)a->levels, (int)LMB_MAX_LEVELS);
    if (a->size < 1 || a->samples < 0)
        return LMB_FAIL(LMB_EINVAL,
            "size %d is below 1 or samples %d are below 0", (int)a->size,
            (int)a->samples);
    for (int l = 0; l < a->levels; l++)
        if (!(a->stride[l] > 0))
            return LMB_FAIL(LMB_EINVAL, "stride %g of level %d is not positive",
                a->stride[l], l);
    if (!(a->canonical_size > 0))
        return LMB_FAIL(
            LMB_EINVAL, "canonical size %g is not positive", a->canonical_size);
    return LMB_OK;
}

static lmb_status need_rois(int n_in, const lmb_type *in, int i)
{
    LMB_TRY(lmb__need_rank("rois", 2, n_in, in, i));
    if (in[i].shape.dim[1] != 5)
        return LMB_FAIL(
            LMB_ESHAPE, "rois %s are not [R, 5]", lmb_shape_text(&in[i].shape));
    return LMB_OK;
}

static lmb_status forward_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_roi_align_attr *a = attr;
    LMB_TRY(check_attr(a));
    if (n_in != a->levels + 1)
        return LMB_FAIL(LMB_EINVAL, "%d levels but %d feature inputs",
            (int)a->levels, n_in - 1);
    for (int l = 0; l < a->levels; l++) {
        LMB_TRY(lmb__need_rank("features", 4, n_in, in, l));
        const lmb_shape *x = &in[l].shape, *x0 = &in[0].shape;
        if (x->dim[0] != x0->dim[0] || x->dim[1] != x0->dim[1])
            return LMB_FAIL(LMB_ESHAPE,
                "levels 0 and %d have shapes %s and %s: images or channels "
                "differ",
                l, lmb_shape_text(x0), lmb_shape_text(x));
        if (x->dim[2] < 1 || x->dim[3] < 1)
            return LMB_FAIL(LMB_ESHAPE, "features %s of level %d are empty",
                lmb_shape_text(x), l);
    }
    LMB_TRY(need_rois(n_in, in, a->levels));
    out[0] = lmb__real(LMB_SHAPE(
        in[a->levels].shape.dim[0], in[0].shape.dim[1], a->size, a->size));
    return LMB_OK;
}

static lmb_status bwd_shape(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    const lmb_roi_align_bwd_attr *a = attr;
    LMB_TRY(check_attr(&a->align));
    LMB_TRY(need_rois(n_in, in, 1));
    const int64_t size = a->align.size;
    LMB_TRY(lmb__need_shape("dy",
        LMB_SHAPE(in[1].shape.dim[0], a->shape.dim[1], size, size), n_in, in,
        0));
    out[0] = lmb__real(a->shape);
    return LMB_OK;
}

/* --- reference kernels */

/* One plane of one RoI: forward from elements to bins, or back. */
typedef struct flow {
    lmb_roi_axis h, w;
    const double *from;
    double *to;
    bool back;
} flow;

/* Sample (i, j) of bin (p, q), which is number `bin`. */
static void sample(
    const flow *f, int64_t bin, int64_t p, int64_t q, int64_t i, int64_t j)
{
    lmb_roi_blend v, u;
    if (!lmb__roi_blend(&f->h, p, i, &v) || !lmb__roi_blend(&f->w, q, j, &u))
        return;
    const double share = 1 / ((double)f->h.grid * (double)f->w.grid);
    const int64_t row[2] = {v.i0 * f->w.size, v.i1 * f->w.size};
    const int64_t column[2] = {u.i0, u.i1};
    const double wv[2] = {1 - v.t, v.t}, wu[2] = {1 - u.t, u.t};
    for (int k = 0; k < 4; k++) {
        const int64_t at = row[k / 2] + column[k % 2];
        const double weight = share * wv[k / 2] * wu[k % 2];
        if (weight == 0) /* or 0 * inf of an unused corner */
            continue;
        f->to[f->back ? at : bin] += weight * f->from[f->back ? bin : at];
    }
}

static void plane(const flow *f, int64_t size)
{
    for (int64_t bin = 0; bin < size * size; bin++) {
        const int64_t p = bin / size, q = bin % size;
        int64_t i0, i1, j0, j1;
        lmb__roi_samples(&f->h, p, &i0, &i1);
        lmb__roi_samples(&f->w, q, &j0, &j1);
        for (int64_t i = i0; i < i1; i++)
            for (int64_t j = j0; j < j1; j++)
                sample(f, bin, p, q, i, j);
    }
}

static lmb_status check_roi(const double *roi, int64_t row, int64_t images)
{
    if (!lmb__roi_valid(roi, images))
        return LMB_FAIL(LMB_EINVAL,
            "row %lld: RoI (%g, %g, %g, %g) of image %g is not a box on %lld "
            "image(s)",
            (long long)row, roi[1], roi[2], roi[3], roi[4], roi[0],
            (long long)images);
    return LMB_OK;
}

/* All planes of a RoI; x has shape xs, y is the RoI's [C, size, size]. */
static void all_planes(const lmb_roi_align_attr *a, const double *roi,
    int32_t level, const lmb_shape *xs, const double *from, double *to,
    bool back)
{
    const int64_t channels = xs->dim[1], area = xs->dim[2] * xs->dim[3];
    const int64_t bins = (int64_t)a->size * a->size;
    const int64_t x = (int64_t)roi[0] * channels * area;
    for (int64_t c = 0; c < channels; c++) {
        const flow f = {lmb__roi_axis(a, level, roi[2], roi[4], xs->dim[2]),
            lmb__roi_axis(a, level, roi[1], roi[3], xs->dim[3]),
            from + (back ? c * bins : x + c * area),
            to + (back ? x + c * area : c * bins), back};
        plane(&f, a->size);
    }
}

static void clear(double *x, const lmb_shape *shape)
{
    const int64_t n = lmb_shape_count(shape);
    for (int64_t i = 0; i < n; i++)
        x[i] = 0;
}

static lmb_status forward_reference(const lmb_ref *r)
{
    const lmb_roi_align_attr *a = r->attr;
    const lmb_shape *ys = &r->out_type[0].shape;
    const int64_t size = ys->dim[1] * ys->dim[2] * ys->dim[3];
    clear(r->out[0], ys);
    for (int64_t k = 0; k < ys->dim[0]; k++) {
        const double *roi = r->in[a->levels] + 5 * k;
        LMB_TRY(check_roi(roi, k, r->in_type[0].shape.dim[0]));
        const int32_t level = lmb__roi_level(a, roi);
        all_planes(a, roi, level, &r->in_type[level].shape, r->in[level],
            r->out[0] + k * size, false);
    }
    return LMB_OK;
}

static lmb_status bwd_reference(const lmb_ref *r)
{
    const lmb_roi_align_bwd_attr *a = r->attr;
    const lmb_shape *ys = &r->in_type[0].shape;
    const int64_t size = ys->dim[1] * ys->dim[2] * ys->dim[3];
    clear(r->out[0], &a->shape);
    for (int64_t k = 0; k < ys->dim[0]; k++) {
        const double *roi = r->in[1] + 5 * k;
        LMB_TRY(check_roi(roi, k, a->shape.dim[0]));
        if (lmb__roi_level(&a->align, roi) == a->level)
            all_planes(&a->align, roi, a->level, &a->shape, r->in[0] + k * size,
                r->out[0], true);
    }
    return LMB_OK;
}

/* --- gradient, the ops, builder */

static void gradient(lmb_graph *g, const lmb_grad *c)
{
    const lmb_roi_align_attr *a = c->attr;
    if (!lmb_is(c->dy[0]))
        return;
    const lmb_value in[] = {c->dy[0], c->in[a->levels]};
    for (int32_t l = 0; l < a->levels; l++) {
        if (!c->need[l])
            continue;
        const lmb_roi_align_bwd_attr b = {*a, l, lmb_graph_shape(g, c->in[l])};
        c->dx[l] = lmb_graph_apply1(g, &lmb_op_roi_align_bwd, &b, 2, in);
    }
}

const lmb_op lmb_op_roi_align = {
    .name = "roi_align",
    .min_in = 2,
    .max_in = LMB_MAX_LEVELS + 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_roi_align_attr),
    .shape = forward_shape,
    .grad = gradient,
    .reference = forward_reference,
};

const lmb_op lmb_op_roi_align_bwd = {
    .name = "roi_align_bwd",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_roi_align_bwd_attr),
    .shape = bwd_shape,
    .reference = bwd_reference,
};

lmb_value lmb_roi_align(lmb_graph *g, const lmb_value *features, lmb_value rois,
    const lmb_roi_align_attr *attr)
{
    lmb_value in[LMB_MAX_LEVELS + 1];
    /* The shape rule refuses a number of levels that had to be cut. */
    const int n = attr->levels < 1      ? 1
        : attr->levels > LMB_MAX_LEVELS ? LMB_MAX_LEVELS
                                        : attr->levels;
    for (int l = 0; l < n; l++)
        in[l] = features[l];
    in[n] = rois;
    return lmb_graph_apply1(g, &lmb_op_roi_align, attr, n + 1, in);
}
