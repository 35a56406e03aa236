/* cifar.c: the CIFAR binary files, and where all forms are looked for.
 *
 * A record is 1 label byte (CIFAR-10) or 2 (CIFAR-100: coarse, fine), then
 * 3072 bytes: 32 x 32 red, green and blue planes, row by row. There is no
 * header and no count: the file ends after the last record. Kept as
 * [count, 32, 32, 3].
 * Source: https://www.cs.toronto.edu/~kriz/cifar.html */
#include "data/cifar.h"
#include "base/file.h"

#include <string.h>

enum { PLANE = LMB_CIFAR_SIDE * LMB_CIFAR_SIDE };

lmb_status lmb__cifar_push(
    lmb_dataset *ds, int32_t label, const uint8_t *planes)
{
    uint8_t *rgb = NULL;
    LMB_TRY(lmb__dataset_push(ds, label, &rgb));
    for (int i = 0; i < PLANE; i++) {
        rgb[3 * i] = planes[i];
        rgb[3 * i + 1] = planes[PLANE + i];
        rgb[3 * i + 2] = planes[2 * PLANE + i];
    }
    return LMB_OK;
}

lmb_status lmb__cifar_read(
    const lmb_cifar_form *form, lmb_stream *in, lmb_dataset *ds)
{
    uint8_t record[2 + 3 * PLANE];
    const size_t size = (size_t)form->label_bytes + 3 * PLANE;
    const char *name = lmb_stream_name(in);
    for (int64_t n = 0;; n++) {
        size_t got = 0;
        LMB_TRY(lmb_stream_read(in, record, size, &got));
        if (got == 0 && n > 0)
            return LMB_OK;
        if (got < size)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: record %lld has %zu bytes, not %zu", name, (long long)n,
                got, size);
        const int label = record[form->label_bytes - 1];
        if (label >= form->classes)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: record %lld has label %d, not 0 .. %d", name, (long long)n,
                label, (int)form->classes - 1);
        LMB_TRY(lmb__cifar_push(ds, label, record + form->label_bytes));
    }
}

static lmb_status read_binary(
    const lmb_cifar_form *form, const char *path, lmb_dataset *ds)
{
    lmb_stream *in = NULL;
    LMB_TRY(lmb_stream_open(path, &in));
    const lmb_status st = lmb__cifar_read(form, in, ds);
    lmb_stream_close(in);
    return st;
}

/* All that a compressed pickle holds: lmb_free(*out), also after an error. */
static lmb_status unpack(
    const lmb_file *file, const char *path, uint8_t **out, size_t *size)
{
    enum { MOST = 1 << 30 };
    lmb_stream *in = NULL;
    lmb_status st = LMB_OK;
    size_t n = 0, capacity = 0;
    LMB_TRY(lmb_stream_open_memory(file->bytes, file->size, path, &in));
    for (size_t got = 1; got > 0 && n <= MOST; n += got) {
        LMB_GOTO(LMB_GROW(*out, n, capacity), st, done);
        LMB_GOTO(lmb_stream_read(in, *out + n, capacity - n, &got), st, done);
    }
    if (n > MOST)
        st = LMB_FAIL(
            LMB_EFORMAT, "%s: more than %d bytes in it", path, (int)MOST);
    *size = n;
done:
    lmb_stream_close(in);
    return st;
}

static lmb_status read_pickle(
    const lmb_cifar_form *form, const char *path, lmb_dataset *ds)
{
    lmb_file file = {0};
    uint8_t *unpacked = NULL;
    LMB_TRY(lmb_file_open(path, &file));
    const bool packed = lmb_stream_is_packed(file.bytes, file.size);
    size_t size = file.size;
    lmb_status st = packed ? unpack(&file, path, &unpacked, &size) : LMB_OK;
    if (st == LMB_OK)
        st = lmb__cifar_read_pickle(
            form, packed ? unpacked : file.bytes, size, path, ds);
    lmb_free(unpacked);
    lmb_file_close(&file);
    return st;
}

/* A place to look in: a folder, and the form of the files there. */
typedef struct place {
    const char *dir;
    bool pickles;
} place;

/* The file `name` of the split, or *out = NULL. */
static lmb_status find_file(
    lmb_dataset *ds, const place *at, const char *name, const char **out)
{
    static const char *const ends[] = {".bin", ".bin.xz", ".bin.gz", NULL};
    static const char *const pickle_ends[] = {"", ".xz", ".gz", NULL};
    for (const char *const *end = at->pickles ? pickle_ends : ends;
         *end != NULL; end++) {
        const char *path =
            lmb_arena_printf(ds->arena, "%s/%s%s", at->dir, name, *end);
        if (path == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
        if (lmb_path_exists(path) && !lmb_path_is_dir(path)) {
            *out = path;
            return LMB_OK;
        }
    }
    *out = NULL;
    return LMB_OK;
}

/* All files of the split; *found = false if the first is missing. */
static lmb_status read_place(const lmb_cifar_form *form, const place *at,
    const char *const *names, lmb_dataset *ds, bool *found)
{
    *found = false;
    for (int i = 0; names[i] != NULL; i++) {
        const char *path = NULL;
        LMB_TRY(find_file(ds, at, names[i], &path));
        if (path == NULL && i == 0)
            return LMB_OK;
        if (path == NULL)
            return LMB_FAIL(LMB_ENOTFOUND, "%s: %s%s is missing beside %s",
                at->dir, names[i], at->pickles ? "" : ".bin", names[0]);
        *found = true;
        LMB_TRY(at->pickles ? read_pickle(form, path, ds)
                            : read_binary(form, path, ds));
    }
    return LMB_OK;
}

static lmb_status read_names(
    const lmb_cifar_form *form, const char *dir, lmb_dataset *ds)
{
    const char *path = NULL;
    ds->class_names = form->names;
    LMB_TRY(lmb__dataset_path(ds, dir, form->names_file, &path));
    return lmb_path_exists(path) ? lmb__dataset_read_names(ds, path) : LMB_OK;
}

lmb_status lmb__cifar_open(const lmb_cifar_form *form, const char *dir,
    lmb_split split, lmb_dataset *ds)
{
    if (split == LMB_SPLIT_VAL)
        return LMB_FAIL(LMB_EINVAL,
            "%s has no val split, but train and test; --val-split F holds a "
            "part "
            "of train out in a run",
            ds->name);
    const char *const *names =
        split == LMB_SPLIT_TRAIN ? form->train : form->test;
    place places[4] = {{dir, false}, {NULL, false}, {dir, true}, {NULL, true}};
    LMB_TRY(lmb__dataset_path(ds, dir, form->binary_dir, &places[1].dir));
    LMB_TRY(lmb__dataset_path(ds, dir, form->python_dir, &places[3].dir));
    ds->height = LMB_CIFAR_SIDE;
    ds->width = LMB_CIFAR_SIDE;
    ds->classes = form->classes;
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats(ds, form->mean, form->std);
    bool found = false;
    for (size_t i = 0; i < LMB_COUNT(places) && !found; i++) {
        LMB_TRY(read_place(form, &places[i], names, ds, &found));
        if (found)
            LMB_TRY(read_names(form, places[i].dir, ds));
    }
    if (!found)
        return LMB_FAIL(LMB_ENOTFOUND,
            "%s: no %s.bin, .bin.xz or .bin.gz here or in %s/, no pickle %s, "
            ".xz or .gz here or in %s/",
            dir, names[0], form->binary_dir, names[0], form->python_dir);
    lmb__dataset_hash_memory(ds);
    return LMB_OK;
}
