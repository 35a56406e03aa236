/* config_resolve.c: from keys and texts to the typed configuration of a run.
 *
 * Lists first (which methods, which teachers), then every other key; options
 * of methods last, because `method.KEY` asks how many methods run. */
#include "train/config_impl.h"

#include "model/model.h"
#include "train/pictures.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lmb_status no_memory(void)
{
    return LMB_FAIL(LMB_ENOMEM, "out of memory: configuration");
}

static lmb_status copy_text(
    lmb_run_config *run, const char *text, const char **out)
{
    *out = lmb_arena_strdup(run->arena, text);
    return *out != NULL ? LMB_OK : no_memory();
}

static lmb_status copy_or_null(
    lmb_run_config *run, const char *text, const char **out)
{
    *out = NULL;
    return text[0] != '\0' ? copy_text(run, text, out) : LMB_OK;
}

/* --- lists in one value: "a, b", "[1, 2]" --------------------------------- */

/* The next item of *at, trimmed, in the arena; NULL at the end. */
static const char *next_item(lmb_arena *arena, const char **at)
{
    *at += strspn(*at, " ,[]");
    const size_t length = strcspn(*at, ",]");
    if (length == 0)
        return NULL;
    char *item = lmb_arena_copy(arena, *at, length + 1);
    if (item == NULL)
        return NULL;
    size_t end = length;
    while (end > 0 && isspace((unsigned char)item[end - 1]))
        end--;
    item[end] = '\0';
    *at += length;
    return item;
}

static lmb_status parse_number(
    const lmb_config_entry *e, const char *text, double *out)
{
    if (!lmb_parse_f64(text, out) || !isfinite(*out))
        return LMB_FAIL(LMB_EUSAGE, "%s: %s: '%s' is not a number", e->origin,
            e->key, text);
    return LMB_OK;
}

/* At most `most` numbers. */
static lmb_status parse_numbers(lmb_run_config *run, const lmb_config_entry *e,
    double *out, int most, int *count)
{
    const char *at = e->value;
    int n = 0;
    for (const char *item; (item = next_item(run->arena, &at)) != NULL;) {
        if (n == most)
            return LMB_FAIL(LMB_EUSAGE, "%s: %s: more than %d numbers",
                e->origin, e->key, most);
        LMB_TRY(parse_number(e, item, &out[n++]));
    }
    *count = n;
    return LMB_OK;
}

/* --- teachers and methods ------------------------------------------------- */

/* The index in "methods.3.name", and what comes after it; -1 if `key` does not
 * belong to `list` ("methods."). */
static int list_index(const char *key, const char *list, const char **field)
{
    const size_t n = strlen(list);
    if (strncmp(key, list, n) != 0 || !isdigit((unsigned char)key[n]))
        return -1;
    const long index = strtol(key + n, NULL, 10);
    *field = strchr(key + n, '.') + 1;
    return index < 1000 ? (int)index : 1000;
}

static lmb_status add_method(
    lmb_run_config *run, const lmb_config_entry *e, const char *name)
{
    const lmb_method *m = NULL;
    LMB_TRY(lmb__config_at(e->origin, lmb_method_get(name, &m)));
    for (int i = 0; i < run->n_methods; i++)
        if (strcmp(run->methods[i].name, m->name) == 0)
            return LMB_FAIL(LMB_EUSAGE, "%s: methods: %s is there twice",
                e->origin, m->name);
    if (run->n_methods == LMB_MAX_METHODS)
        return LMB_FAIL(LMB_EUSAGE, "%s: methods: more than %d", e->origin,
            LMB_MAX_METHODS);
    run->methods[run->n_methods++] =
        (lmb_method_config){.name = m->name, .weight = NAN, .warmup = NAN};
    return LMB_OK;
}

