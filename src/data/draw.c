/* draw.c: boxes, names and heat maps drawn over pictures.
 *
 * Hues of classes are multiples of the golden ratio on the colour circle, so
 * that any first n of them are well spread; saturation and lightness change in
 * threes beside them. Heat maps go through five colours of matplotlib's
 * inferno, which is even in lightness. */
#include "data/draw.h"
#include "data/font.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- colours -------------------------------------------------------------- */

/* Hue, saturation, value in 0 .. 1. */
static lmb_ink from_hsv(double h, double s, double v)
{
    lmb_ink out;
    for (int c = 0; c < 3; c++) {
        const double k = fmod(5 - 2 * c + 6 * h, 6);
        const double part = fmax(0, fmin(1, fmin(k, 4 - k)));
        out.rgb[c] = (uint8_t)lrint(255 * v * (1 - s * part));
    }
    return out;
}

lmb_ink lmb_ink_of_class(int32_t label)
{
    static const double strength[3][2] = {{0.85, 0.95}, {0.6, 1}, {0.95, 0.75}};
    const double turn = 0.05 + 0.61803398874989485 * (label < 0 ? 0 : label);
    const double *sv = strength[label < 0 ? 0 : label % 3];
    return from_hsv(turn - floor(turn), sv[0], sv[1]);
}

/* Black or white, whichever is easier to read on `ink`. */
static lmb_ink text_on(lmb_ink ink)
{
    const int light = 299 * ink.rgb[0] + 587 * ink.rgb[1] + 114 * ink.rgb[2];
    const uint8_t v = light > 140 * 1000 ? 0 : 255;
    return (lmb_ink){{v, v, v}};
}

/* --- areas ---------------------------------------------------------------- */

static int32_t clamp(double v, int32_t most)
{
    return v > 0 ? v < most ? (int32_t)v : most : 0;
}

static void fill(
    lmb_canvas *c, int32_t y0, int32_t x0, int32_t y1, int32_t x1, lmb_ink ink)
{
    y1 = y1 < c->height ? y1 : c->height;
    x1 = x1 < c->width ? x1 : c->width;
    for (int32_t y = y0 > 0 ? y0 : 0; y < y1; y++)
        for (int32_t x = x0 > 0 ? x0 : 0; x < x1; x++)
            memcpy(c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x),
                ink.rgb, 3);
}

lmb_pen lmb_pen_for(int32_t height, int32_t width)
{
    const int32_t side = height < width ? height : width;
    return (lmb_pen){.line = 1 + side / 300, .text = 1 + side / 400};
}

/* The pixels of a box: y0 x0 y1 x1, the last two behind it; at least one. */
static void pixels_of(const lmb_canvas *c, const double box[4], int32_t out[4])
{
    out[0] = clamp(floor(box[1]), c->height - 1);
    out[1] = clamp(floor(box[0]), c->width - 1);
    out[2] = clamp(ceil(box[1] + box[3]), c->height);
    out[3] = clamp(ceil(box[0] + box[2]), c->width);
    out[2] = out[2] > out[0] ? out[2] : out[0] + 1;
    out[3] = out[3] > out[1] ? out[3] : out[1] + 1;
}

void lmb_draw_box(
    lmb_canvas *c, const lmb_pen *pen, const double box[4], lmb_ink ink)
{
    int32_t p[4];
    const int32_t n = pen->line;
    pixels_of(c, box, p);
    const int32_t h = p[2] - p[0] < n ? p[2] - p[0] : n;
    const int32_t w = p[3] - p[1] < n ? p[3] - p[1] : n;
    fill(c, p[0], p[1], p[0] + h, p[3], ink);
    fill(c, p[2] - h, p[1], p[2], p[3], ink);
    fill(c, p[0], p[1], p[2], p[1] + w, ink);
    fill(c, p[0], p[3] - w, p[2], p[3], ink);
}

/* --- text ----------------------------------------------------------------- */

static void draw_letter(lmb_canvas *c, uint32_t letter, int32_t y, int32_t x,
    int32_t scale, lmb_ink ink)
{
    for (int i = 0; i < LMB_FONT_HEIGHT; i++)
        for (int k = 0; k < LMB_FONT_WIDTH; k++)
            if (lmb_font_ink(letter, i, k))
                fill(c, y + i * scale, x + k * scale, y + (i + 1) * scale,
                    x + (k + 1) * scale, ink);
}

static int32_t letters_of(const char *text)
{
    int32_t n = 0;
    while (lmb_font_next(&text) != 0)
        n++;
    return n;
}

