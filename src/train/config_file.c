/* config_file.c: YAML files into keys: inheritance, flattening, and the files
 * of mdistiller (https://github.com/megvii-research/mdistiller) as they are.
 *
 * A map {a: {b: 1}} is the key a.b; a list of scalars is one value "x, y"; a
 * list with maps is a.0.b, a.1.b. */
#include "train/config_impl.h"

#include "base/file.h"
#include "io/yaml.h"

#include <stdio.h>
#include <string.h>

enum { MAX_BASES = 16 };

typedef struct loader {
    lmb_config *config;
    const char *name; /* of this file */
    const char *opened[MAX_BASES]; /* the files that led to it */
    int depth;
    bool mdistiller;
    bool alone; /* mdistiller: DISTILLER.TYPE is NONE, its teacher unused */
    bool cifar; /* mdistiller: of CIFAR, where ResNet50 is another one */
} loader;

static lmb_status no_memory(void)
{
    return LMB_FAIL(LMB_ENOMEM, "out of memory: configuration");
}

static const char *origin(const loader *l, const lmb_yaml *node)
{
    return lmb_arena_printf(l->config->arena, "%s:%d", l->name,
        node->key != NULL ? node->key_line : node->line);
}

/* --- mdistiller's files --------------------------------------------------- */

/* What mdistiller takes where a file says nothing and our default differs. */
static const char *const defaults[][2] = {
    {"train.weight_decay", "0.0001"},
    {"train.decay_epochs", "150, 180, 210"},
    {"train.lr", "0.05"},
    {NULL, NULL},
};

static bool is_mdistiller(const lmb_yaml *root)
{
    return lmb_yaml_get(root, "DISTILLER") != NULL ||
        lmb_yaml_get(root, "SOLVER") != NULL;
}

/* The scalar at SECTION.KEY, or NULL. */
static const char *text_of(
    const lmb_yaml *root, const char *section, const char *key)
{
    const lmb_yaml *node = lmb_yaml_get(lmb_yaml_get(root, section), key);
    return node != NULL && node->kind == LMB_YAML_SCALAR ? node->text : NULL;
}

static lmb_status set_mdistiller_defaults(loader *l)
{
    for (int i = 0; defaults[i][0] != NULL; i++)
        if (lmb_config_find(l->config, defaults[i][0]) == NULL)
            LMB_TRY(lmb_config_set(l->config, defaults[i][0], defaults[i][1],
                "mdistiller's default"));
    return LMB_OK;
}

/* Sections that change no number of a run. */
static bool is_silent(const char *key)
{
    const char *const heads[] = {"EXPERIMENT.", "LOG."};
    for (size_t i = 0; i < LMB_COUNT(heads); i++) {
        size_t n = 0;
        while (heads[i][n] != '\0' && (key[n] | 0x20) == (heads[i][n] | 0x20))
            n++;
        if (heads[i][n] == '\0')
            return true;
    }
    return false;
}

static lmb_status refuse(const char *from, const char *what, const char *value)
{
    return LMB_FAIL(
        LMB_EUSAGE, "%s: %s '%s' is not built yet", from, what, value);
}

/* Keys of such files that need a word: true if it was dealt with. */
static lmb_status set_mdistiller_key(
    loader *l, const char *key, const char *value, const char *from, bool *done)
{
    *done = true;
    /* Of mdistiller's fork for logit standardisation: the one experiment's key
     * that changes numbers. */
    if (lmb_str_equal_nocase(key, "EXPERIMENT.LOGIT_STAND"))
        return l->alone || lmb_str_equal_nocase(value, "false")
            ? LMB_OK
            : lmb_config_set(l->config, "method.standardize", value, from);
    if (is_silent(key))
        return LMB_OK;
    if (lmb_str_equal_nocase(key, "SOLVER.TRAINER"))
        return lmb_str_equal_nocase(value, "base")
            ? LMB_OK
            : refuse(from, "SOLVER.TRAINER", value);
    if (lmb_str_equal_nocase(key, "DATASET.TYPE"))
        return lmb_config_find(l->config, "data.spec") != NULL ||
                lmb_str_equal_nocase(value, "imagenet")
            ? LMB_OK /* its folder is the user's: --data imagefolder:DIR */
            : lmb_config_set(l->config, "data.spec", value, from);
    /* Ours of that name is for the pyramids of detectors. */
    if (lmb_str_equal_nocase(key, "DISTILLER.TYPE") &&
        lmb_str_equal_nocase(value, "REVIEWKD"))
        return refuse(from, "for classifiers the method", value);
    if (lmb_str_equal_nocase(key, "DISTILLER.TYPE") &&
        !lmb_str_equal_nocase(value, "NONE") && lmb_method_find(value) == NULL)
        return refuse(from, "the method", value);
    if (l->alone && lmb_str_equal_nocase(key, "DISTILLER.TEACHER"))
        return LMB_OK;
    const bool network = lmb_str_equal_nocase(key, "DISTILLER.TEACHER") ||
        lmb_str_equal_nocase(key, "DISTILLER.STUDENT");
    if (network && l->cifar &&
        (lmb_str_equal_nocase(value, "ResNet18") ||
            lmb_str_equal_nocase(value, "ResNet50"))) {
        const char *name =
            lmb_arena_printf(l->config->arena, "cifar_%s", value);
        return name != NULL ? lmb_config_set(l->config, key, name, from)
                            : no_memory();
    }
    *done = false;
    return LMB_OK;
}