static lmb_status find_methods(const lmb_config *c, lmb_run_config *run)
{
    const lmb_config_entry *e = lmb_config_find(c, "methods");
    const char *at = e != NULL ? e->value : "";
    for (const char *item; (item = next_item(run->arena, &at)) != NULL;)
        if (!lmb_str_equal_nocase(item, "none"))
            LMB_TRY(add_method(run, e, item));
    for (size_t i = 0; i < c->count; i++) {
        const char *field;
        const int index = list_index(c->entries[i].key, "methods.", &field);
        if (index >= 0 && strcmp(field, "name") == 0) {
            if (index != run->n_methods)
                return LMB_FAIL(LMB_EUSAGE,
                    "%s: methods: item %d has no name before it",
                    c->entries[i].origin, run->n_methods + 1);
            LMB_TRY(add_method(run, &c->entries[i], c->entries[i].value));
        }
    }
    return LMB_OK;
}

/* The next network of "a, b:width=0.5,fpn_channels=64, c"; NULL at the end. */
static const char *next_model(lmb_arena *arena, const char **at)
{
    const char *item = next_item(arena, at);
    while (item != NULL && strchr(item, ':') != NULL) {
        const char *after = *at;
        const char *more = next_item(arena, &after);
        if (more == NULL || strchr(more, '=') == NULL ||
            strchr(more, ':') != NULL)
            break;
        item = lmb_arena_printf(arena, "%s,%s", item, more);
        *at = after;
    }
    return item;
}

static lmb_status check_model(const lmb_config_entry *e, const char *text)
{
    lmb_model_spec spec;
    return lmb__config_at(e->origin, lmb_model_spec_parse(text, &spec));
}

/* Teachers by name, from "a, b". */
static lmb_status find_teachers(const lmb_config *c, lmb_run_config *run)
{
    const lmb_config_entry *e = lmb_config_find(c, "teachers");
    const char *at = e != NULL ? e->value : "";
    for (const char *item; (item = next_model(run->arena, &at)) != NULL;) {
        if (run->n_teachers == LMB_MAX_TEACHERS)
            return LMB_FAIL(LMB_EUSAGE, "%s: teachers: more than %d", e->origin,
                LMB_MAX_TEACHERS);
        LMB_TRY(check_model(e, item));
        run->teachers[run->n_teachers++].model = item;
    }
    return LMB_OK;
}

static lmb_status set_norm(lmb_run_config *run, const lmb_config_entry *e,
    lmb_teacher_config *t, const char *field)
{
    int n = 0;
    const bool mean = strcmp(field, "mean") == 0;
    LMB_TRY(parse_numbers(run, e, mean ? t->mean : t->std, 3, &n));
    if (n != 3)
        return LMB_FAIL(LMB_EUSAGE, "%s: %s: '%s' is not three numbers",
            e->origin, e->key, e->value);
    for (int i = 0; i < 3 && !mean; i++)
        if (t->std[i] <= 0)
            return LMB_FAIL(LMB_EUSAGE, "%s: %s: %g is not above 0", e->origin,
                e->key, t->std[i]);
    t->has_mean = t->has_mean || mean;
    t->has_std = t->has_std || !mean;
    t->has_norm = t->has_mean && t->has_std;
    return LMB_OK;
}

static lmb_status set_teacher(lmb_run_config *run, const lmb_config_entry *e,
    int index, const char *field)
{
    if (index >= LMB_MAX_TEACHERS)
        return LMB_FAIL(LMB_EUSAGE, "%s: teachers: more than %d", e->origin,
            LMB_MAX_TEACHERS);
    lmb_teacher_config *t = &run->teachers[index];
    if (run->n_teachers <= index)
        run->n_teachers = index + 1;
    if (strcmp(field, "model") == 0) {
        if (e->value[0] != '\0') /* else its weights say which it is */
            LMB_TRY(check_model(e, e->value));
        return copy_or_null(run, e->value, &t->model);
    }
    if (strcmp(field, "weights") == 0)
        return copy_or_null(run, e->value, &t->weights);
    if (strcmp(field, "input") == 0) {
        LMB_TRY(parse_number(e, e->value, &t->input));
        if (t->input < 0.25 || t->input > 4)
            return LMB_FAIL(LMB_EUSAGE,
                "%s: %s: %g is not 0.25 .. 4, a factor on the student's input",
                e->origin, e->key, t->input);
        return LMB_OK;
    }
    return set_norm(run, e, t, field);
}

