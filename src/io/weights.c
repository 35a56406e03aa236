/* weights.c: the list of named tensors, and which reader gets a file.
 *
 * Names are found through an open-addressing table of indices + 1, at most
 * half full. */
#include "io/weights.h"

#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "io/pth.h"
#include "io/raw.h"
#include "io/safetensors.h"
#include "io/weights_unwrap.h"

#include <string.h>

enum { NAME_MAX_BYTES = 4096, NAME_SHOWN = 80 };

lmb_status lmb_weights_new(lmb_weights **out)
{
    lmb_weights *w = NULL;
    LMB_TRY(LMB_NEW(w, 1));
    const lmb_status st = lmb_arena_new(&w->text_);
    if (st != LMB_OK) {
        lmb_free(w);
        return st;
    }
    *out = w;
    return LMB_OK;
}

void lmb_weights_free(lmb_weights *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->count; i++)
        lmb_tensor_release(w->items[i].tensor);
    lmb_free(w->items);
    lmb_free(w->meta);
    lmb_free(w->table_);
    lmb_arena_free(w->text_);
    lmb_free(w);
}

/* The slot that holds `name`, or the empty one where it would go. */
static size_t slot_of(const lmb_weights *w, const char *name)
{
    size_t slot = (size_t)lmb_hash(name) & (w->table_size_ - 1);
    while (w->table_[slot] != 0 &&
        strcmp(w->items[w->table_[slot] - 1].name, name) != 0)
        slot = (slot + 1) & (w->table_size_ - 1);
    return slot;
}

static lmb_status grow_table(lmb_weights *w)
{
    if (w->count * 2 + 2 <= w->table_size_)
        return LMB_OK;
    const size_t size = w->table_size_ == 0 ? 64 : w->table_size_ * 2;
    if (size > UINT32_MAX)
        return LMB_FAIL(LMB_EFORMAT, "weights: more than %zu names", w->count);
    uint32_t *table = NULL;
    LMB_TRY(LMB_NEW(table, size));
    lmb_free(w->table_);
    w->table_ = table;
    w->table_size_ = size;
    for (size_t i = 0; i < w->count; i++)
        table[slot_of(w, w->items[i].name)] = (uint32_t)i + 1;
    return LMB_OK;
}

static lmb_status check_text(const char *what, const char *text)
{
    if (!lmb_utf8_is_valid(text, strlen(text)))
        return LMB_FAIL(
            LMB_EFORMAT, "%s '%.*s' is not UTF-8", what, NAME_SHOWN, text);
    return LMB_OK;
}

