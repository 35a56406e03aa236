/* coco.c: data sets in the manner of COCO.
 *
 * The annotations of a split are annotations/instances_SPLIT.json or
 * instances_SPLIT.json, where digits may follow SPLIT (train2017), or else
 * SPLIT/_annotations.coco.json; several that fit are an error. The pictures are
 * in the first of these folders that holds the first one: SPLIT (with the
 * digits), images/SPLIT, images, JPEGImages, the annotations' own, DIR. Both
 * can be named outright by the options; the digits are then those of the file
 * that is named. Labels are the positions of the
 * category ids in ascending order, or the ids themselves, as torchvision has
 * them. Format: https://cocodataset.org/#format-data */
#include "base/file.h"
#include "base/str.h"
#include "data/folder.h"
#include "data/truth.h"
#include "io/coco_json.h"

#include <string.h>

/* Of ids that are labels: each one up to the largest is a class. */
enum { MAX_LABEL_ID = 10000 };

typedef struct place {
    lmb_dataset *ds;
    const char *dir;
    const char *json;
    const char *name; /* the split as its file has it: "val" */
    const char *tag; /* the same with the digits: "val2017" */
    lmb_str fits; /* all files that fit, "a.json, b.json" */
    int n_fits;
} place;

static const char *const train_names[] = {"train", NULL};
static const char *const val_names[] = {"val", "valid", "validation", NULL};
static const char *const test_names[] = {"test", NULL};

static lmb_status no_memory(const place *p)
{
    return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", p->dir);
}

/* --- the annotations ------------------------------------------------------ */

/* The digits of "instances_NAMEdigits.json", or NULL. */
static const char *match(const char *file, const char *name)
{
    static const char head[] = "instances_";
    if (strncmp(file, head, strlen(head)) != 0)
        return NULL;
    file += strlen(head);
    if (strncmp(file, name, strlen(name)) != 0)
        return NULL;
    file += strlen(name);
    const size_t digits = strspn(file, "0123456789");
    return strcmp(file + digits, ".json") == 0 ? file : NULL;
}

/* The first file that fits is taken, all are listed. */
static void take(place *p, const char *json, const char *name, const char *tag)
{
    lmb_str_printf(&p->fits, "%s%s", p->n_fits++ > 0 ? ", " : "", json);
    if (p->json != NULL)
        return;
    p->json = json;
    p->name = name;
    p->tag = tag;
}

/* "val2017" of "instances_val2017.json"; NULL: out of memory. */
static const char *tag_of(const place *p, const char *file, const char *name)
{
    const char *digits = match(file, name);
    return lmb_arena_printf(p->ds->arena, "%s%.*s", name,
        (int)strspn(digits, "0123456789"), digits);
}

static lmb_status take_match(
    place *p, const char *path, const char *file, const char *name)
{
    const char *json = NULL;
    const char *tag = tag_of(p, file, name);
    if (tag == NULL)
        return no_memory(p);
    LMB_TRY(lmb__dataset_path(p->ds, path, file, &json));
    take(p, json, name, tag);
    return LMB_OK;
}

/* All files of `path` that fit. */
static lmb_status look_in(place *p, const char *path, const char *const *names)
{
    lmb_folder folder = {0};
    lmb_status st = LMB_OK;
    if (!lmb_path_is_dir(path))
        return LMB_OK;
    LMB_TRY(lmb__folder_list(path, p->ds->arena, &folder));
    for (int64_t i = 0; i < folder.count && st == LMB_OK; i++)
        for (const char *const *n = names; *n != NULL && st == LMB_OK; n++)
            if (match(folder.names[i], *n) != NULL)
                st = take_match(p, path, folder.names[i], *n);
    lmb__folder_fini(&folder);
    return st;
}

static lmb_status look_beside_pictures(place *p, const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *path = lmb_arena_printf(
            p->ds->arena, "%s/%s/_annotations.coco.json", p->dir, *names);
        if (path == NULL)
            return no_memory(p);
        if (lmb_path_exists(path))
            take(p, path, *names, *names);
    }
    return LMB_OK;
}

static lmb_status look(place *p, const char *const *names)
{
    const char *annotations = NULL;
    LMB_TRY(lmb__dataset_path(p->ds, p->dir, "annotations", &annotations));
    LMB_TRY(look_in(p, annotations, names));
    LMB_TRY(look_in(p, p->dir, names));
    LMB_TRY(look_beside_pictures(p, names));
    LMB_TRY(lmb_str_status(&p->fits));
    if (p->n_fits < 2)
        return LMB_OK;
    return LMB_FAIL(LMB_EINVAL,
        "%s: which? name one outright: --set data.train.json=FILE (of the "
        "split to train on), data.test.json=FILE (of the one to evaluate on)",
        p->fits.text);
}