/* A weight or warm-up: a number of at least 0. */
static lmb_status set_amount(const lmb_config_entry *e, double *out)
{
    LMB_TRY(parse_number(e, e->value, out));
    if (*out < 0)
        return LMB_FAIL(LMB_EUSAGE, "%s: %s: %s is less than 0", e->origin,
            e->key, e->value);
    return LMB_OK;
}

/* --- stages --------------------------------------------------------------- */

/* "0" or the model of one of the teachers. */
static lmb_status set_stage_teacher(
    const lmb_run_config *run, const lmb_config_entry *e, int *out)
{
    int64_t number = 0;
    if (lmb_parse_i64(e->value, &number) && number >= 0 &&
        number < LMB_MAX_TEACHERS) {
        *out = (int)number;
        return LMB_OK;
    }
    int found = -1;
    for (int i = 0; i < run->n_teachers; i++) {
        if (run->teachers[i].model == NULL ||
            !lmb_str_equal_nocase(run->teachers[i].model, e->value))
            continue;
        if (found >= 0)
            return LMB_FAIL(LMB_EUSAGE,
                "%s: %s: '%s' is the model of teachers %d and %d: give the "
                "number",
                e->origin, e->key, e->value, found, i);
        found = i;
    }
    *out = found;
    if (found >= 0)
        return LMB_OK;
    return LMB_FAIL(LMB_EUSAGE,
        "%s: %s: '%s' is neither a number from 0 nor the model of a teacher",
        e->origin, e->key, e->value);
}

static lmb_status set_stage_methods(
    lmb_run_config *run, const lmb_config_entry *e, lmb_stage_config *s)
{
    const char *at = e->value;
    s->has_methods = true;
    for (const char *item; (item = next_item(run->arena, &at)) != NULL;) {
        int i = 0;
        while (i < run->n_methods &&
            !lmb_str_equal_nocase(run->methods[i].name, item))
            i++;
        if (i == run->n_methods)
            return LMB_FAIL(LMB_EUSAGE, "%s: %s: %s is not among the methods",
                e->origin, e->key, item);
        s->method[i] = true;
    }
    return LMB_OK;
}

/* Of a stage that names none: the only teacher, or the one of its number. */
enum { OWN_TEACHER = -1 };

static void set_own_teachers(lmb_run_config *run)
{
    for (int i = 0; i < run->n_stages; i++)
        if (run->stages[i].teacher == OWN_TEACHER)
            run->stages[i].teacher = run->n_teachers == 1 ? 0 : i;
}

static lmb_status set_stage(lmb_run_config *run, const lmb_config_entry *e,
    int index, const char *field)
{
    if (index >= LMB_MAX_STAGES)
        return LMB_FAIL(
            LMB_EUSAGE, "%s: stages: more than %d", e->origin, LMB_MAX_STAGES);
    while (run->n_stages <= index) {
        run->stages[run->n_stages] =
            (lmb_stage_config){.teacher = OWN_TEACHER, .until = NAN, .lr = NAN};
        run->n_stages++;
    }
    lmb_stage_config *s = &run->stages[index];
    if (strcmp(field, "teacher") == 0)
        return set_stage_teacher(run, e, &s->teacher);
    if (strcmp(field, "methods") == 0)
        return set_stage_methods(run, e, s);
    if (strcmp(field, "lr") == 0)
        return set_amount(e, &s->lr);
    LMB_TRY(parse_number(e, e->value, &s->until));
    if (s->until < 1 || s->until != floor(s->until))
        return LMB_FAIL(LMB_EUSAGE, "%s: %s: '%s' is not an epoch, 1, 2, ..",
            e->origin, e->key, e->value);
    return LMB_OK;
}

/* --- options of methods --------------------------------------------------- */

static lmb_status set_map(
    lmb_run_config *run, const lmb_config_entry *e, lmb_method_config *m)
{
    const char *at = e->value;
    m->n_map = 0;
    for (const char *item; (item = next_item(run->arena, &at)) != NULL;) {
        lmb_pairing pair;
        LMB_TRY(lmb__config_at(
            e->origin, lmb_pairing_parse(run->arena, item, &pair)));
        if (m->n_map == LMB_MAX_PAIRS)
            return LMB_FAIL(LMB_EUSAGE, "%s: %s: more than %d pairs", e->origin,
                e->key, LMB_MAX_PAIRS);
        m->map[m->n_map++] = item;
    }
    return LMB_OK;
}

