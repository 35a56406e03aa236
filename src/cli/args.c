/* args.c: reading the command line into flags and words. */
#include "cli/cli.h"
#include "cli/cli_impl.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Flags of every command. */
static const cli_flag common[] = {
    {"json", NULL, "machine-readable results on standard output", NULL, NULL},
    {"quiet", NULL, "no progress, no warnings, only errors", "q", NULL},
    {"help", NULL, "this text", "h", NULL},
    {0},
};

const cli_flag *cli_common_flags(void)
{
    return common;
}

void cli_fini(cli *c)
{
    lmb_free(c->given);
    lmb_free((void *)c->words);
    lmb_arena_free(c->arena);
    *c = (cli){0};
}

/* Equal without regard to case and to '-' or '_'? */
static bool same_name(const char *a, size_t na, const char *b)
{
    if (na != strlen(b))
        return false;
    for (size_t i = 0; i < na; i++) {
        const int x = a[i] == '_' ? '-' : tolower((unsigned char)a[i]);
        const int y = b[i] == '_' ? '-' : tolower((unsigned char)b[i]);
        if (x != y && (na > 1 || a[i] != b[i]))
            return false;
        if (na == 1 && a[i] != b[i])
            return false;
    }
    return true;
}

bool cli_among(const char *list, const char *name)
{
    while (list != NULL && *list != '\0') {
        const size_t n = strcspn(list, "|");
        if (same_name(list, n, name))
            return true;
        list += n;
        list += *list == '|';
    }
    return false;
}

static const cli_flag *find_in(const cli_flag *flags, const char *name)
{
    for (; flags != NULL && flags->name != NULL; flags++)
        if (same_name(flags->name, strlen(flags->name), name) ||
            cli_among(flags->aliases, name))
            return flags;
    return NULL;
}

static const cli_flag *find_flag(const cli *c, const char *name)
{
    const cli_flag *f = find_in(c->command->flags, name);
    if (f == NULL)
        f = find_in(common, name);
    return f != NULL ? f : cli_config_flag_find(c, c->command->config, name);
}

/* --- an unknown flag */

typedef struct names {
    const char *name[384];
    size_t count;
    lmb_arena *arena; /* of aliases */
} names;

static void add_name(names *n, const char *name)
{
    if (name != NULL && n->count < LMB_COUNT(n->name))
        n->name[n->count++] = name;
}

static void collect(void *user, const cli_flag *flag)
{
    names *n = user;
    add_name(n, flag->name);
    for (const char *at = flag->aliases; at != NULL && *at != '\0';) {
        const size_t length = strcspn(at, "|");
        add_name(n, lmb_arena_printf(n->arena, "%.*s", (int)length, at));
        at += length + (at[length] == '|');
    }
}

/* A name of three letters or less is near to too many others. */
static bool is_near(const char *near, const char *name)
{
    return near != NULL && name[1] != '\0' &&
        (strlen(name) > 3 || near[0] == name[0]);
}

static lmb_status unknown_flag(const cli *c, const char *arg, const char *name)
{
    const char *dashes = arg[1] == '-' || name[1] != '\0' ? "--" : "-";
    names all = {.arena = c->arena};
    for (const cli_flag *f = c->command->flags; f && f->name != NULL; f++)
        collect(&all, f);
    for (const cli_flag *f = common; f->name != NULL; f++)
        collect(&all, f);
    cli_config_flags(c, c->command->config, collect, &all);
    const char *near = lmb_str_nearest(name, all.name, all.count);
    if (is_near(near, name))
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck %s: unknown flag --%s; did you mean --%s?",
            c->command->name, name, near);
    if (strcmp(c->command->name, "train") == 0 &&
        cli_config_flag_find(c, "*", name) != NULL)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck train: unknown flag --%s; `limbeck distill` has it", name);
    return LMB_FAIL(LMB_EUSAGE,
        "limbeck %s: unknown flag %s%s; see `limbeck help %s`",
        c->command->name, dashes, name, c->command->name);
}

/* --- parsing */

static lmb_status give(
    cli *c, const cli_flag *flag, const char *spelled, const char *value)
{
    LMB_TRY(LMB_GROW(c->given, c->n_given, c->capacity));
    c->given[c->n_given++] = (cli_given){flag, spelled, value};
    c->json = c->json || strcmp(flag->name, "json") == 0;
    c->quiet = c->quiet || strcmp(flag->name, "quiet") == 0;
    return LMB_OK;
}

