/* dataset.c: the table of data sets, opening one, what all have in common. */
#include "data/dataset.h"
#include "base/file.h"
#include "base/str.h"
#include "data/hash.h"
#include "data/lines.h"
#include "data/truth.h"
#include "io/raw.h"

#include <string.h>

#define LMB_DATASET(name) extern const lmb_dataset_row lmb_dataset_##name;
#include "data/datasets.def"
#undef LMB_DATASET

static const lmb_dataset_row *const rows[] = {
#define LMB_DATASET(name) &lmb_dataset_##name,
#include "data/datasets.def"
#undef LMB_DATASET
};

const char *lmb_dataset_row_name(int i)
{
    return i >= 0 && i < (int)LMB_COUNT(rows) ? rows[i]->name : NULL;
}

const char *lmb_dataset_row_help(int i)
{
    return i >= 0 && i < (int)LMB_COUNT(rows) ? rows[i]->help : NULL;
}

static lmb_status find_row(const char *name, const lmb_dataset_row **out)
{
    const char *names[LMB_COUNT(rows)];
    for (size_t i = 0; i < LMB_COUNT(rows); i++) {
        names[i] = rows[i]->name;
        if (lmb_str_equal_nocase(name, names[i])) {
            *out = rows[i];
            return LMB_OK;
        }
    }
    const char *near = lmb_str_nearest(name, names, LMB_COUNT(names));
    if (lmb_path_is_dir(name))
        return LMB_FAIL(LMB_EINVAL,
            "data '%s' is a folder; of which kind? imagefolder:%s for classes "
            "in folders (limbeck list datasets)",
            name, name);
    return LMB_FAIL(LMB_EINVAL, "unknown data set '%s'%s%s%s", name,
        near != NULL ? "; did you mean '" : " (limbeck list datasets",
        near != NULL ? near : "", near != NULL ? "'?" : ")");
}

/* The row of "NAME" or "NAME:DIR", and DIR or NULL. */
static lmb_status find_spec(
    const char *spec, const lmb_dataset_row **row, const char **dir)
{
    char name[64];
    const size_t n = strcspn(spec, ":");
    if (n == 0 || n >= sizeof name)
        return LMB_FAIL(LMB_EINVAL,
            "data '%s': not NAME or NAME:DIR (limbeck list datasets)", spec);
    memcpy(name, spec, n);
    name[n] = '\0';
    *dir = spec[n] == ':' && spec[n + 1] != '\0' ? spec + n + 1 : NULL;
    return find_row(name, row);
}

lmb_status lmb_dataset_check(const char *spec)
{
    const lmb_dataset_row *row = NULL;
    const char *dir = NULL;
    return find_spec(spec, &row, &dir);
}

static lmb_status parse_split(const char *text, lmb_split *out)
{
    static const struct {
        const char *text;
        lmb_split split;
    } names[] = {{"train", LMB_SPLIT_TRAIN}, {"val", LMB_SPLIT_VAL},
        {"valid", LMB_SPLIT_VAL}, {"validation", LMB_SPLIT_VAL},
        {"test", LMB_SPLIT_TEST}};
    for (size_t i = 0; i < LMB_COUNT(names); i++) {
        if (lmb_str_equal_nocase(text, names[i].text)) {
            *out = names[i].split;
            return LMB_OK;
        }
    }
    return LMB_FAIL(LMB_EINVAL, "split '%s' is not train, val or test", text);
}

lmb_status lmb__dataset_new(const char *name, lmb_dataset **out)
{
    lmb_dataset *ds = NULL;
    LMB_TRY(LMB_NEW(ds, 1));
    ds->name = name;
    atomic_init(&ds->refs, 1);
    const lmb_status st = lmb_arena_new(&ds->arena);
    if (st == LMB_OK)
        *out = ds;
    else
        lmb_dataset_free(ds);
    return st;
}

/* They go into files of weights and results, which are UTF-8. */
static lmb_status check_names(const lmb_dataset *ds, const char *dir)
{
    for (int32_t k = 0; k < ds->classes && ds->class_names != NULL; k++) {
        const char *name = ds->class_names[k];
        if (name != NULL && !lmb_utf8_is_valid(name, strlen(name)))
            return LMB_FAIL(LMB_EFORMAT,
                "%s: the name of class %d, '%s', is not UTF-8",
                dir != NULL ? dir : ds->name, (int)k, name);
    }
    return LMB_OK;
}

