/* coco_index.c: what is found by id, and annotations by image. */
#include "io/coco_impl.h"

#include <stdlib.h>
#include <string.h>

static int compare_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_ids(const void *a, const void *b)
{
    return compare_i64(*(const int64_t *)a, *(const int64_t *)b);
}

/* Ids mostly ascend; only if not they are copied and sorted. */
static lmb_status check_annotation_ids(const lmb_coco *coco, const char *name)
{
    const int64_t n = coco->n_annotations;
    int64_t at = 1;
    int64_t *ids = NULL;
    while (at < n && coco->annotations[at].id > coco->annotations[at - 1].id)
        at++;
    if (at >= n)
        return LMB_OK;
    LMB_TRY(LMB_NEW(ids, n));
    for (int64_t i = 0; i < n; i++)
        ids[i] = coco->annotations[i].id;
    qsort(ids, (size_t)n, sizeof *ids, compare_ids);
    for (at = 1; at < n && ids[at] > ids[at - 1];)
        at++;
    const int64_t twice = at < n ? ids[at] : 0;
    lmb_free(ids);
    if (at < n)
        return LMB_FAIL(LMB_EFORMAT, "%s: annotation id %lld comes twice", name,
            (long long)twice);
    return LMB_OK;
}

/* --- categories and images */

/* An id and where it was. */
typedef struct keyed {
    int64_t id;
    int32_t index;
} keyed;

static int compare_keyed(const void *a, const void *b)
{
    return compare_i64(((const keyed *)a)->id, ((const keyed *)b)->id);
}

static void move_categories(
    lmb_coco *coco, const keyed *order, lmb_coco_category *sorted, int32_t *now)
{
    for (int64_t i = 0; i < coco->n_categories; i++) {
        sorted[i] = coco->categories[order[i].index];
        now[order[i].index] = (int32_t)i;
    }
    for (int64_t i = 0; i < coco->n_annotations; i++)
        coco->annotations[i].category = now[coco->annotations[i].category];
}

static lmb_status sort_categories(lmb_coco *coco)
{
    const int64_t n = coco->n_categories;
    keyed *order = NULL;
    lmb_coco_category *sorted = NULL;
    int32_t *now = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(order, n), st, done);
    LMB_GOTO(LMB_NEW(sorted, n), st, done);
    LMB_GOTO(LMB_NEW(now, n), st, done);
    for (int64_t i = 0; i < n; i++)
        order[i] = (keyed){coco->categories[i].id, (int32_t)i};
    qsort(order, (size_t)n, sizeof *order, compare_keyed);
    move_categories(coco, order, sorted, now);
    lmb_free(coco->categories);
    coco->categories = sorted;
    sorted = NULL;
done:
    lmb_free(order);
    lmb_free(sorted);
    lmb_free(now);
    return st;
}

static lmb_status sort_images(lmb_coco *coco)
{
    const int64_t n = coco->n_images;
    keyed *order = NULL;
    LMB_TRY(LMB_NEW(coco->by_id, n));
    LMB_TRY(LMB_NEW(order, n));
    for (int64_t i = 0; i < n; i++)
        order[i] = (keyed){coco->images[i].id, (int32_t)i};
    qsort(order, (size_t)n, sizeof *order, compare_keyed);
    for (int64_t i = 0; i < n; i++)
        coco->by_id[i] = order[i].index;
    lmb_free(order);
    return LMB_OK;
}

/* A counting sort; `first` serves as the place of the next one meanwhile. */
static lmb_status group_by_image(lmb_coco *coco)
{
    int64_t first = 0;
    LMB_TRY(LMB_NEW(coco->by_image, coco->n_annotations));
    for (int64_t i = 0; i < coco->n_annotations; i++)
        coco->images[coco->annotations[i].image].count++;
    for (int64_t i = 0; i < coco->n_images; i++) {
        coco->images[i].first = first;
        first += coco->images[i].count;
    }
    for (int64_t i = 0; i < coco->n_annotations; i++)
        coco->by_image[coco->images[coco->annotations[i].image].first++] =
            (int32_t)i;
    for (int64_t i = 0; i < coco->n_images; i++)
        coco->images[i].first -= coco->images[i].count;
    return LMB_OK;
}

lmb_status lmb__coco_index(lmb_coco *coco, const char *name)
{
    LMB_TRY(check_annotation_ids(coco, name));
    LMB_TRY(sort_categories(coco));
    LMB_TRY(sort_images(coco));
    return group_by_image(coco);
}

/* --- looking up */

int32_t lmb_coco_find_image(const lmb_coco *coco, int64_t id)
{
    int64_t low = 0, high = coco->n_images;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (coco->images[coco->by_id[middle]].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < coco->n_images && coco->images[coco->by_id[low]].id == id
        ? coco->by_id[low]
        : -1;
}

int32_t lmb_coco_find_category(const lmb_coco *coco, int64_t id)
{
    int64_t low = 0, high = coco->n_categories;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (coco->categories[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < coco->n_categories && coco->categories[low].id == id
        ? (int32_t)low
        : -1;
}

void lmb_coco_fini(lmb_coco *coco)
{
    lmb_free(coco->images);
    lmb_free(coco->categories);
    lmb_free(coco->annotations);
    lmb_free(coco->by_image);
    lmb_free(coco->by_id);
    lmb_arena_free(coco->arena);
    *coco = (lmb_coco){0};
}
