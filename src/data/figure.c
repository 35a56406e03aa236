/* figure.c: outlines, textures, colours of generated pictures. */
#include "data/figure.h"

#include <math.h>

const char *const lmb__outline_names[LMB_OUTLINES] = {"disc", "ring", "square",
    "frame", "triangle", "plus", "star", "crescent", "T", "bow tie"};

const char *const lmb__texture_names[LMB_TEXTURES] = {"dark halves",
    "dark stripes", "dark checks", "dark dots", "dark rings", "two-hue halves",
    "two-hue stripes", "two-hue checks", "two-hue dots", "two-hue rings"};

/* --- drawing numbers ------------------------------------------------------ */

double lmb__between(lmb_rng *rng, double low, double high)
{
    return low + (high - low) * lmb_rng_uniform(rng);
}

/* A direction without trigonometry: t -> ((1 - t^2), 2 t) / (1 + t^2), up to
 * sign, covers the half circle for t in [-1, 1]. */
static lmb_frame draw_frame(lmb_rng *rng, double x, double y, double radius)
{
    const double t = lmb__between(rng, -1, 1);
    const double sign = lmb_rng_below(rng, 2) == 0 ? 1 : -1;
    const double norm = sign / (1 + t * t);
    return (lmb_frame){x, y, (1 - t * t) * norm, 2 * t * norm, 1 / radius};
}

/* Strong hue: one channel high, one low, one anywhere between. */
lmb_colour lmb__draw_strong(lmb_rng *rng)
{
    const double high = lmb__between(rng, 150, 255);
    const double low = lmb__between(rng, 0, 70);
    const double middle = lmb__between(rng, low, high);
    const uint32_t a = lmb_rng_below(rng, 3);
    const uint32_t b = (a + 1 + lmb_rng_below(rng, 2)) % 3;
    lmb_colour out;
    out.c[a] = high;
    out.c[b] = low;
    out.c[3 - a - b] = middle;
    return out;
}

lmb_colour lmb__draw_any(lmb_rng *rng)
{
    lmb_colour out;
    for (int c = 0; c < 3; c++)
        out.c[c] = lmb__between(rng, 20, 235);
    return out;
}

/* max + min - v keeps lightness and turns the hue by half a circle. */
static lmb_colour complement(lmb_colour a)
{
    const double high = fmax(a.c[0], fmax(a.c[1], a.c[2]));
    const double low = fmin(a.c[0], fmin(a.c[1], a.c[2]));
    for (int c = 0; c < 3; c++)
        a.c[c] = high + low - a.c[c];
    return a;
}

static lmb_colour darker(lmb_colour a, double factor)
{
    for (int c = 0; c < 3; c++)
        a.c[c] *= factor;
    return a;
}

lmb_blob lmb__draw_blob(lmb_rng *rng, double side, double low, double high)
{
    const double x = lmb__between(rng, 0, side);
    const double y = lmb__between(rng, 0, side);
    lmb_blob b = {.at = draw_frame(rng, x, y, lmb__between(rng, low, high))};
    b.round = lmb_rng_below(rng, 2) == 0;
    b.width = lmb__between(rng, 0.15, 0.45);
    b.fill = lmb__draw_strong(rng);
    return b;
}

lmb_figure lmb__draw_figure(
    lmb_rng *rng, int outline, int texture, double x, double y, double radius)
{
    lmb_figure f = {.outline = outline, .pattern = texture % LMB_PATTERNS};
    f.body = draw_frame(rng, x, y, radius);
    f.texture = draw_frame(rng, x, y, radius);
    f.frequency = lmb__between(rng, 1.7, 2.9);
    for (int k = 0; k < 2; k++)
        f.phase[k] = lmb__between(rng, -0.5, 0.5);
    f.ink[0] = lmb__draw_strong(rng);
    const double dark = lmb__between(rng, 0.25, 0.55);
    f.ink[1] =
        texture < LMB_PATTERNS ? darker(f.ink[0], dark) : complement(f.ink[0]);
    return f;
}

/* --- what is where -------------------------------------------------------- */

static void to_frame(
    const lmb_frame *f, double x, double y, double *u, double *v)
{
    const double dx = (x - f->x) * f->inverse;
    const double dy = (y - f->y) * f->inverse;
    *u = f->cos * dx + f->sin * dy;
    *v = f->cos * dy - f->sin * dx;
}

/* A point is in the pentagram if it is on the inner side of at least 4 of the
 * 5 lines that its edges lie on. */
