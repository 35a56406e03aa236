/* fuzz_unpickle.c: any bytes as a pickle, its arrays made into tensors. */
#include "io/unpickle.h"

enum { DEPTH_MAX = 6, ITEMS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const lmb_pk *value, int depth)
{
    lmb_tensor *t = NULL;
    if (value->kind == LMB_PK_ARRAY &&
        lmb_pk_array_tensor(value, "fuzz.pkl", &t) == LMB_OK)
        lmb_tensor_release(t);
    if (depth == DEPTH_MAX ||
        (value->kind != LMB_PK_LIST && value->kind != LMB_PK_TUPLE &&
            value->kind != LMB_PK_DICT))
        return;
    (void)lmb_pk_get(value, "data");
    const size_t count = value->u.list.count;
    for (size_t i = 0; i < count && i < (size_t)ITEMS_MAX >> depth; i++)
        visit(value->u.list.items[i], depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lmb_pickle *p = NULL;
    if (lmb_pickle_parse(data, size, "fuzz.pkl", &p) == LMB_OK)
        visit(p->root, 0);
    lmb_pickle_free(p);
    return 0;
}