lmb_status lmb_weights_add(lmb_weights *w, const char *name, lmb_tensor *tensor)
{
    LMB_TRY(check_text("tensor name", name));
    if (name[0] == '\0' || strlen(name) > NAME_MAX_BYTES)
        return LMB_FAIL(LMB_EFORMAT,
            "tensor name of %zu bytes; 1 to %d are allowed", strlen(name),
            NAME_MAX_BYTES);
    LMB_TRY(LMB_GROW(w->items, w->count, w->capacity_));
    LMB_TRY(grow_table(w));
    const size_t slot = slot_of(w, name);
    if (w->table_[slot] != 0)
        return LMB_FAIL(
            LMB_EFORMAT, "tensor '%.*s' is there twice", NAME_SHOWN, name);
    const char *copy = lmb_arena_strdup(w->text_, name);
    if (copy == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: tensor name");
    w->items[w->count++] = (lmb_weight){copy, lmb_tensor_retain(tensor)};
    w->table_[slot] = (uint32_t)w->count;
    return LMB_OK;
}

lmb_tensor *lmb_weights_find(const lmb_weights *w, const char *name)
{
    if (w->count == 0)
        return NULL;
    const uint32_t at = w->table_[slot_of(w, name)];
    return at != 0 ? w->items[at - 1].tensor : NULL;
}

static lmb_weights_entry *find_meta(const lmb_weights *w, const char *key)
{
    for (size_t i = 0; i < w->meta_count; i++)
        if (strcmp(w->meta[i].key, key) == 0)
            return &w->meta[i];
    return NULL;
}

lmb_status lmb_weights_meta_set(
    lmb_weights *w, const char *key, const char *value)
{
    LMB_TRY(check_text("metadata key", key));
    LMB_TRY(check_text("metadata value", value));
    LMB_TRY(LMB_GROW(w->meta, w->meta_count, w->meta_capacity_));
    const char *value_copy = lmb_arena_strdup(w->text_, value);
    if (value_copy == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: metadata");
    lmb_weights_entry *entry = find_meta(w, key);
    if (entry != NULL) {
        entry->value = value_copy;
        return LMB_OK;
    }
    const char *key_copy = lmb_arena_strdup(w->text_, key);
    if (key_copy == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: metadata");
    w->meta[w->meta_count++] = (lmb_weights_entry){key_copy, value_copy};
    return LMB_OK;
}

const char *lmb_weights_meta_get(const lmb_weights *w, const char *key)
{
    const lmb_weights_entry *entry = find_meta(w, key);
    return entry != NULL ? entry->value : NULL;
}

void lmb_weights_meta_remove(lmb_weights *w, const char *key)
{
    lmb_weights_entry *entry = find_meta(w, key);
    if (entry == NULL)
        return;
    const lmb_weights_entry *end = w->meta + w->meta_count--;
    memmove(entry, entry + 1, (size_t)(end - entry - 1) * sizeof *entry);
}

int64_t lmb_weights_elements(const lmb_weights *w)
{
    int64_t sum = 0;
    for (size_t i = 0; i < w->count; i++)
        sum += lmb_tensor_count(w->items[i].tensor);
    return sum;
}

/* --- files */

typedef lmb_status parse_fn(
    const uint8_t *bytes, size_t size, const char *name, lmb_weights *w);

/* Formats by their first bytes: a reader, or why there is none. */
static const struct {
    size_t at, length;
    const char *magic;
    parse_fn *parse;
    const char *refusal;
} formats[] = {
    {0, 4, "PK\3\4", lmb_pth_parse_zip, NULL},
    {4, 10, "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", lmb_pth_parse_legacy,
        NULL},
    {8, 1, "{", lmb_safetensors_parse, NULL},
    {0, 6, "\x93NUMPY", NULL, "one NumPy array, not named weights"},
    {257, 5, "ustar", NULL, "torch's tar form of before 2017"},
    {0, 1, "\x80", NULL, "a Python pickle that torch.save did not write"},
    {0, 8, "\x89HDF\r\n\x1a\n", NULL, "an HDF5 file"},
    {0, 11, "version htt", NULL, "a Git LFS pointer, not the file itself"},
    {0, 1, "<", NULL, "a web page, not weights"},
};

static lmb_status parse_into(
    const uint8_t *bytes, size_t size, const char *name, lmb_weights *w)
{
    for (size_t i = 0; i < LMB_COUNT(formats); i++) {
        if (size < formats[i].at + formats[i].length ||
            memcmp(bytes + formats[i].at, formats[i].magic,
                formats[i].length) != 0)
            continue;
        if (formats[i].parse == NULL)
            return LMB_FAIL(LMB_EUNSUPPORTED,
                "%s: %s; safetensors and torch's .pth are read", name,
                formats[i].refusal);
        return formats[i].parse(bytes, size, name, w);
    }
    return LMB_FAIL(
        LMB_EFORMAT, "%s: neither safetensors nor a file of torch.save", name);
}

lmb_status lmb_weights_parse(
    const void *bytes, size_t size, const char *name, lmb_weights **out)
{
    lmb_weights *w = NULL;
    LMB_TRY(lmb_weights_new(&w));
    lmb_status st = parse_into(bytes, size, name, w);
    if (st == LMB_OK)
        st = lmb__weights_unwrap(w);
    if (st != LMB_OK) {
        lmb_weights_free(w);
        return st;
    }
    *out = w;
    return LMB_OK;
}

lmb_status lmb_weights_load(const char *path, lmb_weights **out)
{
    lmb_file file = {0};
    LMB_TRY(lmb_file_open(path, &file));
    const lmb_status st = lmb_weights_parse(file.bytes, file.size, path, out);
    lmb_file_close(&file);
    return st;
}

lmb_status lmb_weights_save(const char *path, const lmb_weights *w)
{
    if (lmb_str_ends_with(path, ".safetensors"))
        return lmb_safetensors_save(path, w);
    if (lmb_str_ends_with(path, ".pth") || lmb_str_ends_with(path, ".pt"))
        return lmb_pth_save(path, w);
    return LMB_FAIL(LMB_EINVAL,
        "%s: weights are written as .safetensors, .pth or .pt", path);
}
