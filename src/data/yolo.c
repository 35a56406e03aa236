/* yolo.c: data sets in the manner of the YOLO tools.
 *
 * DIR/data.yaml (or the only .yaml of DIR) has `names` (a list, or a map from
 * numbers), and `train`, `val`, `test`: a folder of pictures, a .txt list of
 * them, or a list of these, relative to `path` or DIR. The boxes of
 * .../images/A.jpg are .../labels/A.txt; no such file means no boxes.
 * Format: https://docs.ultralytics.com/datasets/detect. As there, `path` may
 * lead nowhere here (the file comes from elsewhere) and is then DIR, and a
 * leading "../" of a folder that leads nowhere is dropped. */
#include "base/file.h"
#include "base/str.h"
#include "data/folder.h"
#include "data/lines.h"
#include "data/truth.h"
#include "data/yolo_txt.h"
#include "io/yaml.h"

#include <string.h>

enum { MAX_CLASSES = 10000 };

typedef struct source {
    lmb_dataset *ds;
    const char *dir;
    const char *file; /* the yaml file */
    const char *base; /* what folders are relative to */
    lmb_lines pictures;
} source;

static lmb_status no_memory(const source *s)
{
    return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", s->dir);
}

/* --- the yaml file -------------------------------------------------------- */

static lmb_status only_yaml(source *s, const lmb_folder *folder)
{
    for (int64_t i = 0; i < folder->count; i++) {
        const char *name = folder->names[i];
        if (!lmb_str_ends_with(name, ".yaml") &&
            !lmb_str_ends_with(name, ".yml"))
            continue;
        if (s->file != NULL)
            return LMB_FAIL(LMB_EINVAL,
                "%s and %s: which? rename the right one to data.yaml", s->file,
                name);
        LMB_TRY(lmb__dataset_path(s->ds, s->dir, name, &s->file));
    }
    if (s->file == NULL)
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no data.yaml in it", s->dir);
    return LMB_OK;
}

static lmb_status find_yaml(source *s)
{
    lmb_folder folder = {0};
    LMB_TRY(lmb__dataset_path(s->ds, s->dir, "data.yaml", &s->file));
    if (lmb_path_exists(s->file))
        return LMB_OK;
    s->file = NULL;
    LMB_TRY(lmb__folder_list(s->dir, s->ds->arena, &folder));
    const lmb_status st = only_yaml(s, &folder);
    lmb__folder_fini(&folder);
    return st;
}

/* --- classes -------------------------------------------------------------- */

/* The place of a name: its key in a map, else its position. */
static lmb_status name_place(const source *s, const lmb_yaml *names,
    const lmb_yaml *item, int64_t position, int64_t *out)
{
    *out = position;
    if (names->kind == LMB_YAML_LIST)
        return LMB_OK;
    if (!lmb_parse_i64(item->key, out) || *out < 0 ||
        *out >= (int64_t)names->count)
        return LMB_FAIL(LMB_EFORMAT,
            "%s:%d: names: key '%s' is not a number 0 .. %zu", s->file,
            item->key_line, item->key, names->count - 1);
    return LMB_OK;
}

static lmb_status fill_names(
    const source *s, const lmb_yaml *names, const char **out)
{
    int64_t position = 0;
    for (const lmb_yaml *item = names->first; item != NULL; item = item->next) {
        int64_t place = 0;
        if (item->kind != LMB_YAML_SCALAR)
            return LMB_FAIL(
                LMB_EFORMAT, "%s:%d: names: not a text", s->file, item->line);
        LMB_TRY(name_place(s, names, item, position++, &place));
        if (out[place] != NULL)
            return LMB_FAIL(LMB_EFORMAT, "%s:%d: names: %lld comes twice",
                s->file, item->line, (long long)place);
        out[place] = lmb_arena_strdup(s->ds->arena, item->text);
        if (out[place] == NULL)
            return no_memory(s);
    }
    return LMB_OK;
}

static lmb_status check_count(const source *s, const lmb_yaml *root)
{
    const lmb_yaml *nc = lmb_yaml_get(root, "nc");
    int64_t count = 0;
    if (nc == NULL)
        return LMB_OK;
    if (nc->kind != LMB_YAML_SCALAR || !lmb_parse_i64(nc->text, &count) ||
        count != s->ds->classes)
        return LMB_FAIL(LMB_EFORMAT,
            "%s:%d: nc is '%s', but there are %d names", s->file, nc->line,
            nc->text != NULL ? nc->text : "", (int)s->ds->classes);
    return LMB_OK;
}

