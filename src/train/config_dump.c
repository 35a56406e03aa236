/* config_dump.c: a run's configuration as YAML that reads back to it. */
#include "train/config_impl.h"

#include "base/file.h"
#include "io/raw.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct dump {
    const lmb_run_config *run;
    const lmb_config *origins;
    lmb_str *out;
    const char *bad; /* the first value that is not UTF-8, and its key */
    char bad_key[64];
} dump;

/* Bytes of the character at `at` if it may stand in YAML as it is: no control
 * character, no line break of Unicode, no mark of the byte order. Else 0, and
 * *code is its number; -1 for a byte that is no UTF-8. */
static size_t yaml_length(const char *at, int *code)
{
    const size_t n = lmb_utf8_length(at, 4); /* a zero ends it, too */
    const unsigned char *c = (const unsigned char *)at;
    *code = -1;
    if (n == 1)
        *code = c[0];
    else if (n == 2)
        *code = (c[0] & 0x1f) << 6 | (c[1] & 0x3f);
    else if (n == 3)
        *code = (c[0] & 0x0f) << 12 | (c[1] & 0x3f) << 6 | (c[2] & 0x3f);
    const bool raw = *code >= 0x20 && (*code < 0x7f || *code > 0x9f) &&
        *code != 0x2028 && *code != 0x2029 && *code != 0xfeff && *code < 0xfffe;
    return raw || n == 4 ? n : 0;
}

/* A plain scalar where YAML reads it back as it is, else a quoted one. */
static bool is_plain(const char *text)
{
    int code = 0;
    if (text[0] == '\0' || strchr(" -?:,[]{}#&*!|>'\"%@`~", text[0]) != NULL ||
        lmb_str_equal_nocase(text, "null"))
        return false;
    for (const char *c = text; *c != '\0';) {
        const size_t n = yaml_length(c, &code);
        if (n == 0 || strchr("#,[]{}\"", *c) != NULL ||
            (*c == ':' && (c[1] == ' ' || c[1] == '\0')))
            return false;
        c += n;
    }
    return text[strlen(text) - 1] != ' ';
}

/* In double quotes, where YAML knows JSON's escapes. */
static void add_quoted(lmb_str *out, const char *text)
{
    int code = 0;
    lmb_str_add(out, "\"");
    while (*text != '\0') {
        const size_t n = yaml_length(text, &code);
        if (*text == '"' || *text == '\\')
            lmb_str_add(out, "\\");
        if (n > 0)
            lmb_str_add_bytes(out, text, n);
        else if (*text == '\n')
            lmb_str_add(out, "\\n");
        else
            lmb_str_printf(out, "\\u%04x", (unsigned)code & 0xffff);
        text += n > 0 ? n : lmb_utf8_length(text, 4);
    }
    lmb_str_add(out, "\"");
}

/* On one line, and never what a reader would choke on. */
static void add_comment(lmb_str *out, const char *text)
{
    int code = 0;
    while (*text != '\0') {
        const size_t n = yaml_length(text, &code);
        if (n > 0)
            lmb_str_add_bytes(out, text, n);
        else
            lmb_str_add(out, code < 0 ? "?" : " ");
        text += n > 0 ? n : code < 0 ? 1 : lmb_utf8_length(text, 4);
    }
}

/* What a reader of YAML refuses is kept for the error at the end. */
static bool is_text(dump *d, const char *text, const char *full)
{
    const bool good = lmb_utf8_is_valid(text, strlen(text));
    if (!good && d->bad == NULL) {
        d->bad = text;
        (void)snprintf(d->bad_key, sizeof d->bad_key, "%s", full);
    }
    return good;
}

static void add_text(dump *d, const char *text, const char *full)
{
    if (!is_text(d, text, full))
        return;
    if (is_plain(text))
        lmb_str_add(d->out, text);
    else
        add_quoted(d->out, text);
}

