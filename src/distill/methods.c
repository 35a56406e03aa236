/* methods.c: the table of methods, and what all of them share: finding,
 * configuring, choosing the compared taps, counting phases. */
#include "distill/method.h"

#include <math.h>
#include <string.h>

#define LMB_METHOD(name) extern const lmb_method lmb_method_##name;
#include "distill/methods.def"
#undef LMB_METHOD

static const lmb_method *const all_methods[] = {
#define LMB_METHOD(name) &lmb_method_##name,
#include "distill/methods.def"
#undef LMB_METHOD
};

const lmb_method *const *lmb_methods(int *count)
{
    *count = (int)LMB_COUNT(all_methods);
    return all_methods;
}

const lmb_method *lmb_method_find(const char *name)
{
    for (size_t i = 0; i < LMB_COUNT(all_methods); i++)
        if (lmb_str_equal_nocase(all_methods[i]->name, name))
            return all_methods[i];
    return NULL;
}

lmb_status lmb_method_get(const char *name, const lmb_method **out)
{
    *out = lmb_method_find(name);
    if (*out != NULL)
        return LMB_OK;
    const char *names[LMB_COUNT(all_methods)];
    for (size_t i = 0; i < LMB_COUNT(all_methods); i++)
        names[i] = all_methods[i]->name;
    const char *near = lmb_str_nearest(name, names, LMB_COUNT(names));
    if (near != NULL)
        return LMB_FAIL(
            LMB_EINVAL, "unknown method '%s'; did you mean '%s'?", name, near);
    lmb_str list = {0};
    for (size_t i = 0; i < LMB_COUNT(names); i++)
        lmb_str_printf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
    const lmb_status st =
        LMB_FAIL(LMB_EINVAL, "unknown method '%s'; there are %s", name,
            list.text != NULL ? list.text : "none");
    lmb_str_fini(&list);
    return st;
}

/* Stores the options and calls resolve with the rows' own names. */
static lmb_status configure(const lmb_method *m, void *state, int n,
    const char *const *key, const char *const *value, const char **given)
{
    lmb_opt_defaults(m->opts, state);
    for (int i = 0; i < n; i++) {
        LMB_TRY(lmb_opt_set(m->opts, state, m->name, key[i], value[i]));
        given[i] = lmb_opt_find(m->opts, key[i])->name;
    }
    if (m->resolve != NULL)
        LMB_TRY(m->resolve(state, given, n));
    return LMB_OK;
}

lmb_status lmb_method_new(const lmb_method *m, int n, const char *const *key,
    const char *const *value, void **out)
{
    lmb_status st = LMB_OK;
    char *state = NULL;
    const char **given = NULL;
    LMB_GOTO(LMB_NEW(state, m->state_size), st, done);
    LMB_GOTO(LMB_NEW(given, n), st, done);
    LMB_GOTO(configure(m, state, n, key, value, given), st, done);
    *out = state;
    state = NULL;
done:
    lmb_free(given);
    lmb_method_free(m, state);
    return st;
}

void lmb_method_free(const lmb_method *m, void *state)
{
    if (state != NULL && m->fini != NULL)
        m->fini(state);
    lmb_free(state);
}

bool lmb_method_is_given(const char *name, const char *const *given, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(given[i], name) == 0)
            return true;
    return false;
}

/* `wrong`: the status of a name that is no tap. */
static lmb_status check_name(const lmb_method *m, lmb_status wrong,
    const char *side, const lmb_taps *taps, const char *name)
{
    if (name == NULL || lmb_taps_find(taps, name) != NULL)
        return LMB_OK;
    lmb_str list = {0};
    for (int i = 0; i < taps->count; i++)
        lmb_str_printf(&list, "%s%s", i > 0 ? ", " : "", taps->taps[i].name);
    const lmb_status st =
        LMB_FAIL(wrong, "%s: the %s has no tap '%s'; it has %s", m->name, side,
            name, list.text != NULL ? list.text : "none");
    lmb_str_fini(&list);
    return st;
}

lmb_status lmb_method_pairs(const lmb_method *m, const void *state,
    const lmb_taps *student, const lmb_taps *teacher, int n_map,
    const lmb_pairing *map, lmb_pairs *out)
{
    lmb_pairs pairs = {.count = 0};
    for (int i = 0; i < n_map; i++)
        LMB_TRY(lmb_pairs_add(&pairs, map[i].student, map[i].teacher));
    const lmb_status st =
        n_map == 0 ? m->pairs(state, student, teacher, &pairs) : LMB_OK;
    if (st != LMB_OK)
        return lmb__wrap(st, "%s", m->name);
    /* A map is the user's. */
    const lmb_status wrong = n_map > 0 ? LMB_EINVAL : LMB_ENOTFOUND;
    for (int i = 0; i < pairs.count; i++) {
        const lmb_pairing *p = &pairs.pair[i];
        LMB_TRY(check_name(m, wrong, "student", student, p->student));
        LMB_TRY(check_name(m, wrong, "teacher", teacher, p->teacher));
    }
    *out = pairs;
    return LMB_OK;
}

int lmb_method_phases(const lmb_method *m, const void *state)
{
    double each = 0;
    return m->phases != NULL ? m->phases(state, &each) : 1;
}

int lmb_method_phase(const lmb_method *m, const void *state, int64_t epoch,
    int64_t epochs, double warmup)
{
    double each = 0;
    const int count = m->phases != NULL ? m->phases(state, &each) : 1;
    if (each <= 0)
        each = ((double)epochs - warmup) / count;
    const double past = (double)(epoch - 1) - warmup;
    if (count <= 1 || past <= 0)
        return 0;
    if (!(each > 0) || past / each >= count)
        return count - 1;
    return (int)floor(past / each);
}
