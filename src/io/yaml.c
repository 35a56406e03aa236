/* yaml.c: libyaml's events into a tree. */
#include "io/yaml.h"

#include "base/file.h"
#include "base/str.h"

#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 24, MAX_NODES = 200000, MAX_BYTES = 8 << 20 };

typedef struct reader {
    yaml_parser_t parser;
    const char *name;
    lmb_arena *arena;
    int depth, nodes;
} reader;

static int line_of(const yaml_event_t *e)
{
    return (int)e->start_mark.line + 1;
}

static lmb_status fail_at(const reader *r, int line, const char *what)
{
    return LMB_FAIL(LMB_EFORMAT, "%s:%d: %s", r->name, line, what);
}

/* The next event, which the caller deletes. */
static lmb_status next_event(reader *r, yaml_event_t *out)
{
    if (yaml_parser_parse(&r->parser, out))
        return LMB_OK;
    const yaml_parser_t *p = &r->parser;
    const char *problem = p->problem != NULL ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", r->name);
    return fail_at(r, (int)p->problem_mark.line + 1, problem);
}

/* Anchors and tags are for languages that share and name objects. */
static lmb_status refuse_extras(
    const reader *r, const yaml_event_t *e, const void *anchor, const char *tag)
{
    if (anchor != NULL)
        return fail_at(r, line_of(e), "anchors (&name) are not supported");
    if (tag != NULL && strncmp(tag, "tag:yaml.org,2002:", 18) != 0)
        return fail_at(r, line_of(e), "tags (!name) are not supported");
    return LMB_OK;
}

static lmb_status new_node(reader *r, int line, lmb_yaml **out)
{
    if (r->nodes++ >= MAX_NODES)
        return fail_at(r, line, "more than 200000 values");
    *out = lmb_arena_alloc(r->arena, sizeof **out);
    if (*out == NULL)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", r->name);
    (*out)->line = line;
    return LMB_OK;
}

static bool is_null(const yaml_event_t *e)
{
    const char *t = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (t[0] == '\0' || strcmp(t, "~") == 0 ||
            lmb_str_equal_nocase(t, "null"));
}

static lmb_status read_scalar(reader *r, const yaml_event_t *e, lmb_yaml **out)
{
    const char *text = (const char *)e->data.scalar.value;
    LMB_TRY(refuse_extras(
        r, e, e->data.scalar.anchor, (const char *)e->data.scalar.tag));
    if (strlen(text) != e->data.scalar.length)
        return fail_at(r, line_of(e), "a text with a zero byte");
    LMB_TRY(new_node(r, line_of(e), out));
    (*out)->null = is_null(e);
    (*out)->text = lmb_arena_strdup(r->arena, (*out)->null ? "" : text);
    if ((*out)->text == NULL)
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", r->name);
    return LMB_OK;
}

/* --- lists and maps */

static lmb_status read_node(reader *r, const yaml_event_t *e, lmb_yaml **out);

/* Reads one event and, if it is not `end`, the node that it begins. */
static lmb_status read_item(
    reader *r, yaml_event_type_t end, bool *ended, lmb_yaml **out)
{
    yaml_event_t e;
    LMB_TRY(next_event(r, &e));
    *ended = e.type == end;
    const lmb_status st = *ended ? LMB_OK : read_node(r, &e, out);
    yaml_event_delete(&e);
    return st;
}

static lmb_status read_list(reader *r, lmb_yaml *list)
{
    lmb_yaml **tail = &list->first;
    for (bool ended = false;;) {
        LMB_TRY(read_item(r, YAML_SEQUENCE_END_EVENT, &ended, tail));
        if (ended)
            return LMB_OK;
        tail = &(*tail)->next;
        list->count++;
    }
}

static lmb_status check_key(
    const reader *r, const lmb_yaml *map, const lmb_yaml *key)
{
    if (key->kind != LMB_YAML_SCALAR)
        return fail_at(r, key->line, "a key that is not a plain text");
    for (const lmb_yaml *i = map->first; i != NULL; i = i->next)
        if (i->key != NULL && lmb_str_equal_nocase(i->key, key->text))
            return LMB_FAIL(LMB_EFORMAT,
                "%s:%d: key '%s' is there twice (first in line %d)", r->name,
                key->line, key->text, i->key_line);
    return LMB_OK;
}

