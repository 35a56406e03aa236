/* safetensors.c: Hugging Face's safetensors.
 *
 *   u64 n (little-endian, <= 100 MB); n bytes of JSON; data to the end
 *   {"__metadata__": {key: text}, NAME: {"dtype": "F32", "shape": [..],
 *    "data_offsets": [begin, end]}, ...}
 * Offsets count from the start of the data; the ranges must tile it without
 * hole or overlap, and each must hold exactly shape x dtype. We pad the
 * header with spaces to a multiple of 8 and lay out wide types first, so that
 * every tensor is aligned; readers need not rely on that.
 * Source: the format description in the safetensors repository's README. */
#include "io/safetensors.h"

#include "base/file.h"
#include "base/str.h"
#include "io/raw.h"
#include "tensor/shape.h"

#include <jansson.h>

#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8, HEADER_MAX = 100 * 1000 * 1000, NAME_SHOWN = 80 };

typedef struct range {
    int64_t begin, end;
    const char *name;
} range;

typedef struct reader {
    const char *file;
    const uint8_t *data;
    int64_t data_size;
    lmb_weights *w;
    range *ranges;
    size_t count;
} reader;

static int by_begin(const void *a, const void *b)
{
    const range *x = a;
    const range *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* The ranges must tile the data. */
static lmb_status check_tiling(reader *r)
{
    qsort(r->ranges, r->count, sizeof *r->ranges, by_begin);
    int64_t at = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->ranges[i].begin != at)
            return LMB_FAIL(LMB_EFORMAT,
                "%s: tensor '%.*s' starts at %lld where %lld is due", r->file,
                NAME_SHOWN, r->ranges[i].name, (long long)r->ranges[i].begin,
                (long long)at);
        at = r->ranges[i].end;
    }
    if (at != r->data_size)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: tensors take %lld bytes of %lld; is the file cut off?",
            r->file, (long long)at, (long long)r->data_size);
    return LMB_OK;
}

static lmb_status bad_tensor(
    const reader *r, const char *name, const char *rule)
{
    return LMB_FAIL(
        LMB_EFORMAT, "%s: tensor '%.*s': %s", r->file, NAME_SHOWN, name, rule);
}

static lmb_status read_shape(
    const reader *r, const char *name, const json_t *list, lmb_shape *out)
{
    if (!json_is_array(list))
        return bad_tensor(r, name, "shape is not a list");
    const size_t rank = json_array_size(list);
    if (rank > LMB_MAX_RANK)
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: tensor '%.*s' has %zu axes; at most %d are supported", r->file,
            NAME_SHOWN, name, rank, LMB_MAX_RANK);
    *out = LMB_SCALAR;
    out->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(list, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return bad_tensor(r, name, "shape holds no whole number >= 0");
        out->dim[i] = json_integer_value(dim);
    }
    return LMB_OK;
}

static lmb_status read_range(
    const reader *r, const char *name, const json_t *list, range *out)
{
    const json_t *begin = json_array_get(list, 0);
    const json_t *end = json_array_get(list, 1);
    if (json_array_size(list) != 2 || !json_is_integer(begin) ||
        !json_is_integer(end))
        return bad_tensor(r, name, "data_offsets are not two whole numbers");
    out->name = name;
    out->begin = json_integer_value(begin);
    out->end = json_integer_value(end);
    if (out->begin < 0 || out->end < out->begin || out->end > r->data_size)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: tensor '%.*s' at %lld .. %lld of %lld bytes of data; is the "
            "file cut off?",
            r->file, NAME_SHOWN, name, (long long)out->begin,
            (long long)out->end, (long long)r->data_size);
    return LMB_OK;
}

static lmb_status read_tensor(reader *r, const char *name, const json_t *entry)
{
    lmb_shape shape;
    lmb_dtype dtype = LMB_F32;
    range *at = &r->ranges[r->count];
    if (!json_is_object(entry))
        return bad_tensor(r, name, "its entry is not an object");
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    if (type == NULL)
        return bad_tensor(r, name, "it has no dtype");
    if (!lmb_dtype_parse(type, &dtype))
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: tensor '%.*s': dtype '%.20s' is not supported", r->file,
            NAME_SHOWN, name, type);
    LMB_TRY(read_shape(r, name, json_object_get(entry, "shape"), &shape));
    LMB_TRY(read_range(r, name, json_object_get(entry, "data_offsets"), at));
    int64_t need = lmb_shape_count(&shape);
    if (need < 0 || !lmb_mul_i64(need, (int64_t)lmb_dtype_size(dtype), &need) ||
        need != at->end - at->begin)
        return LMB_FAIL(LMB_EFORMAT, "%s: tensor '%.*s' of %s %s in %lld bytes",
            r->file, NAME_SHOWN, name, type, lmb_shape_text(&shape),
            (long long)(at->end - at->begin));
    lmb_tensor *t = NULL;
    LMB_TRY(lmb_tensor_new(dtype, &shape, &t));
    if (need > 0)
        memcpy(t->data, r->data + at->begin, (size_t)need);
    lmb_normalize_bools(t);
    const lmb_status st = lmb_weights_add(r->w, name, t);
    lmb_tensor_release(t);
    r->count++;
    return st == LMB_OK ? st : lmb__wrap(st, "%s", r->file);
}

static lmb_status read_metadata(reader *r, json_t *entries)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(entries))
        return LMB_FAIL(
            LMB_EFORMAT, "%s: __metadata__ is not an object", r->file);
    json_object_foreach(entries, key, value)
    {
        if (!json_is_string(value))
            return LMB_FAIL(LMB_EFORMAT,
                "%s: __metadata__ '%.*s' is not a text", r->file, NAME_SHOWN,
                key);
        LMB_TRY(lmb_weights_meta_set(r->w, key, json_string_value(value)));
    }
    return LMB_OK;
}

