/* scenes.c: generated pictures with boxes, for trying detectors without a
 * download.
 *
 * Square RGB pictures (128 x 128 unless `side` says otherwise) of 1 to 7
 * figures; the class is the outline (disc, ring, .. bow tie), everything else
 * a nuisance: texture, hues, turn, size (14 % to 52 % of the side across),
 * place, what lies in front, background, distractors, light and noise. Figures
 * are laid one upon the other; one that would leave less than half of itself
 * or of another to be seen is laid elsewhere, or not at all. Boxes are those
 * of what is seen, to half a pixel, `area` is what is seen. Picture i of a
 * split is a pure function of (seed, split, i) through LMB_STREAM_GENERATE;
 * the same arithmetic as in shapes.c, so the same on every machine. */
#include "base/rng.h"
#include "data/figure.h"
#include "data/truth.h"

#include <string.h>

enum {
    FINE = 2, /* samples a pixel along each axis */
    GRID = 6, /* nodes of the background's slow noise along each axis */
    BLOBS = 6, /* behind the figures */
    MOST = 7, /* figures */
    ITEMS = MOST + 1, /* and one bar or disc in front of them */
    TRIES = 8,
    BANDS = 4, /* parts of the set that are drawn at the same time */
};

static const double reach = 1.35; /* no outline is larger, in radii */

/* What lies on the board: a figure, or a blob without a box. */
typedef struct item {
    bool is_blob;
    lmb_figure figure;
    lmb_blob blob;
    int64_t full, seen; /* fine samples of it, those that nothing covers */
} item;

typedef struct board {
    int32_t side; /* in fine samples */
    uint8_t *owner; /* [side, side] item + 1, or 0 */
    int32_t *hits; /* [side side] where the item tried would lie */
    int64_t hit_count;
    item items[ITEMS];
    int count;
    lmb_colour ground[2];
    double grid[GRID * GRID];
    lmb_blob behind[BLOBS];
    lmb_light light;
} board;

/* --- laying --------------------------------------------------------------- */

static bool in_item(const item *it, double x, double y)
{
    return it->is_blob ? lmb__in_blob(&it->blob, x, y)
                       : lmb__in_figure(&it->figure, x, y);
}

/* Fills hits and it->full; false if more than a third is outside. */
static bool measure(board *b, item *it)
{
    const lmb_frame *at = it->is_blob ? &it->blob.at : &it->figure.body;
    const double radius = reach / at->inverse;
    const int32_t x0 = (int32_t)((at->x - radius) * FINE) - 1;
    const int32_t x1 = (int32_t)((at->x + radius) * FINE) + 1;
    const int32_t y0 = (int32_t)((at->y - radius) * FINE) - 1;
    const int32_t y1 = (int32_t)((at->y + radius) * FINE) + 1;
    b->hit_count = 0;
    it->full = 0;
    for (int32_t y = y0; y <= y1; y++)
        for (int32_t x = x0; x <= x1; x++) {
            if (!in_item(it, (x + 0.5) / FINE, (y + 0.5) / FINE))
                continue;
            it->full++;
            if (x >= 0 && y >= 0 && x < b->side && y < b->side)
                b->hits[b->hit_count++] = y * b->side + x;
        }
    return 3 * b->hit_count >= 2 * it->full;
}

/* Would all items still be seen by half? */
static bool leaves_enough(const board *b)
{
    int64_t hidden[ITEMS + 1] = {0};
    for (int64_t k = 0; k < b->hit_count; k++)
        hidden[b->owner[b->hits[k]]]++;
    for (int i = 0; i < b->count; i++)
        if (2 * (b->items[i].seen - hidden[i + 1]) < b->items[i].full)
            return false;
    return true;
}

static void lay(board *b, const item *it)
{
    for (int64_t k = 0; k < b->hit_count; k++) {
        uint8_t *owner = &b->owner[b->hits[k]];
        if (*owner > 0)
            b->items[*owner - 1].seen--;
        *owner = (uint8_t)(b->count + 1);
    }
    b->items[b->count] = *it;
    b->items[b->count++].seen = b->hit_count;
}

static item draw_item(lmb_rng *rng, double side, int32_t label)
{
    item it = {.is_blob = label < 0};
    if (it.is_blob) {
        it.blob = lmb__draw_blob(rng, side, 0.06 * side, 0.14 * side);
        return it;
    }
    const int texture = (int)lmb_rng_below(rng, LMB_TEXTURES);
    const double u = lmb_rng_uniform(rng);
    const double radius = side * (0.07 + 0.19 * u * u);
    const double x = lmb__between(rng, 0, side);
    const double y = lmb__between(rng, 0, side);
    it.figure = lmb__draw_figure(rng, label, texture, x, y, radius);
    return it;
}

