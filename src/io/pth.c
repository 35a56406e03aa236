/* pth.c: tensors out of torch.save's files.
 *
 * Zip form:  P/data.pkl holds the object, P/data/KEY the storages.
 * Legacy:    pickles of a magic number, 1001, facts about the system, the
 *            object, a list of storage keys; then for each key a count (i64)
 *            and that many elements.
 * A checkpoint holds a state dict somewhere inside; state_dict_of() finds it
 * under the names that training scripts use. The rest of the checkpoint (the
 * optimizer, arguments, a log) may hold objects of any class, a hostile one
 * too: nothing is ever made of them, so they do not stand in the way of the
 * weights. In the state dict itself, and where a model is due, such an object
 * is an error: left out in silence it would be a tensor missing. Source:
 * torch/serialization.py of torch 1.13. */
#include "io/pth.h"

#include "base/str.h"
#include "io/raw.h"
#include "io/unpickle.h"
#include "io/zip.h"
#include "tensor/shape.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

enum { NESTING_MAX = 8, NAME_SHOWN = 80 };
/* All tensors may take this, and 16 times the file on top: tensors can share
 * and repeat the elements of a storage. */
static const int64_t tensors_floor = (int64_t)64 << 20;

/* Where a checkpoint's model is kept, most telling first. */
static const char *const wrappers[] = {
    "state_dict", "model_state_dict", "model", "net", "student"};

/* The bytes of a storage, from either form. */
typedef struct source source;
struct source {
    const char *file;
    lmb_status (*find)(source *s, const lmb_pk_storage *storage,
        const uint8_t **bytes, size_t *size);
    int64_t budget; /* bytes of tensors still allowed */
};

static int shown(size_t length)
{
    return (int)(length < NAME_SHOWN ? length : NAME_SHOWN);
}

/* --- from the object to the list */

static bool is_array(const lmb_pk *value)
{
    return value->kind == LMB_PK_TENSOR || value->kind == LMB_PK_ARRAY;
}

static bool holds_tensors(const lmb_pk *dict)
{
    for (size_t i = 1; i < dict->u.list.count; i += 2)
        if (is_array(dict->u.list.items[i]))
            return true;
    return false;
}

/* A value that can be the model under one of wrappers[]: its state dict, or
 * the whole of it, which we cannot read. */
static bool is_model(const lmb_pk *value)
{
    return value->kind == LMB_PK_OPAQUE ||
        (value->kind == LMB_PK_DICT && value->u.list.count > 0);
}

/* The value of `dict` where its model is, and the key; NULL if it has none
 * or is the state dict itself. An opaque model is not passed over for another
 * dict of tensors, which would be something else. */
static const lmb_pk *inner_dict(const lmb_pk *dict, const lmb_pk **key)
{
    for (size_t k = 0; k < LMB_COUNT(wrappers); k++)
        for (size_t i = 0; i + 1 < dict->u.list.count; i += 2) {
            const lmb_pk *value = dict->u.list.items[i + 1];
            if (is_model(value) &&
                lmb_pk_is(dict->u.list.items[i], wrappers[k])) {
                *key = dict->u.list.items[i];
                return value;
            }
        }
    const lmb_pk *only = NULL;
    for (size_t i = 0; i + 1 < dict->u.list.count; i += 2) {
        const lmb_pk *value = dict->u.list.items[i + 1];
        if (value->kind != LMB_PK_DICT || !holds_tensors(value) ||
            !lmb_pk_is_text(dict->u.list.items[i]))
            continue;
        if (only != NULL)
            return NULL;
        only = value;
        *key = dict->u.list.items[i];
    }
    return holds_tensors(dict) ? NULL : only;
}

static lmb_status whole_model(const source *s, const lmb_pk *opaque)
{
    return LMB_FAIL(LMB_EFORMAT,
        "%s: global '%.*s' is not allowed in a weights file; of a whole model "
        "save model.state_dict()",
        s->file, (int)opaque->u.text.length, opaque->u.text.bytes);
}

static lmb_status no_state_dict(
    const source *s, const lmb_pickle *pickle, const lmb_pk *dict)
{
    lmb_str keys = {0};
    if (pickle->opaque != NULL)
        return whole_model(s, pickle->opaque);
    if (dict->kind != LMB_PK_DICT)
        return LMB_FAIL(
            LMB_EFORMAT, "%s: the object saved is no dict of tensors", s->file);
    for (size_t i = 0; i < dict->u.list.count && i < 20; i += 2) {
        const lmb_pk *key = dict->u.list.items[i];
        if (lmb_pk_is_text(key))
            lmb_str_printf(&keys, "%s%.*s", keys.length > 0 ? ", " : "",
                shown(key->u.text.length), key->u.text.bytes);
    }
    const lmb_status st = LMB_FAIL(LMB_EFORMAT,
        "%s: no state dict of tensors found; it holds: %s", s->file,
        keys.length > 0 ? keys.text : "nothing");
    lmb_str_fini(&keys);
    return st;
}