static lmb_status read_header(reader *r, json_t *root)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(root))
        return LMB_FAIL(LMB_EFORMAT, "%s: header is not an object", r->file);
    LMB_TRY(LMB_NEW(r->ranges, json_object_size(root)));
    json_object_foreach(root, key, value)
    {
        if (strcmp(key, "__metadata__") == 0)
            LMB_TRY(read_metadata(r, value));
        else
            LMB_TRY(read_tensor(r, key, value));
    }
    return check_tiling(r);
}

lmb_status lmb_safetensors_parse(
    const uint8_t *bytes, size_t size, const char *name, lmb_weights *w)
{
    if (size < PREFIX)
        return LMB_FAIL(
            LMB_EFORMAT, "%s: a file of %zu bytes is too short", name, size);
    const uint64_t length = lmb_le64(bytes);
    if (length > HEADER_MAX || length > size - PREFIX)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: header of %llu bytes in a file of %zu (limit %d)", name,
            (unsigned long long)length, size, HEADER_MAX);
    reader r = {.file = name, .w = w};
    r.data = bytes + PREFIX + length;
    r.data_size = (int64_t)(size - PREFIX - length);
    json_error_t error;
    json_t *root = json_loadb((const char *)bytes + PREFIX, (size_t)length,
        JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return LMB_FAIL(LMB_EFORMAT, "%s: header, byte %d: %s", name,
            error.position, error.text);
    const lmb_status st = read_header(&r, root);
    w->format = "safetensors";
    lmb_free(r.ranges);
    json_decref(root);
    return st;
}

/* --- writing */

static int64_t bytes_of(const lmb_tensor *t)
{
    return lmb_tensor_count(t) * (int64_t)lmb_dtype_size(t->dtype);
}

static void print_metadata(const lmb_weights *w, lmb_str *out)
{
    lmb_str_add(out, "\"__metadata__\":{");
    for (size_t i = 0; i < w->meta_count; i++) {
        lmb_str_add(out, i > 0 ? "," : "");
        lmb_str_json(out, w->meta[i].key);
        lmb_str_add(out, ":");
        lmb_str_json(out, w->meta[i].value);
    }
    lmb_str_add(out, "}");
}

static void print_tensor(const lmb_weight *item, int64_t begin, lmb_str *out)
{
    const lmb_tensor *t = item->tensor;
    lmb_str_json(out, item->name);
    lmb_str_printf(
        out, ":{\"dtype\":\"%s\",\"shape\":[", lmb_dtype_name(t->dtype));
    for (int i = 0; i < t->shape.rank; i++)
        lmb_str_printf(
            out, "%s%lld", i > 0 ? "," : "", (long long)t->shape.dim[i]);
    lmb_str_printf(out, "],\"data_offsets\":[%lld,%lld]}", (long long)begin,
        (long long)(begin + bytes_of(t)));
}

/* Where each tensor's data begins: 8-byte types first, then 4, 2, 1. */
static void place(const lmb_weights *w, int64_t *begin)
{
    int64_t at = 0;
    for (size_t size = 8; size > 0; size /= 2)
        for (size_t i = 0; i < w->count; i++)
            if (lmb_dtype_size(w->items[i].tensor->dtype) == size) {
                begin[i] = at;
                at += bytes_of(w->items[i].tensor);
            }
}

static void print_header(
    const lmb_weights *w, const int64_t *begin, lmb_str *out)
{
    lmb_str_add(out, "{");
    if (w->meta_count > 0)
        print_metadata(w, out);
    for (size_t i = 0; i < w->count; i++) {
        lmb_str_add(out, i > 0 || w->meta_count > 0 ? "," : "");
        print_tensor(&w->items[i], begin[i], out);
    }
    lmb_str_add(out, "}");
    while (out->length % 8 != 0 && !out->failed)
        lmb_str_add(out, " ");
}

static lmb_status write_data(lmb_writer *out, const lmb_weights *w)
{
    for (size_t size = 8; size > 0; size /= 2)
        for (size_t i = 0; i < w->count; i++) {
            const lmb_tensor *t = w->items[i].tensor;
            if (lmb_dtype_size(t->dtype) == size)
                LMB_TRY(lmb_writer_write(out, t->data, (size_t)bytes_of(t)));
        }
    return LMB_OK;
}

lmb_status lmb_safetensors_save(const char *path, const lmb_weights *w)
{
    lmb_str header = {0};
    lmb_writer out = {0};
    int64_t *begin = NULL;
    uint8_t prefix[PREFIX];
    lmb_status st = LMB_OK;
    if (lmb_weights_find(w, "__metadata__") != NULL)
        return LMB_FAIL(LMB_EINVAL,
            "%s: safetensors cannot hold a tensor named __metadata__", path);
    LMB_GOTO(LMB_NEW(begin, w->count), st, done);
    place(w, begin);
    print_header(w, begin, &header);
    LMB_GOTO(lmb_str_status(&header), st, done);
    lmb_put_le64(prefix, header.length);
    LMB_GOTO(lmb_writer_open(path, &out), st, done);
    LMB_GOTO(lmb_writer_write(&out, prefix, PREFIX), st, done);
    LMB_GOTO(lmb_writer_write(&out, header.text, header.length), st, done);
    LMB_GOTO(write_data(&out, w), st, done);
    LMB_GOTO(lmb_writer_commit(&out), st, done);
done:
    lmb_writer_abort(&out);
    lmb_free(begin);
    lmb_str_fini(&header);
    return st;
}
