/* transform.c: crops, mirror, normalisation, and their order.
 *
 * out[c][y][x] = (v / 255 - mean[c]) / std[c], each step rounded to f32 as
 * torchvision's ToTensor and Normalize do. Padding is black before
 * normalisation. */
#include "data/transform.h"
#include "data/augment.h"

#include <math.h>
#include <string.h>

void lmb_transform_strong(lmb_transform *t)
{
    t->randaugment = 2;
    t->cutout = 0.5;
}

lmb_transform lmb_transform_default(const lmb_dataset *ds, bool train)
{
    lmb_transform t = {.crop = LMB_CROP_NONE};
    lmb_dataset_mean_std(ds, t.mean, t.std);
    if (lmb_dataset_size(ds, &t.height, &t.width)) {
        if (train) {
            t.crop = LMB_CROP_PAD;
            t.pad = 4;
            t.flip = strcmp(lmb_dataset_name(ds), "idx") == 0 ? 0 : 0.5;
        }
        return t;
    }
    t.height = t.width = lmb_dataset_input(ds);
    t.crop = train ? LMB_CROP_RESIZED : LMB_CROP_CENTER;
    t.resize = t.height * 256 / 224;
    t.scale[0] = 0.08;
    t.scale[1] = 1;
    t.ratio[0] = 3.0 / 4;
    t.ratio[1] = 4.0 / 3;
    t.flip = train ? 0.5 : 0;
    return t;
}

/* --- checks --------------------------------------------------------------- */

static lmb_status in_range(const char *field, double v, double low, double high)
{
    if (!(v >= low && v <= high))
        return LMB_FAIL(LMB_EINVAL, "transform: %s %g is not in %g .. %g",
            field, v, low, high);
    return LMB_OK;
}

static lmb_status check_crop(const lmb_transform *t)
{
    LMB_TRY(in_range("height", t->height, 1, LMB_IMAGE_MAX_SIDE));
    LMB_TRY(in_range("width", t->width, 1, LMB_IMAGE_MAX_SIDE));
    LMB_TRY(in_range("height x width", (double)t->height * t->width, 1,
        LMB_IMAGE_MAX_PIXELS));
    LMB_TRY(in_range("pad", t->pad, 0, LMB_IMAGE_MAX_SIDE));
    LMB_TRY(in_range("resize", t->resize, 0, LMB_IMAGE_MAX_SIDE));
    if (t->crop != LMB_CROP_RESIZED)
        return LMB_OK;
    LMB_TRY(in_range("scale", t->scale[0], 1e-6, t->scale[1]));
    LMB_TRY(in_range("scale", t->scale[1], t->scale[0], 1));
    LMB_TRY(in_range("ratio", t->ratio[0], 1e-3, t->ratio[1]));
    return in_range("ratio", t->ratio[1], t->ratio[0], 1e3);
}

lmb_status lmb_transform_check(const lmb_transform *t)
{
    LMB_TRY(check_crop(t));
    LMB_TRY(in_range("flip", t->flip, 0, 1));
    LMB_TRY(in_range("brightness", t->brightness, 0, 10));
    LMB_TRY(in_range("contrast", t->contrast, 0, 10));
    LMB_TRY(in_range("saturation", t->saturation, 0, 10));
    LMB_TRY(in_range("hue", t->hue, 0, 0.5));
    LMB_TRY(in_range("randaugment", t->randaugment, 0, 14));
    LMB_TRY(in_range("cutout", t->cutout, 0, 1));
    for (int c = 0; c < 3; c++) {
        LMB_TRY(in_range("mean", t->mean[c], -1e3, 1e3));
        LMB_TRY(in_range("std", t->std[c], 1e-6, 1e6));
    }
    return LMB_OK;
}

/* --- normalise ------------------------------------------------------------ */

lmb_normalizer lmb_normalizer_make(const double mean[3], const double std[3])
{
    lmb_normalizer n;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            const float unit = (float)v / 255.0f;
            n.value[c][v] = (unit - (float)mean[c]) / (float)std[c];
        }
    return n;
}

void lmb__normalize_run(const lmb_normalizer *n, const uint8_t *rgb,
    ptrdiff_t step, int32_t count, size_t plane, float *out)
{
    const float *red = n->value[0];
    const float *green = n->value[1];
    const float *blue = n->value[2];
    for (int32_t i = 0; i < count; i++, rgb += step) {
        out[i] = red[rgb[0]];
        out[plane + (size_t)i] = green[rgb[1]];
        out[2 * plane + (size_t)i] = blue[rgb[2]];
    }
}

static void fill_black(
    const lmb_normalizer *n, int32_t count, size_t plane, float *out)
{
    for (int c = 0; c < 3; c++)
        for (int32_t i = 0; i < count; i++)
            out[(size_t)c * plane + (size_t)i] = n->value[c][0];
}

/* --- crops ---------------------------------------------------------------- */

/* A window of the padded picture: output (y, x) is source (y + dy, x + dx),
 * black outside; mirrored afterwards. */
typedef struct window {
    int32_t dy, dx;
    bool flip;
} window;

