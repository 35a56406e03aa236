/* view.c: subsets, held-out splits and class-balanced parts.
 *
 * Which samples of a class are chosen: the first k of the permutation of its
 * members drawn from (seed, LMB_STREAM_SPLIT, class, purpose). */
#include "base/rng.h"
#include "data/dataset.h"
#include "data/hash.h"

#include <math.h>

enum { FOR_SPLIT = 0, FOR_FRACTION = 1 };

static lmb_status check_indices(
    const lmb_dataset *ds, const int64_t *indices, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (indices[i] < 0 || indices[i] >= ds->count)
            return LMB_FAIL(LMB_EINVAL,
                "%s: subset index %lld is not in 0 .. %lld", ds->name,
                (long long)indices[i], (long long)ds->count - 1);
    return LMB_OK;
}

static void inherit(lmb_dataset *view, lmb_dataset *ds)
{
    view->name = ds->name;
    view->classes = ds->classes;
    view->class_names = ds->class_names;
    view->height = ds->height;
    view->width = ds->width;
    view->input = ds->input;
    view->is_test = ds->is_test;
    lmb__dataset_stats(view, ds->mean, ds->std);
    atomic_init(&view->refs, 1);
    atomic_fetch_add(&ds->refs, 1);
    view->parent = ds;
}

lmb_status lmb_dataset_subset(
    lmb_dataset *ds, const int64_t *indices, int64_t n, lmb_dataset **out)
{
    if (n < 0)
        return LMB_FAIL(
            LMB_EINVAL, "%s: subset of %lld samples", ds->name, (long long)n);
    LMB_TRY(check_indices(ds, indices, n));
    lmb_dataset *view = NULL;
    LMB_TRY(LMB_NEW(view, 1));
    inherit(view, ds);
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(view->indices, n), st, failed);
    LMB_GOTO(LMB_NEW(view->labels, n), st, failed);
    for (int64_t i = 0; i < n; i++) {
        view->indices[i] = indices[i];
        view->labels[i] = ds->labels[indices[i]];
    }
    view->count = n;
    view->hash =
        lmb_xxh64(view->indices, (size_t)n * sizeof *indices, ds->hash);
    *out = view;
    return LMB_OK;
failed:
    lmb_dataset_free(view);
    return st;
}

/* Members of class c, in order, into `members`; returns how many. */
static int64_t gather(const lmb_dataset *ds, int32_t c, int64_t *members)
{
    int64_t n = 0;
    for (int64_t i = 0; i < ds->count; i++)
        if (ds->labels[i] == c)
            members[n++] = i;
    return n;
}

typedef struct work {
    bool *chosen;
    int64_t *members, *order;
} work;

static lmb_status work_init(work *w, int64_t n)
{
    LMB_TRY(LMB_NEW(w->chosen, n));
    LMB_TRY(LMB_NEW(w->members, n));
    LMB_TRY(LMB_NEW(w->order, n));
    return LMB_OK;
}

static void work_fini(work *w)
{
    lmb_free(w->chosen);
    lmb_free(w->members);
    lmb_free(w->order);
}

/* Marks round(fraction * size) samples, at least `least`, of every class that
 * has any. */
static void choose(const lmb_dataset *ds, double fraction, int64_t least,
    uint64_t seed, uint64_t purpose, work *w)
{
    for (int32_t c = -1; c < ds->classes; c++) { /* -1: no boxes */
        const int64_t n = gather(ds, c, w->members);
        int64_t k = (int64_t)floor(fraction * (double)n + 0.5);
        if (k < least)
            k = least < n ? least : n;
        lmb_rng rng =
            lmb_rng_make(seed, LMB_STREAM_SPLIT, (uint64_t)c, purpose);
        lmb_rng_permutation(&rng, n, w->order);
        for (int64_t i = 0; i < k; i++)
            w->chosen[w->members[w->order[i]]] = true;
    }
}

/* The view of the samples whose mark is `value`, in order. */
static lmb_status marked(
    lmb_dataset *ds, work *w, bool value, lmb_dataset **out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < ds->count; i++)
        if (w->chosen[i] == value)
            w->members[n++] = i;
    if (n == 0)
        return LMB_FAIL(LMB_EINVAL,
            "%s: a split of %lld samples leaves one part empty", ds->name,
            (long long)ds->count);
    return lmb_dataset_subset(ds, w->members, n, out);
}

lmb_status lmb_dataset_split(lmb_dataset *ds, double fraction, uint64_t seed,
    lmb_dataset **rest_out, lmb_dataset **held_out)
{
    if (!(fraction > 0 && fraction < 1))
        return LMB_FAIL(
            LMB_EINVAL, "val-split %g is not between 0 and 1", fraction);
    lmb_dataset *rest = NULL;
    lmb_dataset *held = NULL;
    work w = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(work_init(&w, ds->count), st, done);
    choose(ds, fraction, 0, seed, FOR_SPLIT, &w);
    LMB_GOTO(marked(ds, &w, false, &rest), st, done);
    LMB_GOTO(marked(ds, &w, true, &held), st, done);
    *rest_out = rest;
    *held_out = held;
    rest = NULL;
done:
    lmb_dataset_free(rest);
    work_fini(&w);
    return st;
}

lmb_status lmb_dataset_fraction(
    lmb_dataset *ds, double fraction, uint64_t seed, lmb_dataset **out)
{
    if (!(fraction > 0 && fraction <= 1))
        return LMB_FAIL(
            LMB_EINVAL, "fraction %g is not above 0 and at most 1", fraction);
    work w = {0};
    lmb_status st = work_init(&w, ds->count);
    if (st == LMB_OK) {
        choose(ds, fraction, 1, seed, FOR_FRACTION, &w);
        st = marked(ds, &w, true, out);
    }
    work_fini(&w);
    return st;
}
