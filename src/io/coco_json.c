/* coco_json.c: reading instances files of COCO.
 *
 * The lists come in any order: annotations may stand before the images and
 * categories that they mean. So ids get places in the order in which they are
 * first met, in an annotation or in their own list, and places become indexes
 * at the end. */
#include "io/coco_impl.h"

#include "io/id_map.h"

#include <stdlib.h>
#include <string.h>

/* Images or categories by the place of their ids. */
typedef struct places {
    lmb_id_map map;
    struct place {
        int64_t id;
        int64_t user; /* the first annotation that means it */
        int32_t index; /* in its list; -1: not met there */
    } * items;
    size_t capacity;
} places;

typedef struct reader {
    lmb_json *j;
    lmb_coco *out;
    places images, categories;
    lmb_coco_list list;
    unsigned has; /* of the keys of the current object, HAS_ bits */
} reader;

enum {
    HAS_ID = 1,
    HAS_IMAGE = 2,
    HAS_CATEGORY = 4,
    HAS_BOX = 8,
    HAS_AREA = 16
};

static lmb_status place_of(places *p, int64_t id, int64_t user, int32_t *out)
{
    bool is_new = false;
    LMB_TRY(LMB_GROW(p->items, p->map.count, p->capacity));
    LMB_TRY(lmb_id_map_add(&p->map, id, out, &is_new));
    if (is_new)
        p->items[*out] = (struct place){id, user, -1};
    return LMB_OK;
}

/* The id of item `index` of a list; it must be its first. */
static lmb_status define(
    reader *r, places *p, int64_t id, int64_t index, const char *what)
{
    int32_t place = 0;
    if ((r->has & HAS_ID) == 0)
        return lmb_json_bad(
            r->j, "%s number %lld has no id", what, (long long)index + 1);
    LMB_TRY(place_of(p, id, 0, &place));
    if (p->items[place].index >= 0)
        return lmb_json_bad(
            r->j, "%s id %lld comes twice", what, (long long)id);
    p->items[place].index = (int32_t)index;
    return LMB_OK;
}

/* --- values */

static lmb_status read_size(lmb_json *j, const char *key, int32_t *out)
{
    int64_t value = 0;
    LMB_TRY(lmb_json_i64(j, &value));
    if (value < 0 || value > INT32_MAX)
        return lmb_json_bad(
            j, "%s is %lld, not in 0 .. 2^31 - 1", key, (long long)value);
    *out = (int32_t)value;
    return LMB_OK;
}

/* true, false, or a number. */
static lmb_status read_flag(lmb_json *j, bool *out)
{
    lmb_json_kind kind = LMB_JSON_NULL;
    double value = 0;
    LMB_TRY(lmb_json_peek(j, &kind));
    if (kind == LMB_JSON_BOOL)
        return lmb_json_bool(j, out);
    LMB_TRY(lmb_json_f64(j, &value));
    *out = value != 0;
    return LMB_OK;
}

static lmb_status read_text(reader *r, const char **out)
{
    const char *text = NULL;
    LMB_TRY(lmb_json_text(r->j, &text));
    *out = lmb_arena_strdup(r->out->arena, text);
    return *out != NULL
        ? LMB_OK
        : LMB_FAIL(LMB_ENOMEM, "out of memory: %zu bytes", strlen(text));
}

/* --- objects: one function a key, one a whole object */

typedef lmb_status read_key(reader *r, const char *key, void *item);

static lmb_status read_object(reader *r, read_key *read, void *item)
{
    LMB_TRY(lmb_json_object(r->j));
    r->has = 0;
    for (;;) {
        const char *key = NULL;
        bool is_null = false;
        LMB_TRY(lmb_json_key(r->j, &key));
        if (key == NULL)
            return LMB_OK;
        LMB_TRY(lmb__coco_null(r->j, &is_null));
        if (!is_null)
            LMB_TRY(read(r, key, item));
    }
}

static lmb_status read_id(reader *r, unsigned bit, int64_t *out)
{
    r->has |= bit;
    return lmb_json_i64(r->j, out);
}