/* A file named outright; its pictures may be in the folder that it is named
 * after, "val2017". */
static lmb_status take_named(place *p, const char *json)
{
    static const char *const *const all[] = {
        train_names, val_names, test_names};
    const char *slash = strrchr(json, '/');
    const char *file = slash != NULL ? slash + 1 : json;
    p->json = lmb_arena_strdup(p->ds->arena, json);
    for (size_t i = 0; i < LMB_COUNT(all); i++)
        for (const char *const *n = all[i]; *n != NULL; n++)
            if (match(file, *n) != NULL)
                p->tag = tag_of(p, file, *n);
    return p->json != NULL && p->tag != NULL ? LMB_OK : no_memory(p);
}

/* As in a folder of pictures, val stands in for a missing test. */
static lmb_status find_json(
    place *p, lmb_split split, const lmb_dataset_opts *opts)
{
    const char *const *const names[] = {[LMB_SPLIT_TRAIN] = train_names,
        [LMB_SPLIT_VAL] = val_names,
        [LMB_SPLIT_TEST] = test_names};
    p->name = p->tag = names[split][0];
    if (opts->json != NULL)
        return take_named(p, opts->json);
    LMB_TRY(look(p, names[split]));
    if (p->json == NULL && split == LMB_SPLIT_TEST)
        LMB_TRY(look(p, val_names));
    if (p->json == NULL)
        return LMB_FAIL(LMB_ENOTFOUND,
            "%s: neither annotations/instances_%s*.json nor "
            "instances_%s*.json nor %s/_annotations.coco.json in it",
            p->dir, names[split][0], names[split][0], names[split][0]);
    return LMB_OK;
}

/* --- the pictures --------------------------------------------------------- */

static lmb_status try_folder(
    const place *p, const char *folder, const char *first, const char **out)
{
    const char *picture = NULL;
    if (first[0] == '/')
        picture = first;
    else
        LMB_TRY(lmb__dataset_path(p->ds, folder, first, &picture));
    *out = lmb_path_exists(picture) ? folder : NULL;
    return LMB_OK;
}

static lmb_status list_folders(
    const place *p, const char *folders[8], size_t *count)
{
    lmb_arena *a = p->ds->arena;
    const char *slash = strrchr(p->json, '/');
    size_t n = 0;
    folders[n++] = lmb_arena_printf(a, "%s/%s", p->dir, p->tag);
    folders[n++] = lmb_arena_printf(a, "%s/%s", p->dir, p->name);
    folders[n++] = lmb_arena_printf(a, "%s/images/%s", p->dir, p->tag);
    folders[n++] = lmb_arena_printf(a, "%s/images/%s", p->dir, p->name);
    folders[n++] = lmb_arena_printf(a, "%s/images", p->dir);
    folders[n++] = lmb_arena_printf(a, "%s/JPEGImages", p->dir);
    folders[n++] = slash == NULL
        ? "."
        : lmb_arena_printf(a, "%.*s", (int)(slash - p->json), p->json);
    folders[n++] = p->dir;
    for (size_t i = 0; i < n; i++)
        if (folders[i] == NULL)
            return no_memory(p);
    *count = n;
    return LMB_OK;
}

static lmb_status find_images(const place *p, const lmb_coco *coco,
    const lmb_dataset_opts *opts, const char **out)
{
    const char *folders[8];
    size_t count = 0;
    const char *first = coco->images[0].file_name;
    if (opts->images != NULL) {
        *out = opts->images;
        return LMB_OK;
    }
    LMB_TRY(list_folders(p, folders, &count));
    for (size_t i = 0; i < count; i++) {
        LMB_TRY(try_folder(p, folders[i], first, out));
        if (*out != NULL)
            return LMB_OK;
    }
    return LMB_FAIL(LMB_ENOTFOUND,
        "%s: picture '%s' of %s is neither in %s, images/%s, images, "
        "JPEGImages nor beside it",
        p->dir, first, p->json, p->tag, p->tag);
}

/* --- reading -------------------------------------------------------------- */

static lmb_status check_ids(const place *p, const lmb_coco *coco, int64_t base)
{
    for (int64_t k = 0; k < coco->n_categories; k++) {
        const int64_t id = coco->categories[k].id;
        if (id < base || id > MAX_LABEL_ID)
            return LMB_FAIL(LMB_EINVAL,
                "%s: category id %lld is no label: data.label_by wants ids of "
                "%lld .. %d",
                p->json, (long long)id, (long long)base, (int)MAX_LABEL_ID);
    }
    return LMB_OK;
}

