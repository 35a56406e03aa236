/* weights_io.c: parameters from and to named tensors.
 *
 * Metadata keys: model, classes, class_names (one a line), input_size,
 * input_short_side, mean, std (three numbers), channel_order, crop; format =
 * pt, as other tools expect. */
#include "train/weights_io.h"

#include "base/log.h"
#include "base/str.h"
#include "io/mapping.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 8, MAX_CLASSES = 1000000, MAX_SIZE = 1 << 16 };

/* --- does a file fit? ----------------------------------------------------- */

/* One kind of fault: how many, and the first few in words. */
typedef struct faults {
    int count;
    lmb_str text;
} faults;

/* Room for one more in the list? Then the separator is written. */
static bool begin(faults *f)
{
    f->count++;
    if (f->count > SHOWN)
        return false;
    lmb_str_add(&f->text, f->count > 1 ? ", " : "");
    return true;
}

static void end(const faults *f, const char *what, lmb_str *out)
{
    if (f->count == 0)
        return;
    lmb_str_printf(out, "%s%d %s: %s", out->length > 0 ? "; " : "", f->count,
        what, f->text.text != NULL ? f->text.text : "");
    if (f->count > SHOWN)
        lmb_str_add(out, ", ...");
}

static bool is_ignored(const char *name)
{
    return lmb_str_ends_with(name, "num_batches_tracked") ||
        lmb_str_ends_with(name, "relative_position_index") ||
        lmb_str_ends_with(name, "integral.project");
}

static bool is_real(lmb_dtype dtype)
{
    return dtype == LMB_F32 || dtype == LMB_F64 || dtype == LMB_BF16 ||
        dtype == LMB_F16;
}

/* Tensors of the file that no parameter asks for. */
static lmb_status unknown_names(const lmb_weights *w, const lmb_params *store,
    const char ***out, size_t *count)
{
    const char **names = NULL;
    *count = 0;
    LMB_TRY(LMB_NEW(names, w->count));
    for (size_t i = 0; i < w->count; i++)
        if (!is_ignored(w->items[i].name) &&
            lmb_params_find(store, w->items[i].name) == NULL)
            names[(*count)++] = w->items[i].name;
    *out = names;
    return LMB_OK;
}

static void find_missing(const lmb_weights *w, const lmb_params *store,
    const char *const *unknown, size_t n_unknown, faults *missing,
    faults *wrong)
{
    for (int i = 0; i < lmb_params_count(store); i++) {
        const lmb_param *p = lmb_params_at(store, i);
        const lmb_tensor *t = lmb_weights_find(w, p->name);
        if (t == NULL) {
            if (!begin(missing))
                continue;
            const char *near = lmb_str_nearest(p->name, unknown, n_unknown);
            lmb_str_printf(&missing->text, near != NULL ? "%s (%s?)" : "%s",
                p->name, near);
        } else if (!lmb_shape_equal(&t->shape, &p->shape)) {
            if (begin(wrong))
                lmb_str_printf(&wrong->text, "%s is %s, not %s", p->name,
                    lmb_shape_text(&t->shape), lmb_shape_text(&p->shape));
        } else if (!is_real(t->dtype) && begin(wrong)) {
            lmb_str_printf(&wrong->text, "%s is %s, not real", p->name,
                lmb_dtype_name(t->dtype));
        }
    }
}

static lmb_status check_fit(
    const lmb_weights *w, const char *path, const lmb_params *store)
{
    const char **unknown = NULL;
    size_t n_unknown = 0;
    faults missing = {0}, wrong = {0}, extra = {0};
    lmb_str all = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(unknown_names(w, store, &unknown, &n_unknown), st, done);
    find_missing(w, store, unknown, n_unknown, &missing, &wrong);
    for (size_t i = 0; i < n_unknown; i++)
        if (begin(&extra))
            lmb_str_add(&extra.text, unknown[i]);
    end(&missing, "missing", &all);
    end(&wrong, "misshapen", &all);
    end(&extra, "unknown", &all);
    LMB_GOTO(lmb_str_status(&all), st, done);
    if (all.length > 0) {
        const char *model = lmb_weights_meta_get(w, "model");
        st = LMB_FAIL(LMB_EFORMAT, "%s: not of this network%s%s%s: %s", path,
            model != NULL ? " (the file says " : "", model != NULL ? model : "",
            model != NULL ? ")" : "", all.text);
    }
done:
    lmb_free(unknown);
    lmb_str_fini(&missing.text);
    lmb_str_fini(&wrong.text);
    lmb_str_fini(&extra.text);
    lmb_str_fini(&all);
    return st;
}