static lmb_status read_names(const source *s, const lmb_yaml *root)
{
    lmb_dataset *ds = s->ds;
    const lmb_yaml *names = lmb_yaml_get(root, "names");
    if (names == NULL || names->kind == LMB_YAML_SCALAR || names->count == 0)
        return LMB_FAIL(
            LMB_EFORMAT, "%s: `names` is not a list of classes", s->file);
    if (names->count > MAX_CLASSES)
        return LMB_FAIL(LMB_EUNSUPPORTED, "%s: %zu classes, more than %d",
            s->file, names->count, (int)MAX_CLASSES);
    if (lmb_yaml_get(root, "kpt_shape") != NULL)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: labels with key points (kpt_shape), not boxes", s->file);
    const char **out = lmb_arena_alloc(ds->arena, names->count * sizeof *out);
    if (out == NULL)
        return no_memory(s);
    LMB_TRY(fill_names(s, names, out));
    ds->class_names = out;
    ds->classes = (int32_t)names->count;
    return check_count(s, root);
}

/* --- pictures ------------------------------------------------------------- */

/* BASE/ENTRY, or ENTRY if that is absolute. */
static lmb_status join(
    const source *s, const char *base, const char *entry, const char **out)
{
    *out = entry;
    return entry[0] == '/' ? LMB_OK
                           : lmb__dataset_path(s->ds, base, entry, out);
}

static lmb_status find_base(source *s, const lmb_yaml *root)
{
    const lmb_yaml *path = lmb_yaml_get(root, "path");
    s->base = s->dir;
    if (path == NULL || path->kind != LMB_YAML_SCALAR || path->text[0] == '\0')
        return LMB_OK;
    LMB_TRY(join(s, s->dir, path->text, &s->base));
    if (!lmb_path_is_dir(s->base))
        s->base = s->dir;
    return LMB_OK;
}

/* The lines of a list are relative to its folder, or else to the base. */
static lmb_status add_listed(source *s, const char *list, const char *folder)
{
    lmb_lines lines = {0};
    lmb_status st = LMB_OK;
    LMB_TRY(lmb__lines_load(list, s->ds->arena, &lines));
    for (int64_t i = 0; i < lines.count && st == LMB_OK; i++) {
        const char *path = NULL;
        LMB_GOTO(join(s, folder, lines.text[i], &path), st, done);
        if (!lmb_path_exists(path))
            LMB_GOTO(join(s, s->base, lines.text[i], &path), st, done);
        st = lmb__lines_add(&s->pictures, path);
    }
done:
    lmb__lines_fini(&lines);
    return st;
}

static lmb_status folder_of(const source *s, const char *path, const char **out)
{
    const char *slash = strrchr(path, '/');
    *out = slash == NULL
        ? "."
        : lmb_arena_printf(s->ds->arena, "%.*s", (int)(slash - path), path);
    return *out != NULL ? LMB_OK : no_memory(s);
}

/* A folder or a list of pictures. */
static lmb_status add_entry(source *s, const lmb_yaml *entry)
{
    const char *path = NULL;
    const char *folder = NULL;
    if (entry->kind != LMB_YAML_SCALAR || entry->text[0] == '\0')
        return LMB_FAIL(
            LMB_EFORMAT, "%s:%d: not a folder or a list", s->file, entry->line);
    LMB_TRY(join(s, s->base, entry->text, &path));
    if (!lmb_path_exists(path) && strncmp(entry->text, "../", 3) == 0)
        LMB_TRY(join(s, s->base, entry->text + 3, &path));
    if (lmb_path_is_dir(path))
        return lmb__folder_pictures(path, s->ds->arena, &s->pictures);
    if (!lmb_path_exists(path))
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no such folder or list (%s:%d)",
            path, s->file, entry->line);
    LMB_TRY(folder_of(s, path, &folder));
    return add_listed(s, path, folder);
}

static lmb_status add_entries(source *s, const lmb_yaml *root, lmb_split split)
{
    static const char *const names[][5] = {
        [LMB_SPLIT_TRAIN] = {"train", NULL},
        [LMB_SPLIT_VAL] = {"val", "valid", "validation", NULL},
        [LMB_SPLIT_TEST] = {"test", "val", "valid", "validation", NULL},
    };
    const lmb_yaml *entry = NULL;
    for (const char *const *n = names[split]; *n != NULL; n++) {
        entry = lmb_yaml_get(root, *n);
        if (entry != NULL && !(entry->kind == LMB_YAML_SCALAR && entry->null))
            break;
        entry = NULL;
    }
    if (entry == NULL)
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no `%s` in it", s->file,
            split == LMB_SPLIT_TEST ? "test or val" : names[split][0]);
    if (entry->kind != LMB_YAML_LIST)
        return add_entry(s, entry);
    for (const lmb_yaml *item = entry->first; item != NULL; item = item->next)
        LMB_TRY(add_entry(s, item));
    return LMB_OK;
}

