/* idx.c: MNIST-style IDX files.
 *
 * A file is 0, 0, type (8: unsigned byte), rank, then one big-endian u32 per
 * dimension, then the bytes: images [N, H, W], labels [N]. Grey is repeated
 * into three channels, so that every network takes it. Default mean and
 * deviation are MNIST's. The number of classes is the largest
 * training label + 1; label_names.txt may name them, one a line.
 * Source: http://yann.lecun.com/exdb/mnist/ */
#include "data/idx.h"
#include "base/file.h"
#include "data/folder.h"

#include <string.h>

enum { MAX_SIDE = 4096 };

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
        p[3];
}

static lmb_status read_header(lmb_stream *in, uint8_t rank, uint32_t *dim)
{
    uint8_t head[16];
    const char *name = lmb_stream_name(in);
    LMB_TRY(lmb_stream_read_all(in, head, 4));
    if (head[0] != 0 || head[1] != 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: not an IDX file", name);
    if (head[2] != 8 || head[3] != rank)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: IDX type %d rank %d, not bytes (8) of rank %d", name, head[2],
            head[3], rank);
    LMB_TRY(lmb_stream_read_all(in, head + 4, 4 * (size_t)rank));
    for (int i = 0; i < rank; i++)
        dim[i] = big_endian(head + 4 + 4 * i);
    return LMB_OK;
}

static lmb_status check_end(lmb_stream *in, uint32_t count)
{
    uint8_t more = 0;
    size_t got = 0;
    LMB_TRY(lmb_stream_read(in, &more, 1, &got));
    if (got != 0)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: more bytes than the %u entries of its header",
            lmb_stream_name(in), (unsigned)count);
    return LMB_OK;
}

static lmb_status read_entries(
    lmb_stream *images, lmb_stream *labels, uint32_t count, lmb_dataset *ds)
{
    const size_t size = (size_t)ds->height * (size_t)ds->width;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t label = 0;
        uint8_t *rgb = NULL;
        LMB_TRY(lmb_stream_read_all(labels, &label, 1));
        LMB_TRY(lmb__dataset_push(ds, label, &rgb));
        /* Read into the end, then spread to the front. */
        const uint8_t *grey = rgb + 2 * size;
        LMB_TRY(lmb_stream_read_all(images, rgb + 2 * size, size));
        for (size_t k = 0; k < size; k++)
            rgb[3 * k] = rgb[3 * k + 1] = rgb[3 * k + 2] = grey[k];
    }
    return LMB_OK;
}

lmb_status lmb__idx_read(
    lmb_stream *images, lmb_stream *labels, lmb_dataset *ds)
{
    uint32_t dim[3] = {0};
    uint32_t count = 0;
    LMB_TRY(read_header(images, 3, dim));
    LMB_TRY(read_header(labels, 1, &count));
    if (dim[0] != count || count == 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: %u pictures but %u labels in %s",
            lmb_stream_name(images), (unsigned)dim[0], (unsigned)count,
            lmb_stream_name(labels));
    if (dim[1] < 1 || dim[2] < 1 || dim[1] > MAX_SIDE || dim[2] > MAX_SIDE)
        return LMB_FAIL(LMB_EFORMAT, "%s: pictures of %u x %u",
            lmb_stream_name(images), (unsigned)dim[2], (unsigned)dim[1]);
    ds->height = (int32_t)dim[1];
    ds->width = (int32_t)dim[2];
    LMB_TRY(read_entries(images, labels, count, ds));
    LMB_TRY(check_end(images, count));
    return check_end(labels, count);
}

/* --- finding the files ---------------------------------------------------- */

static bool matches(const char *name, const char *prefix, const char *kind)
{
    return strncmp(name, prefix, strlen(prefix)) == 0 &&
        strstr(name, kind) != NULL;
}

/* The file of DIR whose name starts with `prefix` and holds `kind`; *out is
 * NULL if there is none. More than one is an error. */
static lmb_status find_in(lmb_dataset *ds, const lmb_folder *folder,
    const char *dir, const char *prefix, const char *kind, const char **out)
{
    const char *found = NULL;
    *out = NULL;
    for (int64_t i = 0; i < folder->count; i++) {
        if (!matches(folder->names[i], prefix, kind))
            continue;
        if (found != NULL)
            return LMB_FAIL(LMB_EINVAL, "%s: both %s and %s: keep one", dir,
                found, folder->names[i]);
        found = folder->names[i];
    }
    return found == NULL ? LMB_OK : lmb__dataset_path(ds, dir, found, out);
}

