/* config.c: keys and their spellings; setting one key. */
#include "train/config.h"
#include "train/config_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

lmb_status lmb_config_init(lmb_config *c)
{
    *c = (lmb_config){.place = 1};
    return lmb_arena_new(&c->arena);
}

void lmb_config_fini(lmb_config *c)
{
    lmb_free(c->entries);
    lmb_arena_free(c->arena);
    *c = (lmb_config){0};
}

/* --- spellings ------------------------------------------------------------ */

/* Keys that are not rows of the table of training options. */
static const lmb_config_key keys[] = {
    {"student", "model|DISTILLER.STUDENT"},
    {"data.spec", "data|data.name"},
    {"data.train_split", "train_split"},
    {"data.test_split", "test_split|split"},
    {"data.classes", "classes"},
    {"data.train.json", "data.json|json"},
    {"data.train.images", "data.images|images"},
    {"data.test.json", NULL},
    {"data.test.images", NULL},
    {"methods", "method|DISTILLER.TYPE|method.name"},
    {"teachers", "teacher|teacher.model|DISTILLER.TEACHER"},
    {"teachers.0.weights", "teacher_weights|teacher.weights"},
    {"teachers.0.mean", "teacher_mean|teacher.mean"},
    {"teachers.0.std", "teacher_std|teacher.std"},
    {"teachers.0.input", "teacher_input|teacher.input"},
    {"ce_weight", "train.ce_weight"},
    {"init", NULL},
    {"out", "work_dir|output_dir"},
    {"stages", NULL},
    {"train.decay_epochs", "decay_epochs|SOLVER.LR_DECAY_STAGES"},
    {"train.cache", "cache"},
    {"train.eval_batch", "DATASET.TEST.BATCH_SIZE"},
    {NULL, NULL},
};

const lmb_config_key *lmb__config_keys(void)
{
    return keys;
}

bool lmb__config_among(const char *list, const char *word)
{
    const size_t length = strlen(word);
    while (list != NULL && *list != '\0') {
        const size_t n = strcspn(list, "|");
        size_t i = 0;
        while (i < n && i < length &&
            tolower((unsigned char)list[i]) == tolower((unsigned char)word[i]))
            i++;
        if (i == n && i == length)
            return true;
        list += n;
        list += *list == '|';
    }
    return false;
}

/* Lower case, dashes as underscores; in the arena. */
static char *tidy(lmb_arena *arena, const char *key)
{
    char *copy = lmb_arena_strdup(arena, key);
    for (char *at = copy; at != NULL && *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)tolower((unsigned char)*at);
    return copy;
}

/* "teachers.N.FIELD", "methods.N.FIELD[...]": the field, or NULL. */
static const char *field_of(const char *key, const char *list)
{
    const size_t n = strlen(list);
    if (strncmp(key, list, n) != 0 || !isdigit((unsigned char)key[n]))
        return NULL;
    const char *at = key + n + strspn(key + n, "0123456789");
    return *at == '.' ? at + 1 : NULL;
}

/* Lists of maps and the fields of their items; a dot ends what has keys of its
 * own below it. */
typedef struct list_row {
    const char *name;
    const char *fields[7];
} list_row;

static const list_row lists[] = {
    {"teachers.", {"model", "weights", "input", "mean", "std"}},
    {"stages.", {"teacher", "until", "lr", "methods"}},
    {"methods.", {"name", "weight", "warmup", "map", "schedule", "options."}},
};

/* The list that `key` is of an item of, and its field; NULL: of none. */
static const list_row *list_of(const char *key, const char **field)
{
    for (size_t i = 0; i < LMB_COUNT(lists); i++) {
        *field = field_of(key, lists[i].name);
        if (*field != NULL)
            return &lists[i];
    }
    return NULL;
}

static bool is_list_key(const char *key)
{
    const char *field = NULL;
    const list_row *l = list_of(key, &field);
    for (int i = 0; l != NULL && l->fields[i] != NULL; i++) {
        const size_t n = strlen(l->fields[i]);
        if (strncmp(field, l->fields[i], n) == 0 &&
            (field[n] == '\0') != (l->fields[i][n - 1] == '.'))
            return true;
    }
    return false;
}

/* Keys whose first part is a method's name: options of that method. */
static bool is_method_section(const char *key)
{
    char name[32];
    const size_t n = strcspn(key, ".");
    if (key[n] != '.' || n >= sizeof name)
        return false;
    memcpy(name, key, n);
    name[n] = '\0';
    return lmb_method_find(name) != NULL;
}

