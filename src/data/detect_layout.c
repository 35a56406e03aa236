/* detect_layout.c: padded sizes by greedy merging, and groups of pictures. */
#include "data/detect_layout.h"

#include <string.h>

enum { MOST_CELLS = 128, DEFAULT_SIZES = 4 };
_Static_assert((int)LMB_MAX_SIZES *(int)LMB_MAX_SCALES <= (int)MOST_CELLS,
    "each group and short side has a cell");

/* A size and how many pictures have it; merged ones point to another cell. */
typedef struct cell {
    int32_t size[2];
    int64_t count;
    int32_t into; /* -1: alive */
} cell;

typedef struct cells {
    cell item[MOST_CELLS];
    int32_t count, alive;
} cells;

static double area(const int32_t size[2])
{
    return (double)size[0] * size[1];
}

static void larger(const int32_t a[2], const int32_t b[2], int32_t out[2])
{
    for (int k = 0; k < 2; k++)
        out[k] = a[k] > b[k] ? a[k] : b[k];
}

static bool fits(const int32_t size[2], const int32_t into[2])
{
    return size[0] <= into[0] && size[1] <= into[1];
}

/* --- merging -------------------------------------------------------------- */

/* The cell of a size, made if it is new; -1 if there are too many. */
static int32_t find_cell(cells *c, const int32_t size[2])
{
    for (int32_t i = 0; i < c->count; i++)
        if (memcmp(c->item[i].size, size, sizeof c->item[i].size) == 0)
            return i;
    if (c->count == MOST_CELLS)
        return -1;
    cell *made = &c->item[c->count];
    memcpy(made->size, size, sizeof made->size);
    made->count = 0;
    made->into = -1;
    c->alive++;
    return c->count++;
}

static int32_t end_of(const cells *c, int32_t i)
{
    while (c->item[i].into >= 0)
        i = c->item[i].into;
    return i;
}

/* Pixels that merging two cells would add to all their pictures. */
static double cost_of(const cell *a, const cell *b)
{
    int32_t both[2];
    larger(a->size, b->size, both);
    return (area(both) - area(a->size)) * (double)a->count +
        (area(both) - area(b->size)) * (double)b->count;
}

/* Merges the cheapest pair; with `least` > 0 only pairs of which one has
 * fewer than that many pictures. False if there is none. */
static bool merge_once(cells *c, int64_t least)
{
    int32_t best[2] = {-1, -1};
    double best_cost = 0;
    for (int32_t i = 0; i < c->count; i++)
        for (int32_t k = i + 1; k < c->count; k++) {
            const cell *a = &c->item[i];
            const cell *b = &c->item[k];
            const bool few = a->count < least || b->count < least;
            if (a->into >= 0 || b->into >= 0 || (least > 0 && !few))
                continue;
            const double cost = cost_of(a, b);
            if (best[0] < 0 || cost < best_cost) {
                best[0] = i;
                best[1] = k;
                best_cost = cost;
            }
        }
    if (best[0] < 0)
        return false;
    cell *a = &c->item[best[0]];
    cell *b = &c->item[best[1]];
    larger(a->size, b->size, a->size);
    a->count += b->count;
    b->into = best[0];
    c->alive--;
    return true;
}

static void merge(cells *c, int32_t most, int64_t least)
{
    while (c->alive > most && merge_once(c, 0))
        ;
    while (least > 0 && merge_once(c, least))
        ;
}

/* --- pictures ------------------------------------------------------------- */

static int32_t round_up(int32_t v, int32_t step)
{
    return (v + step - 1) / step * step;
}

static void size_at(const lmb_detect_transform *t, const lmb_dataset *ds,
    int64_t sample, int32_t short_side, int32_t step, int32_t out[2])
{
    int32_t h = 1;
    int32_t w = 1;
    (void)lmb_dataset_picture_size(ds, sample, &h, &w);
    lmb_detect_resized(t, short_side, h, w, out);
    for (int k = 0; k < 2; k++)
        out[k] = round_up(out[k], step);
}

static int32_t largest_side(const lmb_detect_transform *t)
{
    int32_t most = 0;
    for (int32_t k = 0; k < t->scales; k++)
        most = t->short_side[k] > most ? t->short_side[k] : most;
    return most;
}

/* Cells of all pictures, at multiples of `step`; false if too many. */
static bool gather(const lmb_detect_transform *t, const lmb_dataset *ds,
    const int64_t *samples, int64_t n, int32_t step, cells *c, uint8_t *of)
{
    const int32_t side = largest_side(t);
    c->count = c->alive = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t size[2];
        size_at(t, ds, samples[i], side, step, size);
        const int32_t at = find_cell(c, size);
        if (at < 0)
            return false;
        c->item[at].count++;
        of[i] = (uint8_t)at;
    }
    return true;
}

/* Numbers the cells that are left; returns how many. */
static int32_t number(const cells *c, uint8_t numbers[MOST_CELLS])
{
    int32_t n = 0;
    for (int32_t i = 0; i < c->count; i++)
        if (c->item[i].into < 0)
            numbers[i] = (uint8_t)n++;
    return n;
}