lmb_status lmb_weights_to_params(
    const lmb_weights *w, const char *path, lmb_params *store)
{
    LMB_TRY(check_fit(w, path, store));
    for (int i = 0; i < lmb_params_count(store); i++) {
        lmb_param *p = lmb_params_at(store, i);
        LMB_TRY(lmb_param_load(p, lmb_weights_find(w, p->name)));
    }
    return LMB_OK;
}

lmb_status lmb_weights_use_names_of(const lmb_params *store, lmb_weights *w)
{
    const int n = lmb_params_count(store);
    const char **names = NULL;
    const lmb_rename_set *set = NULL;
    LMB_TRY(LMB_NEW(names, n));
    for (int i = 0; i < n; i++)
        names[i] = lmb_params_at(store, i)->name;
    lmb_status st = lmb_rename_guess(w, names, (size_t)n, &set);
    if (st == LMB_OK && set != NULL)
        st = lmb_weights_rename(w, set->rules);
    lmb_free(names);
    return st == LMB_ENOTFOUND ? LMB_OK : st;
}

lmb_status lmb_weights_classes(
    const lmb_weights *w, const char *path, const lmb_model *m, int *classes)
{
    char name[80];
    lmb_model_info info;
    LMB_TRY(lmb_model_describe(m, 0, 0, &info));
    (void)snprintf(name, sizeof name, "%s.weight", info.head);
    const lmb_tensor *t = lmb_weights_find(w, name);
    if (t == NULL)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: no tensor %s, the classifier of %s: another network?", path,
            name, m->name);
    const int64_t factor = m->head_factor > 0 ? m->head_factor : 1;
    const int64_t rows = t->shape.rank > 0 ? t->shape.dim[0] : 0;
    const bool layer = t->shape.rank == 2 || t->shape.rank == 4;
    const int64_t n = (rows - m->head_extra) / factor;
    if (!layer || n < 1 || n > MAX_CLASSES ||
        n * factor + m->head_extra != rows)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: %s is %s, not [%lld * classes + %d, features]", path, name,
            lmb_shape_text(&t->shape), (long long)factor, m->head_extra);
    *classes = (int)n;
    return LMB_OK;
}

/* --- metadata, read ------------------------------------------------------- */

static lmb_status bad(
    const char *path, const char *key, const char *value, const char *rule)
{
    return LMB_FAIL(LMB_EFORMAT, "%s: metadata %s is '%.80s', not %s", path,
        key, value, rule);
}

static lmb_status read_count(
    const lmb_weights *w, const char *path, const char *key, int most, int *out)
{
    const char *text = lmb_weights_meta_get(w, key);
    int64_t value = 0;
    if (text == NULL)
        return LMB_OK;
    if (!lmb_parse_i64(text, &value) || value < 1 || value > most)
        return bad(path, key, text, "a count");
    *out = (int)value;
    return LMB_OK;
}

/* Three finite numbers with blanks between. */
static bool parse_three(const char *text, double out[3])
{
    char word[40];
    for (int i = 0; i < 3; i++) {
        text += strspn(text, " ");
        const size_t length = strcspn(text, " ");
        if (length == 0 || length >= sizeof word)
            return false;
        memcpy(word, text, length);
        word[length] = '\0';
        if (!lmb_parse_f64(word, &out[i]) || !isfinite(out[i]))
            return false;
        text += length;
    }
    return text[strspn(text, " ")] == '\0';
}

static lmb_status read_norm(
    const lmb_weights *w, const char *path, lmb_weights_about *out)
{
    const char *mean = lmb_weights_meta_get(w, "mean");
    const char *std = lmb_weights_meta_get(w, "std");
    if (mean == NULL || std == NULL)
        return LMB_OK;
    if (!parse_three(mean, out->mean))
        return bad(path, "mean", mean, "three numbers");
    if (!parse_three(std, out->std) || !(out->std[0] > 0) ||
        !(out->std[1] > 0) || !(out->std[2] > 0))
        return bad(path, "std", std, "three numbers above 0");
    out->has_norm = true;
    return LMB_OK;
}

