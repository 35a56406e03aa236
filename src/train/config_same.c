/* config_same.c: whether a run that goes on is the run that was begun.
 *
 * Both configurations are spelt out, as their config.yaml would be, and
 * compared key by key. A default counts as its value where one of them spells
 * it; paths by the files that they lead to. */
#include "train/config_impl.h"

#include "base/file.h"
#include "train/run_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- defaults ------------------------------------------------------------- */

/* Then the usual decays are those of the run. */
static bool has_one_stage(const lmb_run_config *c)
{
    bool one = c->n_stages <= 1 && c->n_teachers <= 1;
    for (int i = 0; i < c->n_methods; i++)
        one = one && lmb_method_find(c->methods[i].name)->stages == NULL;
    return one;
}

/* As lmb_task_weight has it; stages with methods of their own may differ. */
static double usual_weight(const lmb_run_config *c, bool boxes)
{
    for (int i = 0; i < c->n_stages; i++)
        if (c->stages[i].has_methods)
            return NAN;
    return c->n_methods == 0 || boxes
        ? 1
        : lmb_method_find(c->methods[0].name)->ce_weight;
}

static void fill_train(
    lmb_run_config *c, const lmb_run_config *other, const lmb_model *m)
{
    lmb_train_opts *t = &c->train;
    const lmb_train_opts *o = &other->train;
    const bool boxes = m->postprocess != NULL;
    if (t->lr <= 0 && o->lr > 0)
        t->lr = lmb_usual_lr(t, m);
    if (t->warmup_epochs < 0 && o->warmup_epochs >= 0 && !boxes)
        t->warmup_epochs = 0;
    if (t->eval_batch == 0 && o->eval_batch > 0)
        t->eval_batch = lmb_eval_batch(0, boxes);
    if (c->n_decays < 0 && other->n_decays >= 0 && has_one_stage(c))
        c->n_decays =
            lmb_usual_decays(boxes, (double)t->epochs, c->decay_epochs);
    /* What the machine decides is compared when it is known (run_open.c). */
    if (t->threads == 0)
        t->threads = o->threads;
    if (t->precision == LMB_PRECISION_AUTO)
        t->precision = o->precision;
}

static void fill_teachers(lmb_run_config *c, const lmb_run_config *other)
{
    for (int i = 0; i < c->n_teachers && i < other->n_teachers; i++) {
        lmb_teacher_config *t = &c->teachers[i];
        const lmb_teacher_config *o = &other->teachers[i];
        if (t->model == NULL)
            t->model = o->model; /* the file names it, and the state knows it */
        if (t->input <= 0 && o->input > 0)
            t->input = 1;
    }
}

/* What `c` leaves open and `other` spells. */
static lmb_status fill_defaults(lmb_run_config *c, const lmb_run_config *other)
{
    lmb_model_spec spec;
    if (c->train_split == NULL && other->train_split != NULL)
        c->train_split = "train";
    if (c->test_split == NULL && other->test_split != NULL)
        c->test_split = "test";
    fill_teachers(c, other);
    if (c->student == NULL)
        return LMB_OK;
    LMB_TRY(lmb_model_spec_parse(c->student, &spec));
    if (isnan(c->ce_weight) && !isnan(other->ce_weight))
        c->ce_weight = usual_weight(c, spec.model->postprocess != NULL);
    fill_train(c, other, spec.model);
    return LMB_OK;
}

/* --- one key -------------------------------------------------------------- */