/* The one name of a key, in the arena; NULL if there is none such. */
static const char *canonical(lmb_arena *arena, const char *key)
{
    const char *tidied = tidy(arena, key);
    if (tidied == NULL)
        return NULL;
    for (const lmb_config_key *k = keys; k->name != NULL; k++)
        if (lmb_str_equal_nocase(k->name, tidied) ||
            lmb__config_among(k->aliases, tidied))
            return k->name;
    const bool of_train = strncmp(tidied, "train.", 6) == 0;
    const lmb_opt *row =
        lmb_opt_find(lmb_train_opts_table, tidied + (of_train ? 6 : 0));
    if (row != NULL)
        return lmb_arena_printf(arena, "train.%s", row->name);
    const bool of_data = strncmp(tidied, "data.", 5) == 0;
    row = lmb_opt_find(lmb_picture_opts_table, tidied + (of_data ? 5 : 0));
    if (row != NULL)
        return lmb_arena_printf(arena, "data.%s", row->name);
    if (strncmp(tidied, "method.", 7) == 0 || is_list_key(tidied) ||
        is_method_section(tidied))
        return tidied;
    return NULL;
}

/* --- errors --------------------------------------------------------------- */

static lmb_status no_such_key(const char *origin, const char *key)
{
    if (strncmp(key, "methods.", 8) == 0 && !(key[8] >= '0' && key[8] <= '9'))
        return LMB_FAIL(LMB_EUSAGE,
            "%s: unknown key '%s': methods is a list, of names or of - name: "
            "NAME (limbeck help config)",
            origin, key);
    return LMB_FAIL(LMB_EUSAGE,
        "%s: unknown key '%s'; `limbeck help config` lists them all", origin,
        key);
}

/* Has a method an option of this name? */
static bool is_option(const char *name)
{
    int count = 0;
    const lmb_method *const *all = lmb_methods(&count);
    for (int i = 0; i < count; i++)
        if (lmb_opt_find(all[i]->opts, name) != NULL)
            return true;
    return false;
}

/* What an unknown field of a list's item may have meant. Options of a method
 * are below `options`. */
static lmb_status unknown_field(
    const char *origin, const char *key, const list_row *l, const char *field)
{
    char part[64];
    const int before = (int)(field - key);
    size_t n = 0;
    (void)snprintf(part, sizeof part, "%.*s", (int)strcspn(field, "."), field);
    while (l->fields[n] != NULL)
        n++;
    const bool method = strcmp(l->name, "methods.") == 0;
    if (method && field[strlen(part)] == '\0' && is_option(part))
        return LMB_FAIL(LMB_EUSAGE,
            "%s: unknown key '%s'; did you mean '%.*soptions.%s'?", origin, key,
            before, key, part);
    const char *near = lmb_str_nearest(part, l->fields, n);
    if (near == NULL)
        return no_such_key(origin, key);
    return LMB_FAIL(LMB_EUSAGE,
        "%s: unknown key '%s'; did you mean '%.*s%s%s'?", origin, key, before,
        key, near, near[strlen(near) - 1] == '.' ? "KEY" : "");
}

/* What an unknown key may have meant: canonical names and their tails. */
static lmb_status unknown_key(
    lmb_arena *arena, const char *origin, const char *key)
{
    enum { MOST = 128 };
    char text[MOST][48];
    const char *names[MOST];
    size_t n = 0;
    const char *field = NULL;
    const char *tidied = tidy(arena, key);
    if (tidied == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: configuration");
    const list_row *l = list_of(tidied, &field);
    if (l != NULL)
        return unknown_field(origin, tidied, l, field);
    for (const lmb_config_key *k = keys; k->name != NULL && n + 1 < MOST; k++)
        names[n++] = k->name;
    for (const lmb_opt *row = lmb_picture_opts_table;
         row->name != NULL && n + 2 < MOST; row++) {
        names[n++] = row->name;
        (void)snprintf(text[n], sizeof text[n], "data.%s", row->name);
        names[n] = text[n];
        n++;
    }
    for (const lmb_opt *row = lmb_train_opts_table;
         row->name != NULL && n + 2 < MOST; row++) {
        names[n++] = row->name;
        (void)snprintf(text[n], sizeof text[n], "train.%s", row->name);
        names[n] = text[n];
        n++;
    }
    const char *extra[] = {"model", "teacher", "teacher_weights",
        "teacher_input", "data", "method", "teacher.weights", "teacher.input"};
    for (size_t i = 0; i < LMB_COUNT(extra) && n < MOST; i++)
        names[n++] = extra[i];
    const char *near = lmb_str_nearest(key, names, n);
    if (near != NULL)
        return LMB_FAIL(LMB_EUSAGE, "%s: unknown key '%s'; did you mean '%s'?",
            origin, key, near);
    return no_such_key(origin, key);
}

lmb_status lmb__config_at(const char *origin, lmb_status st)
{
    if (st == LMB_OK || st == LMB_ENOMEM)
        return st;
    st = lmb__wrap(st, "%s", origin);
    return st == LMB_EINVAL || st == LMB_ENOTFOUND || st == LMB_EUNSUPPORTED
        ? LMB_EUSAGE
        : st;
}

/* "a, b" is a list, "a:width=0.5,fpn_channels=64" one network. */
bool lmb__config_is_model_list(const char *text)
{
    for (const char *at = strchr(text, ','); at != NULL;
         at = strchr(at + 1, ',')) {
        const size_t n = strcspn(at + 1, ",:");
        if (memchr(at + 1, '=', n) == NULL)
            return true;
    }
    return false;
}

/* --- setting -------------------------------------------------------------- */

/* Drops `key` and everything below it. */
void lmb__config_erase(lmb_config *c, const char *key)
{
    const size_t n = strlen(key);
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        const char *k = c->entries[i].key;
        if (strncmp(k, key, n) == 0 && (k[n] == '\0' || k[n] == '.'))
            continue;
        c->entries[kept++] = c->entries[i];
    }
    c->count = kept;
}

