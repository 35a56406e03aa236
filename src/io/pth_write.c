/* pth_write.c: a zip that torch.load reads as an OrderedDict of tensors.
 *
 * The object is pickled with protocol 2, in the opcodes and the order that
 * torch.save uses, without memo:
 *   OrderedDict(); name: _rebuild_tensor_v2(persistent storage id, 0, size,
 *   stride, False, OrderedDict()); ...
 * Source: torch/serialization.py and torch/_tensor.py of torch 1.13. */
#include "base/str.h"
#include "io/pth.h"
#include "io/raw.h"
#include "io/zip.h"
#include "tensor/shape.h"

#include <stdio.h>
#include <string.h>

static const char *storage_name(lmb_dtype dtype)
{
    switch (dtype) {
    case LMB_F32:
        return "FloatStorage";
    case LMB_F64:
        return "DoubleStorage";
    case LMB_BF16:
        return "BFloat16Storage";
    case LMB_F16:
        return "HalfStorage";
    case LMB_I8:
        return "CharStorage";
    case LMB_U8:
        return "ByteStorage";
    case LMB_I16:
        return "ShortStorage";
    case LMB_I32:
        return "IntStorage";
    case LMB_I64:
        return "LongStorage";
    case LMB_BOOL:
        return "BoolStorage";
    }
    return "?";
}

static void put_text(lmb_str *out, const char *text)
{
    uint8_t length[4];
    lmb_put_le32(length, (uint32_t)strlen(text));
    lmb_str_add(out, "X");
    lmb_str_add_bytes(out, length, sizeof length);
    lmb_str_add(out, text);
}

/* LONG1 of eight bytes fits every count; small ones are BININT1. */
static void put_int(lmb_str *out, int64_t value)
{
    uint8_t bytes[10] = {0x8a, 8};
    if (value < 256) {
        const uint8_t small[2] = {'K', (uint8_t)value};
        lmb_str_add_bytes(out, small, sizeof small);
        return;
    }
    lmb_put_le64(bytes + 2, (uint64_t)value);
    lmb_str_add_bytes(out, bytes, sizeof bytes);
}

static void put_tuple(lmb_str *out, int rank, const int64_t *numbers)
{
    lmb_str_add(out, "(");
    for (int i = 0; i < rank; i++)
        put_int(out, numbers[i]);
    lmb_str_add(out, "t");
}

static void put_empty_dict(lmb_str *out)
{
    lmb_str_add(out, "ccollections\nOrderedDict\n)R");
}

static void put_tensor(lmb_str *out, const lmb_tensor *t, size_t index)
{
    char key[24];
    int64_t stride[LMB_MAX_RANK] = {0};
    lmb_shape_strides(&t->shape, stride);
    (void)snprintf(key, sizeof key, "%zu", index);
    lmb_str_add(out, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(out, "storage");
    lmb_str_printf(out, "ctorch\n%s\n", storage_name(t->dtype));
    put_text(out, key);
    put_text(out, "cpu");
    put_int(out, lmb_tensor_count(t));
    lmb_str_add(out, "tQ");
    put_int(out, 0);
    put_tuple(out, t->shape.rank, t->shape.dim);
    put_tuple(out, t->shape.rank, stride);
    lmb_str_add(out, "\x89");
    put_empty_dict(out);
    lmb_str_add(out, "tR");
}

static void put_object(lmb_str *out, const lmb_weights *w)
{
    lmb_str_add(out, "\x80\x02");
    put_empty_dict(out);
    lmb_str_add(out, "(");
    for (size_t i = 0; i < w->count; i++) {
        put_text(out, w->items[i].name);
        put_tensor(out, w->items[i].tensor, i);
    }
    lmb_str_add(out, "u.");
}

static void put_metadata(lmb_str *out, const lmb_weights *w)
{
    lmb_str_add(out, "{");
    for (size_t i = 0; i < w->meta_count; i++) {
        lmb_str_add(out, i > 0 ? "," : "");
        lmb_str_json(out, w->meta[i].key);
        lmb_str_add(out, ":");
        lmb_str_json(out, w->meta[i].value);
    }
    lmb_str_add(out, "}");
}

enum { NAME_SIZE = 40 };

/* data.pkl, the storages, version, and metadata if there are any. */
static size_t list_members(const lmb_weights *w, const lmb_str *object,
    const lmb_str *metadata, char (*names)[NAME_SIZE], lmb_zip_member *members)
{
    size_t n = 0;
    members[n++] =
        (lmb_zip_member){"archive/data.pkl", object->text, object->length};
    for (size_t i = 0; i < w->count; i++) {
        const lmb_tensor *t = w->items[i].tensor;
        (void)snprintf(names[i], NAME_SIZE, "archive/data/%zu", i);
        members[n++] = (lmb_zip_member){names[i], t->data,
            (size_t)lmb_tensor_count(t) * lmb_dtype_size(t->dtype)};
    }
    if (w->meta_count > 0)
        members[n++] = (lmb_zip_member){
            "archive/limbeck.json", metadata->text, metadata->length};
    members[n++] = (lmb_zip_member){"archive/version", "3\n", 2};
    return n;
}

lmb_status lmb_pth_save(const char *path, const lmb_weights *w)
{
    lmb_str object = {0};
    lmb_str metadata = {0};
    char(*names)[NAME_SIZE] = NULL;
    lmb_zip_member *members = NULL;
    lmb_status st = LMB_OK;
    put_object(&object, w);
    put_metadata(&metadata, w);
    LMB_GOTO(lmb_str_status(&object), st, done);
    LMB_GOTO(lmb_str_status(&metadata), st, done);
    LMB_GOTO(LMB_NEW(names, w->count), st, done);
    LMB_GOTO(LMB_NEW(members, w->count + 3), st, done);
    const size_t count = list_members(w, &object, &metadata, names, members);
    LMB_GOTO(lmb_zip_save(path, members, count), st, done);
done:
    lmb_free(members);
    lmb_free(names);
    lmb_str_fini(&metadata);
    lmb_str_fini(&object);
    return st;
}
