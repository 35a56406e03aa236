/* config_flags.c: the flags that set keys of the configuration.
 *
 * Those of the `train:` section come from its option table: a row `val_split`
 * is the flag --val-split. */
#include "cli/cli.h"
#include "cli/cli_impl.h"

#include "train/build_info.h"

#include <stdio.h>
#include <string.h>

static const cli_flag flags[] = {
    {"config", "FILE", "a YAML file; flags win over it", "c|cfg|config-file",
        NULL},
    {"set", "KEY=VALUE", "any key of the configuration (repeats)",
        "cfg-options", NULL},
    {"model", "NAME", "the network (`limbeck list models`)", NULL, "student"},
    {"student", "NAME", "the network to train", "model-s", "student"},
    {"teacher", "NAME", "its model; if its file does not say (repeats: stages)",
        "model-t", "teachers"},
    {"teacher-weights", "FILE", "weights of the teacher (repeats)",
        "t-weights|path-t|teacher-ckpt", "teachers.0.weights"},
    {"teacher-mean", "R,G,B", "mean of the teacher's input, pixels in 0 .. 1",
        NULL, "teachers.0.mean"},
    {"teacher-std", "R,G,B", "and its deviation", NULL, "teachers.0.std"},
    {"teacher-input", "X",
        "its input size as a factor on the student's, of the teacher before it",
        NULL, "teachers.0.input"},
    {"data", "KIND:DIR", "data set (`limbeck list datasets`)", NULL,
        "data.spec"},
    {"train-split", "NAME", "what to train on (train)", NULL,
        "data.train_split"},
    {"split", "NAME", "what to evaluate on (test)", "test-split",
        "data.test_split"},
    {"classes", "N", "number of classes, if neither weights nor data say", NULL,
        "data.classes"},
    {"method", "NAME[,NAME]", "distillation method (`limbeck list methods`)",
        "distill", "methods"},
    {"temperature", "T", "of the one method: method.temperature", "T|kd-T",
        "method.temperature"},
    {"map", "PAIRS", "taps to compare: 'teacher.f3 -> student.f2, ...'", NULL,
        "method.map"},
    {"ce-weight", "W", "weight of cross-entropy", NULL, "ce_weight"},
    {"decay-epochs", "E,E,..",
        "epochs after which the learning rate falls, of the run or of each "
        "stage that begins anew (0.625, 0.75, 0.875 of them; detectors 8/12, "
        "11/12)",
        NULL, "train.decay_epochs"},
    {"cache", "DIR", "keep the teacher's logits of each epoch, and read them",
        NULL, "train.cache"},
    {"init", "FILE", "weights to start from", NULL, "init"},
    {"out", "RUN", "directory of the run", "work-dir|output-dir|o", "out"},
    {0},
};

/* Short spellings of training options. */
static const char *short_names(const char *row)
{
    static const char *const table[][2] = {
        {"loader_threads", "j"}, {"batch", "b"}, {NULL, NULL}};
    for (int i = 0; table[i][0] != NULL; i++)
        if (strcmp(table[i][0], row) == 0)
            return table[i][1];
    return NULL;
}

/* Dashes for underscores; spellings with dots are for files alone. */
static void flag_aliases(const lmb_opt *row, char *out, size_t size)
{
    const char *letter = short_names(row->name);
    (void)snprintf(out, size, "%s", letter != NULL ? letter : "");
    for (const char *at = row->aliases; at != NULL && *at != '\0';) {
        const size_t n = strcspn(at, "|");
        const size_t used = strlen(out);
        if (memchr(at, '.', n) == NULL)
            (void)snprintf(out + used, size - used, "%s%.*s",
                used > 0 ? "|" : "", (int)n, at);
        at += n;
        at += *at == '|';
    }
}