static lmb_status read_map(reader *r, lmb_yaml *map)
{
    lmb_yaml **tail = &map->first;
    for (bool ended = false;;) {
        lmb_yaml *key = NULL, *value = NULL;
        LMB_TRY(read_item(r, YAML_MAPPING_END_EVENT, &ended, &key));
        if (ended)
            return LMB_OK;
        LMB_TRY(check_key(r, map, key));
        LMB_TRY(read_item(r, YAML_NO_EVENT, &ended, &value));
        value->key = key->text;
        value->key_line = key->line;
        *tail = value;
        tail = &value->next;
        /* The list of keys is searched for each new one. */
        if (++map->count > 4096)
            return fail_at(r, key->line, "more than 4096 keys in one map");
    }
}

static lmb_status read_node(reader *r, const yaml_event_t *e, lmb_yaml **out)
{
    if (e->type == YAML_ALIAS_EVENT)
        return fail_at(r, line_of(e), "aliases (*name) are not supported");
    if (e->type == YAML_SCALAR_EVENT)
        return read_scalar(r, e, out);
    const bool list = e->type == YAML_SEQUENCE_START_EVENT;
    if (!list && e->type != YAML_MAPPING_START_EVENT)
        return fail_at(r, line_of(e), "a value is missing");
    if (list)
        LMB_TRY(refuse_extras(r, e, e->data.sequence_start.anchor,
            (const char *)e->data.sequence_start.tag));
    else
        LMB_TRY(refuse_extras(r, e, e->data.mapping_start.anchor,
            (const char *)e->data.mapping_start.tag));
    if (r->depth >= MAX_DEPTH)
        return fail_at(r, line_of(e), "nested deeper than 24 levels");
    LMB_TRY(new_node(r, line_of(e), out));
    (*out)->kind = list ? LMB_YAML_LIST : LMB_YAML_MAP;
    r->depth++;
    LMB_TRY(list ? read_list(r, *out) : read_map(r, *out));
    r->depth--;
    return LMB_OK;
}

/* --- documents */

/* Skips to the next event that is not the stream's or document's start. */
static lmb_status read_document(reader *r, lmb_yaml **out)
{
    for (bool more = true; more;) {
        yaml_event_t e;
        lmb_status st = LMB_OK;
        LMB_TRY(next_event(r, &e));
        if (e.type == YAML_STREAM_END_EVENT)
            more = false;
        else if (e.type == YAML_DOCUMENT_START_EVENT && *out != NULL)
            st = fail_at(r, line_of(&e), "a second document");
        else if (e.type != YAML_STREAM_START_EVENT &&
            e.type != YAML_DOCUMENT_START_EVENT &&
            e.type != YAML_DOCUMENT_END_EVENT)
            st = read_node(r, &e, out);
        yaml_event_delete(&e);
        LMB_TRY(st);
    }
    return LMB_OK;
}

lmb_status lmb_yaml_parse(const void *bytes, size_t size, const char *name,
    lmb_arena *arena, const lmb_yaml **out)
{
    reader r = {.name = name, .arena = arena};
    lmb_yaml *root = NULL;
    if (size > MAX_BYTES)
        return LMB_FAIL(
            LMB_EFORMAT, "%s: %zu bytes, more than 8 MiB for YAML", name, size);
    if (!yaml_parser_initialize(&r.parser))
        return LMB_FAIL(LMB_ENOMEM, "%s: out of memory", name);
    yaml_parser_set_input_string(&r.parser, bytes, size);
    lmb_status st = read_document(&r, &root);
    yaml_parser_delete(&r.parser);
    if (st == LMB_OK && (root == NULL || root->null)) {
        r.nodes = 0;
        st = new_node(&r, 1, &root);
        if (st == LMB_OK)
            root->kind = LMB_YAML_MAP;
    }
    if (st == LMB_OK)
        *out = root;
    return st;
}

lmb_status lmb_yaml_load(
    const char *path, lmb_arena *arena, const lmb_yaml **out)
{
    lmb_file file;
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st =
        lmb_yaml_parse(file.bytes, file.size, path, arena, out);
    lmb_file_close(&file);
    return st;
}

const lmb_yaml *lmb_yaml_get(const lmb_yaml *map, const char *key)
{
    if (map == NULL || map->kind != LMB_YAML_MAP)
        return NULL;
    for (const lmb_yaml *i = map->first; i != NULL; i = i->next)
        if (lmb_str_equal_nocase(i->key, key))
            return i;
    return NULL;
}