/* Is `key` one of the spellings of an option of method i? */
static bool is_option(
    const lmb_run_config *run, int i, const char *key, const char *option)
{
    const char *name = run->methods[i].name;
    const size_t n = strlen(name);
    const char *field = NULL;
    if (list_index(key, "methods.", &field) != i) {
        const bool of_method = strncmp(key, "method.", 7) == 0;
        field = key + (of_method ? 7 : 0);
        if (strncmp(field, name, n) == 0 && field[n] == '.')
            field += n + 1;
        else if (!of_method || run->n_methods != 1)
            return false;
    }
    return lmb_str_equal_nocase(
        field + (strncmp(field, "options.", 8) == 0 ? 8 : 0), option);
}

/* A run's config.yaml spells all options: under another preset they would all
 * be those of the older one. So they yield with it, and whatever else was said
 * up to there; what comes from the new one's own place stays, in any order. */
static void find_preset(const lmb_config *c, lmb_run_config *run, int i)
{
    lmb_method_config *m = &run->methods[i];
    const char *preset = lmb_method_find(m->name)->preset;
    const lmb_config_entry *last = NULL;
    for (size_t k = preset != NULL ? c->count : 0; k > 0; k--) {
        const lmb_config_entry *e = &c->entries[k - 1];
        if (!is_option(run, i, e->key, preset))
            continue;
        last = last != NULL ? last : e;
        for (; e != NULL; e = e->replaced)
            if (e->place < last->place && e->place > m->yielded &&
                !lmb_str_equal_nocase(e->value, last->value))
                m->yielded = e->place;
    }
}

/* In place of an earlier value of the option. */
static lmb_status store_option(lmb_run_config *run, const char *origin,
    lmb_method_config *m, const char *name, const char *value)
{
    int at = 0;
    while (at < m->n_options && !lmb_str_equal_nocase(m->key[at], name))
        at++;
    if (at == LMB_MAX_OPTIONS)
        return LMB_FAIL(LMB_EUSAGE, "%s: %s: more than %d options", origin,
            m->name, LMB_MAX_OPTIONS);
    m->key[at] = name;
    LMB_TRY(copy_text(run, value, &m->value[at]));
    m->n_options += at == m->n_options;
    return LMB_OK;
}

static lmb_status set_option(lmb_run_config *run, const lmb_config_entry *e,
    lmb_method_config *m, const lmb_method *method, const char *key)
{
    const lmb_opt *row = lmb_opt_find(method->opts, key);
    char *scratch = NULL;
    LMB_TRY(LMB_NEW(scratch, method->state_size));
    const lmb_status st =
        lmb_opt_set(method->opts, scratch, m->name, key, e->value);
    lmb_free(scratch);
    if (st != LMB_OK)
        return lmb__config_at(e->origin, st);
    if (e->place <= m->yielded)
        return LMB_OK;
    return store_option(run, e->origin, m, row->name, e->value);
}

/* Of the term's weight; `pcd` has an option of this name too, whose values are
 * others. */
static lmb_status set_schedule(
    const lmb_config_entry *e, lmb_method_config *m, int found)
{
    if (found < 0)
        return lmb__config_at(e->origin,
            LMB_FAIL(LMB_EUSAGE,
                "schedule of %s: '%s' is not one of constant|linear|cosine",
                m->name, e->value));
    m->schedule = (lmb_term_schedule)found;
    return LMB_OK;
}

/* `key` is what follows the method in "method.KEY"; `full` the spelling of an
 * mdistiller file, "KD.LOSS.CE_WEIGHT". */
