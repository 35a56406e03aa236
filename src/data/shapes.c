/* shapes.c: generated pictures for trying things without a download.
 *
 * 32 x 32 RGB; class k = one of 10 outlines (k mod 10) filled with one of 10
 * textures (k / 10): 5 patterns, each of two colours that are either a light
 * and a dark one of the same hue or complementary hues. Everything else is a
 * nuisance: place, size, turn, hues, background, small distractors, an
 * occluder, light and noise. Sample i of a split is a pure function of (seed,
 * split, i) through LMB_STREAM_GENERATE and has label i mod classes. Only
 * + - * / sqrt and floor touch pixels, so every machine makes the same. */
#include "base/rng.h"
#include "data/dataset.h"

#include <math.h>

enum {
    SIDE = 32,
    OUTLINES = 10,
    PATTERNS = 5,
    MAX_CLASSES = 100,
    FINE = 2, /* samples a pixel along each axis */
    GRID = 5, /* nodes of the background's slow noise along each axis */
    BLOBS = 3,
};

typedef struct colour {
    double c[3];
} colour;

/* Turn, then scale: a picture point in the units of the thing drawn. */
typedef struct frame {
    double x, y, cos, sin, inverse;
} frame;

/* A bar or a disc of one colour. */
typedef struct blob {
    frame at;
    bool round;
    double width; /* of the bar, its half length is 1 */
    colour fill;
} blob;

typedef struct scene {
    int outline, pattern;
    frame body, texture;
    double frequency, phase[2];
    colour ink[2], ground[2];
    double grid[GRID][GRID];
    blob behind[BLOBS], front;
    bool occluded;
    double light, lift, noise;
} scene;

static double between(lmb_rng *rng, double low, double high)
{
    return low + (high - low) * lmb_rng_uniform(rng);
}

/* --- drawing the numbers of a scene
 * -------------------------------------------- */

/* A direction without trigonometry: t -> ((1 - t^2), 2 t) / (1 + t^2), up to
 * sign, covers the half circle for t in [-1, 1]. */
static frame draw_frame(lmb_rng *rng, double x, double y, double radius)
{
    const double t = between(rng, -1, 1);
    const double sign = lmb_rng_below(rng, 2) == 0 ? 1 : -1;
    const double norm = sign / (1 + t * t);
    return (frame){x, y, (1 - t * t) * norm, 2 * t * norm, 1 / radius};
}

/* Strong hue: one channel high, one low, one anywhere between. */
static colour draw_strong(lmb_rng *rng)
{
    const double high = between(rng, 150, 255);
    const double low = between(rng, 0, 70);
    const double middle = between(rng, low, high);
    const uint32_t a = lmb_rng_below(rng, 3);
    const uint32_t b = (a + 1 + lmb_rng_below(rng, 2)) % 3;
    colour out;
    out.c[a] = high;
    out.c[b] = low;
    out.c[3 - a - b] = middle;
    return out;
}

static colour draw_any(lmb_rng *rng)
{
    colour out;
    for (int c = 0; c < 3; c++)
        out.c[c] = between(rng, 20, 235);
    return out;
}

/* max + min - v keeps lightness and turns the hue by half a circle. */
static colour complement(colour a)
{
    const double high = fmax(a.c[0], fmax(a.c[1], a.c[2]));
    const double low = fmin(a.c[0], fmin(a.c[1], a.c[2]));
    for (int c = 0; c < 3; c++)
        a.c[c] = high + low - a.c[c];
    return a;
}

static colour darker(colour a, double factor)
{
    for (int c = 0; c < 3; c++)
        a.c[c] *= factor;
    return a;
}

static blob draw_blob(lmb_rng *rng, double low, double high)
{
    const double x = between(rng, 0, SIDE);
    const double y = between(rng, 0, SIDE);
    blob b = {.at = draw_frame(rng, x, y, between(rng, low, high))};
    b.round = lmb_rng_below(rng, 2) == 0;
    b.width = between(rng, 0.15, 0.45);
    b.fill = draw_strong(rng);
    return b;
}

