/* report_samples.c: pictures on the page: truth, student and teacher of the
 * samples that a run has left. */
#include "train/report_impl.h"

#include "base/file.h"
#include "data/draw.h"
#include "train/result_boxes.h"

#include <math.h>
#include <string.h>

enum { QUALITY = 85, LEAST_SIDE = 200, MOST_MARKS = 100 };

/* --- a picture as text ---------------------------------------------------- */

static void add_base64(lmb_str *out, const uint8_t *bytes, size_t size)
{
    static const char digit[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const uint32_t b1 = i + 1 < size ? bytes[i + 1] : 0;
        const uint32_t b2 = i + 2 < size ? bytes[i + 2] : 0;
        const uint32_t v = (uint32_t)bytes[i] << 16 | b1 << 8 | b2;
        const char text[4] = {digit[v >> 18], digit[v >> 12 & 63],
            i + 1 < size ? digit[v >> 6 & 63] : '=',
            i + 2 < size ? digit[v & 63] : '='};
        lmb_str_add_bytes(out, text, 4);
    }
}

lmb_status lmb__html_image(
    lmb_str *out, const lmb_image *image, const char *title)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    LMB_TRY(lmb_image_encode_jpeg(image, QUALITY, &bytes, &size));
    lmb_str_add(out, "<img alt=\"");
    lmb__html(out, title);
    lmb_str_add(out, "\" src=\"data:image/jpeg;base64,");
    add_base64(out, bytes, size);
    lmb_str_add(out, "\">");
    lmb_free(bytes);
    return LMB_OK;
}

/* --- one sample ----------------------------------------------------------- */

typedef struct sample {
    const lmb_report_run *run;
    int32_t image; /* index of the metrics' boxes: by ascending id */
    const lmb_coco_image *about;
    lmb_image picture; /* drawn over copies of it */
    double scale[2]; /* of it over the picture that the boxes are of, y x */
    lmb_scratch *scratch;
    lmb_canvas canvas;
    lmb_mark marks[MOST_MARKS];
} sample;

static void add_mark(
    sample *s, int64_t *n, const double box[4], double score, int32_t category)
{
    if (*n == MOST_MARKS)
        return;
    s->marks[(*n)++] = (lmb_mark){
        .box = {box[0] * s->scale[1], box[1] * s->scale[0],
            box[2] * s->scale[1], box[3] * s->scale[0]},
        .score = score,
        .label = category,
        .name = s->run->student_boxes.files.truth.categories[category].name,
    };
}

static lmb_status put(lmb_str *out, sample *s, int64_t n, const char *title)
{
    const lmb_image *from = &s->picture;
    const lmb_image drawn = {from->height, from->width, s->canvas.rgb};
    memcpy(s->canvas.rgb, from->rgb,
        3 * (size_t)from->height * (size_t)from->width);
    lmb_draw_marks(&s->canvas, n, s->marks);
    lmb_str_add(out, "<figure>");
    LMB_TRY(lmb__html_image(out, &drawn, title));
    lmb_str_add(out, "<figcaption>");
    lmb__html(out, title);
    lmb_str_add(out, "</figcaption></figure>\n");
    return LMB_OK;
}

static lmb_status put_truth(lmb_str *out, sample *s)
{
    const lmb_boxes *b = &s->run->student_boxes.files.boxes;
    int64_t n = 0;
    for (int64_t k = 0; k < b->n_gt; k++)
        if (b->gt[k].image == s->image)
            add_mark(s, &n, b->gt[k].box, -1, b->gt[k].category);
    return put(out, s, n, "truth");
}

/* Results files hold an image's detections best first. */
static lmb_status put_found(
    lmb_str *out, sample *s, const lmb_report_boxes *from, const char *title)
{
    const lmb_boxes *b = &from->files.boxes;
    int64_t n = 0;
    for (int64_t k = 0; k < b->n_dt; k++)
        if (b->dt[k].image == s->image && b->dt[k].score >= LMB_REPORT_SCORE)
            add_mark(s, &n, b->dt[k].box, b->dt[k].score, b->dt[k].category);
    return put(out, s, n, title);
}

/* Small pictures are made larger, so that names can be read. */
static lmb_status enlarge(sample *s)
{
    lmb_image *p = &s->picture;
    const int32_t side = p->height > p->width ? p->height : p->width;
    const int32_t times = side < LEAST_SIDE ? (LEAST_SIDE - 1) / side + 1 : 1;
    const int32_t h = p->height * times, w = p->width * times;
    const size_t size = 3 * (size_t)h * (size_t)w;
    void *rgb = NULL, *copy = NULL;
    LMB_TRY(lmb_scratch_get(s->scratch, LMB_SLOT_A, size, &rgb));
    LMB_TRY(lmb_scratch_get(s->scratch, LMB_SLOT_B, size, &copy));
    LMB_TRY(lmb_image_resize(p, NULL, h, w, s->scratch, rgb));
    *p = (lmb_image){h, w, rgb};
    s->canvas = (lmb_canvas){h, w, copy};
    s->scale[0] = s->about->height > 0 ? (double)h / s->about->height : times;
    s->scale[1] = s->about->width > 0 ? (double)w / s->about->width : times;
    return LMB_OK;
}

static lmb_status add_sample(lmb_str *out, sample *s, const char *path)
{
    const lmb_report_run *run = s->run;
    LMB_TRY(lmb_image_load(path, s->scratch, &s->picture));
    LMB_TRY(enlarge(s));
    LMB_TRY(put_truth(out, s));
    LMB_TRY(put_found(out, s, &run->student_boxes, "student"));
    if (run->teacher_boxes.there)
        LMB_TRY(put_found(out, s, &run->teacher_boxes, "teacher"));
    return LMB_OK;
}

/* --- all of them ---------------------------------------------------------- */

static lmb_status add_samples(lmb_str *out, sample *s, lmb_arena *arena)
{
    const lmb_coco *truth = &s->run->student_boxes.files.truth;
    for (int64_t i = 0; i < truth->n_images; i++) {
        s->about = &truth->images[truth->by_id[i]];
        s->image = (int32_t)i;
        const char *path =
            lmb_arena_printf(arena, "%s/" LMB_RUN_SAMPLES "/%lld.jpg",
                s->run->dir, (long long)s->about->id);
        if (path == NULL)
            return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
        if (lmb_path_exists(path))
            LMB_TRY(add_sample(out, s, path));
    }
    return LMB_OK;
}

lmb_status lmb__report_samples(lmb_str *out, const lmb_report_run *run)
{
    sample *s = NULL;
    lmb_scratch scratch = {0};
    lmb_arena *arena = NULL;
    lmb_status st = LMB_OK;
    if (!run->student_boxes.there)
        return LMB_OK;
    LMB_GOTO(LMB_NEW(s, 1), st, done);
    LMB_GOTO(lmb_arena_new(&arena), st, done);
    s->run = run;
    s->scratch = &scratch;
    lmb_str_printf(out,
        "<h3>Samples</h3><p class=\"note\">detections of score %.1f and more"
        "</p><div class=\"shots\" style=\"--n:%d\">\n",
        LMB_REPORT_SCORE, run->teacher_boxes.there ? 3 : 4);
    LMB_GOTO(add_samples(out, s, arena), st, done);
    lmb_str_add(out, "</div>\n");
done:
    lmb_arena_free(arena);
    lmb_scratch_fini(&scratch);
    lmb_free(s);
    return st;
}
