/* detect_transform.c: pictures with boxes: resize, mosaic, mirror, pad.
 *
 * Mosaic (as in YOLOv4, arXiv:2004.10934, section 3.3): a canvas of the
 * picture's resized size is cut at a point in its middle half, and each
 * quarter shows one picture, the first of them the sample itself and the
 * others any of the set, with a corner at that point, between half and full
 * size, on grey (114). Of a box must be left 2 pixels each way and a tenth of
 * its area. */
#include "data/detect_transform.h"
#include "data/augment.h"

#include <string.h>

enum { GREY = 114, BOX_STEP = 8 };

/* --- options -------------------------------------------------------------- */

lmb_detect_transform lmb_detect_transform_default(
    const lmb_dataset *ds, bool train)
{
    int32_t most[2] = {1, 1}; /* short, long side */
    lmb_detect_transform t = {.scales = 1,
        .flip = train ? 0.5 : 0,
        .pad = 32,
        .max_sizes = 4,
        .filter_empty = train};
    for (int64_t i = 0; i < lmb_dataset_count(ds); i++) {
        int32_t h = 0;
        int32_t w = 0;
        if (!lmb_dataset_picture_size(ds, i, &h, &w))
            continue;
        most[0] = (h < w ? h : w) > most[0] ? (h < w ? h : w) : most[0];
        most[1] = (h < w ? w : h) > most[1] ? (h < w ? w : h) : most[1];
    }
    t.short_side[0] = most[0] < 800 ? most[0] : 800;
    t.long_side = most[1] < 1333 ? most[1] : 1333;
    lmb_dataset_mean_std(ds, t.mean, t.std);
    return t;
}

void lmb_detect_transform_range(
    lmb_detect_transform *t, int32_t low, int32_t high)
{
    int32_t step = t->pad;
    while (step > 0 && (high - low + step - 1) / step >= LMB_MAX_SCALES)
        step += t->pad;
    t->scales = 0;
    for (int32_t s = low; s < high && t->scales < LMB_MAX_SCALES - 1; s += step)
        t->short_side[t->scales++] = s;
    t->short_side[t->scales++] = high;
}

static lmb_status in_range(const char *field, double v, double low, double high)
{
    if (!(v >= low && v <= high))
        return LMB_FAIL(LMB_EINVAL, "detect: %s %g is not in %g .. %g", field,
            v, low, high);
    return LMB_OK;
}

static lmb_status check_sizes(const lmb_detect_transform *t)
{
    const int32_t side = LMB_IMAGE_MAX_SIDE / 2;
    LMB_TRY(in_range("long side", t->long_side, 1, side));
    LMB_TRY(in_range("number of short sides", t->scales, 1, LMB_MAX_SCALES));
    for (int32_t k = 0; k < t->scales; k++)
        LMB_TRY(in_range("short side", t->short_side[k], 1, t->long_side));
    LMB_TRY(in_range("pad", t->pad, 1, 1024));
    LMB_TRY(in_range("max_sizes", t->max_sizes, 0, LMB_MAX_SIZES));
    LMB_TRY(in_range("number of sizes", t->sizes, 0, LMB_MAX_SIZES));
    for (int32_t k = 0; k < 2 * t->sizes; k++) {
        const int32_t v = t->size[k / 2][k % 2];
        LMB_TRY(in_range("size", v, 1, side));
        if (v % t->pad != 0)
            return LMB_FAIL(LMB_EINVAL,
                "detect: size %d is not a multiple of pad %d", (int)v,
                (int)t->pad);
    }
    return LMB_OK;
}

/* The part of the options that lmb__augment knows. */
static lmb_transform colours_of(const lmb_detect_transform *t)
{
    lmb_transform out = {.height = 1,
        .width = 1,
        .flip = t->flip,
        .brightness = t->brightness,
        .contrast = t->contrast,
        .saturation = t->saturation,
        .hue = t->hue};
    memcpy(out.mean, t->mean, sizeof out.mean);
    memcpy(out.std, t->std, sizeof out.std);
    return out;
}

