/* pictures.c: from the options of the `data:` section to a transform. */
#include "train/pictures.h"

#include <math.h>
#include <string.h>

static int32_t smaller(int64_t a, int64_t b)
{
    return (int32_t)(a < b ? a : b);
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

enum { LEAST_SIDE = 32 }; /* a place of a detector's deepest backbone level */

static lmb_status check_side(const char *name, int64_t side)
{
    if (side == 0 || side >= LEAST_SIDE)
        return LMB_OK;
    return LMB_FAIL(LMB_EINVAL,
        "data.%s: %lld pixels are too few for a detector, which needs %d", name,
        (long long)side, (int)LEAST_SIDE);
}

static lmb_status check_sides(const lmb_picture_opts *o)
{
    LMB_TRY(check_side("size", o->size));
    LMB_TRY(check_side("short_side", o->short_side));
    LMB_TRY(check_side("short_least", o->short_least));
    if (o->size > 0 && o->short_side > o->size)
        return LMB_FAIL(LMB_EINVAL,
            "data.short_side: %lld is more than data.size, the long side, %lld",
            (long long)o->short_side, (long long)o->size);
    return LMB_OK;
}

/* Without options the largest picture is not made larger, but to what a
 * detector needs. */
static void set_sides(const lmb_picture_opts *o, lmb_detect_transform *t)
{
    if (o->size > 0) {
        t->long_side = (int32_t)o->size;
        t->short_side[0] = smaller(o->size, LMB_USUAL_SHORT_SIDE);
    }
    /* More than the data have: the long side in the usual ratio. */
    if (o->size == 0 && o->short_side > t->long_side)
        t->long_side = (int32_t)lrint(
            (double)o->short_side * LMB_USUAL_LONG_SIDE / LMB_USUAL_SHORT_SIDE);
    if (o->short_side > 0)
        t->short_side[0] = smaller(o->short_side, t->long_side);
    t->long_side = larger(t->long_side, LEAST_SIDE);
    t->short_side[0] = larger(t->short_side[0], LEAST_SIDE);
}

static void set_chances(const lmb_picture_opts *o, lmb_detect_transform *t)
{
    t->flip = o->flip < 0 ? LMB_USUAL_FLIP : o->flip;
    t->brightness = t->contrast = t->saturation = o->jitter;
    t->hue = o->hue;
    t->mosaic = o->mosaic;
    t->filter_empty = o->filter_empty;
}

lmb_status lmb_picture_transform(const lmb_picture_opts *o,
    const lmb_dataset *ds, bool train, const double mean[3],
    const double std[3], lmb_detect_transform *out)
{
    lmb_detect_transform t = lmb_detect_transform_default(ds, train);
    LMB_TRY(check_sides(o));
    set_sides(o, &t);
    t.max_sizes = (int32_t)o->max_sizes;
    memcpy(t.mean, mean, sizeof t.mean);
    memcpy(t.std, std, sizeof t.std);
    if (train)
        set_chances(o, &t);
    if (train && o->short_least > 0) {
        if (o->short_least > t.short_side[0])
            return LMB_FAIL(LMB_EINVAL,
                "data.short_least: %lld is more than the short side, %d",
                (long long)o->short_least, (int)t.short_side[0]);
        lmb_detect_transform_range(
            &t, (int32_t)o->short_least, t.short_side[0]);
    }
    LMB_TRY(lmb_detect_transform_check(&t));
    *out = t;
    return LMB_OK;
}
