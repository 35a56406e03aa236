/* pickle_value.c: reading the tree of values that a pickle gave. */
#include "io/npy.h"
#include "io/pickle_machine.h"
#include "io/raw.h"
#include "tensor/shape.h"

#include <string.h>

enum { CODE_SHOWN = 80, NESTING_MAX = 100 };

bool lmb__pk_text_is(lmb_pk_text text, const char *word)
{
    return text.length == strlen(word) &&
        (text.length == 0 || memcmp(text.bytes, word, text.length) == 0);
}

bool lmb__pk_numpy_type(
    const lmb_pk_dtype *dtype, lmb_dtype *out, bool *swapped)
{
    bool unused = false;
    *swapped = dtype->order == '>';
    return dtype->code.length == 2 &&
        lmb_npy_dtype(dtype->code.bytes, 2, out, &unused);
}

bool lmb_pk_is_text(const lmb_pk *value)
{
    return value->kind == LMB_PK_STR || value->kind == LMB_PK_BYTES;
}

bool lmb_pk_is(const lmb_pk *value, const char *text)
{
    return lmb_pk_is_text(value) && lmb__pk_text_is(value->u.text, text);
}

const lmb_pk *lmb_pk_get(const lmb_pk *dict, const char *key)
{
    if (dict->kind != LMB_PK_DICT)
        return NULL;
    for (size_t i = dict->u.list.count; i >= 2; i -= 2)
        if (lmb_pk_is(dict->u.list.items[i - 2], key))
            return dict->u.list.items[i - 1];
    return NULL;
}

const lmb_pk *lmb_pk_opaque_in(const lmb_pk *value)
{
    for (int depth = 0; depth < NESTING_MAX; depth++) {
        size_t i = 0;
        if (!value->opaque || value->kind == LMB_PK_OPAQUE)
            return value->opaque ? value : NULL;
        while (i < value->u.list.count && !value->u.list.items[i]->opaque)
            i++;
        if (i == value->u.list.count)
            return NULL;
        value = value->u.list.items[i];
    }
    return NULL;
}

lmb_status lmb_pk_array_tensor(
    const lmb_pk *value, const char *name, lmb_tensor **out)
{
    lmb_dtype dtype = LMB_F32;
    bool swapped = false;
    int64_t stride[LMB_MAX_RANK] = {0};
    lmb_tensor *t = NULL;
    if (value->kind != LMB_PK_ARRAY || !value->u.array->complete)
        return LMB_FAIL(LMB_EFORMAT, "%s: not a NumPy array", name);
    const lmb_pk_array *a = value->u.array;
    if (!lmb__pk_numpy_type(&a->dtype, &dtype, &swapped))
        return LMB_FAIL(LMB_EUNSUPPORTED,
            "%s: a NumPy array of type '%.*s' is not read", name,
            (int)(a->dtype.code.length < CODE_SHOWN ? a->dtype.code.length
                                                    : CODE_SHOWN),
            a->dtype.code.bytes);
    LMB_TRY(lmb_tensor_new(dtype, &a->shape, &t));
    lmb_shape_strides(&a->shape, stride);
    for (int i = 0; a->fortran && i < a->shape.rank; i++)
        stride[i] = i == 0 ? 1 : stride[i - 1] * a->shape.dim[i - 1];
    const int64_t count = lmb_tensor_count(t);
    if (count > 0)
        lmb_gather_raw(
            t->data, a->data.bytes, lmb_dtype_size(dtype), &a->shape, stride);
    if (swapped)
        lmb_swap_elements(t->data, count, lmb_dtype_size(dtype));
    lmb_normalize_bools(t);
    *out = t;
    return LMB_OK;
}
