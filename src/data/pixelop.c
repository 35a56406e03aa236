/* pixelop.c: operations on 8-bit RGB with the results of Pillow's (PIL).
 *
 * Enhancements blend a weakened picture w with the original v in f32:
 * w + factor * (v - w), cut to 0 .. 255 and truncated. Tables map each channel
 * on its own. Geometric operations take the nearest pixel, black outside, in
 * 16.16 fixed point. Checked bit for bit against Pillow's output. */
#include "data/augment.h"

#include <math.h>
#include <string.h>

static size_t pixel_count(const lmb_canvas *c)
{
    return (size_t)c->height * (size_t)c->width;
}

/* Rec. 601 luma in 16-bit fixed point. */
static uint8_t grey(const uint8_t *rgb)
{
    return (
        uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >>
        16);
}

/* --- enhancements --------------------------------------------------------- */

static uint8_t blend(int weak, int value, float factor)
{
    const float v = (float)weak + factor * (float)(value - weak);
    return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : v);
}

static void brightness(lmb_canvas *c, float factor)
{
    for (size_t i = 0; i < 3 * pixel_count(c); i++)
        c->rgb[i] = blend(0, c->rgb[i], factor);
}

static void color(lmb_canvas *c, float factor)
{
    for (size_t i = 0; i < pixel_count(c); i++) {
        uint8_t *p = c->rgb + 3 * i;
        const int weak = grey(p);
        for (int k = 0; k < 3; k++)
            p[k] = blend(weak, p[k], factor);
    }
}

static void contrast(lmb_canvas *c, float factor)
{
    const size_t n = pixel_count(c);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += grey(c->rgb + 3 * i);
    const int weak = (int)((double)sum / (double)n + 0.5);
    for (size_t i = 0; i < 3 * n; i++)
        c->rgb[i] = blend(weak, c->rgb[i], factor);
}

/* Mean of the 3 x 3 neighbours, the middle five times; borders stay. */
static int smooth_at(const uint8_t *p, size_t row)
{
    int sum = 4 * p[0];
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++)
            sum += p[(ptrdiff_t)row * dy + 3 * dx];
    return (2 * sum + 13) / 26;
}

static void sharpness(lmb_canvas *c, float factor, const uint8_t *src)
{
    const size_t row = 3 * (size_t)c->width;
    for (int32_t y = 1; y + 1 < c->height; y++)
        for (size_t x = 3; x + 3 < row; x++) {
            const size_t i = (size_t)y * row + x;
            c->rgb[i] = blend(smooth_at(src + i, row), src[i], factor);
        }
}

/* --- tables --------------------------------------------------------------- */

typedef struct table {
    uint8_t map[256];
} table;

static void apply_table(lmb_canvas *c, int channel, const table *t)
{
    for (size_t i = 0; i < pixel_count(c); i++)
        c->rgb[3 * i + (size_t)channel] =
            t->map[c->rgb[3 * i + (size_t)channel]];
}

static void histogram(const lmb_canvas *c, int channel, int64_t count[256])
{
    memset(count, 0, 256 * sizeof count[0]);
    for (size_t i = 0; i < pixel_count(c); i++)
        count[c->rgb[3 * i + (size_t)channel]]++;
}

/* Darkest used value to 0, brightest to 255. */
static void autocontrast(lmb_canvas *c)
{
    int64_t count[256];
    for (int channel = 0; channel < 3; channel++) {
        int low = 0;
        int high = 255;
        histogram(c, channel, count);
        while (low < 255 && count[low] == 0)
            low++;
        while (high > 0 && count[high] == 0)
            high--;
        if (high <= low)
            continue;
        table t;
        const double scale = 255.0 / (high - low);
        const double offset = -low * scale;
        for (int v = 0; v < 256; v++) {
            const double to = v * scale + offset;
            t.map[v] = (uint8_t)(to <= 0 ? 0 : to >= 255 ? 255 : to);
        }
        apply_table(c, channel, &t);
    }
}

/* Ranks instead of values; the brightest value does not count towards the
 * step. */
static void equalize(lmb_canvas *c)
{
    int64_t count[256];
    for (int channel = 0; channel < 3; channel++) {
        int high = 255;
        histogram(c, channel, count);
        while (high > 0 && count[high] == 0)
            high--;
        const int64_t below = (int64_t)pixel_count(c) - count[high];
        const int64_t step = below / 255;
        if (step == 0)
            continue;
        table t;
        int64_t n = step / 2;
        for (int v = 0; v < 256; v++) {
            t.map[v] = (uint8_t)(n / step > 255 ? 255 : n / step);
            n += count[v];
        }
        apply_table(c, channel, &t);
    }
}