static int32_t below(lmb_rng *rng, int32_t n)
{
    return (int32_t)lmb_rng_below(rng, (uint32_t)n);
}

static bool draw_flip(const lmb_transform *t, lmb_rng *rng)
{
    return t->flip > 0 && lmb_rng_uniform(rng) < t->flip;
}

static lmb_status draw_window(
    const lmb_transform *t, const lmb_image *src, lmb_rng *rng, window *w)
{
    *w = (window){0};
    const int32_t room_y = src->height + 2 * t->pad - t->height;
    const int32_t room_x = src->width + 2 * t->pad - t->width;
    if (room_y < 0 || room_x < 0)
        return LMB_FAIL(LMB_ESHAPE,
            "crop of %d x %d from a picture of %d x %d padded by %d",
            (int)t->width, (int)t->height, (int)src->width, (int)src->height,
            (int)t->pad);
    w->dy = below(rng, room_y + 1) - t->pad;
    w->dx = below(rng, room_x + 1) - t->pad;
    return LMB_OK;
}

/* Output columns [x0, x1) that fall inside the source. */
static void span(
    int32_t offset, int32_t source, int32_t size, int32_t *x0, int32_t *x1)
{
    const int32_t low = offset < 0 ? -offset : 0;
    const int32_t high = source - offset;
    *x0 = low > size ? size : low;
    *x1 = high < *x0 ? *x0 : high > size ? size : high;
}

/* Crop, mirror and normalise in one go: the whole work for small pictures. */
static void run_window(const lmb_transform *t, const lmb_normalizer *n,
    const lmb_image *src, const window *w, float *out)
{
    const size_t plane = (size_t)t->height * (size_t)t->width;
    int32_t x0 = 0;
    int32_t x1 = 0;
    span(w->dx, src->width, t->width, &x0, &x1);
    const int32_t left = w->flip ? t->width - x1 : x0;
    const int32_t right = w->flip ? t->width - x0 : x1;
    for (int32_t y = 0; y < t->height; y++, out += t->width) {
        const int32_t sy = y + w->dy;
        if (sy < 0 || sy >= src->height || x0 == x1) {
            fill_black(n, t->width, plane, out);
            continue;
        }
        const uint8_t *row = src->rgb + (size_t)sy * (size_t)src->width * 3;
        const int32_t first = (w->flip ? x1 - 1 : x0) + w->dx;
        fill_black(n, left, plane, out);
        lmb__normalize_run(n, row + 3 * (size_t)first, w->flip ? -3 : 3,
            x1 - x0, plane, out + left);
        fill_black(n, t->width - right, plane, out + right);
    }
}

/* The same window as 8-bit pixels, not mirrored. */
static void copy_window(
    const lmb_image *src, const window *w, const lmb_canvas *dst)
{
    const size_t row = (size_t)dst->width * 3;
    int32_t x0 = 0;
    int32_t x1 = 0;
    span(w->dx, src->width, dst->width, &x0, &x1);
    memset(dst->rgb, 0, row * (size_t)dst->height);
    for (int32_t y = 0; y < dst->height; y++) {
        const int32_t sy = y + w->dy;
        if (sy < 0 || sy >= src->height || x0 == x1)
            continue;
        memcpy(dst->rgb + (size_t)y * row + 3 * (size_t)x0,
            src->rgb +
                3 * ((size_t)sy * (size_t)src->width + (size_t)(x0 + w->dx)),
            3 * (size_t)(x1 - x0));
    }
}

void lmb__mirror(lmb_canvas *c)
{
    for (int32_t y = 0; y < c->height; y++) {
        uint8_t *left = c->rgb + (size_t)y * (size_t)c->width * 3;
        uint8_t *right = left + 3 * (size_t)(c->width - 1);
        for (; left < right; left += 3, right -= 3) {
            uint8_t kept[3];
            memcpy(kept, left, 3);
            memcpy(left, right, 3);
            memcpy(right, kept, 3);
        }
    }
}

/* The largest centred part whose shape is within t->ratio. */
static lmb_rect central_rect(const lmb_transform *t, const lmb_image *src)
{
    lmb_rect r = {.height = src->height, .width = src->width};
    const double shape = (double)src->width / src->height;
    if (shape < t->ratio[0])
        r.height = (int32_t)lrint(src->width / t->ratio[0]);
    else if (shape > t->ratio[1])
        r.width = (int32_t)lrint(src->height * t->ratio[1]);
    r.height = r.height < 1 ? 1 : r.height;
    r.width = r.width < 1 ? 1 : r.width;
    r.y = (src->height - r.height) / 2;
    r.x = (src->width - r.width) / 2;
    return r;
}

/* Ten tries of area ~ U(scale) and log shape ~ U(log ratio), then the centre:
 * torchvision's RandomResizedCrop. */
