/* imagefolder.c: folders of JPEG and PNG files, one folder a class.
 *
 * DIR/train/CLASS/..., DIR/val (valid, validation)/..., DIR/test/..., or
 * DIR/CLASS/... alone, which is all "train". Class k is the k-th folder name
 * of train, sorted by bytes; files are sorted too and subfolders follow their
 * folder's files, as in torchvision's ImageFolder. Pictures are decoded when
 * asked for. Default mean and deviation are ImageNet's. */
#include "base/file.h"
#include "data/dataset.h"
#include "data/folder.h"
#include "data/hash.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

typedef struct scan {
    lmb_dataset *ds;
    lmb_lines paths; /* of all classes so far */
    size_t label_capacity;
    uint64_t hash;
} scan;

/* Names without their folders, so that a data set may be moved. */
static lmb_status add_file(scan *s, const char *path, int32_t label)
{
    lmb_dataset *ds = s->ds;
    struct stat info;
    if (stat(path, &info) != 0)
        return LMB_FAIL(LMB_EIO, "%s: %s", path, strerror(errno));
    LMB_TRY(LMB_GROW(ds->labels, ds->count, s->label_capacity));
    ds->labels[ds->count++] = label;
    const char *name = strrchr(path, '/') + 1;
    const int64_t numbers[2] = {label, info.st_size};
    s->hash = lmb_xxh64(name, strlen(name), s->hash);
    s->hash = lmb_xxh64(numbers, sizeof numbers, s->hash);
    return LMB_OK;
}

static lmb_status scan_class(scan *s, const char *dir, int32_t label)
{
    const int64_t before = s->ds->count;
    LMB_TRY(lmb__folder_pictures(dir, s->ds->arena, &s->paths));
    if (s->paths.count == before)
        return LMB_FAIL(LMB_EFORMAT, "%s: no pictures in it", dir);
    for (int64_t i = before; i < s->paths.count; i++)
        LMB_TRY(add_file(s, s->paths.text[i], label));
    return LMB_OK;
}

/* --- which folders -------------------------------------------------------- */

/* The first of `names` that is a folder of DIR, or NULL. */
static lmb_status find_folder(lmb_dataset *ds, const char *dir,
    const char *const *names, const char **out)
{
    for (; *names != NULL; names++) {
        LMB_TRY(lmb__dataset_path(ds, dir, *names, out));
        if (lmb_path_is_dir(*out))
            return LMB_OK;
    }
    *out = NULL;
    return LMB_OK;
}

static lmb_status find_split(lmb_dataset *ds, const char *dir, lmb_split split,
    const char **train, const char **out)
{
    static const char *const train_names[] = {"train", NULL};
    static const char *const val_names[] = {"val", "valid", "validation", NULL};
    static const char *const test_names[] = {
        "test", "val", "valid", "validation", NULL};
    LMB_TRY(find_folder(ds, dir, train_names, train));
    LMB_TRY(find_folder(ds, dir, test_names, out));
    const bool flat = *train == NULL && *out == NULL;
    if (split == LMB_SPLIT_VAL)
        LMB_TRY(find_folder(ds, dir, val_names, out));
    if (flat)
        *train = dir;
    if (split == LMB_SPLIT_TRAIN)
        *out = *train;
    if (*out == NULL)
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no %s folder in it%s", dir,
            split == LMB_SPLIT_TRAIN     ? "train"
                : split == LMB_SPLIT_VAL ? "val"
                                         : "test or val",
            flat ? ": all of it is train; hold out a part of that" : "");
    if (*train == NULL)
        *train = *out;
    return LMB_OK;
}

/* --- classes -------------------------------------------------------------- */

/* The folders among the entries, as class names. */
static lmb_status keep_folders(lmb_dataset *ds, const char *dir,
    const lmb_folder *folder, int32_t *count, const char *const **out)
{
    const char **names =
        lmb_arena_alloc(ds->arena, ((size_t)folder->count + 1) * sizeof *names);
    if (names == NULL)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
    int32_t n = 0;
    for (int64_t i = 0; i < folder->count; i++) {
        const char *path = NULL;
        LMB_TRY(lmb__dataset_path(ds, dir, folder->names[i], &path));
        if (lmb_path_is_dir(path))
            names[n++] = folder->names[i];
    }
    *count = n;
    *out = names;
    return LMB_OK;
}

static lmb_status list_classes(
    lmb_dataset *ds, const char *dir, int32_t *count, const char *const **out)
{
    lmb_folder folder = {0};
    LMB_TRY(lmb__folder_list(dir, ds->arena, &folder));
    const lmb_status st = keep_folders(ds, dir, &folder, count, out);
    lmb__folder_fini(&folder);
    return st;
}

static int32_t find_class(const lmb_dataset *ds, const char *name)
{
    for (int32_t k = 0; k < ds->classes; k++)
        if (strcmp(ds->class_names[k], name) == 0)
            return k;
    return -1;
}

static lmb_status scan_split(scan *s, const char *train, const char *dir)
{
    lmb_dataset *ds = s->ds;
    const char *const *here = NULL;
    int32_t count = 0;
    LMB_TRY(list_classes(ds, train, &ds->classes, &ds->class_names));
    LMB_TRY(list_classes(ds, dir, &count, &here));
    for (int32_t i = 0; i < count; i++) {
        const char *path = NULL;
        const int32_t label = find_class(ds, here[i]);
        LMB_TRY(lmb__dataset_path(ds, dir, here[i], &path));
        if (label < 0)
            return LMB_FAIL(LMB_EFORMAT, "%s: class '%s' is not in %s", dir,
                here[i], train);
        LMB_TRY(scan_class(s, path, label));
    }
    if (ds->count == 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: no class folders in it", dir);
    return LMB_OK;
}

/* --- opening -------------------------------------------------------------- */

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    (void)opts;
    const char *train = NULL;
    const char *here = NULL;
    scan s = {.ds = ds};
    LMB_TRY(find_split(ds, dir, split, &train, &here));
    lmb_status st = scan_split(&s, train, here);
    if (st == LMB_OK) {
        ds->paths = lmb_arena_copy(
            ds->arena, s.paths.text, (size_t)ds->count * sizeof *s.paths.text);
        if (ds->paths == NULL)
            st = LMB_FAIL(LMB_ENOMEM, "%s: out of memory", dir);
    }
    lmb__lines_fini(&s.paths);
    ds->hash = s.hash;
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats_imagenet(ds);
    return st;
}

extern const lmb_dataset_row lmb_dataset_imagefolder;
const lmb_dataset_row lmb_dataset_imagefolder = {
    .name = "imagefolder",
    .help = "folders of JPEG and PNG files: DIR/train/CLASS/*, DIR/val/...",
    .needs_dir = true,
    .open = open_split,
};
