/* opt.c: option tables: defaults, parsing, range errors, help. */
#include "base/opt.h"

#include <math.h>
#include <string.h>

static void store(const lmb_opt *row, void *state, double value)
{
    char *at = (char *)state + row->offset;
    switch (row->type) {
    case LMB_OPT_F64:
        *(double *)(void *)at = value;
        break;
    case LMB_OPT_I64:
        *(int64_t *)(void *)at = (int64_t)value;
        break;
    case LMB_OPT_BOOL:
        *(bool *)(void *)at = value != 0;
        break;
    case LMB_OPT_ENUM:
        *(int32_t *)(void *)at = (int32_t)value;
        break;
    }
}

static double load(const lmb_opt *row, const void *state)
{
    const char *at = (const char *)state + row->offset;
    switch (row->type) {
    case LMB_OPT_F64:
        return *(const double *)(const void *)at;
    case LMB_OPT_I64:
        return (double)*(const int64_t *)(const void *)at;
    case LMB_OPT_BOOL:
        return *(const bool *)(const void *)at;
    case LMB_OPT_ENUM:
        return *(const int32_t *)(const void *)at;
    }
    return 0;
}

void lmb_opt_defaults(const lmb_opt *table, void *state)
{
    for (; table != NULL && table->name != NULL; table++)
        store(table, state, table->def);
}

/* The index of `word` in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    const size_t n = strlen(word);
    int index = 0;
    for (const char *at = choices; n > 0; index++) {
        const char *end = strchr(at, '|');
        const size_t length = end != NULL ? (size_t)(end - at) : strlen(at);
        char copy[128];
        if (length < sizeof copy) {
            memcpy(copy, at, length);
            copy[length] = '\0';
            if (lmb_str_equal_nocase(copy, word))
                return index;
        }
        if (end == NULL)
            break;
        at = end + 1;
    }
    return -1;
}

const lmb_opt *lmb_opt_find(const lmb_opt *table, const char *name)
{
    for (; table != NULL && table->name != NULL; table++)
        if (lmb_str_equal_nocase(table->name, name) ||
            (table->aliases != NULL && choice_index(table->aliases, name) >= 0))
            return table;
    return NULL;
}

static lmb_status unknown_option(
    const lmb_opt *table, const char *scope, const char *name)
{
    enum { MOST = 64 };
    const char *names[MOST] = {NULL};
    size_t count = 0;
    for (const lmb_opt *row = table;
         row != NULL && row->name != NULL && count < MOST; row++)
        names[count++] = row->name;
    const char *near = lmb_str_nearest(name, names, count);
    if (near != NULL)
        return LMB_FAIL(LMB_EINVAL,
            "%s: unknown option '%s'; did you mean '%s'?", scope, name, near);
    lmb_str all = {0};
    for (size_t i = 0; i < count; i++)
        lmb_str_printf(&all, "%s%s", i > 0 ? ", " : "", names[i]);
    lmb_status st = LMB_FAIL(LMB_EINVAL, "%s: unknown option '%s'; it has %s",
        scope, name, count > 0 && all.text != NULL ? all.text : "none");
    lmb_str_fini(&all);
    return st;
}

lmb_status lmb_opt_set(const lmb_opt *table, void *state, const char *scope,
    const char *name, const char *value)
{
    const lmb_opt *row = lmb_opt_find(table, name);
    if (row == NULL)
        return unknown_option(table, scope, name);
    double number = 0;
    if (row->type == LMB_OPT_ENUM) {
        const int index = choice_index(row->choices, value);
        if (index < 0)
            return LMB_FAIL(LMB_EINVAL, "%s.%s: '%s' is not one of %s", scope,
                row->name, value, row->choices);
        number = index;
    } else if (row->type == LMB_OPT_BOOL) {
        const int index = choice_index("false|true|off|on|no|yes|0|1", value);
        if (index < 0)
            return LMB_FAIL(LMB_EINVAL, "%s.%s: '%s' is neither true nor false",
                scope, row->name, value);
        number = index % 2;
    } else {
        if (!lmb_parse_f64(value, &number))
            return LMB_FAIL(LMB_EINVAL, "%s.%s: '%s' is not a number", scope,
                row->name, value);
        if (row->type == LMB_OPT_I64 && number != floor(number))
            return LMB_FAIL(LMB_EINVAL, "%s.%s: %s is not a whole number",
                scope, row->name, value);
        if (number < row->low || number > row->high)
            return LMB_FAIL(LMB_EINVAL, "%s.%s: %s is outside %g .. %g", scope,
                row->name, value, row->low, row->high);
    }
    store(row, state, number);
    return LMB_OK;
}

void lmb_opt_print(const lmb_opt *row, const void *state, lmb_str *out)
{
    const double value = load(row, state);
    if (row->type == LMB_OPT_BOOL) {
        lmb_str_add(out, value != 0 ? "true" : "false");
    } else if (row->type == LMB_OPT_ENUM) {
        const char *at = row->choices;
        for (int i = 0; i < (int)value && strchr(at, '|') != NULL; i++)
            at = strchr(at, '|') + 1;
        lmb_str_add_bytes(out, at, strcspn(at, "|"));
    } else {
        lmb_str_json_number(out, value);
    }
}

void lmb_opt_help(const lmb_opt *table, lmb_str *out)
{
    for (; table != NULL && table->name != NULL; table++) {
        const char *choices =
            table->type == LMB_OPT_BOOL ? "true|false" : table->choices;
        lmb_str value = {0};
        lmb_str_printf(&value, "%s=", table->name);
        if (table->type == LMB_OPT_ENUM) {
            int32_t index = (int32_t)table->def;
            lmb_opt copy = *table;
            copy.offset = 0;
            lmb_opt_print(&copy, &index, &value);
        } else if (table->type == LMB_OPT_BOOL) {
            lmb_str_add(&value, table->def != 0 ? "true" : "false");
        } else {
            lmb_str_json_number(&value, table->def);
        }
        lmb_str_printf(
            out, "  %-28s %s", value.text ? value.text : "", table->help);
        if (choices != NULL)
            lmb_str_printf(out, " (%s)\n", choices);
        else
            lmb_str_printf(out, " (%g .. %g)\n", table->low, table->high);
        lmb_str_fini(&value);
    }
}
