/* host.c: memory and ground truth of host ops; see host.h. */
#include "op/host.h"

#include "op/op_util.h"

#include <math.h>

enum { ALIGN = 64 };

_Static_assert((int)LMB_MATCH_LEVELS == (int)LMB_MAX_LEVELS, "levels");

/* --- memory --------------------------------------------------------------- */

size_t lmb__work_size(int64_t count, size_t size)
{
    return ((size_t)count * size + ALIGN - 1) / ALIGN * ALIGN;
}

lmb_status lmb__work_init(lmb__work *w, const lmb_op *op, const lmb_ref *r)
{
    const size_t bytes = op->scratch(r->attr, r->n_in, r->in_type);
    w->own = NULL;
    if (r->scratch == NULL) {
        w->own = lmb_alloc(bytes, 1);
        if (w->own == NULL)
            return LMB_FAIL(
                LMB_ENOMEM, "out of memory: %zu bytes of %s", bytes, op->name);
    }
    w->at = r->scratch != NULL ? r->scratch : w->own;
    w->end = w->at + bytes;
    return LMB_OK;
}

void *lmb__work_take(lmb__work *w, int64_t count, size_t size)
{
    void *taken = w->at;
    w->at += lmb__work_size(count, size);
    LMB_ASSERT(w->at <= w->end);
    return taken;
}

void lmb__work_fini(lmb__work *w)
{
    lmb_free(w->own);
}

lmb_status lmb__work_run(const lmb_op *op, const lmb_ref *r, lmb__work_fn *fn)
{
    lmb__work w;
    LMB_TRY(lmb__work_init(&w, op, r));
    const lmb_status st = fn(r, &w);
    lmb__work_fini(&w);
    return st;
}

/* --- shapes --------------------------------------------------------------- */

lmb_status lmb__want_rank(
    const char *name, const lmb_type *in, int i, int rank, int64_t last)
{
    const lmb_shape *s = &in[i].shape;
    if (s->rank != rank || (last != 0 && s->dim[rank - 1] != last))
        return LMB_FAIL(LMB_ESHAPE, "%s %s: rank %d%s%.0lld expected", name,
            lmb_shape_text(s), rank, last != 0 ? ", last axis " : "",
            (long long)last);
    return LMB_OK;
}

lmb_status lmb__want_truth(const lmb_type *in, int at)
{
    LMB_TRY(lmb__want_real(in, at));
    LMB_TRY(lmb__want_index(in, at + 1));
    LMB_TRY(lmb__want_real(in, at + 2));
    LMB_TRY(lmb__want_rank("boxes", in, at, 3, 4));
    const lmb_shape rows = LMB_SHAPE(in[at].shape.dim[0], in[at].shape.dim[1]);
    for (int i = at + 1; i <= at + 2; i++)
        if (!lmb_shape_equal(&in[i].shape, &rows))
            return LMB_FAIL(LMB_ESHAPE, "%s %s do not belong to boxes %s",
                i == at + 1 ? "labels" : "valid", lmb_shape_text(&in[i].shape),
                lmb_shape_text(&in[at].shape));
    return LMB_OK;
}

void lmb__assigned_types(int64_t images, int64_t anchors, lmb_type *out)
{
    out[0] = (lmb_type){LMB_I32, LMB_SHAPE(images, anchors)};
    out[1] = (lmb_type){LMB_F32, LMB_SHAPE(images, anchors, 4)};
    out[2] = (lmb_type){LMB_F32, LMB_SCALAR};
}

/* --- ground truth --------------------------------------------------------- */

size_t lmb__truth_size(const lmb_type *boxes)
{
    const int64_t most = boxes->shape.dim[1];
    return lmb__work_size(most, sizeof(lmb_box)) +
        lmb__work_size(most, sizeof(int32_t)) +
        lmb__work_size(most, sizeof(float));
}

void lmb__truth_take(lmb__work *w, const lmb_type *boxes, lmb__truth *t)
{
    t->n = 0;
    t->most = boxes->shape.dim[1];
    LMB__TAKE(w, t->box, t->most);
    LMB__TAKE(w, t->label, t->most);
    LMB__TAKE(w, t->best, t->most);
}

lmb_status lmb__truth_read(const lmb_ref *r, int at, int64_t image,
    int32_t classes, const char *op, lmb__truth *t)
{
    const double *box = r->in[at] + image * t->most * 4;
    const double *label = r->in[at + 1] + image * t->most;
    const double *valid = r->in[at + 2] + image * t->most;
    t->n = 0;
    t->image = image;
    for (int64_t m = 0; m < t->most; m++) {
        if (valid[m] == 0)
            continue;
        const lmb_box b = lmb_detect_box(box + 4 * m);
        if (!lmb_detect_finite(&b))
            return LMB_FAIL(LMB_EINVAL,
                "%s: box %lld of image %lld is [%g %g %g %g]", op, (long long)m,
                (long long)image, (double)b.x0, (double)b.y0, (double)b.x1,
                (double)b.y1);
        if (!(label[m] >= 0 && label[m] < classes))
            return LMB_FAIL(LMB_EINVAL,
                "%s: label %g of box %lld of image %lld outside 0..%d", op,
                label[m], (long long)m, (long long)image, classes - 1);
        t->box[t->n] = b;
        t->label[t->n++] = (int32_t)label[m];
    }
    return LMB_OK;
}