static lmb_status image_key(reader *r, const char *key, void *item)
{
    lmb_coco_image *image = item;
    if (strcmp(key, "id") == 0)
        return read_id(r, HAS_ID, &image->id);
    if (strcmp(key, "file_name") == 0)
        return read_text(r, &image->file_name);
    if (strcmp(key, "width") == 0)
        return read_size(r->j, key, &image->width);
    if (strcmp(key, "height") == 0)
        return read_size(r->j, key, &image->height);
    return lmb_json_skip(r->j);
}

static lmb_status read_image(reader *r)
{
    lmb_coco *o = r->out;
    LMB_TRY(lmb__coco_room(
        r->j, &r->list, (void **)&o->images, o->n_images, sizeof *o->images));
    lmb_coco_image *image = &o->images[o->n_images];
    LMB_TRY(read_object(r, image_key, image));
    LMB_TRY(define(r, &r->images, image->id, o->n_images, "image"));
    o->n_images++;
    return LMB_OK;
}

static lmb_status category_key(reader *r, const char *key, void *item)
{
    lmb_coco_category *category = item;
    if (strcmp(key, "id") == 0)
        return read_id(r, HAS_ID, &category->id);
    if (strcmp(key, "name") == 0)
        return read_text(r, &category->name);
    return lmb_json_skip(r->j);
}

static lmb_status read_category(reader *r)
{
    lmb_coco *o = r->out;
    LMB_TRY(lmb__coco_room(r->j, &r->list, (void **)&o->categories,
        o->n_categories, sizeof *o->categories));
    lmb_coco_category *c = &o->categories[o->n_categories];
    LMB_TRY(read_object(r, category_key, c));
    LMB_TRY(define(r, &r->categories, c->id, o->n_categories, "category"));
    if (c->name == NULL)
        c->name = lmb_arena_printf(o->arena, "%lld", (long long)c->id);
    if (c->name == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: a category's name");
    o->n_categories++;
    return LMB_OK;
}

/* An annotation with the ids as they stand in the file. */
typedef struct raw {
    lmb_coco_annotation a;
    int64_t image_id, category_id;
} raw;

static lmb_status annotation_key(reader *r, const char *key, void *item)
{
    raw *w = item;
    if (strcmp(key, "id") == 0)
        return read_id(r, HAS_ID, &w->a.id);
    if (strcmp(key, "image_id") == 0)
        return read_id(r, HAS_IMAGE, &w->image_id);
    if (strcmp(key, "category_id") == 0)
        return read_id(r, HAS_CATEGORY, &w->category_id);
    if (strcmp(key, "bbox") == 0) {
        r->has |= HAS_BOX;
        return lmb__coco_box(r->j, w->a.box);
    }
    if (strcmp(key, "area") == 0) {
        r->has |= HAS_AREA;
        return lmb_json_f64(r->j, &w->a.area);
    }
    if (strcmp(key, "iscrowd") == 0)
        return read_flag(r->j, &w->a.crowd);
    if (strcmp(key, "ignore") == 0 || strcmp(key, "difficult") == 0) {
        bool flag = false;
        LMB_TRY(read_flag(r->j, &flag));
        w->a.difficult = w->a.difficult || flag;
        return LMB_OK;
    }
    return lmb_json_skip(r->j);
}

static lmb_status check_annotation(const reader *r, const raw *w)
{
    static const char *const names[] = {
        "id", "image_id", "category_id", "bbox"};
    if ((r->has & HAS_ID) == 0)
        return lmb_json_bad(r->j, "annotation number %lld has no id",
            (long long)r->out->n_annotations + 1);
    for (unsigned i = 1; i < LMB_COUNT(names); i++)
        if ((r->has >> i & 1) == 0)
            return lmb_json_bad(r->j, "annotation %lld has no %s",
                (long long)w->a.id, names[i]);
    return LMB_OK;
}

static lmb_status read_annotation(reader *r)
{
    lmb_coco *o = r->out;
    raw w = {0};
    LMB_TRY(read_object(r, annotation_key, &w));
    LMB_TRY(check_annotation(r, &w));
    LMB_TRY(place_of(&r->images, w.image_id, w.a.id, &w.a.image));
    LMB_TRY(place_of(&r->categories, w.category_id, w.a.id, &w.a.category));
    if ((r->has & HAS_AREA) == 0)
        w.a.area = w.a.box[2] * w.a.box[3];
    LMB_TRY(lmb__coco_room(r->j, &r->list, (void **)&o->annotations,
        o->n_annotations, sizeof *o->annotations));
    o->annotations[o->n_annotations++] = w.a;
    return LMB_OK;
}

/* --- the file */

static lmb_status read_list(reader *r, lmb_status (*read)(reader *r))
{
    bool more = false;
    LMB_TRY(lmb_json_list(r->j));
    r->list = (lmb_coco_list){.start = lmb_json_offset(r->j)};
    for (;;) {
        LMB_TRY(lmb_json_item(r->j, &more));
        if (!more)
            return LMB_OK;
        LMB_TRY(read(r));
    }
}

static lmb_status read_file(reader *r)
{
    static const struct {
        const char *key;
        lmb_status (*read)(reader *r);
    } lists[] = {{"images", read_image}, {"annotations", read_annotation},
        {"categories", read_category}};
    unsigned seen = 0;
    LMB_TRY(lmb_json_object(r->j));
    for (;;) {
        const char *key = NULL;
        bool is_null = false;
        size_t i = 0;
        LMB_TRY(lmb_json_key(r->j, &key));
        if (key == NULL)
            break;
        while (i < LMB_COUNT(lists) && strcmp(key, lists[i].key) != 0)
            i++;
        if (i == LMB_COUNT(lists)) {
            LMB_TRY(lmb_json_skip(r->j));
            continue;
        }
        if ((seen >> i & 1) != 0)
            return lmb_json_bad(r->j, "\"%s\" comes twice", lists[i].key);
        LMB_TRY(lmb__coco_null(r->j, &is_null));
        if (is_null)
            continue;
        seen |= 1u << i;
        LMB_TRY(read_list(r, lists[i].read));
    }
    if ((seen & 1) == 0)
        return lmb_json_bad(r->j, "no \"images\": not an instances file");
    return lmb_json_end(r->j);
}

static lmb_status check_places(
    const places *p, const char *what, const char *name)
{
    for (int32_t i = 0; i < p->map.count; i++)
        if (p->items[i].index < 0)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: annotation %lld: no %s has the id %lld", name,
                (long long)p->items[i].user, what, (long long)p->items[i].id);
    return LMB_OK;
}

