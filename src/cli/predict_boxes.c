/* predict_boxes.c: the objects that a detector finds in pictures: listed, and
 * drawn on copies.
 *
 * A picture is prepared as for an evaluation: resized with its ratio to fit the
 * long and the short side of the weights file, padded to whole strides. */
#include "cli/predict_boxes.h"

#include "base/file.h"
#include "data/draw.h"
#include "train/pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 100 };

typedef struct finder {
    const cli *c;
    const lmb_network *net;
    const lmb_weights_about *about;
    lmb_detector *detector;
    lmb_detect_transform transform;
    lmb_scratch scratch;
    const char **drawn; /* of each word: where its copy goes; NULL: nowhere */
    double score;
    int64_t top;
} finder;

/* A picture and what was found in it. */
typedef struct finding {
    const char *path, *drawn;
    lmb_image image;
    lmb_dt_box *items;
    int64_t count;
} finding;

/* --- where copies go ------------------------------------------------------ */

/* "DIR/NAME.det.png" for "x/NAME.jpg". */
static lmb_status name_copy(
    const cli *c, const char *dir, const char *path, const char **out)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    const int stem =
        dot != NULL && dot != name ? (int)(dot - name) : (int)strlen(name);
    if (dir != NULL)
        *out = lmb_arena_printf(c->arena, "%s/%.*s.det.png", dir, stem, name);
    else
        *out = lmb_arena_printf(
            c->arena, "%.*s%.*s.det.png", (int)(name - path), path, stem, name);
    if (*out == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    return LMB_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pictures of one name from two folders would overwrite each other. */
static lmb_status check_distinct(const char *const *names, size_t n)
{
    const char **sorted = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(LMB_NEW(sorted, n));
    memcpy(sorted, names, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 1; i < n && st == LMB_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            st = LMB_FAIL(LMB_EUSAGE,
                "limbeck predict: two pictures would be drawn to %s: take them "
                "one at a time, or --no-pictures",
                sorted[i]);
    lmb_free(sorted);
    return st;
}

static lmb_status name_copies(finder *f)
{
    const cli *c = f->c;
    const char *dir = cli_value(c, "out");
    LMB_TRY(LMB_NEW(f->drawn, c->n_words));
    if (cli_has(c, "no-pictures"))
        return LMB_OK;
    if (dir != NULL)
        LMB_TRY(lmb_make_dirs(dir));
    for (size_t i = 0; i < c->n_words; i++)
        LMB_TRY(name_copy(c, dir, c->words[i], &f->drawn[i]));
    return check_distinct(f->drawn, c->n_words);
}

/* --- one picture ---------------------------------------------------------- */

static const char *class_name(const finder *f, int32_t label)
{
    const lmb_weights_about *a = f->about;
    return a->class_names != NULL && label < a->classes ? a->class_names[label]
                                                        : NULL;
}

static lmb_status draw(const finder *f, const finding *found)
{
    const lmb_image *image = &found->image;
    const size_t size = 3 * (size_t)image->height * (size_t)image->width;
    lmb_canvas canvas = {.height = image->height, .width = image->width};
    lmb_mark *marks = NULL;
    lmb_status st = LMB_OK;
    LMB_GOTO(LMB_NEW(marks, found->count), st, done);
    LMB_GOTO(LMB_NEW(canvas.rgb, size), st, done);
    memcpy(canvas.rgb, image->rgb, size);
    for (int64_t k = 0; k < found->count; k++) {
        const lmb_dt_box *b = &found->items[k];
        marks[k] = (lmb_mark){.score = b->score,
            .label = b->category,
            .name = class_name(f, b->category)};
        memcpy(marks[k].box, b->box, sizeof b->box);
    }
    lmb_draw_marks(&canvas, found->count, marks);
    const lmb_image copy = {canvas.height, canvas.width, canvas.rgb};
    st = lmb_image_save_png(found->drawn, &copy);
done:
    lmb_free(marks);
    lmb_free(canvas.rgb);
    return st;
}

/* Best first: those of the score and not more than asked for. */
static void cut_down(const finder *f, finding *found)
{
    int64_t n = 0;
    while (n < found->count && n < f->top && found->items[n].score >= f->score)
        n++;
    found->count = n;
}

/* --- printing ------------------------------------------------------------- */

static void add_rounded(lmb_str *out, double v)
{
    lmb_str_json_number(out, round(v * 100) / 100);
}

static void add_object_json(lmb_str *out, const finder *f, const lmb_dt_box *b)
{
    const char *name = class_name(f, b->category);
    lmb_str_add(out, "{\"box\": [");
    for (int k = 0; k < 4; k++) {
        lmb_str_add(out, k > 0 ? ", " : "");
        add_rounded(out, b->box[k]);
    }
    lmb_str_printf(out, "], \"class\": %d, ", (int)b->category);
    if (name != NULL) {
        lmb_str_add(out, "\"name\": ");
        lmb_str_json(out, name);
        lmb_str_add(out, ", ");
    }
    lmb_str_add(out, "\"score\": ");
    lmb_str_json_number(out, round(b->score * 1e5) / 1e5);
    lmb_str_add(out, "}");
}

static void add_json(
    lmb_str *out, const finder *f, const finding *found, bool first)
{
    lmb_str_add(out, first ? "[\n{\"image\": " : ",\n{\"image\": ");
    lmb_str_json(out, found->path);
    lmb_str_printf(out, ", \"width\": %d, \"height\": %d",
        (int)found->image.width, (int)found->image.height);
    if (found->drawn != NULL) {
        lmb_str_add(out, ", \"drawn\": ");
        lmb_str_json(out, found->drawn);
    }
    lmb_str_add(out, ", \"detections\": [");
    for (int64_t k = 0; k < found->count; k++) {
        lmb_str_add(out, k > 0 ? ", " : "");
        add_object_json(out, f, &found->items[k]);
    }
    lmb_str_add(out, "]}");
}

static void add_plain(lmb_str *out, const finder *f, const finding *found)
{
    lmb_str_printf(out, "%s: %lld object%s", found->path,
        (long long)found->count, found->count == 1 ? "" : "s");
    if (found->count == 0)
        lmb_str_printf(out, " of score %g and more (--score)", f->score);
    if (found->drawn != NULL)
        lmb_str_printf(out, ", drawn to %s", found->drawn);
    lmb_str_add(out, "\n");
    for (int64_t k = 0; k < found->count; k++) {
        const lmb_dt_box *b = &found->items[k];
        const char *name = class_name(f, b->category);
        lmb_str_printf(out, "  %.3f  %7.1f %7.1f %7.1f %7.1f  ", b->score,
            b->box[0], b->box[1], b->box[2], b->box[3]);
        if (name != NULL)
            lmb_str_printf(out, "%-4d %s\n", (int)b->category, name);
        else
            lmb_str_printf(out, "%d\n", (int)b->category);
    }
}

static lmb_status find_in(finder *f, size_t i)
{
    finding found = {.path = f->c->words[i], .drawn = f->drawn[i]};
    lmb_str out = {0};
    lmb_status st = LMB_OK;
    const bool bgr = strcmp(f->about->channels, "BGR") == 0;
    LMB_GOTO(lmb_image_load(found.path, &f->scratch, &found.image), st, done);
    LMB_GOTO(lmb_detector_picture(f->detector, &f->transform, &found.image, bgr,
                 &f->scratch, &found.items, &found.count),
        st, done);
    cut_down(f, &found);
    if (found.drawn != NULL)
        LMB_GOTO(draw(f, &found), st, done);
    if (f->c->json)
        add_json(&out, f, &found, i == 0);
    else
        add_plain(&out, f, &found);
    st = cli_put_str(&out);
done:
    lmb_free(found.items);
    return st;
}

/* --- all of them ---------------------------------------------------------- */

/* --size is the long side; the short one keeps the file's ratio, and of a file
 * that names no sides it is the usual one, as in `eval`. */
static lmb_status set_transform(finder *f)
{
    int64_t size = 0;
    int32_t sides[2] = {LMB_USUAL_LONG_SIDE, LMB_USUAL_SHORT_SIDE};
    LMB_TRY(cli_i64(f->c, "size", 8, 4096, &size));
    if (f->about->size > 0) {
        sides[0] = f->about->size;
        sides[1] = f->about->short_side > 0   ? f->about->short_side
            : sides[0] < LMB_USUAL_SHORT_SIDE ? sides[0]
                                              : LMB_USUAL_SHORT_SIDE;
    }
    if (size > 0) {
        sides[1] = f->about->size > 0
            ? (int32_t)lrint((double)sides[1] * (double)size / sides[0])
            : (int32_t)(size < LMB_USUAL_SHORT_SIDE ? size
                                                    : LMB_USUAL_SHORT_SIDE);
        sides[0] = (int32_t)size;
    }
    f->transform = lmb_detector_transform(f->net, sides[0], sides[1]);
    return lmb_detect_transform_check(&f->transform);
}

static lmb_status open_finder(finder *f, const lmb_detector_opts *opts)
{
    lmb_detector_opts own = *opts;
    f->top = TOP;
    f->score = 0.3;
    LMB_TRY(cli_i64(f->c, "top", 1, 1000, &f->top));
    LMB_TRY(cli_f64(f->c, "score", 0, 1, &f->score));
    LMB_TRY(set_transform(f));
    LMB_TRY(name_copies(f));
    own.detect.per_image = (int32_t)f->top;
    own.detect.score = fmax(f->score, 1e-9); /* 0 is the detector's own */
    return lmb_detector_new(f->net, &own, NULL, &f->detector);
}

lmb_status cli_predict_boxes(const cli *c, const lmb_network *net,
    const lmb_weights_about *about, const lmb_detector_opts *opts)
{
    finder f = {.c = c, .net = net, .about = about};
    lmb_status st = open_finder(&f, opts);
    bool begun = false;
    for (size_t i = 0; i < c->n_words && st == LMB_OK; i++) {
        st = find_in(&f, i);
        begun = begun || st == LMB_OK;
    }
    if (c->json && begun)
        st = cli_end_list(st);
    lmb_detector_free(f.detector);
    lmb_scratch_fini(&f.scratch);
    lmb_free(f.drawn);
    return st;
}