/* "key: value  # origin", with the origin of canonical key `full`. */
static void end_line(dump *d, size_t start, const char *full)
{
    if (d->origins != NULL) {
        const lmb_config_entry *e = lmb_config_find(d->origins, full);
        const size_t width = d->out->length - start;
        lmb_str_printf(d->out, "%*s# ", width < 34 ? (int)(34 - width) : 2, "");
        add_comment(d->out, e != NULL ? e->origin : "default");
    }
    lmb_str_add(d->out, "\n");
}

static void text_line(dump *d, const char *indent, const char *key,
    const char *value, const char *full)
{
    if (value == NULL)
        return;
    const size_t start = d->out->length;
    lmb_str_printf(d->out, "%s%s: ", indent, key);
    add_text(d, value, full);
    end_line(d, start, full);
}

static void number_line(dump *d, const char *indent, const char *key,
    double value, const char *full)
{
    const size_t start = d->out->length;
    lmb_str_printf(d->out, "%s%s: ", indent, key);
    lmb_str_json_number(d->out, value);
    end_line(d, start, full);
}

static void numbers_line(dump *d, const char *indent, const char *key,
    const double *values, int n, const char *full)
{
    const size_t start = d->out->length;
    lmb_str_printf(d->out, "%s%s: [", indent, key);
    for (int i = 0; i < n; i++) {
        lmb_str_add(d->out, i > 0 ? ", " : "");
        lmb_str_json_number(d->out, values[i]);
    }
    lmb_str_add(d->out, "]");
    end_line(d, start, full);
}

static void dump_teachers(dump *d)
{
    if (d->run->n_teachers == 0)
        return;
    lmb_str_add(d->out, "teachers:\n");
    for (int i = 0; i < d->run->n_teachers; i++) {
        const lmb_teacher_config *t = &d->run->teachers[i];
        char key[64];
        (void)snprintf(key, sizeof key, "teachers.%d.model", i);
        text_line(d, "  - ", "model", t->model != NULL ? t->model : "", key);
        (void)snprintf(key, sizeof key, "teachers.%d.weights", i);
        text_line(d, "    ", "weights", t->weights, key);
        (void)snprintf(key, sizeof key, "teachers.%d.input", i);
        if (t->input > 0)
            number_line(d, "    ", "input", t->input, key);
        if (!t->has_norm)
            continue;
        (void)snprintf(key, sizeof key, "teachers.%d.mean", i);
        numbers_line(d, "    ", "mean", t->mean, 3, key);
        (void)snprintf(key, sizeof key, "teachers.%d.std", i);
        numbers_line(d, "    ", "std", t->std, 3, key);
    }
}

/* Every row of a table of options, with its origin. */
static void dump_rows(
    dump *d, const lmb_opt *table, const void *values, const char *section)
{
    for (const lmb_opt *row = table; row->name != NULL; row++) {
        char key[64];
        const size_t start = d->out->length;
        (void)snprintf(key, sizeof key, "%s.%s", section, row->name);
        lmb_str_printf(d->out, "  %s: ", row->name);
        lmb_opt_print(row, values, d->out);
        end_line(d, start, key);
    }
}

/* data.train.json, data.train.images */
static void dump_files(
    dump *d, const char *split, const char *json, const char *images)
{
    char key[64];
    if (json == NULL && images == NULL)
        return;
    lmb_str_printf(d->out, "  %s:\n", split);
    (void)snprintf(key, sizeof key, "data.%s.json", split);
    text_line(d, "    ", "json", json, key);
    (void)snprintf(key, sizeof key, "data.%s.images", split);
    text_line(d, "    ", "images", images, key);
}

bool lmb__config_detects(const lmb_run_config *run)
{
    const size_t n = run->student != NULL ? strcspn(run->student, ":") : 0;
    char name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)n,
        run->student != NULL ? run->student : "");
    const lmb_model *m = lmb_model_find(name);
    return m != NULL && m->postprocess != NULL;
}

/* Of a classifier's pictures what was asked for. */
static void dump_picture(dump *d)
{
    const lmb_picture_opts *o = &d->run->pictures;
    if (o->size > 0)
        number_line(d, "  ", "size", (double)o->size, "data.size");
    if (o->flip >= 0)
        number_line(d, "  ", "flip", o->flip, "data.flip");
    if (o->jitter > 0)
        number_line(d, "  ", "jitter", o->jitter, "data.jitter");
    if (o->hue > 0)
        number_line(d, "  ", "hue", o->hue, "data.hue");
}

