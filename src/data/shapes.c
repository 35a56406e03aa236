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
#include "data/figure.h"

enum {
    SIDE = 32,
    MAX_CLASSES = 100,
    FINE = 2, /* samples a pixel along each axis */
    GRID = 5, /* nodes of the background's slow noise along each axis */
    BLOBS = 3,
};

typedef struct scene {
    lmb_figure figure;
    lmb_colour ground[2];
    double grid[GRID * GRID];
    lmb_blob behind[BLOBS], front;
    bool occluded;
    lmb_light light;
} scene;

/* --- drawing the numbers of a scene --------------------------------------- */

static void draw_background(scene *s, lmb_rng *rng)
{
    for (int k = 0; k < 2; k++)
        s->ground[k] = lmb__draw_any(rng);
    for (int k = 0; k < GRID * GRID; k++)
        s->grid[k] = lmb_rng_uniform(rng);
    for (int k = 0; k < BLOBS; k++)
        s->behind[k] = lmb__draw_blob(rng, SIDE, 2, 5);
}

static scene draw_scene(lmb_rng *rng, int32_t label)
{
    scene s;
    const double radius = lmb__between(rng, 8, 13.5);
    const double room = SIDE / 2.0 - 0.7 * radius;
    const double x = SIDE / 2.0 + lmb__between(rng, -room, room);
    const double y = SIDE / 2.0 + lmb__between(rng, -room, room);
    s.figure = lmb__draw_figure(
        rng, label % LMB_OUTLINES, label / LMB_OUTLINES, x, y, radius);
    draw_background(&s, rng);
    s.occluded = lmb_rng_below(rng, 3) == 0;
    s.front = lmb__draw_blob(rng, SIDE, 4, 9);
    s.light = lmb__draw_light(rng);
    return s;
}

/* --- what is where -------------------------------------------------------- */

static lmb_colour colour_at(const scene *s, double x, double y)
{
    if (s->occluded && lmb__in_blob(&s->front, x, y))
        return s->front.fill;
    if (lmb__in_figure(&s->figure, x, y))
        return lmb__figure_at(&s->figure, x, y);
    for (int k = 0; k < BLOBS; k++)
        if (lmb__in_blob(&s->behind[k], x, y))
            return s->behind[k].fill;
    const double w = lmb__slow_noise(s->grid, GRID, SIDE, x, y);
    lmb_colour out;
    for (int c = 0; c < 3; c++)
        out.c[c] = s->ground[0].c[c] * (1 - w) + s->ground[1].c[c] * w;
    return out;
}

/* --- pictures ------------------------------------------------------------- */

static void paint_pixel(
    const scene *s, int x, int y, lmb_rng *rng, uint8_t *rgb)
{
    lmb_colour mean = {{0}};
    for (int k = 0; k < FINE * FINE; k++) {
        const int i = k % FINE;
        const int j = k / FINE;
        const lmb_colour at =
            colour_at(s, x + (i + 0.5) / FINE, y + (j + 0.5) / FINE);
        for (int c = 0; c < 3; c++)
            mean.c[c] += at.c[c];
    }
    for (int c = 0; c < 3; c++)
        mean.c[c] /= FINE * FINE;
    lmb__develop(&s->light, &mean, rng, rgb);
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

/* --- the data set --------------------------------------------------------- */

static lmb_status name_classes(lmb_dataset *ds)
{
    const char **names =
        lmb_arena_alloc(ds->arena, (size_t)ds->classes * sizeof *names);
    if (names == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: class names");
    for (int32_t k = 0; k < ds->classes; k++) {
        names[k] = lmb_arena_printf(ds->arena, "%s, %s",
            lmb__outline_names[k % LMB_OUTLINES],
            lmb__texture_names[k / LMB_OUTLINES]);
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
    uint8_t *rgb = NULL;
    for (int64_t i = 0; i < count; i++)
        LMB_TRY(lmb__dataset_push(ds, (int32_t)(i % ds->classes), &rgb));
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++)
        paint(opts->seed, split, i, ds->labels[i],
            ds->pixels + i * ((int64_t)SIDE * SIDE * 3));
    lmb__dataset_hash_memory(ds);
    return LMB_OK;
}

extern const lmb_dataset_row lmb_dataset_shapes;
const lmb_dataset_row lmb_dataset_shapes = {
    .name = "shapes",
    .help = "generated 32 x 32 pictures, 100 classes; needs no files",
    .open = open_split,
};
