/* cifar.c: the CIFAR binary files.
 *
 * A record is 1 label byte (CIFAR-10) or 2 (CIFAR-100: coarse, fine), then
 * 3072 bytes: 32 x 32 red, green and blue planes, row by row. There is no
 * header and no count: the file ends after the last record. Kept as
 * [count, 32, 32, 3].
 * Source: https://www.cs.toronto.edu/~kriz/cifar.html */
#include "data/cifar.h"
#include "base/file.h"

#include <string.h>

enum { SIDE = 32, PLANE = SIDE * SIDE };

static void interleave(const uint8_t *planes, uint8_t *rgb)
{
    for (int i = 0; i < PLANE; i++) {
        rgb[3 * i] = planes[i];
        rgb[3 * i + 1] = planes[PLANE + i];
        rgb[3 * i + 2] = planes[2 * PLANE + i];
    }
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
        uint8_t *rgb = NULL;
        LMB_TRY(lmb__dataset_push(ds, label, &rgb));
        interleave(record + form->label_bytes, rgb);
    }
}

static lmb_status read_file(
    const lmb_cifar_form *form, const char *path, lmb_dataset *ds)
{
    lmb_stream *in = NULL;
    LMB_TRY(lmb_stream_open(path, &in));
    const lmb_status st = lmb__cifar_read(form, in, ds);
    lmb_stream_close(in);
    return st;
}

/* The file `name` of the split in `dir`, or *out = NULL. */
static lmb_status find_binary(
    lmb_dataset *ds, const char *dir, const char *name, const char **out)
{
    static const char *const ends[] = {".bin", ".bin.xz", ".bin.gz"};
    for (size_t i = 0; i < LMB_COUNT(ends); i++) {
        const char *path =
            lmb_arena_printf(ds->arena, "%s/%s%s", dir, name, ends[i]);
        if (path == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
        if (lmb_path_exists(path)) {
            *out = path;
            return LMB_OK;
        }
    }
    *out = NULL;
    return LMB_OK;
}

/* All files of the split in `dir`; *found = false if the first is missing. */
static lmb_status read_dir(const lmb_cifar_form *form, const char *dir,
    const char *const *names, lmb_dataset *ds, bool *found)
{
    *found = false;
    for (int i = 0; names[i] != NULL; i++) {
        const char *path = NULL;
        LMB_TRY(find_binary(ds, dir, names[i], &path));
        if (path == NULL && i == 0)
            return LMB_OK;
        if (path == NULL)
            return LMB_FAIL(LMB_ENOTFOUND,
                "%s: %s.bin is missing beside %s.bin", dir, names[i], names[0]);
        *found = true;
        LMB_TRY(read_file(form, path, ds));
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
            "%s has no val split: hold out a part of train", ds->name);
    const char *const *names =
        split == LMB_SPLIT_TRAIN ? form->train : form->test;
    const char *places[2] = {dir, NULL};
    LMB_TRY(lmb__dataset_path(ds, dir, form->binary_dir, &places[1]));
    ds->height = SIDE;
    ds->width = SIDE;
    ds->classes = form->classes;
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats(ds, form->mean, form->std);
    bool found = false;
    for (size_t i = 0; i < LMB_COUNT(places) && !found; i++) {
        LMB_TRY(read_dir(form, places[i], names, ds, &found));
        if (found)
            LMB_TRY(read_names(form, places[i], ds));
    }
    if (!found)
        return LMB_FAIL(LMB_ENOTFOUND,
            "%s: no %s.bin, .bin.xz or .bin.gz here or in %s/", dir, names[0],
            form->binary_dir);
    lmb__dataset_hash_memory(ds);
    return LMB_OK;
}