static lmb_status set_method_key(lmb_run_config *run, const lmb_config_entry *e,
    lmb_method_config *m, const char *key, const char *full)
{
    const lmb_method *method = lmb_method_find(m->name);
    if (strcmp(key, "weight") == 0 ||
        lmb__config_among(method->weight_keys, full))
        return set_amount(e, &m->weight);
    if (strcmp(key, "warmup") == 0 ||
        lmb__config_among(method->warmup_keys, full))
        return set_amount(e, &m->warmup);
    if (strcmp(key, "ce_weight") == 0 ||
        lmb__config_among(method->ce_weight_keys, full))
        return set_amount(e, &run->ce_weight);
    const int schedule = lmb_term_schedule_find(e->value);
    if (strcmp(key, "schedule") == 0 &&
        (schedule >= 0 || lmb_opt_find(method->opts, "schedule") == NULL))
        return set_schedule(e, m, schedule);
    if (strcmp(key, "map") == 0)
        return set_map(run, e, m);
    if (lmb__config_among(method->ignored_keys, full))
        return LMB_OK;
    if (strncmp(key, "options.", 8) == 0)
        key += 8;
    const bool alias = lmb_opt_find(method->opts, full) != NULL;
    return set_option(run, e, m, method, alias ? full : key);
}

static lmb_method_config *running(lmb_run_config *run, const char *name)
{
    for (int i = 0; i < run->n_methods; i++)
        if (lmb_str_equal_nocase(run->methods[i].name, name))
            return &run->methods[i];
    return NULL;
}

/* "alpha" of one method, "pcd.alpha" of several. */
static lmb_status set_by_name(
    lmb_run_config *run, const lmb_config_entry *e, const char *key)
{
    const size_t n = strcspn(key, ".");
    const char *name = lmb_arena_printf(run->arena, "%.*s", (int)n, key);
    if (name == NULL)
        return no_memory();
    lmb_method_config *m = running(run, name);
    if (key[n] == '.' && m != NULL)
        return set_method_key(run, e, m, key + n + 1, key);
    if (key[n] == '.' && lmb_method_find(name) != NULL)
        return LMB_FAIL(LMB_EUSAGE, "%s: %s: %s is not among the methods",
            e->origin, e->key, name);
    if (run->n_methods == 1)
        return set_method_key(run, e, &run->methods[0], key, key);
    return LMB_FAIL(LMB_EUSAGE, "%s: %s: %s", e->origin, e->key,
        run->n_methods == 0 ? "no method runs (--method NAME)"
                            : "several methods run; write method.NAME.KEY");
}

/* "kd.temperature": an option of a method that runs; mdistiller's files may
 * hold sections of others, which they do not use either. */
static lmb_status set_section(lmb_run_config *run, const lmb_config_entry *e)
{
    const size_t n = strcspn(e->key, ".");
    const char *name = lmb_arena_printf(run->arena, "%.*s", (int)n, e->key);
    if (name == NULL)
        return no_memory();
    lmb_method_config *m = running(run, name);
    if (m != NULL)
        return set_method_key(run, e, m, e->key + n + 1, e->key);
    if (strncmp(e->origin, "--", 2) != 0)
        return LMB_OK;
    return LMB_FAIL(LMB_EUSAGE, "%s: %s: %s is not among the methods",
        e->origin, e->key, name);
}

/* --- all other keys ------------------------------------------------------- */

static lmb_status set_classes(lmb_run_config *run, const lmb_config_entry *e)
{
    if (!lmb_parse_i64(e->value, &run->classes) || run->classes < 0 ||
        run->classes > 1000000)
        return LMB_FAIL(LMB_EUSAGE, "%s: %s: '%s' is not a number of classes",
            e->origin, e->key, e->value);
    return LMB_OK;
}

static lmb_status set_decays(lmb_run_config *run, const lmb_config_entry *e)
{
    double *d = run->decay_epochs;
    LMB_TRY(parse_numbers(run, e, d, LMB_MAX_DECAYS, &run->n_decays));
    for (int i = 0; i < run->n_decays; i++)
        if (d[i] < 0 || (i > 0 && d[i] < d[i - 1]))
            return LMB_FAIL(LMB_EUSAGE, "%s: %s: '%s' does not rise from 0",
                e->origin, e->key, e->value);
    return LMB_OK;
}

static lmb_status set_student(lmb_run_config *run, const lmb_config_entry *e)
{
    lmb_model_spec spec;
    LMB_TRY(lmb__config_at(e->origin, lmb_model_spec_parse(e->value, &spec)));
    /* The canonical text leaves out defaults. */
    return copy_text(
        run, lmb_says_frozen(e->value) ? e->value : spec.text, &run->student);
}

