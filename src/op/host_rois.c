/* host_rois.c: proposals, RoIs, samples; see host_rois.h. */
#include "op/host_rois.h"

#include "op/op_util.h"

lmb_status lmb__want_proposals(const lmb_type *in)
{
    LMB_TRY(lmb__want_real(in, 0));
    LMB_TRY(lmb__want_index(in, 1));
    LMB_TRY(lmb__want_rank("proposals", in, 0, 3, 4));
    const lmb_shape images = LMB_SHAPE(in[0].shape.dim[0]);
    if (!lmb_shape_equal(&in[1].shape, &images))
        return LMB_FAIL(LMB_ESHAPE, "counts %s do not belong to proposals %s",
            lmb_shape_text(&in[1].shape), lmb_shape_text(&in[0].shape));
    return LMB_OK;
}

lmb_status lmb__proposals_count(
    const lmb_ref *r, int64_t image, const char *op, int64_t *count)
{
    const int64_t most = r->in_type[0].shape.dim[1];
    const double n = r->in[1][image];
    if (!(n >= 0 && n <= (double)most))
        return LMB_FAIL(LMB_EINVAL,
            "%s: image %lld has %g proposals, not 0 to %lld", op,
            (long long)image, n, (long long)most);
    *count = (int64_t)n;
    return LMB_OK;
}

void lmb__rois_types(int64_t images, int64_t rows, lmb_type *out)
{
    const int64_t n = images * rows;
    out[0] = (lmb_type){LMB_F32, LMB_SHAPE(n, 5)};
    out[1] = (lmb_type){LMB_I32, LMB_SHAPE(n)};
    out[2] = (lmb_type){LMB_F32, LMB_SHAPE(n, 4)};
    out[3] = (lmb_type){LMB_F32, LMB_SCALAR};
}

/* --- samples -------------------------------------------------------------- */

lmb_status lmb__want_draw(const lmb_type *in, int i)
{
    const lmb_shape want = LMB_SHAPE(4);
    LMB_TRY(lmb__want_index(in, i));
    if (!lmb_shape_equal(&in[i].shape, &want))
        return LMB_FAIL(LMB_ESHAPE, "draw %s: seed and step are four numbers",
            lmb_shape_text(&in[i].shape));
    return LMB_OK;
}

lmb_status lmb__sample_check(const char *op, const lmb_sample_attr *a)
{
    if (a->classes < 1 || a->rows < 1)
        return LMB_FAIL(LMB_EINVAL,
            "%s: classes = %d and rows = %d, at least 1", op, a->classes,
            a->rows);
    if (!(a->fraction >= 0 && a->fraction <= 1))
        return LMB_FAIL(
            LMB_EINVAL, "%s: fraction = %g outside 0..1", op, a->fraction);
    return LMB_OK;
}

size_t lmb__sample_size(const lmb_sample_attr *a, int64_t most)
{
    return lmb__work_size(most, sizeof(int32_t)) +
        lmb__work_size(most, sizeof(bool)) +
        lmb__work_size(most, sizeof(uint32_t)) +
        lmb__work_size(a->rows, sizeof(uint64_t));
}

void lmb__sample_take(
    lmb__work *w, const lmb_sample_attr *a, int64_t most, lmb__sample *s)
{
    LMB__TAKE(w, s->match, most);
    LMB__TAKE(w, s->keep, most);
    LMB__TAKE(w, s->priority, most);
    LMB__TAKE(w, s->key, a->rows);
}

static uint64_t join(const double halves[2])
{
    return (uint64_t)(uint32_t)(int32_t)halves[1] << 32 |
        (uint32_t)(int32_t)halves[0];
}

void lmb__sample_draw(const double draw[4], const lmb_sample_attr *a,
    int64_t image, int64_t n, lmb__sample *s)
{
    const lmb_sample_draw from = {
        join(draw), join(draw + 2), a->stream, (uint32_t)image};
    const lmb_sample_rule rule = {a->rows, a->fraction};
    lmb_sample_priorities(&from, n, s->priority);
    lmb_sample(s->match, s->priority, n, &rule, s->key, s->keep);
}