typedef struct places {
    const char *images, *labels;
    const char *train_labels; /* NULL if not there */
} places;

static lmb_status find_files(lmb_dataset *ds, const char *dir, lmb_split split,
    const lmb_folder *folder, places *out)
{
    const char *prefix = split == LMB_SPLIT_TRAIN ? "train" : "t10k";
    LMB_TRY(find_in(ds, folder, dir, prefix, "idx3-ubyte", &out->images));
    LMB_TRY(find_in(ds, folder, dir, prefix, "idx1-ubyte", &out->labels));
    LMB_TRY(
        find_in(ds, folder, dir, "train", "idx1-ubyte", &out->train_labels));
    if (out->images == NULL || out->labels == NULL)
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no %s-%s-ubyte, plain, .gz or .xz",
            dir, prefix, out->images == NULL ? "images-idx3" : "labels-idx1");
    return LMB_OK;
}

/* --- classes -------------------------------------------------------------- */

/* Largest label of a label file. */
static lmb_status largest_label(const char *path, int32_t *out)
{
    lmb_stream *in = NULL;
    LMB_TRY(lmb_stream_open(path, &in));
    uint32_t count = 0;
    uint8_t label = 0;
    lmb_status st = read_header(in, 1, &count);
    for (uint32_t i = 0; i < count && st == LMB_OK; i++) {
        st = lmb_stream_read_all(in, &label, 1);
        *out = label > *out ? label : *out;
    }
    lmb_stream_close(in);
    return st;
}

static lmb_status set_classes(lmb_dataset *ds, const places *p, const char *dir)
{
    const char *names = NULL;
    int32_t most = -1;
    LMB_TRY(largest_label(
        p->train_labels != NULL ? p->train_labels : p->labels, &most));
    ds->classes = most + 1;
    for (int64_t i = 0; i < ds->count; i++)
        if (ds->labels[i] >= ds->classes)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: label %d of entry %lld is not among the %d of train",
                p->labels, (int)ds->labels[i], (long long)i, (int)ds->classes);
    LMB_TRY(lmb__dataset_path(ds, dir, "label_names.txt", &names));
    return lmb_path_exists(names) ? lmb__dataset_read_names(ds, names) : LMB_OK;
}

/* --- opening -------------------------------------------------------------- */

static lmb_status read_pair(const places *p, lmb_dataset *ds)
{
    lmb_stream *images = NULL;
    lmb_stream *labels = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_stream_open(p->images, &images), st, done);
    LMB_GOTO(lmb_stream_open(p->labels, &labels), st, done);
    LMB_GOTO(lmb__idx_read(images, labels, ds), st, done);
done:
    lmb_stream_close(labels);
    lmb_stream_close(images);
    return st;
}

static lmb_status open_split(const char *dir, lmb_split split,
    const lmb_dataset_opts *opts, lmb_dataset *ds)
{
    (void)opts;
    static const double mean[3] = {0.1307, 0.1307, 0.1307};
    static const double std[3] = {0.3081, 0.3081, 0.3081};
    if (split == LMB_SPLIT_VAL)
        return LMB_FAIL(LMB_EINVAL,
            "idx has no val split, but train and test; --val-split F holds a "
            "part "
            "of train out in a run");
    lmb_folder folder = {0};
    places found = {0};
    LMB_TRY(lmb__folder_list(dir, ds->arena, &folder));
    const lmb_status st = find_files(ds, dir, split, &folder, &found);
    lmb__folder_fini(&folder);
    LMB_TRY(st);
    LMB_TRY(read_pair(&found, ds));
    LMB_TRY(set_classes(ds, &found, dir));
    ds->is_test = split == LMB_SPLIT_TEST;
    lmb__dataset_stats(ds, mean, std);
    lmb__dataset_hash_memory(ds);
    return LMB_OK;
}

extern const lmb_dataset_row lmb_dataset_idx;
const lmb_dataset_row lmb_dataset_idx = {
    .name = "idx",
    .help = "MNIST-style IDX files (plain, .gz, .xz), grey to RGB",
    .needs_dir = true,
    .open = open_split,
};