static void dump_data(dump *d)
{
    const lmb_run_config *run = d->run;
    lmb_str_add(d->out, "data:\n");
    text_line(d, "  ", "spec", run->data != NULL ? run->data : "", "data.spec");
    text_line(d, "  ", "train_split", run->train_split, "data.train_split");
    text_line(d, "  ", "test_split", run->test_split, "data.test_split");
    if (run->classes > 0)
        number_line(d, "  ", "classes", (double)run->classes, "data.classes");
    dump_files(d, "train", run->train_json, run->train_images);
    dump_files(d, "test", run->test_json, run->test_images);
    if (lmb__config_detects(run))
        dump_rows(d, lmb_picture_opts_table, &run->pictures, "data");
    else
        dump_picture(d);
}

static void dump_stages(dump *d)
{
    const lmb_run_config *run = d->run;
    if (run->n_stages > 0)
        lmb_str_add(d->out, "stages:\n");
    for (int i = 0; i < run->n_stages; i++) {
        const lmb_stage_config *s = &run->stages[i];
        char key[64];
        (void)snprintf(key, sizeof key, "stages.%d.teacher", i);
        number_line(d, "  - ", "teacher", s->teacher, key);
        (void)snprintf(key, sizeof key, "stages.%d.until", i);
        if (!isnan(s->until))
            number_line(d, "    ", "until", s->until, key);
        (void)snprintf(key, sizeof key, "stages.%d.lr", i);
        if (!isnan(s->lr))
            number_line(d, "    ", "lr", s->lr, key);
        if (!s->has_methods)
            continue;
        const char *sep = "    methods: [";
        for (int k = 0; k < run->n_methods; k++)
            if (s->method[k]) {
                lmb_str_printf(d->out, "%s%s", sep, run->methods[k].name);
                sep = ", ";
            }
        lmb_str_add(d->out, sep[0] == ',' ? "]\n" : "    methods: []\n");
    }
}

/* Is `name` one of the ways to give `field` of method i? mdistiller's spellings
 * are among `others` (may be NULL). */
static bool gives_field(const dump *d, int i, const char *field,
    const char *others, const char *name)
{
    char key[3][80];
    const char *method = d->run->methods[i].name;
    (void)snprintf(key[0], sizeof key[0], "methods.%d.%s", i, field);
    (void)snprintf(key[1], sizeof key[1], "method.%s", field);
    (void)snprintf(key[2], sizeof key[2], "method.%s.%s", method, field);
    for (size_t k = 0; k < LMB_COUNT(key); k++)
        if (lmb_str_equal_nocase(name, key[k]))
            return true;
    return lmb_str_equal_nocase(name, key[2] + strlen("method.")) ||
        lmb__config_among(others, name);
}

/* "schedule" is a word for the term's weight and an option of pcd; the value
 * says which. */
static bool fits(const lmb_config_entry *e, bool weight)
{
    const char *tail = strrchr(e->key, '.');
    return tail == NULL || !lmb_str_equal_nocase(tail, ".schedule") ||
        (lmb_term_schedule_find(e->value) >= 0) == weight;
}

/* The key that gave `field` of method i last, or the usual one. */
static const char *field_key(
    const dump *d, int i, const char *field, const char *others)
{
    for (size_t k = d->origins != NULL ? d->origins->count : 0; k > 0; k--) {
        const lmb_config_entry *e = &d->origins->entries[k - 1];
        if (fits(e, true) && gives_field(d, i, field, others, e->key))
            return e->key;
    }
    return strcmp(field, "name") == 0 ? "methods" : field;
}

/* Of the run, but given beside a method. */
static const char *ce_weight_key(const dump *d)
{
    for (int i = 0; i < d->run->n_methods; i++) {
        const lmb_method *m = lmb_method_find(d->run->methods[i].name);
        const char *key =
            field_key(d, i, "ce_weight", m != NULL ? m->ce_weight_keys : NULL);
        if (strcmp(key, "ce_weight") != 0)
            return key;
    }
    return "ce_weight";
}