lmb_status lmb_detect_transform_check(const lmb_detect_transform *t)
{
    const lmb_transform colours = colours_of(t);
    LMB_TRY(check_sizes(t));
    LMB_TRY(in_range("mosaic", t->mosaic, 0, 1));
    return lmb_transform_check(&colours);
}

void lmb_detect_resized(const lmb_detect_transform *t, int32_t short_side,
    int32_t height, int32_t width, int32_t out[2])
{
    const bool tall = height > width;
    const double by_long = (double)t->long_side / (tall ? height : width);
    const double by_short = (double)short_side / (tall ? width : height);
    const double scale = by_long < by_short ? by_long : by_short;
    out[0] = (int32_t)(height * scale + 0.5);
    out[1] = (int32_t)(width * scale + 0.5);
    out[0] = out[0] < 1 ? 1 : out[0];
    out[1] = out[1] < 1 ? 1 : out[1];
}

int64_t lmb_detect_most_boxes(
    const lmb_detect_transform *t, const lmb_dataset *ds)
{
    int64_t most = 1;
    for (int64_t i = 0; i < lmb_dataset_count(ds); i++) {
        lmb_ground_truth truth;
        int64_t n = 0;
        if (lmb_dataset_truth(ds, i, &truth) != LMB_OK)
            return 0;
        for (int64_t k = 0; k < truth.count; k++)
            n += truth.crowd[k] == 0;
        most = n > most ? n : most;
    }
    most *= t->mosaic > 0 ? 4 : 1;
    return (most + BOX_STEP - 1) / BOX_STEP * BOX_STEP;
}

/* --- boxes ---------------------------------------------------------------- */

typedef struct work {
    const lmb_detect_transform *t;
    const lmb_detect_sample *s;
    lmb_canvas canvas;
    int64_t boxes; /* written */
} work;

static lmb_status put_box(work *w, const float box[4], int32_t label)
{
    const lmb_detect_sample *s = w->s;
    if (w->boxes == s->max_boxes)
        return LMB_FAIL(LMB_EINVAL,
            "picture %lld gives more boxes than max_boxes, %lld",
            (long long)s->index, (long long)s->max_boxes);
    memcpy(s->boxes + 4 * w->boxes, box, 4 * sizeof *box);
    s->labels[w->boxes] = label;
    s->valid[w->boxes] = 1;
    w->boxes++;
    return LMB_OK;
}

/* Where a picture lies on the canvas: pixel = offset + scale * stored pixel,
 * y x; what is outside `window` is cut off. */
typedef struct placing {
    double offset[2], scale[2];
    lmb_rect window;
    bool strict; /* too little left of a box: none at all */
} placing;

static float cut(double v, int32_t low, int32_t size)
{
    return (float)(v < low ? low : v > low + size ? low + size : v);
}

static bool place_box(const placing *p, const float in[4], float out[4])
{
    double v[4];
    for (int k = 0; k < 4; k++)
        v[k] = p->offset[1 - k % 2] + p->scale[1 - k % 2] * (double)in[k];
    for (int k = 0; k < 4; k += 2) {
        out[k] = cut(v[k], p->window.x, p->window.width);
        out[k + 1] = cut(v[k + 1], p->window.y, p->window.height);
    }
    const double left = (double)(out[2] - out[0]) * (double)(out[3] - out[1]);
    if (!p->strict)
        return left > 0;
    return out[2] - out[0] >= 2 && out[3] - out[1] >= 2 &&
        left >= 0.1 * (v[2] - v[0]) * (v[3] - v[1]);
}

static lmb_status place_boxes(work *w, int64_t index, const placing *p)
{
    lmb_ground_truth truth;
    LMB_TRY(lmb_dataset_truth(w->s->ds, index, &truth));
    for (int64_t k = 0; k < truth.count; k++) {
        float box[4];
        if (truth.crowd[k] == 0 && place_box(p, truth.boxes + 4 * k, box))
            LMB_TRY(put_box(w, box, truth.labels[k]));
    }
    return LMB_OK;
}

