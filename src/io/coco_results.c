/* coco_results.c: results files of COCO, and what both readers share. */
#include "io/coco_impl.h"

#include <string.h>

/* --- shared */

/* A large list grows to what the rest of the file would hold if it went on
 * like this: few copies, little to spare. */
lmb_status lmb__coco_room(const lmb_json *j, lmb_coco_list *list, void **items,
    int64_t count, size_t size)
{
    enum { SMALL = 4096 };
    const size_t have = list->capacity;
    if (count < (int64_t)have)
        return LMB_OK;
    if (count >= INT32_MAX)
        return LMB_FAIL(LMB_EUNSUPPORTED, "a list of more than 2^31 - 1 items");
    size_t want = have < 8 ? 8 : have * 2;
    const int64_t offset = lmb_json_offset(j);
    const int64_t left = lmb_json_size(j) - offset;
    if (have >= SMALL && left > 0 && offset > list->start) {
        const double each = (double)(offset - list->start) / (double)count;
        const double guess = (double)have + 1.02 * (double)left / each + 64;
        const double least = 1.25 * (double)have, most = 4 * (double)have;
        want = (size_t)(guess < least ? least : guess > most ? most : guess);
    }
    void *bigger = lmb_realloc(*items, (size_t)count, want, size);
    if (bigger == NULL)
        return LMB_FAIL(
            LMB_ENOMEM, "out of memory: %zu x %zu bytes", want, size);
    *items = bigger;
    list->capacity = want;
    return LMB_OK;
}

lmb_status lmb__coco_box(lmb_json *j, double box[4])
{
    int count = 0;
    bool more = false;
    LMB_TRY(lmb_json_list(j));
    for (;; count++) {
        LMB_TRY(lmb_json_item(j, &more));
        if (!more)
            break;
        if (count == 4)
            return lmb_json_bad(j, "a bbox of more than four numbers");
        LMB_TRY(lmb_json_f64(j, &box[count]));
    }
    if (count < 4)
        return lmb_json_bad(j, "a bbox of %d numbers, not four", count);
    return LMB_OK;
}

lmb_status lmb__coco_null(lmb_json *j, bool *is_null)
{
    lmb_json_kind kind = LMB_JSON_NULL;
    const lmb_status st = lmb_json_peek(j, &kind);
    *is_null = st == LMB_OK && kind == LMB_JSON_NULL;
    /* What is no value at all is refused as the value that it should be. */
    if (st != LMB_OK && st != LMB_EFORMAT)
        return st;
    return *is_null ? lmb_json_null(j) : LMB_OK;
}

/* --- results */

enum { HAS_IMAGE = 1, HAS_CATEGORY = 2, HAS_BOX = 4, HAS_SCORE = 8 };

static lmb_status read_field(
    lmb_json *j, const char *key, lmb_coco_result *r, unsigned *has)
{
    if (strcmp(key, "image_id") == 0) {
        *has |= HAS_IMAGE;
        return lmb_json_i64(j, &r->image_id);
    }
    if (strcmp(key, "category_id") == 0) {
        *has |= HAS_CATEGORY;
        return lmb_json_i64(j, &r->category_id);
    }
    if (strcmp(key, "bbox") == 0) {
        *has |= HAS_BOX;
        return lmb__coco_box(j, r->box);
    }
    if (strcmp(key, "score") == 0) {
        *has |= HAS_SCORE;
        return lmb_json_f64(j, &r->score);
    }
    return lmb_json_skip(j);
}

static lmb_status read_result(lmb_json *j, lmb_coco_result *r)
{
    static const char *const names[] = {
        "image_id", "category_id", "bbox", "score"};
    unsigned has = 0;
    LMB_TRY(lmb_json_object(j));
    for (;;) {
        const char *key = NULL;
        bool is_null = false;
        LMB_TRY(lmb_json_key(j, &key));
        if (key == NULL)
            break;
        LMB_TRY(lmb__coco_null(j, &is_null));
        if (!is_null)
            LMB_TRY(read_field(j, key, r, &has));
    }
    for (unsigned i = 0; i < LMB_COUNT(names); i++)
        if ((has >> i & 1) == 0)
            return lmb_json_bad(j, "a detection without %s", names[i]);
    return LMB_OK;
}

static lmb_status read_results(lmb_json *j, lmb_coco_results *out)
{
    lmb_json_kind kind = LMB_JSON_NULL;
    lmb_coco_list list = {0};
    bool more = false;
    LMB_TRY(lmb_json_peek(j, &kind));
    if (kind != LMB_JSON_LIST)
        return lmb_json_bad(j,
            "results are a list of detections with "
            "image_id, category_id, bbox and score");
    LMB_TRY(lmb_json_list(j));
    for (;;) {
        LMB_TRY(lmb_json_item(j, &more));
        if (!more)
            break;
        LMB_TRY(lmb__coco_room(
            j, &list, (void **)&out->items, out->count, sizeof *out->items));
        LMB_TRY(read_result(j, &out->items[out->count]));
        out->count++;
    }
    return lmb_json_end(j);
}

/* Takes the cursor. */
static lmb_status finish(lmb_json *j, lmb_coco_results *out)
{
    const lmb_status st = read_results(j, out);
    if (st != LMB_OK)
        lmb_coco_results_fini(out);
    lmb_json_close(j);
    return st;
}

lmb_status lmb_coco_results_load(const char *path, lmb_coco_results *out)
{
    lmb_json *j = NULL;
    *out = (lmb_coco_results){0};
    LMB_TRY(lmb_json_open(path, &j));
    return finish(j, out);
}

lmb_status lmb_coco_results_parse(
    const void *bytes, size_t size, const char *name, lmb_coco_results *out)
{
    lmb_json *j = NULL;
    *out = (lmb_coco_results){0};
    LMB_TRY(lmb_json_open_memory(bytes, size, name, &j));
    return finish(j, out);
}

void lmb_coco_results_fini(lmb_coco_results *results)
{
    lmb_free(results->items);
    *results = (lmb_coco_results){0};
}