/* The origin of an option of method i, whichever way it was spelt. */
static void option_origin(dump *d, size_t start, int i, const lmb_opt *row)
{
    const lmb_method_config *m = &d->run->methods[i];
    const char *key = "";
    for (size_t k = d->origins != NULL ? d->origins->count : 0; k > 0; k--) {
        const lmb_config_entry *e = &d->origins->entries[k - 1];
        const char *name = e->key;
        const char *tail = strrchr(name, '.');
        char prefix[32], entry[32];
        (void)snprintf(prefix, sizeof prefix, "%s.", m->name);
        (void)snprintf(entry, sizeof entry, "methods.%d.", i);
        const bool ours = strncmp(name, "method.", 7) == 0 ||
            strncmp(name, prefix, strlen(prefix)) == 0 ||
            strncmp(name, entry, strlen(entry)) == 0;
        if (!ours || tail == NULL || !fits(e, false) || e->place <= m->yielded)
            continue;
        if (lmb_str_equal_nocase(tail + 1, row->name) ||
            lmb__config_among(row->aliases, tail + 1) ||
            lmb__config_among(row->aliases, name)) {
            key = name;
            break;
        }
    }
    end_line(d, start, key);
}

static lmb_status dump_options(dump *d, int i)
{
    const lmb_method_config *m = &d->run->methods[i];
    const lmb_method *method = lmb_method_find(m->name);
    void *state = NULL;
    if (method == NULL)
        return LMB_FAIL(LMB_EINVAL, "methods: '%s' is not known", m->name);
    LMB_TRY(lmb_method_new(method, m->n_options, m->key, m->value, &state));
    const lmb_opt *row = method->opts;
    if (row != NULL && row->name != NULL)
        lmb_str_add(d->out, "    options:\n");
    for (; row != NULL && row->name != NULL; row++) {
        const size_t start = d->out->length;
        lmb_str_printf(d->out, "      %s: ", row->name);
        lmb_opt_print(row, state, d->out);
        option_origin(d, start, i, row);
    }
    lmb_method_free(method, state);
    return LMB_OK;
}

static lmb_status dump_methods(dump *d)
{
    lmb_str_add(d->out, d->run->n_methods > 0 ? "methods:\n" : "");
    for (int i = 0; i < d->run->n_methods; i++) {
        const lmb_method_config *m = &d->run->methods[i];
        const lmb_method *row = lmb_method_find(m->name);
        text_line(d, "  - ", "name", m->name, field_key(d, i, "name", NULL));
        const double weight = isnan(m->weight) && row ? row->weight : m->weight;
        const double warmup = row != NULL
            ? lmb_term_warmup(m, row, lmb__config_detects(d->run))
            : m->warmup;
        number_line(d, "    ", "weight", weight,
            field_key(d, i, "weight", row != NULL ? row->weight_keys : NULL));
        number_line(d, "    ", "warmup", warmup,
            field_key(d, i, "warmup", row != NULL ? row->warmup_keys : NULL));
        if (m->schedule != LMB_TERM_CONSTANT)
            text_line(d, "    ", "schedule", lmb_term_schedules[m->schedule],
                field_key(d, i, "schedule", NULL));
        if (m->n_map > 0)
            lmb_str_add(d->out, "    map:\n");
        for (int k = 0; k < m->n_map; k++) {
            lmb_str_add(d->out, "      - ");
            if (is_text(d, m->map[k], field_key(d, i, "map", NULL)))
                add_quoted(d->out, m->map[k]);
            lmb_str_add(d->out, "\n");
        }
        LMB_TRY(dump_options(d, i));
    }
    return LMB_OK;
}