static void posterize(lmb_canvas *c, int bits)
{
    const int mask = bits >= 8 ? 255 : bits < 1 ? 128 : 255 << (8 - bits);
    for (size_t i = 0; i < 3 * pixel_count(c); i++)
        c->rgb[i] = (uint8_t)(c->rgb[i] & mask);
}

static void solarize(lmb_canvas *c, double threshold)
{
    for (size_t i = 0; i < 3 * pixel_count(c); i++)
        if (c->rgb[i] >= threshold)
            c->rgb[i] = (uint8_t)(255 - c->rgb[i]);
}

/* --- geometry ------------------------------------------------------------- */

static int64_t to_fixed(double v)
{
    return (int64_t)floor(v * 65536.0 + 0.5);
}

/* Output pixel (x, y) shows source (a0 x + a1 y + a2, a3 x + a4 y + a5), taken
 * at the pixel's centre. */
static void affine(lmb_canvas *c, const double a[6], const uint8_t *src)
{
    const int64_t ax = to_fixed(a[0]);
    const int64_t ay = to_fixed(a[1]);
    const int64_t bx = to_fixed(a[3]);
    const int64_t by = to_fixed(a[4]);
    int64_t row_x = to_fixed(a[2] + a[0] * 0.5 + a[1] * 0.5);
    int64_t row_y = to_fixed(a[5] + a[3] * 0.5 + a[4] * 0.5);
    uint8_t *out = c->rgb;
    memset(out, 0, 3 * pixel_count(c));
    for (int32_t y = 0; y < c->height; y++, row_x += ay, row_y += by) {
        int64_t px = row_x;
        int64_t py = row_y;
        for (int32_t x = 0; x < c->width; x++, px += ax, py += bx, out += 3) {
            const int64_t sx = px >> 16;
            const int64_t sy = py >> 16;
            if (sx >= 0 && sx < c->width && sy >= 0 && sy < c->height)
                memcpy(out, src + 3 * (sy * c->width + sx), 3);
        }
    }
}

/* Pure moves are done in f64, where a source of -1 < p < 0 is outside. */
static void translate(lmb_canvas *c, double dx, double dy, const uint8_t *src)
{
    uint8_t *out = c->rgb;
    memset(out, 0, 3 * pixel_count(c));
    double py = dy + 0.5;
    for (int32_t y = 0; y < c->height; y++, py += 1) {
        double px = dx + 0.5;
        for (int32_t x = 0; x < c->width; x++, px += 1, out += 3) {
            if (px < 0 || py < 0 || px >= c->width || py >= c->height)
                continue;
            memcpy(
                out, src + 3 * ((size_t)py * (size_t)c->width + (size_t)px), 3);
        }
    }
}

/* Counter-clockwise about the centre. */
static void rotate(lmb_canvas *c, double degrees, const uint8_t *src)
{
    const double turned = fmod(fmod(degrees, 360.0) + 360.0, 360.0);
    const double angle = -turned * (3.14159265358979323846 / 180.0);
    const double cosine = cos(angle);
    const double sine = sin(angle);
    const double x = c->width / 2.0;
    const double y = c->height / 2.0;
    const double a[6] = {cosine, sine, x - cosine * x - sine * y, -sine, cosine,
        y + sine * x - cosine * y};
    if (turned == 0)
        return;
    affine(c, a, src);
}

/* --- hue, cutout ---------------------------------------------------------- */

