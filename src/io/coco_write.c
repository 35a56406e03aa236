/* coco_write.c: instances and results files of COCO, one item a line. */
#include "io/coco_json.h"

#include "base/file.h"
#include "base/str.h"

#include <math.h>

enum { CHUNK = 1 << 16 }; /* text that is collected before it is written */

static lmb_status flush(lmb_writer *w, lmb_str *text)
{
    LMB_TRY(lmb_str_status(text));
    LMB_TRY(lmb_writer_write(w, text->text, text->length));
    text->length = 0;
    return LMB_OK;
}

static void add_box(lmb_str *s, const double box[4])
{
    lmb_str_add(s, "\"bbox\": [");
    for (int i = 0; i < 4; i++) {
        lmb_str_add(s, i > 0 ? ", " : "");
        lmb_str_json_number(s, box[i]);
    }
    lmb_str_add(s, "]");
}

/* --- instances */

typedef void add_item(lmb_str *s, const lmb_coco *coco, int64_t i);

static void add_image(lmb_str *s, const lmb_coco *coco, int64_t i)
{
    const lmb_coco_image *image = &coco->images[i];
    lmb_str_printf(s, "{\"id\": %lld", (long long)image->id);
    if (image->file_name != NULL) {
        lmb_str_add(s, ", \"file_name\": ");
        lmb_str_json(s, image->file_name);
    }
    if (image->width > 0 || image->height > 0)
        lmb_str_printf(s, ", \"width\": %d, \"height\": %d", (int)image->width,
            (int)image->height);
    lmb_str_add(s, "}");
}

static void add_category(lmb_str *s, const lmb_coco *coco, int64_t i)
{
    lmb_str_printf(
        s, "{\"id\": %lld, \"name\": ", (long long)coco->categories[i].id);
    lmb_str_json(s, coco->categories[i].name);
    lmb_str_add(s, "}");
}

static void add_annotation(lmb_str *s, const lmb_coco *coco, int64_t i)
{
    const lmb_coco_annotation *a = &coco->annotations[i];
    lmb_str_printf(s,
        "{\"id\": %lld, \"image_id\": %lld, \"category_id\": %lld, ",
        (long long)a->id, (long long)coco->images[a->image].id,
        (long long)coco->categories[a->category].id);
    add_box(s, a->box);
    lmb_str_add(s, ", \"area\": ");
    lmb_str_json_number(s, a->area);
    lmb_str_printf(s, ", \"iscrowd\": %d", a->crowd ? 1 : 0);
    if (a->difficult)
        lmb_str_add(s, ", \"ignore\": 1");
    lmb_str_add(s, "}");
}

static lmb_status write_list(lmb_writer *w, lmb_str *s, const lmb_coco *coco,
    const char *key, int64_t count, add_item *add)
{
    lmb_str_printf(s, "\"%s\": [", key);
    for (int64_t i = 0; i < count; i++) {
        lmb_str_add(s, i > 0 ? ",\n" : "\n");
        add(s, coco, i);
        if (s->length >= CHUNK)
            LMB_TRY(flush(w, s));
    }
    lmb_str_add(s, "]");
    return LMB_OK;
}

static lmb_status write_instances(
    lmb_writer *w, lmb_str *s, const lmb_coco *coco)
{
    lmb_str_add(s, "{");
    LMB_TRY(write_list(w, s, coco, "images", coco->n_images, add_image));
    lmb_str_add(s, ",\n");
    LMB_TRY(write_list(
        w, s, coco, "annotations", coco->n_annotations, add_annotation));
    lmb_str_add(s, ",\n");
    LMB_TRY(
        write_list(w, s, coco, "categories", coco->n_categories, add_category));
    lmb_str_add(s, "}\n");
    LMB_TRY(flush(w, s));
    return lmb_writer_commit(w);
}

lmb_status lmb_coco_save(const char *path, const lmb_coco *coco)
{
    lmb_writer w = {0};
    lmb_str s = {0};
    LMB_TRY(lmb_writer_open(path, &w));
    const lmb_status st = write_instances(&w, &s, coco);
    lmb_writer_abort(&w);
    lmb_str_fini(&s);
    return st;
}

/* --- results */

static bool is_finite(const lmb_coco_result *r)
{
    return isfinite(r->box[0]) && isfinite(r->box[1]) && isfinite(r->box[2]) &&
        isfinite(r->box[3]) && isfinite(r->score);
}

static lmb_status write_results(
    lmb_writer *w, lmb_str *s, const lmb_coco_results *results)
{
    lmb_str_add(s, "[");
    for (int64_t i = 0; i < results->count; i++) {
        const lmb_coco_result *r = &results->items[i];
        if (!is_finite(r))
            return LMB_FAIL(LMB_ENUMERIC,
                "detection %lld of image %lld is not finite", (long long)i,
                (long long)r->image_id);
        lmb_str_add(s, i > 0 ? ",\n" : "\n");
        lmb_str_printf(s, "{\"image_id\": %lld, \"category_id\": %lld, ",
            (long long)r->image_id, (long long)r->category_id);
        add_box(s, r->box);
        lmb_str_add(s, ", \"score\": ");
        lmb_str_json_number(s, r->score);
        lmb_str_add(s, "}");
        if (s->length >= CHUNK)
            LMB_TRY(flush(w, s));
    }
    lmb_str_add(s, "]\n");
    LMB_TRY(flush(w, s));
    return lmb_writer_commit(w);
}

lmb_status lmb_coco_results_save(
    const char *path, const lmb_coco_results *results)
{
    lmb_writer w = {0};
    lmb_str s = {0};
    LMB_TRY(lmb_writer_open(path, &w));
    const lmb_status st = write_results(&w, &s, results);
    lmb_writer_abort(&w);
    lmb_str_fini(&s);
    return st;
}
