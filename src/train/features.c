/* features.c: the page of attention, masks and differences over pictures. */
#include "train/features.h"

#include "base/file.h"
#include "data/draw.h"
#include "train/detector.h"
#include "train/features_maps.h"
#include "train/pictures.h"
#include "train/report_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIDE = 320 }; /* of what is shown */

typedef struct page {
    lmb_run *run;
    const lmb_dataset *set;
    lmb_detect_transform transform;
    lmb_normalizer normalizer;
    lmb_maps *maps[LMB_MAX_STAGES];
    lmb_scratch scratch;
    float *x;
    lmb_str out;
} page;

/* One picture: as the network sees it, padded, and as it is shown. */
typedef struct view {
    int64_t index; /* in the set */
    int32_t input[2]; /* height, width with the padding */
    float size[2]; /* height, width without it */
    int32_t shown[2]; /* height, width on the page */
    double scale; /* of what is shown over the stored picture */
    lmb_canvas base, canvas; /* with the padding */
} view;

/* --- a picture ------------------------------------------------------------ */

/* The picture in the corner of a black canvas of the padded input's ratio. */
static lmb_status make_base(
    page *p, view *v, const lmb_image *image, const int32_t size[2])
{
    const double f = (double)SIDE / (size[0] > size[1] ? size[0] : size[1]);
    int32_t whole[2];
    void *rgb = NULL, *copy = NULL, *small = NULL;
    for (int i = 0; i < 2; i++) {
        v->shown[i] = (int32_t)fmax(1, round(size[i] * f));
        whole[i] = (int32_t)fmax(v->shown[i], round(v->input[i] * f));
    }
    v->scale = (double)v->shown[0] / image->height;
    const size_t bytes = 3 * (size_t)whole[0] * (size_t)whole[1];
    const size_t row = 3 * (size_t)v->shown[1];
    LMB_TRY(lmb_scratch_get(&p->scratch, LMB_SLOT_A, bytes, &small));
    LMB_TRY(lmb_scratch_get(&p->scratch, LMB_SLOT_B, bytes, &copy));
    LMB_TRY(lmb_scratch_get(&p->scratch, LMB_SLOT_C, bytes, &rgb));
    LMB_TRY(lmb_image_resize(
        image, NULL, v->shown[0], v->shown[1], &p->scratch, small));
    memset(rgb, 0, bytes);
    for (int32_t y = 0; y < v->shown[0]; y++)
        memcpy((uint8_t *)rgb + 3 * (size_t)y * (size_t)whole[1],
            (const uint8_t *)small + (size_t)y * row, row);
    v->base = (lmb_canvas){whole[0], whole[1], rgb};
    v->canvas = (lmb_canvas){whole[0], whole[1], copy};
    return LMB_OK;
}

static lmb_status open_view(page *p, int64_t index, view *v)
{
    const lmb_detect_transform *t = &p->transform;
    lmb_image image;
    int32_t size[2];
    float scale[2];
    *v = (view){.index = index};
    LMB_TRY(lmb_dataset_image(p->set, index, &p->scratch, &image));
    lmb_detect_resized(t, t->short_side[0], image.height, image.width, size);
    for (int i = 0; i < 2; i++)
        v->input[i] = (size[i] + t->pad - 1) / t->pad * t->pad;
    lmb_free(p->x);
    p->x = NULL;
    LMB_TRY(LMB_NEW(p->x, 3 * (size_t)v->input[0] * (size_t)v->input[1]));
    const lmb_detect_sample sample = {.short_side = t->short_side[0],
        .height = v->input[0],
        .width = v->input[1],
        .pixels = p->x,
        .size = v->size,
        .scale = scale};
    LMB_TRY(lmb_detect_transform_image(
        t, &p->normalizer, &image, &sample, &p->scratch));
    return make_base(p, v, &image, size);
}

/* --- what is drawn over it ------------------------------------------------ */

static void clear(view *v)
{
    memcpy(v->canvas.rgb, v->base.rgb,
        3 * (size_t)v->base.height * (size_t)v->base.width);
}

/* The canvas without its padding. */
static lmb_status put(page *p, view *v, const char *caption)
{
    const size_t row = 3 * (size_t)v->shown[1];
    const size_t stride = 3 * (size_t)v->canvas.width;
    for (int32_t y = 1; y < v->shown[0]; y++)
        memmove(v->canvas.rgb + (size_t)y * row,
            v->canvas.rgb + (size_t)y * stride, row);
    const lmb_image image = {v->shown[0], v->shown[1], v->canvas.rgb};
    lmb_str_add(&p->out, "<figure>");
    LMB_TRY(lmb__html_image(&p->out, &image, caption));
    lmb_str_add(&p->out, "<figcaption>");
    lmb__html(&p->out, caption);
    lmb_str_add(&p->out, "</figcaption></figure>\n");
    return LMB_OK;
}

static lmb_status put_truth(page *p, view *v)
{
    const char *const *names = lmb_dataset_class_names(p->set);
    lmb_ground_truth t;
    lmb_mark *marks = NULL;
    LMB_TRY(lmb_dataset_truth(p->set, v->index, &t));
    LMB_TRY(LMB_NEW(marks, t.count));
    for (int64_t k = 0; k < t.count; k++) {
        const float *b = t.boxes + 4 * k;
        marks[k] = (lmb_mark){
            .box = {v->scale * (double)b[0], v->scale * (double)b[1],
                v->scale * (double)(b[2] - b[0]),
                v->scale * (double)(b[3] - b[1])},
            .score = -1,
            .label = t.labels[k],
            .name = names != NULL ? names[t.labels[k]] : NULL,
        };
    }
    clear(v);
    lmb_draw_marks(&v->canvas, t.count, marks);
    lmb_free(marks);
    return put(p, v, "truth");
}

