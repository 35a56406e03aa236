/* truth.c: boxes of detection sets: gathered by the readers, asked for by all.
 */
#include "data/truth.h"
#include "base/str.h"
#include "data/hash.h"

#include <string.h>
#include <sys/stat.h>

/* --- gathering ------------------------------------------------------------ */

lmb_status lmb__truth_new(lmb_dataset *ds, int64_t base)
{
    LMB_TRY(LMB_NEW(ds->truth, 1));
    LMB_TRY(LMB_NEW(ds->truth->category_ids, ds->classes));
    for (int32_t k = 0; k < ds->classes; k++)
        ds->truth->category_ids[k] = k + base;
    return LMB_OK;
}

void lmb__truth_free(lmb_truth_table *t)
{
    if (t == NULL)
        return;
    lmb_free(t->first);
    lmb_free(t->image_ids);
    lmb_free(t->sizes);
    lmb_free(t->paths);
    lmb_free(t->corners);
    lmb_free(t->labels);
    lmb_free(t->crowd);
    lmb_free(t->area);
    lmb_free(t->category_ids);
    lmb_free(t);
}

lmb_status lmb__truth_picture(lmb_dataset *ds, const char *path, int64_t id,
    int32_t height, int32_t width)
{
    lmb_truth_table *t = ds->truth;
    const int64_t n = t->pictures;
    if (height < 1 || width < 1 || height > LMB_IMAGE_MAX_SIDE ||
        width > LMB_IMAGE_MAX_SIDE)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: a picture of %d x %d pixels, not 1 .. %d each",
            path != NULL ? path : ds->name, (int)width, (int)height,
            (int)LMB_IMAGE_MAX_SIDE);
    LMB_TRY(LMB_GROW(t->first, n + 1, t->capacity_[0]));
    LMB_TRY(LMB_GROW(t->image_ids, n, t->capacity_[1]));
    LMB_TRY(LMB_GROW(t->sizes, n, t->capacity_[2]));
    LMB_TRY(LMB_GROW(t->paths, n, t->capacity_[3]));
    t->image_ids[n] = id;
    t->sizes[n][0] = height;
    t->sizes[n][1] = width;
    t->paths[n] = path;
    t->pictures++;
    t->first[n + 1] = t->boxes;
    return LMB_OK;
}