static void dump_train(dump *d)
{
    const lmb_run_config *run = d->run;
    lmb_str_add(d->out, "train:\n");
    dump_rows(d, lmb_train_opts_table, &run->train, "train");
    /* Always there, as a run may go on with another cache or with none. */
    text_line(
        d, "  ", "cache", run->cache != NULL ? run->cache : "", "train.cache");
    if (run->n_decays >= 0)
        numbers_line(d, "  ", "decay_epochs", run->decay_epochs, run->n_decays,
            "train.decay_epochs");
}

static lmb_status check_texts(const dump *d)
{
    lmb_str shown = {0};
    if (d->bad == NULL)
        return LMB_OK;
    add_comment(&shown, d->bad);
    const lmb_status st =
        LMB_FAIL(LMB_EUSAGE, "%s: '%s' is not UTF-8, which config.yaml must be",
            d->bad_key, shown.text != NULL ? shown.text : "");
    lmb_str_fini(&shown);
    return st;
}

lmb_status lmb_config_dump(
    const lmb_run_config *run, const lmb_config *origins, lmb_str *out)
{
    dump d = {.run = run, .origins = origins, .out = out};
    text_line(&d, "", "student", run->student, "student");
    dump_teachers(&d);
    dump_data(&d);
    LMB_TRY(dump_methods(&d));
    dump_stages(&d);
    if (!isnan(run->ce_weight))
        number_line(&d, "", "ce_weight", run->ce_weight, ce_weight_key(&d));
    dump_train(&d);
    text_line(&d, "", "init", run->init, "init");
    text_line(&d, "", "out", run->out, "out");
    LMB_TRY(check_texts(&d));
    return lmb_str_status(out);
}

/* --- as a run's folder keeps it ------------------------------------------- */

/* A path by which the file is found from any folder; one that could not be
 * written stays. */
static lmb_status make_absolute(lmb_arena *arena, const char **path)
{
    const char *all = NULL;
    if (*path == NULL)
        return LMB_OK;
    LMB_TRY(lmb_path_absolute(arena, *path, &all));
    if (lmb_utf8_is_valid(all, strlen(all)))
        *path = all;
    return LMB_OK;
}

/* "idx:DIR"; "shapes" has no folder. */
static lmb_status make_data_absolute(lmb_arena *arena, const char **spec)
{
    const char *colon = *spec != NULL ? strchr(*spec, ':') : NULL;
    if (colon == NULL || colon[1] == '\0')
        return LMB_OK;
    const char *dir = colon + 1;
    LMB_TRY(make_absolute(arena, &dir));
    *spec =
        lmb_arena_printf(arena, "%.*s:%s", (int)(colon - *spec), *spec, dir);
    if (*spec == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    return LMB_OK;
}

lmb_status lmb__config_absolute(lmb_run_config *run)
{
    const char **const paths[] = {&run->init, &run->cache, &run->train_json,
        &run->train_images, &run->test_json, &run->test_images};
    for (size_t i = 0; i < LMB_COUNT(paths); i++)
        LMB_TRY(make_absolute(run->arena, paths[i]));
    for (int i = 0; i < run->n_teachers; i++)
        LMB_TRY(make_absolute(run->arena, &run->teachers[i].weights));
    return make_data_absolute(run->arena, &run->data);
}

lmb_status lmb_config_text(
    const lmb_run_config *run, const lmb_config *origins, lmb_str *out)
{
    lmb_run_config whole = *run;
    lmb_str_printf(out,
        "# limbeck %s: the run's configuration, and where "
        "each value came from\n",
        LMB_VERSION);
    LMB_TRY(lmb__config_absolute(&whole));
    return lmb_config_dump(&whole, origins, out);
}

lmb_status lmb_config_save(
    const lmb_run_config *run, const lmb_config *origins, const char *dir)
{
    lmb_str text = {0}, path = {0};
    lmb_status st = LMB_OK;
    lmb_str_printf(&path, "%s/config.yaml", dir);
    LMB_GOTO(lmb_str_status(&path), st, done);
    LMB_GOTO(lmb_config_text(run, origins, &text), st, done);
    LMB_GOTO(lmb_file_write(path.text, text.text, text.length), st, done);
done:
    lmb_str_fini(&text);
    lmb_str_fini(&path);
    return st;
}