/* Sections of methods that we do not have, "CRD.FEAT.DIM". */
static bool is_foreign_section(const loader *l, const char *key)
{
    static const char *const ours[] = {"SOLVER.", "DISTILLER.", "DATASET."};
    if (!l->mdistiller || strchr(key, '.') == NULL)
        return false;
    for (size_t i = 0; i < LMB_COUNT(ours); i++)
        if (strncmp(key, ours[i], strlen(ours[i])) == 0)
            return false;
    for (const char *c = key; *c != '.'; c++)
        if (*c >= 'a' && *c <= 'z')
            return false;
    char name[32];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(key, "."), key);
    return lmb_method_find(name) == NULL;
}

static lmb_status set_key(
    loader *l, const char *key, const char *value, const lmb_yaml *node)
{
    const char *from = origin(l, node);
    bool done = false;
    if (from == NULL)
        return no_memory();
    if (l->mdistiller) {
        LMB_TRY(set_mdistiller_key(l, key, value, from, &done));
        done = done || is_foreign_section(l, key);
    }
    return done ? LMB_OK : lmb_config_set(l->config, key, value, from);
}

/* --- flattening ----------------------------------------------------------- */

static lmb_status flatten(loader *l, const char *key, const lmb_yaml *node);

static const char *join(loader *l, const char *head, const char *tail)
{
    return head[0] != '\0'
        ? lmb_arena_printf(l->config->arena, "%s.%s", head, tail)
        : tail;
}

static bool all_scalars(const lmb_yaml *list)
{
    for (const lmb_yaml *i = list->first; i != NULL; i = i->next)
        if (i->kind != LMB_YAML_SCALAR)
            return false;
    return true;
}

static lmb_status flatten_scalars(
    loader *l, const char *key, const lmb_yaml *list)
{
    lmb_str all = {0};
    lmb_status st = LMB_OK;
    lmb_str_add(&all, "");
    for (const lmb_yaml *i = list->first; i != NULL; i = i->next)
        lmb_str_printf(&all, "%s%s", i != list->first ? ", " : "", i->text);
    LMB_GOTO(lmb_str_status(&all), st, done);
    LMB_GOTO(set_key(l, key, all.text != NULL ? all.text : "", list), st, done);
done:
    lmb_str_fini(&all);
    return st;
}

/* [{name: kd}, pcd]: the items become KEY.0.name, KEY.1.name. */
static lmb_status flatten_list(loader *l, const char *key, const lmb_yaml *list)
{
    static const struct {
        const char *name, *scalar; /* what an item without keys means */
    } lists[] = {
        {"methods", "name"}, {"teachers", "model"}, {"stages", "teacher"}};
    size_t which = 0;
    while (which < LMB_COUNT(lists) &&
        !lmb_str_equal_nocase(key, lists[which].name))
        which++;
    if (which == LMB_COUNT(lists)) {
        LMB_TRY(set_key(l, key, "", list)); /* an unknown key says so */
        return LMB_FAIL(LMB_EUSAGE, "%s:%d: '%s' is not a list of maps",
            l->name, list->line, key);
    }
    lmb__config_erase(l->config, lists[which].name);
    int index = 0;
    for (const lmb_yaml *i = list->first; i != NULL; i = i->next, index++) {
        const char *at = lmb_arena_printf(
            l->config->arena, "%s.%d", lists[which].name, index);
        if (at != NULL && i->kind == LMB_YAML_SCALAR)
            at = join(l, at, lists[which].scalar);
        if (at == NULL)
            return no_memory();
        LMB_TRY(flatten(l, at, i));
    }
    return LMB_OK;
}