static int count_lines(const char *text)
{
    int lines = 1;
    for (; *text != '\0'; text++)
        lines += *text == '\n' ? 1 : 0;
    return lines;
}

/* One line a name. */
static lmb_status read_names(
    const lmb_weights *w, const char *path, lmb_weights_about *out)
{
    const char *text = lmb_weights_meta_get(w, "class_names");
    if (text == NULL || out->classes == 0)
        return LMB_OK;
    const int lines = count_lines(text);
    if (lines != out->classes)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: metadata class_names has %d lines for %d classes", path, lines,
            out->classes);
    LMB_TRY(LMB_NEW(out->class_names, out->classes));
    for (int i = 0; i < lines; i++) {
        const size_t length = strcspn(text, "\n");
        LMB_TRY(LMB_NEW(out->class_names[i], length + 1));
        memcpy(out->class_names[i], text, length);
        text += length + 1;
    }
    return LMB_OK;
}

static lmb_status read_word(const lmb_weights *w, const char *path,
    const char *key, char *out, size_t size)
{
    const char *text = lmb_weights_meta_get(w, key);
    if (text == NULL)
        return LMB_OK;
    if (strlen(text) >= size)
        return bad(path, key, text, "a short word");
    (void)snprintf(out, size, "%s", text);
    return LMB_OK;
}

static lmb_status read_all(
    const lmb_weights *w, const char *path, lmb_weights_about *out)
{
    LMB_TRY(read_word(w, path, "model", out->model, sizeof out->model));
    LMB_TRY(read_count(w, path, "classes", MAX_CLASSES, &out->classes));
    LMB_TRY(read_names(w, path, out));
    LMB_TRY(read_count(w, path, "input_size", MAX_SIZE, &out->size));
    LMB_TRY(
        read_count(w, path, "input_short_side", MAX_SIZE, &out->short_side));
    LMB_TRY(read_norm(w, path, out));
    LMB_TRY(read_word(
        w, path, "channel_order", out->channels, sizeof out->channels));
    if (out->channels[0] != '\0' && strcmp(out->channels, "RGB") != 0 &&
        strcmp(out->channels, "BGR") != 0)
        return bad(path, "channel_order", out->channels, "RGB or BGR");
    LMB_TRY(read_word(w, path, "crop", out->crop, sizeof out->crop));
    if (out->crop[0] != '\0' && strcmp(out->crop, "center") != 0 &&
        strcmp(out->crop, "whole") != 0)
        return bad(path, "crop", out->crop, "center or whole");
    return LMB_OK;
}

lmb_status lmb_weights_about_read(
    const lmb_weights *w, const char *path, lmb_weights_about *out)
{
    *out = (lmb_weights_about){0};
    const lmb_status st = read_all(w, path, out);
    if (st != LMB_OK)
        lmb_weights_about_fini(out);
    return st;
}

void lmb_weights_about_fini(lmb_weights_about *about)
{
    if (about->class_names != NULL)
        for (int i = 0; i < about->classes; i++)
            lmb_free(about->class_names[i]);
    lmb_free(about->class_names);
    *about = (lmb_weights_about){0};
}

lmb_status lmb_weights_check_about(
    const lmb_weights_about *about, const char *path, int classes)
{
    if (about->classes == 0 || about->classes == classes)
        return LMB_OK;
    return LMB_FAIL(LMB_EFORMAT,
        "%s: metadata classes is %d, and the head has %d: `limbeck convert IN "
        "OUT --model NAME` puts the metadata right",
        path, about->classes, classes);
}

/* --- metadata, written ---------------------------------------------------- */