static void derive_groups(const lmb_detect_transform *t, const lmb_dataset *ds,
    const int64_t *samples, int64_t n, int64_t batch, lmb_detect_layout *out)
{
    cells c;
    uint8_t numbers[MOST_CELLS] = {0};
    int32_t step = t->pad;
    while (!gather(t, ds, samples, n, step, &c, out->group))
        step *= 2;
    merge(&c, t->max_sizes > 0 ? t->max_sizes : DEFAULT_SIZES, batch);
    out->groups = number(&c, numbers);
    for (int64_t i = 0; i < n; i++)
        out->group[i] = numbers[end_of(&c, out->group[i])];
}

/* The smallest of the given sizes that holds `size`, or -1. */
static int32_t choose(
    const int32_t size[2], const int32_t given[LMB_MAX_SIZES][2], int32_t count)
{
    int32_t best = -1;
    for (int32_t k = 0; k < count; k++)
        if (fits(size, given[k]) &&
            (best < 0 || area(given[k]) < area(given[best])))
            best = k;
    return best;
}

static lmb_status given_groups(const lmb_detect_transform *t,
    const lmb_dataset *ds, const int64_t *samples, int64_t n,
    lmb_detect_layout *out)
{
    const int32_t side = largest_side(t);
    out->groups = t->sizes;
    for (int64_t i = 0; i < n; i++) {
        int32_t size[2];
        size_at(t, ds, samples[i], side, 1, size);
        const int32_t k = choose(size, t->size, t->sizes);
        if (k < 0)
            return LMB_FAIL(LMB_EINVAL,
                "%s: picture %lld is %d x %d after the resize, which fits none "
                "of the sizes of batches",
                lmb_dataset_name(ds), (long long)samples[i], (int)size[1],
                (int)size[0]);
        out->group[i] = (uint8_t)k;
    }
    return LMB_OK;
}

/* --- sizes ---------------------------------------------------------------- */

typedef int32_t size_table[LMB_MAX_SIZES][LMB_MAX_SCALES][2];

/* What the pictures of each group need at each short side. */
static void measure(const lmb_detect_transform *t, const lmb_dataset *ds,
    const int64_t *samples, int64_t n, const lmb_detect_layout *layout,
    size_table need)
{
    for (int64_t i = 0; i < n; i++)
        for (int32_t k = 0; k < t->scales; k++) {
            int32_t size[2];
            int32_t *most = need[layout->group[i]][k];
            size_at(t, ds, samples[i], t->short_side[k], t->pad, size);
            larger(most, size, most);
        }
}

/* Each group and short side counts the same: the draw of the side is even. */
static void derive_sizes(
    const lmb_detect_transform *t, size_table need, lmb_detect_layout *out)
{
    cells c = {.count = 0};
    uint8_t numbers[MOST_CELLS] = {0};
    uint8_t of[LMB_MAX_SIZES][LMB_MAX_SCALES] = {{0}};
    for (int32_t g = 0; g < out->groups; g++)
        for (int32_t k = 0; k < t->scales; k++) {
            const int32_t at = find_cell(&c, need[g][k]);
            c.item[at].count++;
            of[g][k] = (uint8_t)at;
        }
    merge(&c, t->max_sizes > 0 ? t->max_sizes : DEFAULT_SIZES, 0);
    out->sizes = number(&c, numbers);
    for (int32_t i = 0; i < c.count; i++)
        if (c.item[i].into < 0)
            memcpy(
                out->size[numbers[i]], c.item[i].size, sizeof c.item[i].size);
    for (int32_t g = 0; g < out->groups; g++)
        for (int32_t k = 0; k < t->scales; k++)
            out->size_of[g][k] = numbers[end_of(&c, of[g][k])];
}

static void given_sizes(
    const lmb_detect_transform *t, size_table need, lmb_detect_layout *out)
{
    out->sizes = t->sizes;
    memcpy(out->size, t->size, sizeof out->size);
    for (int32_t g = 0; g < out->groups; g++)
        for (int32_t k = 0; k < t->scales; k++) {
            const int32_t at = choose(need[g][k], t->size, t->sizes);
            out->size_of[g][k] = (uint8_t)(at < 0 ? g : at);
        }
}

lmb_status lmb__detect_layout_init(const lmb_detect_transform *t,
    const lmb_dataset *ds, const int64_t *samples, int64_t n, int64_t batch,
    lmb_detect_layout *out)
{
    size_table need = {{{0}}};
    *out = (lmb_detect_layout){0};
    LMB_TRY(LMB_NEW(out->group, n));
    lmb_status st = LMB_OK;
    if (t->sizes > 0)
        st = given_groups(t, ds, samples, n, out);
    else
        derive_groups(t, ds, samples, n, batch, out);
    if (st != LMB_OK) {
        lmb__detect_layout_fini(out);
        return st;
    }
    measure(t, ds, samples, n, out, need);
    if (t->sizes > 0)
        given_sizes(t, need, out);
    else
        derive_sizes(t, need, out);
    return LMB_OK;
}

void lmb__detect_layout_fini(lmb_detect_layout *layout)
{
    lmb_free(layout->group);
    *layout = (lmb_detect_layout){0};
}