static void clear_rest(const work *w)
{
    const lmb_detect_sample *s = w->s;
    const size_t rest = (size_t)(s->max_boxes - w->boxes);
    memset(s->boxes + 4 * w->boxes, 0, 4 * rest * sizeof *s->boxes);
    memset(s->valid + w->boxes, 0, rest * sizeof *s->valid);
    for (int64_t k = w->boxes; k < s->max_boxes; k++)
        s->labels[k] = -1;
}

static void mirror_boxes(const work *w)
{
    const float width = (float)w->canvas.width;
    for (int64_t k = 0; k < w->boxes; k++) {
        float *box = w->s->boxes + 4 * k;
        const float left = box[0];
        box[0] = width - box[2];
        box[2] = width - left;
    }
}

/* --- pixels --------------------------------------------------------------- */

static lmb_status paint_plain(
    work *w, const lmb_image *image, lmb_scratch *scratch)
{
    const lmb_canvas *c = &w->canvas;
    const placing p = {.scale = {(double)c->height / image->height,
                           (double)c->width / image->width},
        .window = {0, 0, c->height, c->width}};
    LMB_TRY(
        lmb_image_resize(image, NULL, c->height, c->width, scratch, c->rgb));
    return place_boxes(w, w->s->index, &p);
}

/* Copies the part of a picture at (y, x) of the canvas that is in `window`. */
static void paste(const lmb_canvas *c, const lmb_image *src, int32_t y,
    int32_t x, const lmb_rect *window)
{
    const int32_t x0 = x > window->x ? x : window->x;
    const int32_t right = window->x + window->width;
    const int32_t x1 = x + src->width < right ? x + src->width : right;
    for (int32_t row = 0; row < src->height && x0 < x1; row++) {
        const int32_t to = y + row;
        if (to < window->y || to >= window->y + window->height)
            continue;
        memcpy(c->rgb + 3 * ((size_t)to * (size_t)c->width + (size_t)x0),
            src->rgb +
                3 * ((size_t)row * (size_t)src->width + (size_t)(x0 - x)),
            3 * (size_t)(x1 - x0));
    }
}

/* Quarter k (1: right, 2: lower) around the point (y, x). */
static lmb_status paint_quarter(work *w, int k, int64_t index, int32_t y,
    int32_t x, double factor, lmb_scratch *scratch)
{
    const lmb_canvas *c = &w->canvas;
    const bool right = (k & 1) != 0;
    const bool lower = (k & 2) != 0;
    placing p = {.strict = true};
    lmb_image image;
    int32_t size[2];
    void *rgb = NULL;
    LMB_TRY(lmb_dataset_image(w->s->ds, index, scratch, &image));
    lmb_detect_resized(w->t, w->s->short_side, image.height, image.width, size);
    for (int i = 0; i < 2; i++)
        size[i] = (int32_t)(size[i] * factor) + 1;
    LMB_TRY(lmb_scratch_get(
        scratch, LMB_SLOT_C, 3 * (size_t)size[0] * (size_t)size[1], &rgb));
    LMB_TRY(lmb_image_resize(&image, NULL, size[0], size[1], scratch, rgb));
    p.scale[0] = (double)size[0] / image.height;
    p.scale[1] = (double)size[1] / image.width;
    p.offset[0] = lower ? y : y - size[0];
    p.offset[1] = right ? x : x - size[1];
    p.window = (lmb_rect){lower ? y : 0, right ? x : 0,
        lower ? c->height - y : y, right ? c->width - x : x};
    const lmb_image tile = {size[0], size[1], rgb};
    paste(c, &tile, (int32_t)p.offset[0], (int32_t)p.offset[1], &p.window);
    return place_boxes(w, index, &p);
}

static lmb_status paint_mosaic(work *w, lmb_rng *rng, lmb_scratch *scratch)
{
    const lmb_canvas *c = &w->canvas;
    const uint32_t all = (uint32_t)lmb_dataset_count(w->s->ds);
    const double cy = 0.25 + 0.5 * lmb_rng_uniform(rng);
    const double cx = 0.25 + 0.5 * lmb_rng_uniform(rng);
    memset(c->rgb, GREY, 3 * (size_t)c->height * (size_t)c->width);
    for (int k = 0; k < 4; k++) {
        const int64_t other = lmb_rng_below(rng, all);
        const double factor = 0.5 + 0.5 * lmb_rng_uniform(rng);
        LMB_TRY(paint_quarter(w, k, k == 0 ? w->s->index : other,
            (int32_t)(cy * c->height), (int32_t)(cx * c->width), factor,
            scratch));
    }
    return LMB_OK;
}

