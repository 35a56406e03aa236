/* cache_key.c: the identity of a knowledge cache: DIR/cache.json, an object of
 * texts. */
#include "train/cache.h"

#include "base/str.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MANIFEST_MOST = 1 << 16 };

void lmb_cache_key_add(
    lmb_cache_key *key, const char *name, const char *fmt, ...)
{
    LMB_ASSERT(key->count < LMB_CACHE_FIELDS);
    lmb_cache_field *f = &key->field[key->count++];
    va_list args;
    f->name = name;
    va_start(args, fmt);
    (void)vsnprintf(f->value, sizeof f->value, fmt, args);
    va_end(args);
}

void lmb_cache_key_text(const lmb_cache_key *key, lmb_str *out)
{
    for (int i = 0; i < key->count; i++) {
        lmb_str_printf(
            out, "%s\"%s\": ", i == 0 ? "{\n  " : ",\n  ", key->field[i].name);
        lmb_str_json(out, key->field[i].value);
    }
    lmb_str_add(out, "\n}\n");
}

static lmb_status check_fields(
    const lmb_cache_key *key, const json_t *root, const char *name)
{
    for (int i = 0; i < key->count; i++) {
        const lmb_cache_field *f = &key->field[i];
        const char *value = json_string_value(json_object_get(root, f->name));
        if (value == NULL)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: %s is missing or no text, and this run has '%s'; another "
                "--cache folder keeps both",
                name, f->name, f->value);
        if (strcmp(value, f->value) != 0)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: the cache was made with %s '%.*s', this run has '%s'; "
                "another --cache folder keeps both",
                name, f->name, LMB_CACHE_VALUE, value, f->value);
    }
    if (json_object_size(root) != (size_t)key->count)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: no cache of this version: %zu keys, not %d", name,
            json_object_size(root), key->count);
    return LMB_OK;
}

lmb_status lmb_cache_key_check(
    const lmb_cache_key *key, const void *bytes, size_t size, const char *name)
{
    json_error_t error;
    if (size > MANIFEST_MOST)
        return LMB_FAIL(LMB_EFORMAT, "%s: %zu bytes are no manifest of a cache",
            name, size);
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return LMB_FAIL(LMB_EFORMAT, "%s: no JSON object", name);
    }
    const lmb_status st = check_fields(key, root, name);
    json_decref(root);
    return st;
}