static void draw_background(scene *s, lmb_rng *rng)
{
    for (int k = 0; k < 2; k++)
        s->ground[k] = draw_any(rng);
    for (int y = 0; y < GRID; y++)
        for (int x = 0; x < GRID; x++)
            s->grid[y][x] = lmb_rng_uniform(rng);
    for (int k = 0; k < BLOBS; k++)
        s->behind[k] = draw_blob(rng, 2, 5);
}

static scene draw_scene(lmb_rng *rng, int32_t label)
{
    scene s = {.outline = label % OUTLINES};
    const int texture = label / OUTLINES;
    const double radius = between(rng, 8, 13.5);
    const double room = SIDE / 2.0 - 0.7 * radius;
    s.pattern = texture % PATTERNS;
    const double x = SIDE / 2.0 + between(rng, -room, room);
    const double y = SIDE / 2.0 + between(rng, -room, room);
    s.body = draw_frame(rng, x, y, radius);
    s.texture = draw_frame(rng, x, y, radius);
    s.frequency = between(rng, 1.7, 2.9);
    for (int k = 0; k < 2; k++)
        s.phase[k] = between(rng, -0.5, 0.5);
    s.ink[0] = draw_strong(rng);
    const double dark = between(rng, 0.25, 0.55);
    s.ink[1] =
        texture < PATTERNS ? darker(s.ink[0], dark) : complement(s.ink[0]);
    draw_background(&s, rng);
    s.occluded = lmb_rng_below(rng, 3) == 0;
    s.front = draw_blob(rng, 4, 9);
    s.light = between(rng, 0.65, 1.05);
    s.lift = between(rng, -10, 40);
    s.noise = between(rng, 8, 40);
    return s;
}

/* --- what is where
 * ---------------------------------------------------------------- */

static void to_frame(const frame *f, double x, double y, double *u, double *v)
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

/* Which of the two inks is at (u, v) of the texture's frame. */
static int ink_at(const scene *s, double u, double v)
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

static bool in_blob(const blob *b, double x, double y)
{
    double u = 0;
    double v = 0;
    to_frame(&b->at, x, y, &u, &v);
    if (b->round)
        return u * u + v * v < 0.4;
    return fabs(u) < 1 && fabs(v) < b->width;
}

static double slow_noise(const scene *s, double x, double y)
{
    const double gx = x * ((GRID - 1) / (double)SIDE);
    const double gy = y * ((GRID - 1) / (double)SIDE);
    const int i = (int)gx;
    const int j = (int)gy;
    const double fx = gx - i;
    const double fy = gy - j;
    const double top = s->grid[j][i] * (1 - fx) + s->grid[j][i + 1] * fx;
    const double low =
        s->grid[j + 1][i] * (1 - fx) + s->grid[j + 1][i + 1] * fx;
    return top * (1 - fy) + low * fy;
}

static colour colour_at(const scene *s, double x, double y)
{
    double u = 0;
    double v = 0;
    if (s->occluded && in_blob(&s->front, x, y))
        return s->front.fill;
    to_frame(&s->body, x, y, &u, &v);
    if (in_outline(s->outline, u, v)) {
        to_frame(&s->texture, x, y, &u, &v);
        return s->ink[ink_at(s, u, v)];
    }
    for (int k = 0; k < BLOBS; k++)
        if (in_blob(&s->behind[k], x, y))
            return s->behind[k].fill;
    const double w = slow_noise(s, x, y);
    colour out;
    for (int c = 0; c < 3; c++)
        out.c[c] = s->ground[0].c[c] * (1 - w) + s->ground[1].c[c] * w;
    return out;
}

/* --- pictures
 * ------------------------------------------------------------------- */