/* Its kind; whether it is there, the run will see. */
static lmb_status set_data(lmb_run_config *run, const lmb_config_entry *e)
{
    if (e->value[0] != '\0')
        LMB_TRY(lmb__config_at(e->origin, lmb_dataset_check(e->value)));
    return copy_or_null(run, e->value, &run->data);
}

static lmb_status set_key(lmb_run_config *run, const lmb_config_entry *e)
{
    const char *key = e->key;
    const char *field;
    if (strcmp(key, "student") == 0)
        return set_student(run, e);
    if (strcmp(key, "data.spec") == 0)
        return set_data(run, e);
    if (strcmp(key, "data.train_split") == 0)
        return copy_or_null(run, e->value, &run->train_split);
    if (strcmp(key, "data.test_split") == 0)
        return copy_or_null(run, e->value, &run->test_split);
    if (strcmp(key, "data.classes") == 0)
        return set_classes(run, e);
    if (strcmp(key, "data.train.json") == 0)
        return copy_or_null(run, e->value, &run->train_json);
    if (strcmp(key, "data.train.images") == 0)
        return copy_or_null(run, e->value, &run->train_images);
    if (strcmp(key, "data.test.json") == 0)
        return copy_or_null(run, e->value, &run->test_json);
    if (strcmp(key, "data.test.images") == 0)
        return copy_or_null(run, e->value, &run->test_images);
    if (strncmp(key, "data.", 5) == 0)
        return lmb__config_at(e->origin,
            lmb_opt_set(lmb_picture_opts_table, &run->pictures, "data", key + 5,
                e->value));
    if (strcmp(key, "init") == 0)
        return copy_or_null(run, e->value, &run->init);
    if (strcmp(key, "out") == 0)
        return copy_or_null(run, e->value, &run->out);
    if (strcmp(key, "train.cache") == 0)
        return copy_or_null(run, e->value, &run->cache);
    if (strcmp(key, "ce_weight") == 0)
        return set_amount(e, &run->ce_weight);
    if (strcmp(key, "train.decay_epochs") == 0)
        return set_decays(run, e);
    if (strncmp(key, "train.", 6) == 0)
        return lmb__config_at(e->origin,
            lmb_opt_set(
                lmb_train_opts_table, &run->train, "train", key + 6, e->value));
    const int index = list_index(key, "teachers.", &field);
    return index >= 0 ? set_teacher(run, e, index, field) : LMB_OK;
}

static lmb_status set_option_key(lmb_run_config *run, const lmb_config_entry *e)
{
    const char *key = e->key;
    const char *field;
    if (strncmp(key, "method.", 7) == 0)
        return set_by_name(run, e, key + 7);
    int index = list_index(key, "stages.", &field);
    if (index >= 0)
        return set_stage(run, e, index, field);
    index = list_index(key, "methods.", &field);
    if (index >= run->n_methods)
        return LMB_FAIL(LMB_EUSAGE, "%s: methods: item %d has no name",
            e->origin, index + 1);
    if (index >= 0)
        return strcmp(field, "name") == 0
            ? LMB_OK
            : set_method_key(run, e, &run->methods[index], field, field);
    const char *dot = strchr(key, '.');
    if (dot == NULL || strncmp(key, "train.", 6) == 0 ||
        strncmp(key, "data.", 5) == 0 || strncmp(key, "teachers.", 9) == 0)
        return LMB_OK;
    return set_section(run, e);
}

static lmb_status check_norms(const lmb_run_config *run)
{
    for (int i = 0; i < run->n_teachers; i++)
        if (run->teachers[i].has_mean != run->teachers[i].has_std)
            return LMB_FAIL(LMB_EUSAGE,
                "teachers.%d: mean and std (--teacher-mean, --teacher-std) go "
                "together",
                i);
    return LMB_OK;
}