lmb_status lmb_weights_set_classes(
    lmb_weights *w, const char *path, int classes)
{
    char text[24];
    int64_t before = 0;
    const char *said = lmb_weights_meta_get(w, "classes");
    const char *names = lmb_weights_meta_get(w, "class_names");
    if (said != NULL && !lmb_parse_i64(said, &before))
        return bad(path, "classes", said, "a count");
    if (said != NULL && before != classes)
        lmb_log_line(LMB_LOG_WARNING,
            "%s: metadata classes is %lld, and the head has %d, which counts",
            path, (long long)before, classes);
    if (names != NULL && count_lines(names) != classes) {
        lmb_log_line(LMB_LOG_WARNING,
            "%s: metadata class_names has %d lines for %d classes: the names "
            "are left out (--names FILE gives others)",
            path, count_lines(names), classes);
        lmb_weights_meta_remove(w, "class_names");
    }
    (void)snprintf(text, sizeof text, "%d", classes);
    return lmb_weights_meta_set(w, "classes", text);
}

static lmb_status write_count(lmb_weights *w, const char *key, int value)
{
    char text[24];
    if (value <= 0)
        return LMB_OK;
    (void)snprintf(text, sizeof text, "%d", value);
    return lmb_weights_meta_set(w, key, text);
}

static lmb_status write_three(
    lmb_weights *w, const char *key, const double value[3])
{
    lmb_str text = {0};
    for (int i = 0; i < 3; i++) {
        lmb_str_add(&text, i > 0 ? " " : "");
        lmb_str_json_number(&text, value[i]); /* exact, and no longer */
    }
    lmb_status st = lmb_str_status(&text);
    if (st == LMB_OK)
        st = lmb_weights_meta_set(w, key, text.text);
    lmb_str_fini(&text);
    return st;
}

/* One line a name: a name of several lines becomes one. */
static lmb_status write_names(const lmb_weights_about *about, lmb_weights *w)
{
    lmb_str text = {0};
    if (about->class_names == NULL || about->classes <= 0)
        return LMB_OK;
    for (int i = 0; i < about->classes; i++) {
        lmb_str_add(&text, i > 0 ? "\n" : "");
        for (const char *c = about->class_names[i]; *c != '\0'; c++)
            lmb_str_add_bytes(&text, *c == '\n' ? " " : c, 1);
    }
    lmb_status st = lmb_str_status(&text);
    if (st == LMB_OK)
        st = lmb_weights_meta_set(w, "class_names", text.text);
    lmb_str_fini(&text);
    return st;
}

lmb_status lmb_weights_about_write(
    const lmb_weights_about *about, lmb_weights *w)
{
    LMB_TRY(lmb_weights_meta_set(w, "format", "pt"));
    if (about->model[0] != '\0')
        LMB_TRY(lmb_weights_meta_set(w, "model", about->model));
    LMB_TRY(write_count(w, "classes", about->classes));
    LMB_TRY(write_names(about, w));
    LMB_TRY(write_count(w, "input_size", about->size));
    LMB_TRY(write_count(w, "input_short_side", about->short_side));
    if (about->has_norm) {
        LMB_TRY(write_three(w, "mean", about->mean));
        LMB_TRY(write_three(w, "std", about->std));
    }
    if (about->channels[0] != '\0')
        LMB_TRY(lmb_weights_meta_set(w, "channel_order", about->channels));
    if (about->crop[0] != '\0')
        LMB_TRY(lmb_weights_meta_set(w, "crop", about->crop));
    return LMB_OK;
}

/* --- parameters, written -------------------------------------------------- */

static lmb_status add_copy(lmb_weights *w, const lmb_param *p)
{
    lmb_tensor *t = NULL;
    const lmb_dtype dtype = lmb_params_dtype(p->owner);
    LMB_TRY(lmb_tensor_new(dtype, &p->shape, &t));
    memcpy(
        t->data, lmb_param_data(p), (size_t)p->count * lmb_dtype_size(dtype));
    const lmb_status st = lmb_weights_add(w, p->name, t);
    lmb_tensor_release(t);
    return st;
}

lmb_status lmb_params_to_weights(
    const lmb_params *store, const lmb_weights_about *about, lmb_weights **out)
{
    lmb_weights *w = NULL;
    lmb_status st = LMB_OK;
    LMB_TRY(lmb_weights_new(&w));
    for (int i = 0; i < lmb_params_count(store); i++)
        LMB_GOTO(add_copy(w, lmb_params_at(store, i)), st, failed);
    if (about != NULL)
        LMB_GOTO(lmb_weights_about_write(about, w), st, failed);
    *out = w;
    return LMB_OK;
failed:
    lmb_weights_free(w);
    return st;
}