static lmb_status flatten(loader *l, const char *key, const lmb_yaml *node)
{
    if (node->kind == LMB_YAML_SCALAR)
        return set_key(l, key, node->text, node);
    if (node->kind == LMB_YAML_LIST)
        return all_scalars(node) ? flatten_scalars(l, key, node)
                                 : flatten_list(l, key, node);
    for (const lmb_yaml *i = node->first; i != NULL; i = i->next) {
        if (key[0] == '\0' && lmb_str_equal_nocase(i->key, "_base_"))
            continue;
        const char *below = join(l, key, i->key);
        if (below == NULL)
            return no_memory();
        LMB_TRY(flatten(l, below, i));
    }
    return LMB_OK;
}

/* --- files ---------------------------------------------------------------- */

static lmb_status load_file(loader *parent, const char *path);

/* `name` relative to the file that names it. */
static lmb_status load_base(loader *l, const lmb_yaml *item)
{
    if (item->kind != LMB_YAML_SCALAR || item->text[0] == '\0')
        return LMB_FAIL(LMB_EUSAGE, "%s:%d: _base_ is a file or a list of them",
            l->name, item->line);
    const char *slash = strrchr(l->name, '/');
    const int folder = slash != NULL ? (int)(slash - l->name) + 1 : 0;
    const char *path = item->text[0] == '/'
        ? item->text
        : lmb_arena_printf(
              l->config->arena, "%.*s%s", folder, l->name, item->text);
    if (path == NULL)
        return no_memory();
    const lmb_status st = load_file(l, path);
    return st == LMB_OK || st == LMB_EUSAGE || st == LMB_EFORMAT
        ? st
        : lmb__wrap(st, "%s:%d: _base_", l->name, item->line);
}

static bool is_python(const char *name)
{
    const size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".py") == 0;
}

static lmb_status load_tree(loader *l, const lmb_yaml *root)
{
    if (root->kind != LMB_YAML_MAP)
        return LMB_FAIL(LMB_EFORMAT, "%s:%d: not a map of keys%s", l->name,
            root->line,
            is_python(l->name)
                ? ": Python is not read, YAML is (limbeck help config)"
                : "");
    const lmb_yaml *base = lmb_yaml_get(root, "_base_");
    if (base != NULL && base->kind == LMB_YAML_LIST)
        for (const lmb_yaml *i = base->first; i != NULL; i = i->next)
            LMB_TRY(load_base(l, i));
    else if (base != NULL)
        LMB_TRY(load_base(l, base));
    if (lmb_yaml_get(root, "MODEL") != NULL &&
        lmb_yaml_get(root, "MODEL")->kind == LMB_YAML_MAP)
        return LMB_FAIL(LMB_EUSAGE,
            "%s:%d: MODEL: configurations of mmdetection and detectron2 are "
            "not read; write `student: retinanet_r18_fpn` (limbeck help "
            "config)",
            l->name, lmb_yaml_get(root, "MODEL")->key_line);
    l->config->place++;
    l->mdistiller = is_mdistiller(root);
    if (l->mdistiller) {
        const char *data = text_of(root, "DATASET", "TYPE");
        const char *type = text_of(root, "DISTILLER", "TYPE");
        l->cifar = data == NULL || lmb_str_equal_nocase(data, "cifar100");
        l->alone = type == NULL || lmb_str_equal_nocase(type, "NONE");
        LMB_TRY(set_mdistiller_defaults(l));
    }
    LMB_TRY(flatten(l, "", root));
    l->config->place++;
    return LMB_OK;
}

static lmb_status load_file(loader *parent, const char *path)
{
    loader l = {.config = parent->config, .name = path};
    const lmb_yaml *root = NULL;
    if (parent->depth + 1 >= MAX_BASES)
        return LMB_FAIL(LMB_EUSAGE, "%s: more than %d files below each other",
            path, MAX_BASES);
    memcpy(l.opened, parent->opened, sizeof l.opened);
    l.depth = parent->depth + 1;
    for (int i = 0; i < l.depth; i++)
        if (l.opened[i] != NULL && strcmp(l.opened[i], path) == 0)
            return LMB_FAIL(
                LMB_EUSAGE, "%s: is, through _base_, its own base", path);
    l.opened[l.depth] = path;
    LMB_TRY(lmb_yaml_load(path, l.config->arena, &root));
    return load_tree(&l, root);
}

lmb_status lmb_config_load(lmb_config *c, const char *path)
{
    loader top = {.config = c};
    return load_file(&top, path);
}

lmb_status lmb_config_parse(
    lmb_config *c, const void *bytes, size_t size, const char *name)
{
    loader l = {.config = c, .name = name};
    const lmb_yaml *root = NULL;
    LMB_TRY(lmb_yaml_parse(bytes, size, name, c->arena, &root));
    return load_tree(&l, root);
}