static lmb_status resolve(reader *r, const char *name)
{
    lmb_coco *o = r->out;
    LMB_TRY(check_places(&r->images, "image", name));
    LMB_TRY(check_places(&r->categories, "category", name));
    for (int64_t i = 0; i < o->n_annotations; i++) {
        lmb_coco_annotation *a = &o->annotations[i];
        a->image = r->images.items[a->image].index;
        a->category = r->categories.items[a->category].index;
    }
    return LMB_OK;
}

static void places_fini(places *p)
{
    lmb_id_map_fini(&p->map);
    lmb_free(p->items);
    *p = (places){0};
}

static lmb_status read_all(reader *r, const char *name)
{
    LMB_TRY(lmb_arena_new(&r->out->arena));
    LMB_TRY(read_file(r));
    LMB_TRY(resolve(r, name));
    places_fini(&r->images);
    places_fini(&r->categories);
    return lmb__coco_index(r->out, name);
}

/* Takes the cursor. */
static lmb_status finish(lmb_json *j, const char *name, lmb_coco *out)
{
    reader r = {.j = j, .out = out};
    const lmb_status st = read_all(&r, name);
    places_fini(&r.images);
    places_fini(&r.categories);
    if (st != LMB_OK)
        lmb_coco_fini(out);
    lmb_json_close(j);
    return st;
}

lmb_status lmb_coco_load(const char *path, lmb_coco *out)
{
    lmb_json *j = NULL;
    *out = (lmb_coco){0};
    LMB_TRY(lmb_json_open(path, &j));
    return finish(j, path, out);
}

lmb_status lmb_coco_parse(
    const void *bytes, size_t size, const char *name, lmb_coco *out)
{
    lmb_json *j = NULL;
    *out = (lmb_coco){0};
    LMB_TRY(lmb_json_open_memory(bytes, size, name, &j));
    return finish(j, name, out);
}