static void try_to_lay(board *b, lmb_rng *rng, int32_t label)
{
    for (int k = 0; k < TRIES; k++) {
        item it = draw_item(rng, (double)b->side / FINE, label);
        if (measure(b, &it) && leaves_enough(b)) {
            lay(b, &it);
            return;
        }
    }
}

static void draw_board(board *b, lmb_rng *rng, int32_t classes)
{
    const double side = (double)b->side / FINE;
    const uint32_t figures = 1 + lmb_rng_below(rng, MOST);
    memset(b->owner, 0, (size_t)b->side * (size_t)b->side);
    b->count = 0;
    for (int k = 0; k < 2; k++)
        b->ground[k] = lmb__draw_any(rng);
    for (int k = 0; k < GRID * GRID; k++)
        b->grid[k] = lmb_rng_uniform(rng);
    for (int k = 0; k < BLOBS; k++)
        b->behind[k] = lmb__draw_blob(rng, side, 0.03 * side, 0.1 * side);
    for (uint32_t k = 0; k < figures; k++)
        try_to_lay(b, rng, (int32_t)lmb_rng_below(rng, (uint32_t)classes));
    if (lmb_rng_below(rng, 3) == 0)
        try_to_lay(b, rng, -1);
    b->light = lmb__draw_light(rng);
}

/* --- boxes ---------------------------------------------------------------- */

typedef struct extent {
    int32_t x0, y0, x1, y1; /* in fine samples, all inside */
} extent;

static void find_extents(const board *b, extent out[ITEMS])
{
    for (int i = 0; i < ITEMS; i++)
        out[i] = (extent){b->side, b->side, -1, -1};
    for (int32_t y = 0; y < b->side; y++)
        for (int32_t x = 0; x < b->side; x++) {
            const int owner = b->owner[(int64_t)y * b->side + x];
            if (owner == 0)
                continue;
            extent *e = &out[owner - 1];
            e->x0 = x < e->x0 ? x : e->x0;
            e->x1 = x > e->x1 ? x : e->x1;
            e->y0 = y < e->y0 ? y : e->y0;
            e->y1 = y;
        }
}

/* The boxes of one picture. */
typedef struct boxes {
    int count;
    lmb_box_row row[MOST];
} boxes;

static void find_boxes(const board *b, boxes *out)
{
    extent e[ITEMS];
    find_extents(b, e);
    out->count = 0;
    for (int i = 0; i < b->count; i++) {
        if (b->items[i].is_blob)
            continue;
        out->row[out->count++] = (lmb_box_row){
            .corner = {(double)e[i].x0 / FINE, (double)e[i].y0 / FINE,
                (e[i].x1 + 1.0) / FINE, (e[i].y1 + 1.0) / FINE},
            .label = b->items[i].figure.outline,
            .area = (double)b->items[i].seen / (FINE * FINE),
        };
    }
}

/* --- pixels --------------------------------------------------------------- */

static lmb_colour background_at(const board *b, double x, double y)
{
    for (int k = 0; k < BLOBS; k++)
        if (lmb__in_blob(&b->behind[k], x, y))
            return b->behind[k].fill;
    const double w =
        lmb__slow_noise(b->grid, GRID, (double)b->side / FINE, x, y);
    lmb_colour out;
    for (int c = 0; c < 3; c++)
        out.c[c] = b->ground[0].c[c] * (1 - w) + b->ground[1].c[c] * w;
    return out;
}

static lmb_colour item_at(const item *it, double x, double y)
{
    return it->is_blob ? it->blob.fill : lmb__figure_at(&it->figure, x, y);
}

/* The mean of the pixel's fine samples; the background is taken once. */
static lmb_colour pixel_at(const board *b, int32_t x, int32_t y)
{
    const lmb_colour behind = background_at(b, x + 0.5, y + 0.5);
    lmb_colour mean = {{0}};
    for (int k = 0; k < FINE * FINE; k++) {
        const int32_t i = x * FINE + k % FINE;
        const int32_t j = y * FINE + k / FINE;
        const int owner = b->owner[(int64_t)j * b->side + i];
        const lmb_colour at = owner == 0
            ? behind
            : item_at(&b->items[owner - 1], (i + 0.5) / FINE, (j + 0.5) / FINE);
        for (int c = 0; c < 3; c++)
            mean.c[c] += at.c[c];
    }
    for (int c = 0; c < 3; c++)
        mean.c[c] /= FINE * FINE;
    return mean;
}

