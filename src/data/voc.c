/* voc.c: data sets in the manner of Pascal VOC.
 *
 * DIR/ImageSets/Main/SPLIT.txt lists names, DIR/Annotations/NAME.xml holds the
 * boxes of DIR/JPEGImages/NAME.jpg (.jpeg, .png, or the <filename>). Without
 * ImageSets/Main all annotations are "train". Classes: the lines of
 * DIR/classes.txt or DIR/labels.txt; else VOC's twenty, if these are all that
 * occur; else the names that occur in Annotations, sorted by bytes.
 *
 * Corners are pixels counted from 1, both inside the box: xmin .. xmax covers
 * [xmin - 1, xmax]. Objects with xmax <= xmin or ymax <= ymin are taken as
 * empty. Format: the PASCAL VOC challenge's development kit. */
#include "base/file.h"
#include "data/folder.h"
#include "data/lines.h"
#include "data/truth.h"
#include "data/voc_xml.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 10000 };

static const char *const usual[] = {"aeroplane", "bicycle", "bird", "boat",
    "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor"};

/* --- classes -------------------------------------------------------------- */

static bool all_usual(const lmb_lines *names)
{
    for (int64_t i = 0; i < names->count; i++) {
        bool found = false;
        for (size_t k = 0; k < LMB_COUNT(usual) && !found; k++)
            found = strcmp(names->text[i], usual[k]) == 0;
        if (!found)
            return false;
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lmb_status gather_file(
    lmb_dataset *ds, const char *path, lmb_lines *names)
{
    lmb_voc_file file = {0};
    LMB_TRY(lmb__voc_load(path, ds->arena, &file));
    lmb_status st = LMB_OK;
    for (int64_t k = 0; k < file.count && st == LMB_OK; k++)
        if (lmb__lines_find(names, file.objects[k].name) < 0)
            st = lmb__lines_add(names, file.objects[k].name);
    lmb__voc_fini(&file);
    LMB_TRY(st);
    if (names->count > MAX_CLASSES)
        return LMB_FAIL(LMB_EUNSUPPORTED, "%s: more than %d classes", path,
            (int)MAX_CLASSES);
    return LMB_OK;
}

/* The names in all annotations, of whatever split. */
static lmb_status gather(
    lmb_dataset *ds, const char *dir, const lmb_lines *stems, lmb_lines *names)
{
    for (int64_t i = 0; i < stems->count; i++) {
        const char *path = lmb_arena_printf(
            ds->arena, "%s/Annotations/%s.xml", dir, stems->text[i]);
        if (path == NULL)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
        LMB_TRY(gather_file(ds, path, names));
    }
    if (names->count > 1)
        qsort(names->text, (size_t)names->count, sizeof *names->text, by_bytes);
    return LMB_OK;
}

static lmb_status set_classes(
    lmb_dataset *ds, const char *const *names, size_t count, const char *dir)
{
    if (count == 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: no objects in Annotations", dir);
    ds->classes = (int32_t)count;
    ds->class_names = lmb_arena_copy(ds->arena, names, count * sizeof *names);
    return ds->class_names != NULL
        ? LMB_OK
        : LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
}

/* From a file beside Annotations; ENOTFOUND if there is none. */
static lmb_status listed_classes(
    lmb_dataset *ds, const char *dir, lmb_lines *names)
{
    static const char *const files[] = {"classes.txt", "labels.txt"};
    for (size_t i = 0; i < LMB_COUNT(files); i++) {
        const char *path = NULL;
        LMB_TRY(lmb__dataset_path(ds, dir, files[i], &path));
        if (lmb_path_exists(path))
            return lmb__lines_load(path, ds->arena, names);
    }
    return LMB_OK;
}

static lmb_status read_classes(
    lmb_dataset *ds, const char *dir, const lmb_lines *stems)
{
    lmb_lines names = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(listed_classes(ds, dir, &names), st, done);
    const bool listed = names.count > 0;
    if (!listed)
        LMB_GOTO(gather(ds, dir, stems, &names), st, done);
    if (!listed && names.count > 0 && all_usual(&names))
        st = set_classes(ds, usual, LMB_COUNT(usual), dir);
    else
        st = set_classes(ds, names.text, (size_t)names.count, dir);
done:
    lmb__lines_fini(&names);
    return st;
}

static int32_t find_class(const lmb_dataset *ds, const char *name)
{
    for (int32_t k = 0; k < ds->classes; k++)
        if (strcmp(ds->class_names[k], name) == 0)
            return k;
    return -1;
}

/* --- pictures ------------------------------------------------------------- */

/* JPEGImages/STEM.jpg or another ending, or the file's own name. */
static lmb_status find_picture(lmb_dataset *ds, const char *dir,
    const char *stem, const char *file_name, const char **out)
{
    static const char *const ends[] = {
        ".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"};
    for (size_t i = 0; i < LMB_COUNT(ends); i++) {
        *out = lmb_arena_printf(
            ds->arena, "%s/JPEGImages/%s%s", dir, stem, ends[i]);
        if (*out == NULL)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
        if (lmb_path_exists(*out))
            return LMB_OK;
    }
    if (file_name != NULL) {
        *out = lmb_arena_printf(ds->arena, "%s/JPEGImages/%s", dir, file_name);
        if (*out == NULL)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
        if (lmb_path_exists(*out))
            return LMB_OK;
    }
    return LMB_FAIL(
        LMB_ENOTFOUND, "%s/JPEGImages/%s: no .jpg, .jpeg or .png", dir, stem);
}

static lmb_status add_object(
    lmb_dataset *ds, const char *path, const lmb_voc_object *o)
{
    lmb_box_row row = {
        .label = find_class(ds, o->name), .crowd = o->difficult, .area = -1};
    if (row.label < 0)
        return LMB_FAIL(LMB_EFORMAT, "%s:%d: class '%s' is not in the list",
            path, o->line, o->name);
    for (int k = 0; k < 2; k++) {
        row.corner[k] = o->box[k] - 1;
        row.corner[2 + k] =
            o->box[2 + k] > o->box[k] ? o->box[2 + k] : row.corner[k];
    }
    return lmb__truth_box(ds, &row);
}

static lmb_status add_file(lmb_dataset *ds, const char *dir, const char *stem,
    const char *path, lmb_voc_file *file)
{
    const char *picture = NULL;
    LMB_TRY(find_picture(ds, dir, stem, file->file_name, &picture));
    if (file->width == 0 || file->height == 0)
        LMB_TRY(lmb_image_probe(picture, &file->height, &file->width));
    LMB_TRY(lmb__truth_picture(
        ds, picture, ds->truth->pictures + 1, file->height, file->width));
    for (int64_t k = 0; k < file->count; k++)
        LMB_TRY(add_object(ds, path, &file->objects[k]));
    return LMB_OK;
}

static lmb_status add_pictures(
    lmb_dataset *ds, const char *dir, const lmb_lines *stems)
{
    for (int64_t i = 0; i < stems->count; i++) {
        lmb_voc_file file = {0};
        const char *path = lmb_arena_printf(
            ds->arena, "%s/Annotations/%s.xml", dir, stems->text[i]);
        if (path == NULL)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
        LMB_TRY(lmb__voc_load(path, ds->arena, &file));
        const lmb_status st = add_file(ds, dir, stems->text[i], path, &file);
        lmb__voc_fini(&file);
        LMB_TRY(st);
    }
    return LMB_OK;
}

/* --- which pictures ------------------------------------------------------- */

/* The names in Annotations, without their .xml. */
static lmb_status list_stems(lmb_dataset *ds, const char *dir, lmb_lines *stems)
{
    lmb_folder folder = {0};
    const char *path = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(lmb__dataset_path(ds, dir, "Annotations", &path));
    LMB_TRY(lmb__folder_list(path, ds->arena, &folder));
    for (int64_t i = 0; i < folder.count && st == LMB_OK; i++) {
        const char *dot = strrchr(folder.names[i], '.');
        if (dot == NULL || strcmp(dot, ".xml") != 0)
            continue;
        const char *stem = lmb_arena_printf(
            ds->arena, "%.*s", (int)(dot - folder.names[i]), folder.names[i]);
        st = stem != NULL ? lmb__lines_add(stems, stem)
                          : LMB_FAIL(LMB_ENOMEM, "%s: out of memory", path);
    }
    lmb__folder_fini(&folder);
    return st;
}

/* ImageSets/Main/SPLIT.txt; NULL without that folder, where all is train. */
static lmb_status find_list(
    lmb_dataset *ds, const char *dir, lmb_split split, const char **out)
{
    static const char *const names[][5] = {
        [LMB_SPLIT_TRAIN] = {"train", "trainval", NULL},
        [LMB_SPLIT_VAL] = {"val", "valid", "validation", NULL},
        [LMB_SPLIT_TEST] = {"test", "val", "valid", "validation", NULL},
    };
    const char *folder = NULL;
    LMB_TRY(lmb__dataset_path(ds, dir, "ImageSets/Main", &folder));
    *out = NULL;
    if (!lmb_path_is_dir(folder)) {
        if (split == LMB_SPLIT_TRAIN)
            return LMB_OK;
        return LMB_FAIL(LMB_ENOTFOUND,
            "%s: no such folder: all pictures are train; hold out a part",
            folder);
    }
    for (const char *const *name = names[split]; *name != NULL; name++) {
        *out = lmb_arena_printf(ds->arena, "%s/%s.txt", folder, *name);
        if (*out == NULL)
            return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
        if (lmb_path_exists(*out))
            return LMB_OK;
    }
    return LMB_FAIL(LMB_ENOTFOUND, "%s: no %s.txt in it", folder,
        split == LMB_SPLIT_TEST ? "test or val" : names[split][0]);
}

static lmb_status read_split(
    lmb_dataset *ds, const char *dir, const lmb_lines *all, const char *list)
{
    lmb_lines chosen = {0};
    if (list == NULL)
        return add_pictures(ds, dir, all);
    LMB_TRY(lmb__lines_load(list, ds->arena, &chosen));
    const lmb_status st = add_pictures(ds, dir, &chosen);
    lmb__lines_fini(&chosen);
    return st;
}

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    (void)opts;
    lmb_lines all = {0};
    const char *list = NULL;
    lmb_status st = LMB_OK;
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats_imagenet(ds);
    LMB_TRY(find_list(ds, dir, split, &list));
    LMB_GOTO(list_stems(ds, dir, &all), st, done);
    LMB_GOTO(read_classes(ds, dir, &all), st, done);
    LMB_GOTO(lmb__truth_new(ds, 1), st, done);
    LMB_GOTO(read_split(ds, dir, &all, list), st, done);
    LMB_GOTO(lmb__truth_finish(ds, list != NULL ? list : dir), st, done);
done:
    lmb__lines_fini(&all);
    return st;
}

extern const lmb_dataset_row lmb_dataset_voc;
const lmb_dataset_row lmb_dataset_voc = {
    .name = "voc",
    .help = "boxes: DIR/Annotations/*.xml, ImageSets/Main/*.txt, JPEGImages",
    .needs_dir = true,
    .open = open_split,
};