/* The flag of a row of the training options; texts live in the arena. */
static lmb_status row_flag(
    lmb_arena *arena, const char *section, const lmb_opt *row, cli_flag *out)
{
    char aliases[96];
    flag_aliases(row, aliases, sizeof aliases);
    char *name = lmb_arena_strdup(arena, row->name);
    char *key = lmb_arena_printf(arena, "%s.%s", section, row->name);
    char *others = lmb_arena_strdup(arena, aliases);
    if (name == NULL || key == NULL || others == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: flags");
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    const bool is_on = row->type == LMB_OPT_BOOL && row->def != 0;
    const char *help = is_on
        ? lmb_arena_printf(arena, "%s (on; --no-%s)", row->help, name)
        : row->help;
    if (help == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: flags");
    const char *value = row->type == LMB_OPT_I64 ? "N" : "X";
    if (row->type == LMB_OPT_BOOL)
        value = NULL;
    else if (row->type == LMB_OPT_ENUM)
        value = row->choices;
    *out = (cli_flag){name, value, help, others, key};
    return LMB_OK;
}

lmb_status cli_config_flags_init(cli *c)
{
    const struct {
        const char *section;
        const lmb_opt *table;
    } tables[] = {
        {"data", lmb_picture_opts_table}, {"train", lmb_train_opts_table}};
    size_t count = 0;
    for (size_t k = 0; k < LMB_COUNT(tables); k++)
        for (const lmb_opt *row = tables[k].table; row->name != NULL; row++)
            count++;
    c->rows = lmb_arena_alloc(c->arena, (count + 1) * sizeof *c->rows);
    if (c->rows == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: flags");
    count = 0;
    for (size_t k = 0; k < LMB_COUNT(tables); k++)
        for (const lmb_opt *row = tables[k].table; row->name != NULL; row++)
            LMB_TRY(
                row_flag(c->arena, tables[k].section, row, &c->rows[count++]));
    return LMB_OK;
}

static bool wanted(const char *names, const char *flag)
{
    if (names == NULL || names[0] == '*')
        return names != NULL && !cli_among(names + 1, flag);
    return cli_among(names, flag);
}

void cli_config_flags(
    const cli *c, const char *names, cli_flag_visit *visit, void *user)
{
    for (const cli_flag *f = flags; f->name != NULL; f++)
        if (wanted(names, f->name))
            visit(user, f);
    for (const cli_flag *f = c->rows; f->name != NULL; f++)
        if (wanted(names, f->name))
            visit(user, f);
}

typedef struct search {
    const char *name;
    const cli_flag *found;
} search;

static void match(void *user, const cli_flag *flag)
{
    search *s = user;
    if (s->found == NULL &&
        (cli_among(flag->name, s->name) || cli_among(flag->aliases, s->name)))
        s->found = flag;
}

const cli_flag *cli_config_flag_find(
    const cli *c, const char *names, const char *name)
{
    search s = {name, NULL};
    cli_config_flags(c, names, match, &s);
    return s.found;
}

/* --- into a configuration ------------------------------------------------- */

/* --method repeats: all of them together are one list. */
static lmb_status set_methods(const cli *c, lmb_config *config)
{
    lmb_str all = {0};
    lmb_status st = LMB_OK;
    for (size_t i = 0; i < c->n_given; i++)
        if (strcmp(c->given[i].flag->name, "method") == 0)
            lmb_str_printf(
                &all, "%s%s", all.length > 0 ? ", " : "", c->given[i].value);
    LMB_GOTO(lmb_str_status(&all), st, done);
    if (all.length > 0)
        LMB_GOTO(
            lmb_config_set(config, "methods", all.text, "--method"), st, done);
done:
    lmb_str_fini(&all);
    return st;
}

/* How many flags of this name come before place `at`. */
static int given_before(const cli *c, size_t at, const char *name)
{
    int n = 0;
    for (size_t i = 0; i < at; i++)
        n += strcmp(c->given[i].flag->name, name) == 0;
    return n;
}

/* --teacher and --teacher-weights repeat: the second of a kind is about the
 * second teacher. Their companions too, if each teacher has one; else one is
 * about the teacher behind which it stands. */
static const char *repeated_key(const cli *c, size_t at, char *out, size_t size)
{
    static const char *const fields[][2] = {{"teacher", "model"},
        {"teacher-weights", "weights"}, {"teacher-mean", "mean"},
        {"teacher-std", "std"}, {"teacher-input", "input"}};
    const cli_flag *flag = c->given[at].flag;
    const int models = given_before(c, c->n_given, "teacher");
    const int weights = given_before(c, c->n_given, "teacher-weights");
    /* Of one teacher the last of two values holds, as with other flags. */
    const int last = (models > weights ? models : weights) - 1;
    for (size_t i = 0; i < LMB_COUNT(fields); i++) {
        if (strcmp(flag->name, fields[i][0]) != 0)
            continue;
        int k = given_before(c, at, flag->name);
        if (i > 1 && given_before(c, c->n_given, flag->name) <= last) {
            const int m = given_before(c, at, "teacher");
            const int w = given_before(c, at, "teacher-weights");
            k = (m > w ? m : w) - 1;
        }
        k = k < last ? k : last;
        if (k <= 0)
            break;
        (void)snprintf(out, size, "teachers.%d.%s", k, fields[i][1]);
        return out;
    }
    return flag->key;
}

lmb_status cli_config_files(const cli *c, lmb_config *config)
{
    for (size_t i = 0; i < c->n_given; i++)
        if (strcmp(c->given[i].flag->name, "config") == 0)
            LMB_TRY(lmb_config_load(config, c->given[i].value));
    return LMB_OK;
}

lmb_status cli_config_overrides(const cli *c, lmb_config *config)
{
    LMB_TRY(set_methods(c, config));
    for (size_t i = 0; i < c->n_given; i++) {
        const cli_given *g = &c->given[i];
        if (strcmp(g->flag->name, "set") == 0)
            LMB_TRY(lmb_config_assign(config, g->value, "--set"));
        if (g->flag->key == NULL || strcmp(g->flag->name, "method") == 0)
            continue;
        const bool on = g->flag->value == NULL && g->value[0] == '\0';
        char key[64];
        LMB_TRY(lmb_config_set(config, repeated_key(c, i, key, sizeof key),
            on ? "true" : g->value, g->spelled));
    }
    return LMB_OK;
}

lmb_status cli_config(const cli *c, lmb_config *config)
{
    LMB_TRY(cli_config_files(c, config));
    return cli_config_overrides(c, config);
}

lmb_status cli_run_config(const cli *c, lmb_config *config, lmb_run_config *run)
{
    LMB_TRY(cli_config(c, config));
    return lmb_config_resolve(config, run);
}

lmb_status cli_with_config(const cli *c, cli_body *body)
{
    lmb_config config = {0};
    lmb_run_config run = {0};
    lmb_status st = LMB_OK;
    LMB_GOTO(lmb_config_init(&config), st, done);
    LMB_GOTO(lmb_run_config_init(&run), st, done);
    LMB_GOTO(cli_run_config(c, &config, &run), st, done);
    (void)lmb_use_threads((int)run.train.threads);
    LMB_GOTO(body(c, &run), st, done);
done:
    lmb_run_config_fini(&run);
    lmb_config_fini(&config);
    return st;
}
