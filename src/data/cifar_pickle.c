/* cifar_pickle.c: the Python form of CIFAR.
 *
 * A file is one pickled dict: "data" is a u8 array [N, 3072] whose rows are
 * as the pixels of a binary record, "labels" or "fine_labels" a list of N
 * integers. Keys and strings may be bytes (Python 2 wrote the originals). */
#include "base/file.h"
#include "data/cifar.h"
#include "io/unpickle.h"

#include <string.h>

static lmb_status check_data(const lmb_pk *data, const char *path)
{
    if (data == NULL || data->kind != LMB_PK_ARRAY)
        return LMB_FAIL(LMB_EFORMAT, "%s: no array 'data' in the pickle", path);
    const lmb_pk_array *a = data->u.array;
    const bool bytes =
        a->dtype.code.length == 2 && memcmp(a->dtype.code.bytes, "u1", 2) == 0;
    if (!a->complete || !bytes || a->shape.rank != 2 || a->fortran ||
        a->shape.dim[0] < 1 || a->shape.dim[1] != LMB_CIFAR_PIXELS)
        return LMB_FAIL(LMB_EFORMAT,
            "%s: 'data' is not a u8 array of shape [N, %d]", path,
            LMB_CIFAR_PIXELS);
    if (a->data.length / LMB_CIFAR_PIXELS != (size_t)a->shape.dim[0])
        return LMB_FAIL(LMB_EFORMAT, "%s: 'data' has %zu bytes for %lld rows",
            path, a->data.length, (long long)a->shape.dim[0]);
    return LMB_OK;
}

static lmb_status read_dict(const lmb_cifar_form *form, const lmb_pk *dict,
    const char *path, lmb_dataset *ds)
{
    const lmb_pk *data = lmb_pk_get(dict, "data");
    const lmb_pk *labels = lmb_pk_get(dict, form->label_key);
    LMB_TRY(check_data(data, path));
    const lmb_pk_array *a = data->u.array;
    if (labels == NULL || labels->kind != LMB_PK_LIST ||
        labels->u.list.count != (size_t)a->shape.dim[0])
        return LMB_FAIL(LMB_EFORMAT, "%s: no list '%s' of %lld labels", path,
            form->label_key, (long long)a->shape.dim[0]);
    const uint8_t *planes = (const uint8_t *)a->data.bytes;
    for (size_t i = 0; i < labels->u.list.count; i++) {
        const lmb_pk *label = labels->u.list.items[i];
        if (label->kind != LMB_PK_INT || label->u.integer < 0 ||
            label->u.integer >= form->classes)
            return LMB_FAIL(LMB_EFORMAT, "%s: label %zu is not 0 .. %d", path,
                i, (int)form->classes - 1);
        LMB_TRY(lmb__cifar_push(
            ds, (int32_t)label->u.integer, planes + i * LMB_CIFAR_PIXELS));
    }
    return LMB_OK;
}

lmb_status lmb__cifar_read_pickle(const lmb_cifar_form *form, const void *bytes,
    size_t size, const char *path, lmb_dataset *ds)
{
    lmb_pickle *pickle = NULL;
    LMB_TRY(lmb_pickle_parse(bytes, size, path, &pickle));
    const lmb_status st = read_dict(form, pickle->root, path, ds);
    lmb_pickle_free(pickle);
    return st;
}