/* Planes of height x width with zeros behind the canvas. */
static void write_planes(const work *w, const lmb_normalizer *normalizer)
{
    const lmb_detect_sample *s = w->s;
    const lmb_canvas *c = &w->canvas;
    const size_t plane = (size_t)s->height * (size_t)s->width;
    for (int32_t y = 0; y < c->height; y++)
        lmb__normalize_run(normalizer,
            c->rgb + 3 * (size_t)y * (size_t)c->width, 3, c->width, plane,
            s->pixels + (size_t)y * (size_t)s->width);
    for (int k = 0; k < 3; k++)
        for (int32_t y = 0; y < s->height; y++) {
            const int32_t from = y < c->height ? c->width : 0;
            float *row =
                s->pixels + (size_t)k * plane + (size_t)y * (size_t)s->width;
            memset(row + from, 0, (size_t)(s->width - from) * sizeof *row);
        }
}

/* --- all of it ------------------------------------------------------------ */

static lmb_status make_canvas(
    work *w, const lmb_image *image, lmb_scratch *scratch)
{
    const lmb_detect_sample *s = w->s;
    int32_t size[2];
    void *rgb = NULL;
    lmb_detect_resized(w->t, s->short_side, image->height, image->width, size);
    if (size[0] > s->height || size[1] > s->width)
        return LMB_FAIL(LMB_ESHAPE,
            "picture %lld is %d x %d after the resize, the batch %d x %d",
            (long long)s->index, (int)size[1], (int)size[0], (int)s->width,
            (int)s->height);
    LMB_TRY(lmb_scratch_get(
        scratch, LMB_SLOT_A, 3 * (size_t)size[0] * (size_t)size[1], &rgb));
    w->canvas = (lmb_canvas){size[0], size[1], rgb};
    for (int k = 0; k < 2; k++)
        s->size[k] = (float)size[k];
    s->scale[0] = (float)((double)size[0] / image->height);
    s->scale[1] = (float)((double)size[1] / image->width);
    return LMB_OK;
}

lmb_status lmb_detect_transform_run(const lmb_detect_transform *t,
    const lmb_normalizer *normalizer, const lmb_detect_sample *sample,
    lmb_rng *rng, lmb_scratch *scratch)
{
    const lmb_transform colours = colours_of(t);
    work w = {.t = t, .s = sample};
    lmb_image image;
    LMB_TRY(lmb_dataset_image(sample->ds, sample->index, scratch, &image));
    LMB_TRY(make_canvas(&w, &image, scratch));
    if (t->mosaic > 0 && lmb_rng_uniform(rng) < t->mosaic)
        LMB_TRY(paint_mosaic(&w, rng, scratch));
    else
        LMB_TRY(paint_plain(&w, &image, scratch));
    if (t->flip > 0 && lmb_rng_uniform(rng) < t->flip) {
        lmb__mirror(&w.canvas);
        mirror_boxes(&w);
    }
    LMB_TRY(lmb__augment(&colours, rng, scratch, &w.canvas));
    clear_rest(&w);
    write_planes(&w, normalizer);
    return LMB_OK;
}

lmb_status lmb_detect_transform_image(const lmb_detect_transform *t,
    const lmb_normalizer *normalizer, const lmb_image *image,
    const lmb_detect_sample *sample, lmb_scratch *scratch)
{
    work w = {.t = t, .s = sample};
    LMB_TRY(make_canvas(&w, image, scratch));
    LMB_TRY(lmb_image_resize(
        image, NULL, w.canvas.height, w.canvas.width, scratch, w.canvas.rgb));
    write_planes(&w, normalizer);
    return LMB_OK;
}