/* Descends to the dict of tensors; notes the way in `way`. */
static lmb_status state_dict_of(const source *s, const lmb_pickle *pickle,
    lmb_weights *w, lmb_str *way, const lmb_pk **out)
{
    const lmb_pk *root = pickle->root;
    for (int depth = 0; root->kind == LMB_PK_DICT; depth++) {
        const lmb_pk *key = NULL;
        const lmb_pk *inner = inner_dict(root, &key);
        if (inner == NULL)
            break;
        if (depth == NESTING_MAX)
            return LMB_FAIL(LMB_EFORMAT, "%s: dicts nested too deep", s->file);
        lmb_str_printf(way, "%s%.*s", way->length > 0 ? ", " : "",
            shown(key->u.text.length), key->u.text.bytes);
        w->ignored += (int64_t)(root->u.list.count / 2) - 1;
        root = inner;
    }
    if (root->kind == LMB_PK_OPAQUE)
        return whole_model(s, root);
    if (root->kind != LMB_PK_DICT || !holds_tensors(root))
        return no_state_dict(s, pickle, root);
    *out = root;
    return LMB_OK;
}

static lmb_status copy_tensor(
    source *s, const lmb_pk_tensor *t, lmb_tensor **out)
{
    const size_t size = lmb_dtype_size(t->storage->dtype);
    const uint8_t *bytes = NULL;
    size_t have = 0;
    int64_t need = 0;
    const int64_t count = lmb_shape_count(&t->shape);
    if (!lmb_mul_i64(count, (int64_t)size, &need) || need > s->budget)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: tensors of far more bytes than the file has", s->file);
    s->budget -= need;
    LMB_TRY(s->find(s, t->storage, &bytes, &have));
    if ((uint64_t)t->storage->count > have / size)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: storage '%.*s' has %zu bytes for %lld elements of %s", s->file,
            shown(t->storage->key.length), t->storage->key.bytes, have,
            (long long)t->storage->count, lmb_dtype_name(t->storage->dtype));
    lmb_tensor *copy = NULL;
    LMB_TRY(lmb_tensor_new(t->storage->dtype, &t->shape, &copy));
    if (count > 0)
        lmb_gather_raw(copy->data, bytes + (size_t)t->offset * size, size,
            &t->shape, t->stride);
    lmb_normalize_bools(copy);
    *out = copy;
    return LMB_OK;
}

/* What only an unknown class or function could make may be a tensor, or hold
 * one, and must not be left out. */
static lmb_status check_known(
    const source *s, const lmb_pk *key, const lmb_pk *value)
{
    if (!value->opaque)
        return LMB_OK;
    const lmb_pk *opaque = lmb_pk_opaque_in(value);
    const lmb_pk_text name =
        lmb_pk_is_text(key) ? key->u.text : (lmb_pk_text){"?", 1};
    const lmb_pk_text global =
        opaque != NULL ? opaque->u.text : (lmb_pk_text){"?", 1};
    return LMB_FAIL(LMB_EFORMAT,
        "%s: '%.*s' of the state dict: global '%.*s' is not allowed in a "
        "weights file; save plain tensors",
        s->file, shown(name.length), name.bytes, (int)global.length,
        global.bytes);
}

static lmb_status add_tensor(
    source *s, lmb_weights *w, lmb_pk_text name, const lmb_pk *value)
{
    lmb_str text = {0};
    lmb_tensor *t = NULL;
    lmb_status st = LMB_OK;
    lmb_str_add_bytes(&text, name.bytes, name.length);
    LMB_GOTO(lmb_str_status(&text), st, done);
    if (strlen(text.text) != name.length)
        LMB_GOTO(
            LMB_FAIL(LMB_EFORMAT, "%s: a tensor's name holds a NUL", s->file),
            st, done);
    if (value->kind == LMB_PK_ARRAY)
        LMB_GOTO(lmb_pk_array_tensor(value, s->file, &t), st, done);
    else
        LMB_GOTO(copy_tensor(s, value->u.tensor, &t), st, done);
    st = lmb_weights_add(w, text.text, t);
    if (st != LMB_OK)
        st = lmb__wrap(st, "%s", s->file);
done:
    lmb_tensor_release(t);
    lmb_str_fini(&text);
    return st;
}