static void range_of(const lmb_feature_map *m, double *low, double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < m->h * m->w; i++) {
        *low = fmin(*low, (double)m->data[i]);
        *high = fmax(*high, (double)m->data[i]);
    }
}

static lmb_status put_map(page *p, view *v, const lmb_feature_map *m)
{
    static const char *const what[] = {"teacher", "student", "difference"};
    char caption[128];
    double low, high;
    clear(v);
    if (m->kind == LMB_MAP_MASK) {
        (void)snprintf(
            caption, sizeof caption, "%s, shown by %s", m->level, m->method);
        lmb_draw_mask(&v->canvas, m->data, m->h, m->w);
        return put(p, v, caption);
    }
    range_of(m, &low, &high);
    (void)snprintf(caption, sizeof caption, "%s %s, %.3g .. %.3g", m->level,
        what[m->kind], low, high);
    lmb_draw_heat(&v->canvas, m->data, m->h, m->w, low, high);
    return put(p, v, caption);
}

/* --- the page ------------------------------------------------------------- */

/* Maps for the view's size; those of another size go. */
static lmb_status maps_for(page *p, int stage, const view *v, lmb_maps **out)
{
    lmb_maps **m = &p->maps[stage];
    if (*m != NULL &&
        ((*m)->height != v->input[0] || (*m)->width != v->input[1])) {
        lmb_maps_free(*m);
        *m = NULL;
    }
    if (*m == NULL)
        LMB_TRY(lmb_maps_new(p->run, stage, v->input[0], v->input[1], m));
    *out = *m;
    return LMB_OK;
}

static lmb_status add_stage(page *p, int stage, view *v)
{
    const lmb_network *teacher = p->run->stages[stage].teacher;
    lmb_maps *m = NULL;
    LMB_TRY(maps_for(p, stage, v, &m));
    LMB_TRY(lmb_maps_run(m, p->x, v->size));
    if (teacher != NULL) {
        lmb_str_printf(&p->out, "<h3>stage %d, teacher ", stage + 1);
        lmb__html(&p->out, teacher->text);
        lmb_str_add(&p->out, "</h3>\n");
    }
    lmb_str_printf(&p->out, "<div class=\"shots\" style=\"--n:%d\">\n",
        teacher != NULL ? m->in_level : 5);
    for (int i = 0; i < m->count; i++)
        LMB_TRY(put_map(p, v, &m->map[i]));
    lmb_str_add(&p->out, "</div>\n");
    return LMB_OK;
}

static lmb_status add_picture(page *p, int64_t index)
{
    view v;
    LMB_TRY(open_view(p, index, &v));
    lmb_str_printf(&p->out,
        "<h2>picture %lld</h2><div class=\"shots\" style=\"--n:4\">\n",
        (long long)lmb_dataset_image_id(p->set, index));
    LMB_TRY(put_truth(p, &v));
    lmb_str_add(&p->out, "</div>\n");
    for (int k = 0; k < p->run->n_stages; k++)
        LMB_TRY(add_stage(p, k, &v));
    return LMB_OK;
}

static lmb_status write_page(page *p, const char *path, int64_t images)
{
    const int64_t n = lmb_dataset_count(p->set);
    const int64_t all = images < n ? images : n;
    lmb__html_head(&p->out, "limbeck: features");
    lmb_str_add(&p->out, "<h1>Features</h1><p class=\"note\">");
    lmb__html(&p->out, p->run->config->out);
    lmb_str_add(&p->out,
        "</p><p>On each level of the pyramid: where the teacher and the "
        "student are active (attention, mean 1; bright is more), how far the "
        "student's map is from the teacher's, and what the method's mask "
        "shows: the dark places are hidden from the student. Colours run "
        "from the least to the largest value of each map.</p>\n");
    for (int64_t k = 0; k < all; k++)
        LMB_TRY(add_picture(p, (2 * k + 1) * n / (2 * all)));
    lmb_str_add(&p->out, "</body></html>\n");
    LMB_TRY(lmb_str_status(&p->out));
    return lmb_file_write(path, p->out.text, p->out.length);
}

static lmb_status open_page(page *p, const lmb_run_config *config)
{
    LMB_TRY(lmb_run_look(config, &p->run));
    if (!lmb_task_is_detection(p->run->task))
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a run for classification: features are drawn on the "
            "pyramids of detectors",
            config->out);
    p->set = p->run->chosen;
    LMB_TRY(lmb_picture_transform(&config->pictures, p->set, false,
        p->run->student.mean, p->run->student.std, &p->transform));
    p->normalizer = lmb_normalizer_make(p->transform.mean, p->transform.std);
    lmb_run_swap_average(p->run);
    return LMB_OK;
}

lmb_status lmb_features_write(
    const char *path, const lmb_run_config *config, int64_t images)
{
    page *p = NULL;
    LMB_TRY(LMB_NEW(p, 1));
    lmb_status st = open_page(p, config);
    if (st == LMB_OK)
        st = write_page(p, path, images);
    for (int k = 0; k < LMB_MAX_STAGES; k++)
        lmb_maps_free(p->maps[k]);
    lmb_run_free(p->run);
    lmb_scratch_fini(&p->scratch);
    lmb_str_fini(&p->out);
    lmb_free(p->x);
    lmb_free(p);
    return st;
}