/* --- boxes ---------------------------------------------------------------- */

/* Where the last "/images/" of a path is, or NULL. */
static const char *last_images(const char *path)
{
    const char *last = NULL;
    for (const char *at = path; (at = strstr(at, "/images/")) != NULL; at++)
        last = at;
    return last;
}

/* The label file of a picture: /images/ becomes /labels/, the ending .txt. */
static lmb_status label_path(
    const source *s, const char *picture, const char **out)
{
    static const char images[] = "/images";
    const char *at = last_images(picture);
    const char *tail = at != NULL ? at + strlen(images) : picture;
    const char *slash = strrchr(tail, '/');
    const char *dot = strrchr(slash != NULL ? slash : tail, '.');
    const int length = (int)(dot != NULL ? dot - tail : (long)strlen(tail));
    *out = lmb_arena_printf(s->ds->arena, "%.*s%s%.*s.txt",
        at != NULL ? (int)(at - picture) : 0, picture,
        at != NULL ? "/labels" : "", length, tail);
    return *out != NULL ? LMB_OK : no_memory(s);
}

static lmb_status add_boxes(
    lmb_dataset *ds, const lmb_yolo_rows *rows, int32_t height, int32_t width)
{
    for (int64_t k = 0; k < rows->count; k++) {
        lmb_box_row row = {.label = rows->rows[k].label, .area = -1};
        for (int side = 0; side < 4; side++)
            row.corner[side] =
                rows->rows[k].box[side] * (side % 2 == 0 ? width : height);
        LMB_TRY(lmb__truth_box(ds, &row));
    }
    return LMB_OK;
}

static lmb_status add_picture(
    source *s, const char *picture, lmb_yolo_rows *rows)
{
    lmb_dataset *ds = s->ds;
    int32_t height = 0;
    int32_t width = 0;
    const char *labels = NULL;
    LMB_TRY(lmb_image_probe(picture, &height, &width));
    LMB_TRY(lmb__truth_picture(
        ds, picture, ds->truth->pictures + 1, height, width));
    LMB_TRY(label_path(s, picture, &labels));
    if (!lmb_path_exists(labels))
        return LMB_OK;
    LMB_TRY(lmb__yolo_load(labels, ds->classes, rows));
    return add_boxes(ds, rows, height, width);
}

static lmb_status add_pictures(source *s)
{
    lmb_yolo_rows rows = {0};
    lmb_status st = LMB_OK;
    for (int64_t i = 0; i < s->pictures.count && st == LMB_OK; i++)
        st = add_picture(s, s->pictures.text[i], &rows);
    lmb__yolo_fini(&rows);
    return st;
}

/* --- opening -------------------------------------------------------------- */

static lmb_status read_split(source *s, lmb_split split, lmb_arena *texts)
{
    const lmb_yaml *root = NULL;
    LMB_TRY(find_yaml(s));
    LMB_TRY(lmb_yaml_load(s->file, texts, &root));
    if (root->kind != LMB_YAML_MAP)
        return LMB_FAIL(LMB_EFORMAT, "%s: not a map of keys", s->file);
    LMB_TRY(read_names(s, root));
    LMB_TRY(lmb__truth_new(s->ds, 0));
    LMB_TRY(find_base(s, root));
    LMB_TRY(add_entries(s, root, split));
    LMB_TRY(add_pictures(s));
    return lmb__truth_finish(s->ds, s->file);
}

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    (void)opts;
    source s = {.ds = ds, .dir = dir};
    lmb_arena *texts = NULL;
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats_imagenet(ds);
    LMB_TRY(lmb_arena_new(&texts));
    const lmb_status st = read_split(&s, split, texts);
    lmb__lines_fini(&s.pictures);
    lmb_arena_free(texts);
    return st;
}

extern const lmb_dataset_row lmb_dataset_yolo;
const lmb_dataset_row lmb_dataset_yolo = {
    .name = "yolo",
    .help = "boxes: DIR/data.yaml, pictures in images/, labels/*.txt",
    .needs_dir = true,
    .open = open_split,
};