/* Its value may differ when a run goes on. */
static bool is_free(const char *key)
{
    static const char *const keys[] = {"train.loader_threads",
        "train.save_every", "train.save_minutes", "train.log_every",
        "train.teacher_check", "train.cache", "out"};
    for (size_t i = 0; i < LMB_COUNT(keys); i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static bool is_field(const char *key, const char *list, const char *field)
{
    return strncmp(key, list, strlen(list)) == 0 &&
        lmb_str_ends_with(key, field);
}

/* "idx:DIR", twice. */
static bool is_same_data(const char *x, const char *y, bool saved)
{
    char kind[2][64];
    const size_t n = strcspn(x, ":"), m = strcspn(y, ":");
    (void)snprintf(kind[0], sizeof kind[0], "%.*s", (int)n, x);
    (void)snprintf(kind[1], sizeof kind[1], "%.*s", (int)m, y);
    if (!lmb_str_equal_nocase(kind[0], kind[1]) || x[n] != y[m])
        return false;
    return x[n] == '\0' || saved || lmb_path_same(x + n + 1, y + m + 1);
}

/* saved: the state of the run tells whether data and weights are its own,
 * wherever they lie by now. */
static bool is_same(const char *key, const char *x, const char *y, bool saved)
{
    if (is_free(key))
        return true;
    if (x == NULL || y == NULL)
        return false;
    if (strcmp(x, y) == 0)
        return true;
    if (strcmp(key, "data.spec") == 0)
        return is_same_data(x, y, saved);
    if (is_field(key, "teachers.", ".model"))
        return lmb_str_equal_nocase(x, y);
    if (strcmp(key, "init") == 0)
        return lmb_path_same(x, y);
    if (is_field(key, "teachers.", ".weights") ||
        is_field(key, "data.", ".json") || is_field(key, "data.", ".images"))
        return saved || lmb_path_same(x, y);
    return false;
}

static lmb_status differ(const char *key, const char *x, const char *y)
{
    static const char advice[] = "leave it out, or start a new run";
    const char *dot = strrchr(key, '.');
    const char *name = dot != NULL ? dot + 1 : key;
    const char *old = x != NULL ? x : "", *now = y != NULL ? y : "";
    if (x == NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "%s: the run to resume has nothing, its default, not '%s: %s': %s",
            key, name, now, advice);
    if (y == NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "%s: the run to resume has '%s: %s', not nothing: %s", key, name,
            old, advice);
    return LMB_FAIL(LMB_EUSAGE,
        "%s: the run to resume has '%s: %s', not '%s: %s': %s", key, name, old,
        name, now, advice);
}

/* --- all of them ---------------------------------------------------------- */

static lmb_status spell_out(
    const lmb_run_config *run, const lmb_run_config *other, lmb_config *out)
{
    lmb_run_config full = *run;
    lmb_str text = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(fill_defaults(&full, other), st, done);
    LMB_GOTO(lmb__config_absolute(&full), st, done);
    LMB_GOTO(lmb_config_dump(&full, NULL, &text), st, done);
    LMB_GOTO(lmb_config_parse(out, text.text, text.length, LMB_RUN_CONFIG), st,
        done);
done:
    lmb_str_fini(&text);
    return st;
}

static const char *value_of(const lmb_config *c, const char *key)
{
    const lmb_config_entry *e = lmb_config_find(c, key);
    return e != NULL ? e->value : NULL;
}

static lmb_status compare(const lmb_config *x, const lmb_config *y, bool saved)
{
    for (size_t i = 0; i < y->count; i++) {
        const lmb_config_entry *e = &y->entries[i];
        const char *old = value_of(x, e->key);
        if (!is_same(e->key, old, e->value, saved))
            return differ(e->key, old, e->value);
    }
    for (size_t i = 0; i < x->count; i++) {
        const lmb_config_entry *e = &x->entries[i];
        if (!is_free(e->key) && value_of(y, e->key) == NULL)
            return differ(e->key, e->value, NULL);
    }
    return LMB_OK;
}

static lmb_status has_state(const lmb_run_config *run, bool *out)
{
    *out = false;
    if (run->out == NULL)
        return LMB_OK;
    const char *path =
        lmb_arena_printf(run->arena, "%s/" LMB_RUN_LAST, run->out);
    if (path == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: path");
    *out = lmb_path_exists(path);
    return LMB_OK;
}

lmb_status lmb_config_same_run(const lmb_run_config *a, const lmb_run_config *b)
{
    lmb_config x = {0}, y = {0};
    bool saved = false;
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_config_init(&x), st, done);
    LMB_GOTO(lmb_config_init(&y), st, done);
    LMB_GOTO(spell_out(a, b, &x), st, done);
    LMB_GOTO(spell_out(b, a, &y), st, done);
    LMB_GOTO(has_state(b, &saved), st, done);
    LMB_GOTO(compare(&x, &y, saved), st, done);
done:
    lmb_config_fini(&x);
    lmb_config_fini(&y);
    return st;
}