static lmb_rect draw_rect(
    const lmb_transform *t, const lmb_image *src, lmb_rng *rng)
{
    const double whole = (double)src->height * src->width;
    const double low = log(t->ratio[0]);
    const double high = log(t->ratio[1]);
    for (int try = 0; try < 10; try++) {
        const double u = lmb_rng_uniform(rng);
        const double v = lmb_rng_uniform(rng);
        const double area =
            whole * (t->scale[0] + u * (t->scale[1] - t->scale[0]));
        const double shape = exp(low + v * (high - low));
        const double width = rint(sqrt(area * shape));
        const double height = rint(sqrt(area / shape));
        if (width < 1 || height < 1 || width > src->width ||
            height > src->height)
            continue;
        lmb_rect r = {.height = (int32_t)height, .width = (int32_t)width};
        r.y = below(rng, src->height - r.height + 1);
        r.x = below(rng, src->width - r.width + 1);
        return r;
    }
    return central_rect(t, src);
}

/* Short side to t->resize, long side truncated, as torchvision's Resize. */
static lmb_status resize_short(
    const lmb_transform *t, lmb_image *image, lmb_scratch *scratch)
{
    const int64_t h = image->height;
    const int64_t w = image->width;
    const int64_t shorter = h < w ? h : w;
    if (t->resize == 0 || t->resize == shorter)
        return LMB_OK;
    const int64_t longer =
        (int64_t)((double)(t->resize * (h < w ? w : h)) / (double)shorter);
    const int64_t new_h = h <= w ? t->resize : longer;
    const int64_t new_w = w <= h ? t->resize : longer;
    if (longer > LMB_IMAGE_MAX_SIDE)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "resize of %lld x %lld to short side %d", (long long)w,
            (long long)h, (int)t->resize);
    void *rgb = NULL;
    LMB_TRY(lmb_scratch_get(
        scratch, LMB_SLOT_B, 3 * (size_t)(new_h * new_w), &rgb));
    LMB_TRY(lmb_image_resize(
        image, NULL, (int32_t)new_h, (int32_t)new_w, scratch, rgb));
    *image = (lmb_image){(int32_t)new_h, (int32_t)new_w, rgb};
    return LMB_OK;
}

/* Half of an odd difference goes to the even side (Python's round). */
static int32_t half(int32_t difference)
{
    return (int32_t)rint(difference / 2.0);
}

static lmb_status run_center(const lmb_transform *t, const lmb_image *src,
    lmb_scratch *scratch, const lmb_canvas *dst)
{
    lmb_image image = *src;
    LMB_TRY(resize_short(t, &image, scratch));
    /* A picture smaller than the crop gets a black border. */
    const window w = {.dy = image.height < t->height
            ? -((t->height - image.height) / 2)
            : half(image.height - t->height),
        .dx = image.width < t->width ? -((t->width - image.width) / 2)
                                     : half(image.width - t->width)};
    copy_window(&image, &w, dst);
    return LMB_OK;
}

static lmb_status run_crop(const lmb_transform *t, const lmb_image *src,
    lmb_rng *rng, lmb_scratch *scratch, const lmb_canvas *dst)
{
    window w = {0};
    lmb_rect r = {.height = src->height, .width = src->width};
    switch (t->crop) {
    case LMB_CROP_CENTER:
        return run_center(t, src, scratch, dst);
    case LMB_CROP_PAD:
        LMB_TRY(draw_window(t, src, rng, &w));
        copy_window(src, &w, dst);
        return LMB_OK;
    case LMB_CROP_RESIZED:
        r = draw_rect(t, src, rng);
        break;
    case LMB_CROP_NONE:
        break;
    }
    return lmb_image_resize(src, &r, t->height, t->width, scratch, dst->rgb);
}

/* --- all together --------------------------------------------------------- */

static bool changes_colours(const lmb_transform *t)
{
    return t->brightness > 0 || t->contrast > 0 || t->saturation > 0 ||
        t->hue > 0 || t->randaugment > 0 || t->cutout > 0;
}

lmb_status lmb_transform_run(const lmb_transform *t,
    const lmb_normalizer *normalizer, const lmb_image *image, lmb_rng *rng,
    lmb_scratch *scratch, float *out)
{
    const bool fits = image->height == t->height && image->width == t->width;
    window w = {0};
    if (!changes_colours(t) &&
        (t->crop == LMB_CROP_PAD || (t->crop == LMB_CROP_NONE && fits))) {
        if (t->crop == LMB_CROP_PAD)
            LMB_TRY(draw_window(t, image, rng, &w));
        w.flip = draw_flip(t, rng);
        run_window(t, normalizer, image, &w, out);
        return LMB_OK;
    }
    lmb_canvas canvas = {t->height, t->width, NULL};
    const size_t pixels = (size_t)t->height * (size_t)t->width;
    void *rgb = NULL;
    LMB_TRY(lmb_scratch_get(scratch, LMB_SLOT_A, 3 * pixels, &rgb));
    canvas.rgb = rgb;
    LMB_TRY(run_crop(t, image, rng, scratch, &canvas));
    if (draw_flip(t, rng))
        lmb__mirror(&canvas);
    LMB_TRY(lmb__augment(t, rng, scratch, &canvas));
    lmb__normalize_run(normalizer, canvas.rgb, 3, (int32_t)pixels, pixels, out);
    return LMB_OK;
}