/* Every option together: what single keys cannot show (phase_groups). */
static lmb_status check_methods(const lmb_run_config *run)
{
    for (int i = 0; i < run->n_methods; i++) {
        const lmb_method_config *m = &run->methods[i];
        const lmb_method *method = lmb_method_find(m->name);
        void *state = NULL;
        const lmb_status st =
            lmb_method_new(method, m->n_options, m->key, m->value, &state);
        lmb_method_free(method, state);
        LMB_TRY(lmb__config_at("method", st));
    }
    return LMB_OK;
}

static lmb_status store_options(lmb_run_config *run, const char *where,
    lmb_method_config *method, const char *const *row)
{
    for (; row != NULL && row[0] != NULL; row += 2)
        LMB_TRY(store_option(run, where, method, row[0], row[1]));
    return LMB_OK;
}

/* Before the user's own, which take their place. */
static lmb_status set_detector_options(lmb_run_config *run, bool two_stage)
{
    for (int i = 0; i < run->n_methods; i++) {
        lmb_method_config *method = &run->methods[i];
        const lmb_method *m = lmb_method_find(method->name);
        if (m == NULL)
            continue;
        LMB_TRY(store_options(run, "detectors", method, m->detector_options));
        if (two_stage)
            LMB_TRY(store_options(
                run, "two-stage detectors", method, m->two_stage_options));
        if (two_stage && m->two_stage_weight > 0)
            method->weight = m->two_stage_weight;
    }
    return LMB_OK;
}

/* A classifier's pictures have no such options. */
static lmb_status refuse_boxes(const lmb_config *c)
{
    static const char *const keys[] = {"data.short_side", "data.short_least",
        "data.mosaic", "data.max_sizes", "data.max_boxes", "data.label_by",
        "data.filter_empty"};
    for (size_t i = 0; i < LMB_COUNT(keys); i++)
        if (lmb_config_find(c, keys[i]) != NULL)
            return LMB_FAIL(LMB_EUSAGE,
                "%s is for detectors, and the model is a classifier", keys[i]);
    return LMB_OK;
}

/* What a detector's run takes where nobody said otherwise: mmdetection's 1x
 * schedule, in smaller batches; and the methods' values for detectors. */
static lmb_status set_detector_defaults(
    const lmb_config *c, lmb_run_config *run)
{
    static const char *const rows[][2] = {{"epochs", "12"}, {"batch", "8"},
        {"weight_decay", "0.0001"}, {"clip_norm", "35"},
        {"teacher_check", "100"}};
    lmb_model_spec spec;
    if (run->student == NULL)
        return LMB_OK;
    LMB_TRY(lmb_model_spec_parse(run->student, &spec));
    if (spec.model->postprocess == NULL)
        return refuse_boxes(c);
    if (run->train.augment != LMB_AUGMENT_DEFAULT)
        return LMB_FAIL(LMB_EUSAGE,
            "train.augment is for classifiers; the pictures of detectors are "
            "varied by data.flip, data.jitter, data.hue, data.short_least and "
            "data.mosaic");
    if (run->pictures.flip < 0)
        run->pictures.flip = LMB_USUAL_FLIP;
    for (size_t i = 0; i < LMB_COUNT(rows); i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "train.%s", rows[i][0]);
        if (lmb_config_find(c, key) == NULL)
            LMB_TRY(lmb_opt_set(lmb_train_opts_table, &run->train, "train",
                rows[i][0], rows[i][1]));
    }
    return set_detector_options(run, spec.model->box_code == NULL);
}

lmb_status lmb_config_resolve(const lmb_config *c, lmb_run_config *run)
{
    LMB_TRY(find_methods(c, run));
    LMB_TRY(find_teachers(c, run));
    for (size_t i = 0; i < c->count; i++)
        LMB_TRY(set_key(run, &c->entries[i]));
    if (run->pictures.flip < 0 && run->pictures.flip != -1)
        return LMB_FAIL(LMB_EUSAGE, "data.flip: %g is not in 0 .. 1, nor -1",
            run->pictures.flip);
    LMB_TRY(set_detector_defaults(c, run));
    for (int i = 0; i < run->n_methods; i++)
        find_preset(c, run, i);
    for (size_t i = 0; i < c->count; i++)
        LMB_TRY(set_option_key(run, &c->entries[i]));
    set_own_teachers(run);
    LMB_TRY(check_norms(run));
    return check_methods(run);
}