/* Ids that the file passes over have classes of their own, without boxes. */
static lmb_status set_classes(
    const place *p, const lmb_coco *coco, lmb_label_by by)
{
    lmb_dataset *ds = p->ds;
    const int64_t n = coco->n_categories;
    const int64_t base = by == LMB_LABEL_BY_ID_1;
    int64_t classes = n;
    if (n == 0 || n > INT32_MAX)
        return LMB_FAIL(
            LMB_EFORMAT, "%s: %lld categories in it", p->json, (long long)n);
    if (by != LMB_LABEL_BY_POSITION) {
        LMB_TRY(check_ids(p, coco, base));
        classes = coco->categories[n - 1].id - base + 1;
    }
    const char **names =
        lmb_arena_alloc(ds->arena, (size_t)classes * sizeof *names);
    if (names == NULL)
        return no_memory(p);
    ds->classes = (int32_t)classes;
    ds->class_names = names;
    LMB_TRY(lmb__truth_new(ds, base));
    for (int64_t k = 0; k < classes; k++)
        names[k] = "N/A";
    for (int64_t k = 0; k < n; k++) {
        const int64_t id = coco->categories[k].id;
        const int64_t label = by == LMB_LABEL_BY_POSITION ? k : id - base;
        names[label] = lmb_arena_strdup(ds->arena, coco->categories[k].name);
        ds->truth->category_ids[label] = id;
        if (names[label] == NULL)
            return no_memory(p);
    }
    return LMB_OK;
}

static lmb_status add_box(
    lmb_dataset *ds, const lmb_coco *coco, const lmb_coco_annotation *a)
{
    const int64_t id = coco->categories[a->category].id;
    const lmb_box_row row = {
        .corner = {a->box[0], a->box[1], a->box[0] + a->box[2],
            a->box[1] + a->box[3]},
        .label = lmb_dataset_category_label(ds, id),
        .crowd = a->crowd || a->difficult,
        .area = a->area,
    };
    return lmb__truth_box(ds, &row);
}

static lmb_status add_picture(const place *p, const lmb_coco *coco,
    const lmb_coco_image *image, const char *folder)
{
    const char *path = NULL;
    int32_t height = image->height;
    int32_t width = image->width;
    if (image->file_name[0] == '/') {
        path = lmb_arena_strdup(p->ds->arena, image->file_name);
        if (path == NULL)
            return no_memory(p);
    } else {
        LMB_TRY(lmb__dataset_path(p->ds, folder, image->file_name, &path));
    }
    if (height == 0 || width == 0)
        LMB_TRY(lmb_image_probe(path, &height, &width));
    LMB_TRY(lmb__truth_picture(p->ds, path, image->id, height, width));
    for (int64_t k = 0; k < image->count; k++)
        LMB_TRY(add_box(
            p->ds, coco, &coco->annotations[coco->by_image[image->first + k]]));
    return LMB_OK;
}

static lmb_status read_coco(
    const place *p, const lmb_coco *coco, const lmb_dataset_opts *opts)
{
    const char *folder = NULL;
    if (coco->n_images == 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: no pictures in it", p->json);
    for (int64_t i = 0; i < coco->n_images; i++)
        if (coco->images[i].file_name == NULL)
            return LMB_FAIL(LMB_EFORMAT, "%s: image %lld has no file_name",
                p->json, (long long)coco->images[i].id);
    LMB_TRY(set_classes(p, coco, opts->label_by));
    LMB_TRY(find_images(p, coco, opts, &folder));
    for (int64_t i = 0; i < coco->n_images; i++)
        LMB_TRY(add_picture(p, coco, &coco->images[i], folder));
    p->ds->truth->file = p->json;
    return lmb__truth_finish(p->ds, p->json);
}

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    place p = {.ds = ds, .dir = dir};
    lmb_coco coco = {0};
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats_imagenet(ds);
    lmb_status st = find_json(&p, split, opts);
    lmb_str_fini(&p.fits);
    LMB_TRY(st);
    LMB_TRY(lmb_coco_load(p.json, &coco));
    st = read_coco(&p, &coco, opts);
    lmb_coco_fini(&coco);
    return st;
}

extern const lmb_dataset_row lmb_dataset_coco;
const lmb_dataset_row lmb_dataset_coco = {
    .name = "coco",
    .help = "boxes: DIR/annotations/instances_train*.json, pictures in train*/",
    .needs_dir = true,
    .has_ids = true,
    .open = open_split,
};