static lmb_status open_row(const lmb_dataset_row *row, const char *dir,
    lmb_split split, const lmb_dataset_opts *opts, lmb_dataset **out)
{
    lmb_dataset *ds = NULL;
    LMB_TRY(lmb__dataset_new(row->name, &ds));
    lmb_status st = row->open(dir, split, opts, ds);
    if (st == LMB_OK)
        st = check_names(ds, dir);
    if (st == LMB_OK)
        *out = ds;
    else
        lmb_dataset_free(ds);
    return st;
}

lmb_status lmb_dataset_open(const char *spec, const char *split,
    const lmb_dataset_opts *opts, lmb_dataset **out)
{
    static const lmb_dataset_opts none = {0};
    const char *dir = NULL;
    const lmb_dataset_row *row = NULL;
    lmb_split which = LMB_SPLIT_TRAIN;
    LMB_TRY(find_spec(spec, &row, &dir));
    LMB_TRY(parse_split(split, &which));
    if (row->needs_dir && dir == NULL)
        return LMB_FAIL(LMB_EINVAL, "data '%s': a folder is missing: %s:DIR",
            spec, row->name);
    if (!row->needs_dir && dir != NULL)
        return LMB_FAIL(
            LMB_EINVAL, "data '%s': %s takes no folder", spec, row->name);
    if (opts != NULL && !row->has_ids &&
        (opts->json != NULL || opts->images != NULL))
        return LMB_FAIL(LMB_EINVAL,
            "data '%s': the files of %s cannot be named by json or images",
            spec, row->name);
    if (opts != NULL && !row->has_ids &&
        opts->label_by != LMB_LABEL_BY_POSITION)
        return LMB_FAIL(LMB_EINVAL,
            "data '%s': %s has no category ids to label boxes by", spec,
            row->name);
    if (row->needs_dir && !lmb_path_is_dir(dir))
        return LMB_FAIL(LMB_ENOTFOUND, "%s: no such folder", dir);
    return open_row(row, dir, which, opts != NULL ? opts : &none, out);
}

void lmb_dataset_free(lmb_dataset *ds)
{
    while (ds != NULL && atomic_fetch_sub(&ds->refs, 1) == 1) {
        lmb_dataset *parent = ds->parent;
        lmb__truth_free(ds->truth);
        lmb_arena_free(ds->arena);
        lmb_free(ds->labels);
        lmb_free(ds->pixels);
        lmb_free(ds->indices);
        lmb_free(ds);
        ds = parent;
    }
}

const char *lmb_dataset_name(const lmb_dataset *ds)
{
    return ds->name;
}

int64_t lmb_dataset_count(const lmb_dataset *ds)
{
    return ds->count;
}

int32_t lmb_dataset_classes(const lmb_dataset *ds)
{
    return ds->classes;
}

const char *const *lmb_dataset_class_names(const lmb_dataset *ds)
{
    return ds->class_names;
}

bool lmb_dataset_size(
    const lmb_dataset *ds, int32_t *height_out, int32_t *width_out)
{
    *height_out = ds->height;
    *width_out = ds->width;
    return ds->height > 0;
}

enum { INPUT = 224, INPUT_MIN = 8, INPUT_MAX = 4096 };

lmb_status lmb_dataset_set_input(lmb_dataset *ds, int64_t size)
{
    if (size < INPUT_MIN || size > INPUT_MAX)
        return LMB_FAIL(LMB_EINVAL, "input size %lld is not in %d .. %d",
            (long long)size, INPUT_MIN, INPUT_MAX);
    if (ds->height != 0 && (ds->height != size || ds->width != size))
        return LMB_FAIL(LMB_EINVAL,
            "%s: input size %lld, but all its pictures are %d x %d", ds->name,
            (long long)size, (int)ds->height, (int)ds->width);
    ds->input = (int32_t)size;
    return LMB_OK;
}

int32_t lmb_dataset_input(const lmb_dataset *ds)
{
    if (ds->height != 0)
        return ds->height;
    return ds->input != 0 ? ds->input : INPUT;
}

bool lmb_dataset_is_test(const lmb_dataset *ds)
{
    return ds->is_test;
}

void lmb_dataset_mean_std(
    const lmb_dataset *ds, double mean_out[3], double std_out[3])
{
    memcpy(mean_out, ds->mean, sizeof ds->mean);
    memcpy(std_out, ds->std, sizeof ds->std);
}