static uint8_t to_byte(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

static void paint_pixel(
    const scene *s, int x, int y, lmb_rng *rng, uint8_t *rgb)
{
    double sum[3] = {0};
    for (int k = 0; k < FINE * FINE; k++) {
        const int i = k % FINE;
        const int j = k / FINE;
        const colour at =
            colour_at(s, x + (i + 0.5) / FINE, y + (j + 0.5) / FINE);
        for (int c = 0; c < 3; c++)
            sum[c] += at.c[c];
    }
    for (int c = 0; c < 3; c++) {
        const double noise = (lmb_rng_u32(rng) >> 8) * 0x1p-24 - 0.5;
        rgb[c] = to_byte(
            sum[c] / (FINE * FINE) * s->light + s->lift + noise * s->noise);
    }
}

static void paint(
    uint64_t seed, lmb_split split, int64_t i, int32_t label, uint8_t *rgb)
{
    lmb_rng rng =
        lmb_rng_make(seed, LMB_STREAM_GENERATE, (uint64_t)split, (uint64_t)i);
    const scene s = draw_scene(&rng, label);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            paint_pixel(&s, x, y, &rng, rgb + (y * SIDE + x) * 3);
}

/* --- the data set
 * ----------------------------------------------------------------- */

static lmb_status name_classes(lmb_dataset *ds)
{
    static const char *const outlines[OUTLINES] = {"disc", "ring", "square",
        "frame", "triangle", "plus", "star", "crescent", "T", "bow tie"};
    static const char *const textures[2 * PATTERNS] = {"dark halves",
        "dark stripes", "dark checks", "dark dots", "dark rings",
        "two-hue halves", "two-hue stripes", "two-hue checks", "two-hue dots",
        "two-hue rings"};
    const char **names =
        lmb_arena_alloc(ds->arena, (size_t)ds->classes * sizeof *names);
    if (names == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: class names");
    for (int32_t k = 0; k < ds->classes; k++) {
        names[k] = lmb_arena_printf(ds->arena, "%s, %s", outlines[k % OUTLINES],
            textures[k / OUTLINES]);
        if (names[k] == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: class names");
    }
    ds->class_names = names;
    return LMB_OK;
}

static lmb_status check_opts(int64_t count, int32_t classes)
{
    if (count < 1 || count > 10000000)
        return LMB_FAIL(LMB_EINVAL, "shapes: %lld pictures, not 1 .. 10000000",
            (long long)count);
    if (classes < 2 || classes > MAX_CLASSES)
        return LMB_FAIL(LMB_EINVAL, "shapes: %d classes, not 2 .. %d",
            (int)classes, (int)MAX_CLASSES);
    return LMB_OK;
}

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    (void)dir;
    static const double mean[3] = {0.45, 0.45, 0.45};
    static const double std[3] = {0.25, 0.25, 0.25};
    const int64_t train = opts->train_count == 0 ? 20000 : opts->train_count;
    const int64_t test = opts->test_count == 0 ? 4000 : opts->test_count;
    const int64_t count = split == LMB_SPLIT_TRAIN ? train : test;
    ds->classes = opts->classes == 0 ? MAX_CLASSES : opts->classes;
    ds->height = SIDE;
    ds->width = SIDE;
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats(ds, mean, std);
    LMB_TRY(check_opts(count, ds->classes));
    LMB_TRY(name_classes(ds));
    for (int64_t i = 0; i < count; i++) {
        uint8_t *rgb = NULL;
        const int32_t label = (int32_t)(i % ds->classes);
        LMB_TRY(lmb__dataset_push(ds, label, &rgb));
        paint(opts->seed, split, i, label, rgb);
    }
    lmb__dataset_hash_memory(ds);
    return LMB_OK;
}

extern const lmb_dataset_row lmb_dataset_shapes;
const lmb_dataset_row lmb_dataset_shapes = {
    .name = "shapes",
    .help = "generated 32 x 32 pictures, 100 classes; needs no files",
    .open = open_split,
};
