/* yaml.h: YAML files as trees of scalars, lists and maps, over libyaml.
 *
 * What configuration needs and no more: one document; anchors, aliases and
 * tags are refused (so a tree is as large as its file), depth and size are
 * bounded, a key that comes twice in a map is an error. */
#ifndef LMB_IO_YAML_H
#define LMB_IO_YAML_H

#include "base/base.h"

typedef enum lmb_yaml_kind {
    LMB_YAML_SCALAR,
    LMB_YAML_LIST,
    LMB_YAML_MAP,
} lmb_yaml_kind;

typedef struct lmb_yaml lmb_yaml;
struct lmb_yaml {
    lmb_yaml_kind kind;
    int line; /* from 1 */
    const char *text; /* scalar: its text; "" for null */
    bool null; /* scalar: nothing, ~ or null without quotes */
    const char *key; /* in a map */
    int key_line;
    lmb_yaml *first, *next; /* children; siblings */
    size_t count; /* children */
};

/* Parses a file or bytes; the tree lives in `arena`. An empty document is an
 * empty map. Errors: ENOTFOUND, EIO; EFORMAT names file, line and rule. */
lmb_status lmb_yaml_load(
    const char *path, lmb_arena *arena, const lmb_yaml **out) LMB_MUST_CHECK;
lmb_status lmb_yaml_parse(const void *bytes, size_t size, const char *name,
    lmb_arena *arena, const lmb_yaml **out) LMB_MUST_CHECK;
/* The value under a key (any case) of a map, or NULL. */
const lmb_yaml *lmb_yaml_get(const lmb_yaml *map, const char *key);

#endif