static uint8_t cut8(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void to_hsv(const uint8_t *rgb, uint8_t *hsv)
{
    const int r = rgb[0];
    const int g = rgb[1];
    const int b = rgb[2];
    const int most = r > g ? (r > b ? r : b) : (g > b ? g : b);
    const int least = r < g ? (r < b ? r : b) : (g < b ? g : b);
    hsv[0] = hsv[1] = 0;
    hsv[2] = (uint8_t)most;
    if (most == least)
        return;
    const float range = (float)(most - least);
    const float red = (float)(most - r) / range;
    const float green = (float)(most - g) / range;
    const float blue = (float)(most - b) / range;
    float h = 0;
    if (r == most)
        h = blue - green;
    else if (g == most)
        h = (float)(2.0 + (double)red - (double)blue);
    else
        h = (float)(4.0 + (double)green - (double)red);
    h = (float)fmod((double)h / 6.0 + 1.0, 1.0);
    hsv[0] = cut8((int)((double)h * 255.0));
    hsv[1] = cut8((int)((double)(range / (float)most) * 255.0));
}

static void to_rgb(const uint8_t *hsv, uint8_t *rgb)
{
    const uint8_t v = hsv[2];
    if (hsv[1] == 0) {
        memset(rgb, v, 3);
        return;
    }
    const double sixth = (double)((float)hsv[0] * 6.0f) / 255.0;
    const int i = (int)floor(sixth);
    const float f = (float)(sixth - i);
    const float s = (float)hsv[1] / 255.0f;
    const uint8_t p = cut8((int)round((float)v * (1.0 - (double)s)));
    const uint8_t q = cut8((int)round((float)v * (1.0 - (double)(s * f))));
    const uint8_t t =
        cut8((int)round((float)v * (1.0 - (double)s * (1.0 - (double)f))));
    const uint8_t sectors[6][3] = {
        {v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
    memcpy(rgb, sectors[i % 6], 3);
}

void lmb__augment_hue(double shift, lmb_canvas *canvas)
{
    const int turn = (int)(shift * 255);
    for (size_t i = 0; i < pixel_count(canvas); i++) {
        uint8_t hsv[3];
        to_hsv(canvas->rgb + 3 * i, hsv);
        hsv[0] = (uint8_t)(hsv[0] + turn); /* wraps: hue is a circle */
        to_rgb(hsv, canvas->rgb + 3 * i);
    }
}

void lmb__augment_cutout(double side, double x, double y, lmb_canvas *canvas)
{
    static const uint8_t fill[3] = {125, 123, 114};
    if (!(side > 0))
        return;
    const int32_t x0 = (int32_t)fmax(0, x - side / 2);
    const int32_t y0 = (int32_t)fmax(0, y - side / 2);
    const int32_t x1 = (int32_t)fmin(canvas->width, x0 + side);
    const int32_t y1 = (int32_t)fmin(canvas->height, y0 + side);
    for (int32_t row = y0; row <= y1 && row < canvas->height; row++)
        for (int32_t at = x0; at <= x1 && at < canvas->width; at++)
            memcpy(canvas->rgb +
                    3 * ((size_t)row * (size_t)canvas->width + (size_t)at),
                fill, 3);
}

/* --- by name -------------------------------------------------------------- */

static lmb_status copy_source(
    lmb_scratch *scratch, const lmb_canvas *c, const uint8_t **out)
{
    void *copy = NULL;
    LMB_TRY(lmb_scratch_get(scratch, LMB_SLOT_B, 3 * pixel_count(c), &copy));
    memcpy(copy, c->rgb, 3 * pixel_count(c));
    *out = copy;
    return LMB_OK;
}

/* The operations that read other pixels than the one they write. */
static lmb_status apply_moving(
    lmb_augment_op op, double value, lmb_scratch *scratch, lmb_canvas *c)
{
    const uint8_t *src = NULL;
    LMB_TRY(copy_source(scratch, c, &src));
    const double along_x[6] = {1, value, 0, 0, 1, 0};
    const double along_y[6] = {1, 0, 0, value, 1, 0};
    if (op == LMB_AUGMENT_SHARPNESS)
        sharpness(c, (float)value, src);
    else if (op == LMB_AUGMENT_ROTATE)
        rotate(c, value, src);
    else if (op == LMB_AUGMENT_SHEAR_X)
        affine(c, along_x, src);
    else if (op == LMB_AUGMENT_SHEAR_Y)
        affine(c, along_y, src);
    else if (op == LMB_AUGMENT_TRANSLATE_X)
        translate(c, value * c->width, 0, src);
    else
        translate(c, 0, value * c->height, src);
    return LMB_OK;
}

lmb_status lmb__augment_apply(
    lmb_augment_op op, double value, lmb_scratch *scratch, lmb_canvas *c)
{
    switch (op) {
    case LMB_AUGMENT_AUTOCONTRAST:
        autocontrast(c);
        return LMB_OK;
    case LMB_AUGMENT_BRIGHTNESS:
        brightness(c, (float)value);
        return LMB_OK;
    case LMB_AUGMENT_COLOR:
        color(c, (float)value);
        return LMB_OK;
    case LMB_AUGMENT_CONTRAST:
        contrast(c, (float)value);
        return LMB_OK;
    case LMB_AUGMENT_EQUALIZE:
        equalize(c);
        return LMB_OK;
    case LMB_AUGMENT_IDENTITY:
        return LMB_OK;
    case LMB_AUGMENT_POSTERIZE:
        posterize(c, (int)value);
        return LMB_OK;
    case LMB_AUGMENT_SOLARIZE:
        solarize(c, value);
        return LMB_OK;
    default:
        return apply_moving(op, value, scratch, c);
    }
}