static double clip(double v, double most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

/* The box inside a picture of height x width; false if nothing is left. */
static bool clip_box(const double in[4], const int32_t size[2], float out[4])
{
    for (int k = 0; k < 4; k++)
        out[k] = (float)clip(in[k], size[1 - k % 2]);
    return out[2] > out[0] && out[3] > out[1];
}

static bool cut_much(const double in[4], const float out[4])
{
    for (int k = 0; k < 4; k++)
        if (in[k] < (double)out[k] - 1 || in[k] > (double)out[k] + 1)
            return true;
    return false;
}

lmb_status lmb__truth_box(lmb_dataset *ds, const lmb_box_row *row)
{
    lmb_truth_table *t = ds->truth;
    const int64_t n = t->boxes;
    LMB_ASSERT(row->label >= 0 && row->label < ds->classes);
    LMB_TRY(LMB_GROW(t->corners, n, t->capacity_[4]));
    LMB_TRY(LMB_GROW(t->labels, n, t->capacity_[5]));
    LMB_TRY(LMB_GROW(t->crowd, n, t->capacity_[6]));
    LMB_TRY(LMB_GROW(t->area, n, t->capacity_[7]));
    float *box = t->corners[n];
    if (!clip_box(row->corner, t->sizes[t->pictures - 1], box)) {
        t->empty++;
        return LMB_OK;
    }
    t->clipped += cut_much(row->corner, box) ? 1 : 0;
    t->labels[n] = row->label;
    t->crowd[n] = row->crowd;
    t->area[n] = row->area >= 0 ? (float)row->area
                                : (box[2] - box[0]) * (box[3] - box[1]);
    t->first[t->pictures] = ++t->boxes;
    return LMB_OK;
}

/* --- closing -------------------------------------------------------------- */

/* Which of the picture's classes has the fewest boxes in the set; -1: none. */
static int32_t rarest(
    const lmb_truth_table *t, int64_t i, const int64_t *per_class)
{
    int32_t best = -1;
    for (int64_t k = t->first[i]; k < t->first[i + 1]; k++) {
        const int32_t c = t->labels[k];
        if (best < 0 || per_class[c] < per_class[best] ||
            (per_class[c] == per_class[best] && c < best))
            best = c;
    }
    return best;
}

static lmb_status set_labels(lmb_dataset *ds)
{
    const lmb_truth_table *t = ds->truth;
    int64_t *per_class = NULL;
    if (ds->labels == NULL)
        LMB_TRY(LMB_NEW(ds->labels, t->pictures));
    LMB_TRY(LMB_NEW(per_class, ds->classes));
    for (int64_t k = 0; k < t->boxes; k++)
        per_class[t->labels[k]]++;
    for (int64_t i = 0; i < t->pictures; i++)
        ds->labels[i] = rarest(t, i, per_class);
    lmb_free(per_class);
    return LMB_OK;
}

/* Names without their folders, so that a data set may be moved. */
static lmb_status hash_files(lmb_dataset *ds, const char *source)
{
    const lmb_truth_table *t = ds->truth;
    for (int64_t i = 0; i < t->pictures; i++) {
        struct stat info;
        const char *path = t->paths[i];
        if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
            return LMB_FAIL(LMB_ENOTFOUND, "%s: no such picture (%s names it)",
                path, source);
        const char *slash = strrchr(path, '/');
        const char *name = slash != NULL ? slash + 1 : path;
        const int64_t size = info.st_size;
        ds->hash = lmb_xxh64(name, strlen(name), ds->hash);
        ds->hash = lmb_xxh64(&size, sizeof size, ds->hash);
    }
    return LMB_OK;
}

static void hash_boxes(lmb_dataset *ds)
{
    const lmb_truth_table *t = ds->truth;
    const size_t n = (size_t)t->boxes;
    const size_t pictures = (size_t)t->pictures;
    uint64_t h = lmb_xxh64(&ds->classes, sizeof ds->classes, ds->hash);
    h = lmb_xxh64(t->sizes, pictures * sizeof *t->sizes, h);
    h = lmb_xxh64(t->first, (pictures + 1) * sizeof *t->first, h);
    h = lmb_xxh64(t->corners, n * sizeof *t->corners, h);
    h = lmb_xxh64(t->labels, n * sizeof *t->labels, h);
    ds->hash = lmb_xxh64(t->crowd, n * sizeof *t->crowd, h);
}

static lmb_status write_notes(lmb_dataset *ds)
{
    lmb_truth_table *t = ds->truth;
    lmb_str s = {0};
    lmb_str_add(&s, "");
    if (t->empty > 0)
        lmb_str_printf(
            &s, "%lld boxes without area left out", (long long)t->empty);
    if (t->clipped > 0)
        lmb_str_printf(&s, "%s%lld boxes cut at their picture's border",
            t->empty > 0 ? "; " : "", (long long)t->clipped);
    lmb_status st = lmb_str_status(&s);
    if (st == LMB_OK) {
        t->notes = lmb_arena_strdup(ds->arena, s.text);
        if (t->notes == NULL)
            st = LMB_FAIL(LMB_ENOMEM, "%s: out of memory", ds->name);
    }
    lmb_str_fini(&s);
    return st;
}

lmb_status lmb__truth_finish(lmb_dataset *ds, const char *source)
{
    lmb_truth_table *t = ds->truth;
    if (t->pictures == 0)
        return LMB_FAIL(LMB_EFORMAT, "%s: no pictures in it", source);
    LMB_TRY(set_labels(ds));
    if (ds->pixels == NULL) {
        ds->count = t->pictures;
        ds->paths = t->paths;
        LMB_TRY(hash_files(ds, source));
    } else {
        LMB_ASSERT(ds->count == t->pictures);
        lmb__dataset_hash_memory(ds);
    }
    hash_boxes(ds);
    return write_notes(ds);
}

/* --- asking --------------------------------------------------------------- */

/* The data set that was opened; *i becomes the index in it. */
static const lmb_dataset *to_root(const lmb_dataset *ds, int64_t *i)
{
    LMB_ASSERT(*i >= 0 && *i < ds->count);
    for (; ds->parent != NULL; ds = ds->parent)
        *i = ds->indices[*i];
    return ds;
}

static const lmb_dataset *root_of(const lmb_dataset *ds)
{
    while (ds->parent != NULL)
        ds = ds->parent;
    return ds;
}

bool lmb_dataset_is_detection(const lmb_dataset *ds)
{
    return root_of(ds)->truth != NULL;
}

lmb_status lmb_dataset_truth(
    const lmb_dataset *ds, int64_t i, lmb_ground_truth *out)
{
    *out = (lmb_ground_truth){0};
    if (i < 0 || i >= ds->count)
        return LMB_FAIL(LMB_EINVAL, "%s: sample %lld is not in 0 .. %lld",
            ds->name, (long long)i, (long long)ds->count - 1);
    const lmb_truth_table *t = to_root(ds, &i)->truth;
    if (t == NULL)
        return LMB_FAIL(LMB_EINVAL,
            "%s: not a data set for detection: its "
            "pictures have no boxes",
            ds->name);
    const int64_t first = t->first[i];
    out->count = t->first[i + 1] - first;
    if (out->count == 0)
        return LMB_OK;
    out->boxes = t->corners[first];
    out->labels = t->labels + first;
    out->crowd = t->crowd + first;
    out->area = t->area + first;
    return LMB_OK;
}

int64_t lmb_dataset_image_id(const lmb_dataset *ds, int64_t i)
{
    ds = to_root(ds, &i);
    return ds->truth != NULL ? ds->truth->image_ids[i] : i + 1;
}

int64_t lmb_dataset_category_id(const lmb_dataset *ds, int32_t label)
{
    LMB_ASSERT(label >= 0 && label < ds->classes);
    const lmb_truth_table *t = root_of(ds)->truth;
    return t != NULL ? t->category_ids[label] : label;
}

int32_t lmb_dataset_category_label(const lmb_dataset *ds, int64_t id)
{
    const lmb_truth_table *t = root_of(ds)->truth;
    int32_t from = 0;
    int32_t to = t != NULL ? ds->classes : 0;
    while (from < to) {
        const int32_t middle = from + (to - from) / 2;
        if (t->category_ids[middle] == id)
            return middle;
        if (t->category_ids[middle] < id)
            from = middle + 1;
        else
            to = middle;
    }
    return -1;
}

const char *lmb_dataset_label_hint(const lmb_dataset *ds, int classes)
{
    const lmb_truth_table *t = root_of(ds)->truth;
    if (t == NULL || t->file == NULL || ds->classes == 0)
        return "";
    const int64_t largest = t->category_ids[ds->classes - 1];
    if (classes == largest + 1)
        return " (if its classes are category ids, as torchvision's are: "
               "--label-by id)";
    if (classes == largest)
        return " (if its classes are category ids, as those of torchvision's "
               "Faster R-CNN are: --label-by id-1)";
    return "";
}

const char *lmb_dataset_truth_file(const lmb_dataset *ds)
{
    const lmb_truth_table *t = root_of(ds)->truth;
    return t != NULL ? t->file : NULL;
}

const char *lmb_dataset_picture_path(const lmb_dataset *ds, int64_t i)
{
    ds = to_root(ds, &i);
    return ds->paths != NULL ? ds->paths[i] : NULL;
}

bool lmb_dataset_picture_size(
    const lmb_dataset *ds, int64_t i, int32_t *height_out, int32_t *width_out)
{
    ds = to_root(ds, &i);
    *height_out = ds->truth != NULL ? ds->truth->sizes[i][0] : ds->height;
    *width_out = ds->truth != NULL ? ds->truth->sizes[i][1] : ds->width;
    return *height_out > 0;
}

const char *lmb_dataset_notes(const lmb_dataset *ds)
{
    const lmb_truth_table *t = root_of(ds)->truth;
    return t != NULL && t->notes != NULL ? t->notes : "";
}

lmb_status lmb__truth_check_size(
    const lmb_dataset *ds, int64_t i, const lmb_image *image)
{
    const int32_t *want = ds->truth->sizes[i];
    if (image->height == want[0] && image->width == want[1])
        return LMB_OK;
    const bool turned = image->height == want[1] && image->width == want[0];
    return LMB_FAIL(LMB_EFORMAT,
        "%s: the picture is %d x %d, its annotations are for %d x %d%s",
        ds->paths[i], (int)image->width, (int)image->height, (int)want[1],
        (int)want[0],
        turned ? " (an orientation tag? these are not applied)" : "");
}