/* "a.b=c" alone is what others spell --set a.b=c. */
static lmb_status add_word(cli *c, const char *word)
{
    const cli_flag *set = cli_config_flag_find(c, c->command->config, "set");
    if (set != NULL && strchr(word, '=') != NULL)
        return give(c, set, "--set", word);
    if ((int)c->n_words >= c->command->max_words)
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck %s: '%s' is one argument too many; usage: limbeck %s %s",
            c->command->name, word, c->command->name, c->command->usage);
    LMB_TRY(LMB_GROW(c->words, c->n_words, c->words_capacity));
    c->words[c->n_words++] = word;
    return LMB_OK;
}

/* One flag at argv[*i]; moves *i past a value of its own. */
static lmb_status read_flag(cli *c, int *i)
{
    const char *arg = c->argv[*i];
    const char *body = arg + (arg[1] == '-' ? 2 : 1);
    const size_t length = strcspn(body, "=");
    char *name = lmb_arena_copy(c->arena, body, length + 1);
    char *spelled =
        lmb_arena_copy(c->arena, arg, (size_t)(body - arg) + length + 1);
    if (name == NULL || spelled == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: command line");
    name[length] = '\0';
    spelled[(size_t)(body - arg) + length] = '\0';
    const cli_flag *flag = find_flag(c, name);
    if (flag == NULL && strncmp(name, "no-", 3) == 0 && body[length] == '\0') {
        flag = find_flag(c, name + 3);
        if (flag != NULL && flag->value == NULL && flag->key != NULL)
            return give(c, flag, spelled, "false");
        flag = NULL;
    }
    if (flag == NULL)
        return unknown_flag(c, arg, name);
    const bool has_value = body[length] == '=';
    if (flag->value == NULL) {
        if (has_value && flag->key == NULL)
            return LMB_FAIL(LMB_EUSAGE, "limbeck %s: %s takes no value",
                c->command->name, spelled);
        return give(c, flag, spelled, has_value ? body + length + 1 : "");
    }
    if (has_value)
        return give(c, flag, spelled, body + length + 1);
    if (*i + 1 >= c->argc || strncmp(c->argv[*i + 1], "--", 2) == 0)
        return LMB_FAIL(LMB_EUSAGE, "limbeck %s: %s needs a value (%s)",
            c->command->name, spelled, flag->value);
    *i += 1;
    return give(c, flag, spelled, c->argv[*i]);
}

lmb_status cli_parse(cli *c, int from)
{
    bool only_words = false;
    for (int i = from; i < c->argc; i++) {
        const char *arg = c->argv[i];
        if (!only_words && strcmp(arg, "--") == 0)
            only_words = true;
        else if (!only_words && arg[0] == '-' && arg[1] != '\0')
            LMB_TRY(read_flag(c, &i));
        else
            LMB_TRY(add_word(c, arg));
    }
    return LMB_OK;
}

/* --- what was given */

const char *cli_value(const cli *c, const char *name)
{
    for (size_t i = c->n_given; i > 0; i--)
        if (strcmp(c->given[i - 1].flag->name, name) == 0)
            return c->given[i - 1].value;
    return NULL;
}

bool cli_has(const cli *c, const char *name)
{
    return cli_value(c, name) != NULL;
}

lmb_status cli_f64(
    const cli *c, const char *name, double low, double high, double *inout)
{
    const char *text = cli_value(c, name);
    double value = 0;
    if (text == NULL)
        return LMB_OK;
    if (!lmb_parse_f64(text, &value) || !(value >= low && value <= high))
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck %s: --%s: '%s' is not a number in %g .. %g",
            c->command->name, name, text, low, high);
    *inout = value;
    return LMB_OK;
}

lmb_status cli_i64(
    const cli *c, const char *name, int64_t low, int64_t high, int64_t *inout)
{
    double value = (double)*inout;
    LMB_TRY(cli_f64(c, name, (double)low, (double)high, &value));
    if (value != floor(value))
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck %s: --%s: '%s' is not a whole number", c->command->name,
            name, cli_value(c, name));
    *inout = (int64_t)value;
    return LMB_OK;
}

lmb_status cli_need(const cli *c, const char *name, const char **out)
{
    *out = cli_value(c, name);
    if (*out == NULL || **out == '\0')
        return LMB_FAIL(LMB_EUSAGE,
            "limbeck %s: --%s is missing; usage: limbeck %s %s",
            c->command->name, name, c->command->name, c->command->usage);
    return LMB_OK;
}

lmb_status cli_need_words(const cli *c, size_t count, const char *what)
{
    if (c->n_words >= count)
        return LMB_OK;
    return LMB_FAIL(LMB_EUSAGE, "limbeck %s: %s missing; usage: limbeck %s %s",
        c->command->name, what, c->command->name, c->command->usage);
}