/* The row of a canonical key "data.ROW", or NULL. */
static const lmb_opt *picture_row(const char *key)
{
    return strncmp(key, "data.", 5) == 0
        ? lmb_opt_find(lmb_picture_opts_table, key + 5)
        : NULL;
}

/* Values of training options are checked where they are set. */
static lmb_status check_value(
    const char *key, const char *value, const char *origin)
{
    if (strcmp(key, "stages") == 0)
        return LMB_FAIL(LMB_EUSAGE,
            "%s: stages: a list of maps with teacher, until, methods, lr",
            origin);
    const lmb_opt *picture = picture_row(key);
    if (picture != NULL) {
        lmb_picture_opts scratch;
        return lmb__config_at(origin,
            lmb_opt_set(
                lmb_picture_opts_table, &scratch, "data", key + 5, value));
    }
    if (strncmp(key, "train.", 6) != 0 ||
        strcmp(key, "train.decay_epochs") == 0 ||
        strcmp(key, "train.cache") == 0)
        return LMB_OK;
    lmb_train_opts scratch;
    return lmb__config_at(origin,
        lmb_opt_set(lmb_train_opts_table, &scratch, "train", key + 6, value));
}

static lmb_status put(lmb_config *c, const char *key, const char *value,
    const char *origin, const lmb_config_entry *replaced)
{
    lmb_config_entry e = {lmb_arena_strdup(c->arena, key),
        lmb_arena_strdup(c->arena, value), lmb_arena_strdup(c->arena, origin),
        c->place, replaced};
    if (e.key == NULL || e.value == NULL || e.origin == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: configuration");
    LMB_TRY(LMB_GROW(c->entries, c->count, c->capacity));
    c->entries[c->count++] = e;
    return LMB_OK;
}

/* A copy of the entry of a key; NULL if there is none. */
static lmb_status keep(lmb_config *c, const char *key, lmb_config_entry **out)
{
    const lmb_config_entry *e = lmb_config_find(c, key);
    if (e == NULL)
        return LMB_OK;
    *out = lmb_arena_alloc(c->arena, sizeof **out);
    if (*out == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: configuration");
    **out = *e;
    return LMB_OK;
}

lmb_status lmb_config_set(
    lmb_config *c, const char *key, const char *value, const char *origin)
{
    const char *name = canonical(c->arena, key);
    lmb_config_entry *replaced = NULL;
    if (name == NULL)
        return unknown_key(c->arena, origin, key);
    LMB_TRY(check_value(name, value, origin));
    /* A teacher's model says nothing about the weights given elsewhere. */
    if (strcmp(name, "teachers") == 0 && !lmb__config_is_model_list(value))
        name = "teachers.0.model";
    LMB_TRY(keep(c, name, &replaced));
    lmb__config_erase(c, name);
    if (strcmp(name, "teachers.0.model") == 0)
        lmb__config_erase(c, "teachers.0.name");
    return put(c, name, value, origin, replaced);
}

lmb_status lmb_config_assign(
    lmb_config *c, const char *assignment, const char *origin)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment)
        return LMB_FAIL(
            LMB_EUSAGE, "%s '%s': it is KEY=VALUE", origin, assignment);
    const char *from = lmb_arena_printf(c->arena, "%s %s", origin, assignment);
    char *key = lmb_arena_strdup(c->arena, assignment);
    if (key == NULL || from == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: configuration");
    key[equals - assignment] = '\0';
    return lmb_config_set(c, key, equals + 1, from);
}

const lmb_config_entry *lmb_config_find(const lmb_config *c, const char *key)
{
    for (size_t i = c != NULL ? c->count : 0; i > 0; i--)
        if (strcmp(c->entries[i - 1].key, key) == 0)
            return &c->entries[i - 1];
    return NULL;
}