static lmb_status add_all(source *s, const lmb_pk *dict, lmb_weights *w)
{
    for (size_t i = 0; i + 1 < dict->u.list.count; i += 2) {
        const lmb_pk *key = dict->u.list.items[i];
        const lmb_pk *value = dict->u.list.items[i + 1];
        LMB_TRY(check_known(s, key, value));
        if (is_array(value) && lmb_pk_is_text(key))
            LMB_TRY(add_tensor(s, w, key->u.text, value));
        else
            w->ignored++;
    }
    return LMB_OK;
}

static bool holds_text(const lmb_pk *value, const char *part)
{
    const size_t n = strlen(part);
    if (value == NULL || !lmb_pk_is_text(value))
        return false;
    for (size_t i = 0; i + n <= value->u.text.length; i++)
        if (memcmp(value->u.text.bytes + i, part, n) == 0)
            return true;
    return false;
}

/* What names and shapes do not tell: mmdetection's checkpoints have the text of
 * their configuration (2.x: meta.config, 3.x: meta.cfg), and in it the style of
 * a ResNet. */
static lmb_status note_style(const lmb_pk *root, lmb_weights *w)
{
    static const char *const keys[] = {"config", "cfg"};
    static const char *const parts[] = {"style='caffe'", "style=\"caffe\""};
    const lmb_pk *meta = lmb_pk_get(root, "meta");
    bool caffe = false;
    if (meta == NULL)
        return LMB_OK;
    for (size_t k = 0; k < LMB_COUNT(keys); k++)
        for (size_t p = 0; p < LMB_COUNT(parts); p++)
            caffe = caffe || holds_text(lmb_pk_get(meta, keys[k]), parts[p]);
    return caffe ? lmb_weights_meta_set(w, "resnet_style", "caffe") : LMB_OK;
}

static lmb_status read_object(
    source *s, const lmb_pickle *pickle, size_t size, lmb_weights *w)
{
    lmb_str way = {0};
    const lmb_pk *dict = NULL;
    lmb_status st = LMB_OK;
    s->budget = tensors_floor + 16 * (int64_t)size;
    LMB_GOTO(state_dict_of(s, pickle, w, &way, &dict), st, done);
    LMB_GOTO(add_all(s, dict, w), st, done);
    LMB_GOTO(note_style(pickle->root, w), st, done);
    LMB_GOTO(lmb_str_status(&way), st, done);
    if (way.length == 0)
        goto done;
    w->unwrapped = lmb_arena_strdup(w->text_, way.text);
    if (w->unwrapped == NULL)
        st = LMB_FAIL(LMB_ENOMEM, "out of memory: weights");
done:
    lmb_str_fini(&way);
    return st;
}

/* --- the zip form */

typedef struct zip_source {
    source base;
    lmb_zip zip;
    const char *prefix; /* the folder that all entries are in */
    size_t prefix_length;
} zip_source;

/* The entry PREFIX/name of that name's bytes; *out = NULL if there is none. */
static lmb_status find_entry(
    zip_source *z, const char *folder, lmb_pk_text name, lmb_zip_entry **out)
{
    lmb_str path = {0};
    lmb_str_add_bytes(&path, z->prefix, z->prefix_length);
    lmb_str_add(&path, folder);
    lmb_str_add_bytes(&path, name.bytes, name.length);
    const lmb_status st = lmb_str_status(&path);
    if (st == LMB_OK)
        *out = lmb_zip_find(&z->zip, path.text, path.length);
    lmb_str_fini(&path);
    return st;
}

static lmb_pk_text text_of(const char *text)
{
    return (lmb_pk_text){text, strlen(text)};
}

static lmb_status find_in_zip(source *s, const lmb_pk_storage *storage,
    const uint8_t **bytes, size_t *size)
{
    zip_source *z = (zip_source *)s;
    lmb_zip_entry *e = NULL;
    LMB_TRY(find_entry(z, "data/", storage->key, &e));
    if (e == NULL)
        return LMB_FAIL(LMB_EFORMAT, "%s: storage '%.*s' is missing", s->file,
            shown(storage->key.length), storage->key.bytes);
    LMB_TRY(lmb_zip_read(&z->zip, e));
    *bytes = e->data;
    *size = e->size;
    return LMB_OK;
}