static void paint(const board *b, lmb_rng *rng, uint8_t *rgb)
{
    const int32_t side = b->side / FINE;
    for (int32_t y = 0; y < side; y++)
        for (int32_t x = 0; x < side; x++, rgb += 3) {
            const lmb_colour at = pixel_at(b, x, y);
            lmb__develop(&b->light, &at, rng, rgb);
        }
}

/* --- the data set --------------------------------------------------------- */

/* Which pictures, and where they go. */
typedef struct drawing {
    lmb_dataset *ds;
    uint64_t seed;
    lmb_split split;
    board board[BANDS];
    boxes *boxes; /* [ds->count] */
} drawing;

static void draw_band(drawing *d, int band)
{
    lmb_dataset *ds = d->ds;
    board *b = &d->board[band];
    const int64_t size = (int64_t)ds->height * ds->width * 3;
    const int64_t end = ds->count * (band + 1) / BANDS;
    for (int64_t i = ds->count * band / BANDS; i < end; i++) {
        lmb_rng rng = lmb_rng_make(
            d->seed, LMB_STREAM_GENERATE, (uint64_t)d->split + 16, (uint64_t)i);
        draw_board(b, &rng, ds->classes);
        paint(b, &rng, ds->pixels + i * size);
        find_boxes(b, &d->boxes[i]);
    }
}

static lmb_status add_truth(lmb_dataset *ds, const boxes *all)
{
    const int64_t count = ds->count;
    for (int64_t i = 0; i < count; i++) {
        LMB_TRY(lmb__truth_picture(ds, NULL, i + 1, ds->height, ds->width));
        for (int k = 0; k < all[i].count; k++)
            LMB_TRY(lmb__truth_box(ds, &all[i].row[k]));
    }
    return lmb__truth_finish(ds, "scenes");
}

static lmb_status check_opts(int64_t count, int32_t classes, int32_t side)
{
    if (count < 1 || count > 1000000)
        return LMB_FAIL(LMB_EINVAL, "scenes: %lld pictures, not 1 .. 1000000",
            (long long)count);
    if (classes < 2 || classes > LMB_OUTLINES)
        return LMB_FAIL(LMB_EINVAL, "scenes: %d classes, not 2 .. %d",
            (int)classes, (int)LMB_OUTLINES);
    if (side < 32 || side > 1024)
        return LMB_FAIL(
            LMB_EINVAL, "scenes: side %d is not 32 .. 1024", (int)side);
    return LMB_OK;
}

static lmb_status fill(
    lmb_dataset *ds, int64_t count, uint64_t seed, lmb_split split)
{
    drawing d = {.ds = ds, .seed = seed, .split = split};
    const int32_t side = ds->width * FINE;
    const size_t points = (size_t)side * (size_t)side;
    uint8_t *rgb = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(lmb__truth_new(ds, 1));
    for (int64_t i = 0; i < count; i++)
        LMB_TRY(lmb__dataset_push(ds, 0, &rgb));
    LMB_GOTO(LMB_NEW(d.boxes, count), st, done);
    for (int k = 0; k < BANDS; k++) {
        d.board[k].side = side;
        LMB_GOTO(LMB_NEW(d.board[k].owner, points), st, done);
        LMB_GOTO(LMB_NEW(d.board[k].hits, points), st, done);
    }
#pragma omp parallel for schedule(static)
    for (int k = 0; k < BANDS; k++)
        draw_band(&d, k);
    st = add_truth(ds, d.boxes);
done:
    for (int k = 0; k < BANDS; k++) {
        lmb_free(d.board[k].owner);
        lmb_free(d.board[k].hits);
    }
    lmb_free(d.boxes);
    return st;
}

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    (void)dir;
    static const double mean[3] = {0.5, 0.5, 0.5};
    static const double std[3] = {0.25, 0.25, 0.25};
    const int64_t train = opts->train_count == 0 ? 2000 : opts->train_count;
    const int64_t test = opts->test_count == 0 ? 400 : opts->test_count;
    const int64_t count = split == LMB_SPLIT_TRAIN ? train : test;
    ds->classes = opts->classes == 0 ? LMB_OUTLINES : opts->classes;
    ds->height = ds->width = opts->side == 0 ? 128 : opts->side;
    ds->is_test = split == LMB_SPLIT_TEST;
    ds->class_names = lmb__outline_names;
    lmb__dataset_stats(ds, mean, std);
    LMB_TRY(check_opts(count, ds->classes, ds->width));
    return fill(ds, count, opts->seed, split);
}

extern const lmb_dataset_row lmb_dataset_scenes;
const lmb_dataset_row lmb_dataset_scenes = {
    .name = "scenes",
    .help = "boxes: generated 128 x 128 pictures, 10 classes; needs no files",
    .open = open_split,
};