lmb_status lmb__want_levels(int32_t levels, const int64_t *size, int64_t rows)
{
    int64_t sum = 0;
    if (levels < 1 || levels > LMB_MATCH_LEVELS)
        return LMB_FAIL(
            LMB_EINVAL, "levels = %d, not 1 to %d", levels, LMB_MATCH_LEVELS);
    for (int32_t l = 0; l < levels; l++)
        if (!lmb_add_i64(sum, size[l], &sum))
            return LMB_FAIL(
                LMB_EINVAL, "level %d has %lld rows", l, (long long)size[l]);
    if (sum != rows)
        return LMB_FAIL(LMB_EINVAL, "levels of %lld rows in all, not %lld",
            (long long)sum, (long long)rows);
    return LMB_OK;
}

lmb_match_levels lmb__levels(int32_t levels, const int64_t *size)
{
    lmb_match_levels v = {.n = levels};
    for (int32_t l = 0; l < levels; l++)
        v.size[l] = size[l];
    return v;
}

lmb_status lmb__boxes_read(
    const double *from, int64_t n, const char *op, lmb_box *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = lmb_detect_box(from + 4 * i);
        if (!lmb_detect_finite(&to[i]))
            return LMB_FAIL(LMB_EINVAL, "%s: row %lld is [%g %g %g %g]", op,
                (long long)i, (double)to[i].x0, (double)to[i].y0,
                (double)to[i].x1, (double)to[i].y1);
    }
    return LMB_OK;
}

void lmb__box_write(const lmb_box *b, double to[4])
{
    to[0] = (double)b->x0;
    to[1] = (double)b->y0;
    to[2] = (double)b->x1;
    to[3] = (double)b->y1;
}

/* --- padding -------------------------------------------------------------- */

lmb_status lmb__want_sizes(int n_in, const lmb_type *in, int at, int64_t images)
{
    if (n_in <= at)
        return LMB_OK;
    LMB_TRY(lmb__want_real(in, at));
    LMB_TRY(lmb__want_rank("sizes", in, at, 2, 2));
    if (in[at].shape.dim[0] != images)
        return LMB_FAIL(LMB_ESHAPE, "sizes of %lld images, boxes of %lld",
            (long long)in[at].shape.dim[0], (long long)images);
    return LMB_OK;
}

/* Centres are whole multiples of the stride, but for rounding. An anchor is in
 * if its centre is less than the side rounded up to 32; rounded down to 32 it
 * is then less than the side itself. */
static bool beyond(float low, float high, double side)
{
    const double centre = round(((double)low + (double)high) / 2);
    return 32 * floor(centre / 32) >= side;
}

bool lmb__is_padding(
    const lmb_ref *r, int at, int64_t image, const lmb_box *anchor)
{
    const double *size = r->in[at] + 2 * image;
    return beyond(anchor->y0, anchor->y1, size[0]) ||
        beyond(anchor->x0, anchor->x1, size[1]);
}

/* --- assignment ----------------------------------------------------------- */

static int64_t write_image(const int32_t *match, int64_t n, const lmb__truth *t,
    int32_t classes, double *label, double *box)
{
    const lmb_box none = {0};
    int64_t positives = 0;
    for (int64_t i = 0; i < n; i++) {
        const int32_t m = match[i];
        label[i] = m >= 0 ? t->label[m] : m == LMB_MATCH_NONE ? classes : -1;
        lmb__box_write(m >= 0 ? &t->box[m] : &none, box + 4 * i);
        positives += m >= 0;
    }
    return positives;
}

lmb_status lmb__assign_images(const lmb_ref *r, const char *op, int32_t classes,
    lmb__match_fn *fn, const void *user, lmb__truth *t, int32_t *match)
{
    const int64_t n = r->out_type[0].shape.dim[1];
    int64_t positives = 0;
    for (int64_t i = 0; i < r->out_type[0].shape.dim[0]; i++) {
        LMB_TRY(lmb__truth_read(r, 1, i, classes, op, t));
        fn(user, t, match);
        positives += write_image(
            match, n, t, classes, r->out[0] + i * n, r->out[1] + i * n * 4);
    }
    r->out[2][0] = (double)positives;
    return LMB_OK;
}