static bool in_star(double u, double v)
{
    static const double normal[5][2] = {{0, 1},
        {0.95105651629515357, 0.30901699437494742},
        {0.58778525229247313, -0.80901699437494742},
        {-0.58778525229247313, -0.80901699437494742},
        {-0.95105651629515357, 0.30901699437494742}};
    int inside = 0;
    for (int k = 0; k < 5; k++)
        inside += u * normal[k][0] + v * normal[k][1] < 0.36;
    return inside >= 4 && u * u + v * v < 1.2;
}

static bool in_outline(int outline, double u, double v)
{
    const double a = fabs(u);
    const double b = fabs(v);
    const double square = a > b ? a : b;
    const double round = u * u + v * v;
    switch (outline) {
    case 0:
        return round < 0.9;
    case 1:
        return round < 1 && round > 0.3;
    case 2:
        return square < 0.82;
    case 3:
        return square < 0.9 && square > 0.5;
    case 4: /* triangle */
        return v < 0.6 && a < (v + 1.1) * 0.6;
    case 5: /* plus */
        return square < 0.95 && (a < 0.34 || b < 0.34);
    case 6:
        return in_star(u, v);
    case 7: /* crescent */
        return round < 1 && (u - 0.5) * (u - 0.5) + v * v > 0.5;
    case 8: /* T */
        return square < 0.92 && (v < -0.36 || a < 0.32);
    default: /* bow tie */
        return a < 0.95 && b < 0.15 + 0.8 * a;
    }
}

static bool odd(double x)
{
    return ((int)floor(x) & 1) != 0;
}

static double fraction_of(double x)
{
    return x - floor(x);
}

/* Which of the two inks is at (u, v) of the texture's lmb_frame. */
static int ink_at(const lmb_figure *s, double u, double v)
{
    const double p = u * s->frequency + s->phase[0];
    const double q = v * s->frequency + s->phase[1];
    const double a = fraction_of(p) - 0.5;
    const double b = fraction_of(q) - 0.5;
    switch (s->pattern) {
    case 0: /* halves */
        return u + 0.4 * s->phase[0] < 0;
    case 1: /* stripes */
        return odd(p);
    case 2: /* checks */
        return odd(p) != odd(q);
    case 3: /* dots */
        return a * a + b * b < 0.12;
    default: /* rings */
        return odd(sqrt(u * u + v * v) * s->frequency + s->phase[0]);
    }
}

bool lmb__in_blob(const lmb_blob *b, double x, double y)
{
    double u = 0;
    double v = 0;
    to_frame(&b->at, x, y, &u, &v);
    if (b->round)
        return u * u + v * v < 0.4;
    return fabs(u) < 1 && fabs(v) < b->width;
}

bool lmb__in_figure(const lmb_figure *f, double x, double y)
{
    double u = 0;
    double v = 0;
    to_frame(&f->body, x, y, &u, &v);
    return in_outline(f->outline, u, v);
}

lmb_colour lmb__figure_at(const lmb_figure *f, double x, double y)
{
    double u = 0;
    double v = 0;
    to_frame(&f->texture, x, y, &u, &v);
    return f->ink[ink_at(f, u, v)];
}

double lmb__slow_noise(
    const double *grid, int nodes, double side, double x, double y)
{
    const double gx = x * ((nodes - 1) / side);
    const double gy = y * ((nodes - 1) / side);
    const int i = (int)gx;
    const int j = (int)gy;
    const double fx = gx - i;
    const double fy = gy - j;
    const double *row = grid + j * nodes + i;
    const double top = row[0] * (1 - fx) + row[1] * fx;
    const double low = row[nodes] * (1 - fx) + row[nodes + 1] * fx;
    return top * (1 - fy) + low * fy;
}

/* --- light ---------------------------------------------------------------- */

lmb_light lmb__draw_light(lmb_rng *rng)
{
    lmb_light out;
    out.light = lmb__between(rng, 0.65, 1.05);
    out.lift = lmb__between(rng, -10, 40);
    out.noise = lmb__between(rng, 8, 40);
    return out;
}

static uint8_t to_byte(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

void lmb__develop(
    const lmb_light *light, const lmb_colour *at, lmb_rng *rng, uint8_t *rgb)
{
    for (int c = 0; c < 3; c++) {
        const double noise = (lmb_rng_u32(rng) >> 8) * 0x1p-24 - 0.5;
        rgb[c] = to_byte(
            at->c[c] * light->light + light->lift + noise * light->noise);
    }
}