/* The folder of data.pkl: whatever the archive was called when written. */
static lmb_status find_object(zip_source *z, lmb_zip_entry **out)
{
    static const char file[] = "data.pkl";
    const size_t n = sizeof file - 1;
    for (size_t i = 0; i < z->zip.count; i++) {
        lmb_zip_entry *e = &z->zip.entries[i];
        const size_t before = e->name_length - n;
        if (e->name_length < n || memcmp(e->name + before, file, n) != 0)
            continue;
        const char *slash = before > 0 ? memchr(e->name, '/', before) : NULL;
        if (before != 0 && slash != e->name + before - 1)
            continue;
        z->prefix = e->name;
        z->prefix_length = before;
        *out = e;
        return LMB_OK;
    }
    return LMB_FAIL(LMB_EFORMAT,
        "%s: a zip without data.pkl; torch.save did not write it",
        z->base.file);
}

static lmb_status check_variant(zip_source *z)
{
    lmb_zip_entry *e = NULL;
    LMB_TRY(find_entry(z, "", text_of("constants.pkl"), &e));
    if (e != NULL)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a TorchScript program; save its state_dict() instead",
            z->base.file);
    LMB_TRY(find_entry(z, "", text_of("byteorder"), &e));
    if (e == NULL)
        return LMB_OK;
    LMB_TRY(lmb_zip_read(&z->zip, e));
    if (e->size != 6 || memcmp(e->data, "little", 6) != 0)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: written on a machine that is not little-endian", z->base.file);
    return LMB_OK;
}

/* Metadata of a file that we wrote. */
static lmb_status read_metadata(zip_source *z, lmb_weights *w)
{
    lmb_zip_entry *e = NULL;
    LMB_TRY(find_entry(z, "", text_of("limbeck.json"), &e));
    if (e == NULL)
        return LMB_OK;
    LMB_TRY(lmb_zip_read(&z->zip, e));
    json_error_t error;
    const char *key = NULL;
    json_t *value = NULL;
    json_t *root = json_loadb(
        (const char *)e->data, e->size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return LMB_FAIL(
            LMB_EFORMAT, "%s: limbeck.json is no object", z->base.file);
    }
    lmb_status st = LMB_OK;
    json_object_foreach(root, key, value)
    {
        if (json_is_string(value))
            LMB_GOTO(lmb_weights_meta_set(w, key, json_string_value(value)), st,
                done);
    }
done:
    json_decref(root);
    return st;
}

lmb_status lmb_pth_parse_zip(
    const uint8_t *bytes, size_t size, const char *name, lmb_weights *w)
{
    zip_source z = {.base = {.file = name, .find = find_in_zip}};
    lmb_zip_entry *object = NULL;
    lmb_pickle *pickle = NULL;
    lmb_status st = LMB_OK;
    w->format = "torch zip";
    LMB_GOTO(lmb_zip_open(bytes, size, name, &z.zip), st, done);
    LMB_GOTO(find_object(&z, &object), st, done);
    LMB_GOTO(check_variant(&z), st, done);
    LMB_GOTO(lmb_zip_read(&z.zip, object), st, done);
    LMB_GOTO(lmb_pickle_parse_opaque(object->data, object->size, name, &pickle),
        st, done);
    LMB_GOTO(read_object(&z.base, pickle, size, w), st, done);
    LMB_GOTO(read_metadata(&z, w), st, done);
done:
    lmb_pickle_free(pickle);
    lmb_zip_close(&z.zip);
    return st;
}

/* --- the legacy form */

typedef struct raw_storage {
    lmb_pk_text key;
    lmb_dtype dtype;
    const uint8_t *bytes;
    size_t size;
} raw_storage;

typedef struct legacy_source {
    source base;
    const uint8_t *bytes;
    size_t size, at;
    raw_storage *storages; /* sorted by key */
    size_t count;
} legacy_source;

static int by_key(const void *a, const void *b)
{
    const lmb_pk_text x = ((const raw_storage *)a)->key;
    const lmb_pk_text y = ((const raw_storage *)b)->key;
    const size_t n = x.length < y.length ? x.length : y.length;
    const int order = n > 0 ? memcmp(x.bytes, y.bytes, n) : 0;
    return order != 0 ? order : (x.length > y.length) - (x.length < y.length);
}

static raw_storage *find_raw(const legacy_source *l, lmb_pk_text key)
{
    const raw_storage wanted = {.key = key};
    if (l->count == 0)
        return NULL;
    return bsearch(&wanted, l->storages, l->count, sizeof wanted, by_key);
}