uint64_t lmb_dataset_hash(const lmb_dataset *ds)
{
    return ds->hash;
}

int32_t lmb_dataset_label(const lmb_dataset *ds, int64_t i)
{
    LMB_ASSERT(i >= 0 && i < ds->count);
    return ds->labels[i];
}

int64_t lmb_dataset_root_index(const lmb_dataset *ds, int64_t i)
{
    for (; ds->parent != NULL; ds = ds->parent)
        i = ds->indices[i];
    return i;
}

lmb_status lmb_dataset_image(
    const lmb_dataset *ds, int64_t i, lmb_scratch *scratch, lmb_image *out)
{
    if (i < 0 || i >= ds->count)
        return LMB_FAIL(LMB_EINVAL, "%s: sample %lld is not in 0 .. %lld",
            ds->name, (long long)i, (long long)ds->count - 1);
    for (; ds->parent != NULL; ds = ds->parent)
        i = ds->indices[i];
    if (ds->pixels == NULL) {
        LMB_TRY(lmb_image_load(ds->paths[i], scratch, out));
        return ds->truth != NULL ? lmb__truth_check_size(ds, i, out) : LMB_OK;
    }
    const int64_t size = (int64_t)ds->height * ds->width * 3;
    *out = (lmb_image){ds->height, ds->width, ds->pixels + i * size};
    return LMB_OK;
}

/* --- for the readers ------------------------------------------------------ */

lmb_status lmb__dataset_push(
    lmb_dataset *ds, int32_t label, uint8_t **pixels_out)
{
    const size_t size = (size_t)ds->height * (size_t)ds->width * 3;
    const size_t used = (size_t)ds->count;
    if (used == ds->capacity) {
        const size_t more = used < 16 ? 16 : used * 2;
        int32_t *labels = lmb_realloc(ds->labels, used, more, sizeof *labels);
        if (labels != NULL)
            ds->labels = labels;
        uint8_t *pixels = lmb_realloc(ds->pixels, used, more, size);
        if (pixels != NULL)
            ds->pixels = pixels;
        if (labels == NULL || pixels == NULL)
            return LMB_FAIL(
                LMB_ENOMEM, "%s: out of memory: %zu pictures", ds->name, more);
        ds->capacity = more;
    }
    ds->labels[used] = label;
    *pixels_out = ds->pixels + used * size;
    ds->count++;
    return LMB_OK;
}

void lmb__dataset_hash_memory(lmb_dataset *ds)
{
    const size_t n = (size_t)ds->count;
    const int32_t head[3] = {ds->classes, ds->height, ds->width};
    uint64_t h = lmb_xxh64(head, sizeof head, 0);
    h = lmb_xxh64(ds->labels, n * sizeof *ds->labels, h);
    ds->hash = lmb_xxh64(
        ds->pixels, n * (size_t)ds->height * (size_t)ds->width * 3, h);
}

void lmb__dataset_stats_imagenet(lmb_dataset *ds)
{
    static const double mean[3] = {0.485, 0.456, 0.406};
    static const double std[3] = {0.229, 0.224, 0.225};
    lmb__dataset_stats(ds, mean, std);
}

void lmb__dataset_stats(
    lmb_dataset *ds, const double mean[3], const double std[3])
{
    memcpy(ds->mean, mean, sizeof ds->mean);
    memcpy(ds->std, std, sizeof ds->std);
}

lmb_status lmb__dataset_path(
    lmb_dataset *ds, const char *dir, const char *name, const char **out)
{
    *out = lmb_arena_printf(ds->arena, "%s/%s", dir, name);
    return *out != NULL ? LMB_OK : LMB_FAIL(LMB_ENOMEM, "out of memory: path");
}

lmb_status lmb__dataset_read_names(lmb_dataset *ds, const char *path)
{
    lmb_lines lines = {0};
    LMB_TRY(lmb__lines_load(path, ds->arena, &lines));
    lmb_status st = LMB_OK;
    if (lines.count != ds->classes)
        st = LMB_FAIL(LMB_EFORMAT, "%s: %lld names for %d classes", path,
            (long long)lines.count, (int)ds->classes);
    else
        ds->class_names = lmb_arena_copy(
            ds->arena, lines.text, (size_t)lines.count * sizeof *lines.text);
    lmb__lines_fini(&lines);
    if (st == LMB_OK && ds->class_names == NULL)
        st = LMB_FAIL(LMB_ENOMEM, "%s: out of memory", path);
    return st;
}