void lmb_draw_label(lmb_canvas *c, const lmb_pen *pen, const double box[4],
    lmb_ink ink, const char *text)
{
    int32_t p[4];
    const int32_t s = pen->text;
    const int32_t advance = LMB_FONT_ADVANCE * s;
    const int32_t height = (LMB_FONT_HEIGHT + 2) * s;
    const int32_t room = (c->width - s) / advance;
    const int32_t all = letters_of(text);
    const int32_t n = all < room ? all : room;
    const int32_t width = n * advance + s;
    const lmb_ink on = text_on(ink);
    pixels_of(c, box, p);
    int32_t y = p[0] >= height ? p[0] - height : p[0];
    y = y + height > c->height ? c->height - height : y;
    y = y > 0 ? y : 0;
    int32_t x = p[1] + width > c->width ? c->width - width : p[1];
    x = x > 0 ? x : 0;
    fill(c, y, x, y + height, x + width, ink);
    for (int32_t k = 0; k < n; k++)
        draw_letter(c, lmb_font_next(&text), y + s, x + s + k * advance, s, on);
}

void lmb_draw_marks(lmb_canvas *c, int64_t n, const lmb_mark *marks)
{
    const lmb_pen pen = lmb_pen_for(c->height, c->width);
    for (int64_t i = n; i-- > 0;)
        lmb_draw_box(c, &pen, marks[i].box, lmb_ink_of_class(marks[i].label));
    for (int64_t i = n; i-- > 0;) {
        const lmb_mark *m = &marks[i];
        char name[80], text[100];
        if (m->name != NULL)
            (void)snprintf(name, sizeof name, "%s", m->name);
        else
            (void)snprintf(name, sizeof name, "%d", (int)m->label);
        if (m->score >= 0)
            (void)snprintf(text, sizeof text, "%s %.2f", name, m->score);
        else
            (void)snprintf(text, sizeof text, "%s", name);
        lmb_draw_label(c, &pen, m->box, lmb_ink_of_class(m->label), text);
    }
}

/* --- heat ----------------------------------------------------------------- */

static double heat_colour(double v, int c)
{
    static const double stop[5][3] = {{0, 0, 4}, {87, 16, 110}, {188, 55, 84},
        {249, 142, 9}, {252, 255, 164}};
    const double at = 4 * fmax(0, fmin(1, v));
    const int k = at < 3 ? (int)at : 3;
    return stop[k][c] + (at - k) * (stop[k + 1][c] - stop[k][c]);
}

/* Bilinear; cells have their values at their centres. */
static double sample(const float *map, int64_t h, int64_t w, double y, double x)
{
    y = fmax(0, fmin((double)(h - 1), y));
    x = fmax(0, fmin((double)(w - 1), x));
    const int64_t i = (int64_t)y, k = (int64_t)x;
    const int64_t down = i + 1 < h ? w : 0, right = k + 1 < w ? 1 : 0;
    const float *m = map + i * w + k;
    const double a = y - (double)i, b = x - (double)k;
    return (1 - a) * ((1 - b) * (double)m[0] + b * (double)m[right]) +
        a * ((1 - b) * (double)m[down] + b * (double)m[down + right]);
}

void lmb_draw_heat(lmb_canvas *c, const float *map, int64_t h, int64_t w,
    double low, double high)
{
    const double share = 0.65, span = high > low ? high - low : 1;
    for (int32_t y = 0; y < c->height; y++)
        for (int32_t x = 0; x < c->width; x++) {
            uint8_t *p =
                c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
            const double v =
                sample(map, h, w, (y + 0.5) * (double)h / c->height - 0.5,
                    (x + 0.5) * (double)w / c->width - 0.5);
            const double grey = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            for (int k = 0; k < 3; k++)
                p[k] = (uint8_t)lrint((1 - share) * grey +
                    share * heat_colour((v - low) / span, k));
        }
}

void lmb_draw_mask(lmb_canvas *c, const float *map, int64_t h, int64_t w)
{
    const double dark = 0.12;
    for (int32_t y = 0; y < c->height; y++)
        for (int32_t x = 0; x < c->width; x++) {
            const double v =
                (double)map[y * h / c->height * w + x * w / c->width];
            const double keep = dark + (1 - dark) * fmax(0, fmin(1, v));
            uint8_t *p =
                c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
            for (int k = 0; k < 3; k++)
                p[k] = (uint8_t)lrint(keep * p[k]);
        }
}