static lmb_status find_in_legacy(source *s, const lmb_pk_storage *storage,
    const uint8_t **bytes, size_t *size)
{
    const raw_storage *r = find_raw((legacy_source *)s, storage->key);
    if (r == NULL || r->bytes == NULL)
        return LMB_FAIL(LMB_EFORMAT, "%s: storage '%.*s' is missing", s->file,
            shown(storage->key.length), storage->key.bytes);
    *bytes = r->bytes;
    *size = r->size;
    return LMB_OK;
}

static lmb_status next_pickle(legacy_source *l, lmb_pickle **out)
{
    LMB_TRY(lmb_pickle_parse_opaque(
        l->bytes + l->at, l->size - l->at, l->base.file, out));
    l->at += (*out)->used;
    return LMB_OK;
}

/* The three pickles before the object. */
static lmb_status check_preamble(legacy_source *l)
{
    for (int i = 0; i < 3; i++) {
        lmb_pickle *p = NULL;
        LMB_TRY(next_pickle(l, &p));
        const lmb_pk *little = lmb_pk_get(p->root, "little_endian");
        const bool version =
            p->root->kind == LMB_PK_INT && p->root->u.integer == 1001;
        const bool big = little != NULL && little->kind == LMB_PK_BOOL &&
            little->u.integer == 0;
        lmb_pickle_free(p);
        if (i == 1 && !version)
            return LMB_FAIL(LMB_EUNSUPPORTED,
                "%s: torch's protocol is not 1001", l->base.file);
        if (big)
            return LMB_FAIL(LMB_EUNSUPPORTED,
                "%s: written on a machine that is not little-endian",
                l->base.file);
    }
    return LMB_OK;
}

/* The object's storages, each key once; the first to name it gives its type. */
static lmb_status list_storages(legacy_source *l, const lmb_pickle *object)
{
    const size_t count = object->storage_count;
    LMB_TRY(LMB_NEW(l->storages, count));
    for (size_t i = 0; i < count; i++) {
        l->storages[i].key = object->storages[i]->key;
        l->storages[i].dtype = object->storages[i]->dtype;
    }
    if (count > 0)
        qsort(l->storages, count, sizeof *l->storages, by_key);
    for (size_t i = 0; i < count; i++)
        if (l->count == 0 ||
            by_key(&l->storages[l->count - 1], &l->storages[i]) != 0)
            l->storages[l->count++] = l->storages[i];
    return LMB_OK;
}

/* Finds each key's elements in what follows the pickles. */
static lmb_status place_storages(legacy_source *l, const lmb_pk *keys)
{
    if (keys->kind != LMB_PK_LIST)
        return LMB_FAIL(LMB_EFORMAT, "%s: no list of storages", l->base.file);
    for (size_t i = 0; i < keys->u.list.count; i++) {
        const lmb_pk *key = keys->u.list.items[i];
        raw_storage *r = lmb_pk_is_text(key) ? find_raw(l, key->u.text) : NULL;
        if (r == NULL)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: a storage that nothing uses, or of a type not read",
                l->base.file);
        const size_t left = l->size - l->at;
        const size_t size = lmb_dtype_size(r->dtype);
        if (left < 8 || lmb_le64(l->bytes + l->at) > (left - 8) / size)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: storage '%.*s' reaches beyond the file; is it cut off?",
                l->base.file, shown(r->key.length), r->key.bytes);
        r->size = (size_t)lmb_le64(l->bytes + l->at) * size;
        r->bytes = l->bytes + l->at + 8;
        l->at += 8 + r->size;
    }
    return LMB_OK;
}

lmb_status lmb_pth_parse_legacy(
    const uint8_t *bytes, size_t size, const char *name, lmb_weights *w)
{
    legacy_source l = {.base = {.file = name, .find = find_in_legacy},
        .bytes = bytes,
        .size = size};
    lmb_pickle *object = NULL;
    lmb_pickle *keys = NULL;
    lmb_status st = LMB_OK;
    w->format = "torch legacy";
    LMB_GOTO(check_preamble(&l), st, done);
    LMB_GOTO(next_pickle(&l, &object), st, done);
    LMB_GOTO(next_pickle(&l, &keys), st, done);
    LMB_GOTO(list_storages(&l, object), st, done);
    LMB_GOTO(place_storages(&l, keys->root), st, done);
    LMB_GOTO(read_object(&l.base, object, size, w), st, done);
done:
    lmb_free(l.storages);
    lmb_pickle_free(keys);
    lmb_pickle_free(object);
    return st;
}
