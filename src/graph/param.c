/* param.c: named parameters in flat arrays. */
#include "graph/param.h"

#include "base/rng.h"
#include "limbeck/tensor.h"

#include <string.h>

struct lmb_params {
    lmb_dtype dtype;
    lmb_arena *arena;
    lmb_param **items;
    size_t count, capacity;
    bool sealed;
    void *data, *grads, *buffers;
    int64_t data_size, buffers_size;
    uint64_t version;
};

enum { ALIGN = 16 }; /* elements: 64 bytes of f32 */

lmb_status lmb_params_new(lmb_dtype dtype, lmb_params **out)
{
    LMB_ASSERT(dtype == LMB_F32 || dtype == LMB_F64);
    lmb_params *store = NULL;
    LMB_TRY(LMB_NEW(store, 1));
    const lmb_status st = lmb_arena_new(&store->arena);
    if (st != LMB_OK) {
        lmb_free(store);
        return st;
    }
    store->dtype = dtype;
    store->version = 1;
    *out = store;
    return LMB_OK;
}

void lmb_params_free(lmb_params *store)
{
    if (store == NULL)
        return;
    lmb_free(store->data);
    lmb_free(store->grads);
    lmb_free(store->buffers);
    lmb_free(store->items);
    lmb_arena_free(store->arena);
    lmb_free(store);
}

lmb_param *lmb_params_find(const lmb_params *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->items[i]->name, name) == 0)
            return store->items[i];
    return NULL;
}

lmb_status lmb_params_add(lmb_params *store, const char *name,
    const lmb_shape *shape, lmb_init init, bool trainable, lmb_param **out)
{
    lmb_param *p = lmb_params_find(store, name);
    if (p != NULL) {
        if (!lmb_shape_equal(&p->shape, shape))
            return LMB_FAIL(LMB_ESHAPE, "parameter %s: %s, not %s", name,
                lmb_shape_text(&p->shape), lmb_shape_text(shape));
        *out = p;
        return LMB_OK;
    }
    if (store->sealed)
        return LMB_FAIL(LMB_EINVAL,
            "parameter %s: the set of parameters is fixed already", name);
    const int64_t count = lmb_shape_count(shape);
    if (count < 0)
        return LMB_FAIL(
            LMB_ESHAPE, "parameter %s: shape %s", name, lmb_shape_text(shape));
    LMB_TRY(LMB_GROW(store->items, store->count, store->capacity));
    p = lmb_arena_alloc(store->arena, sizeof *p);
    char *copy = lmb_arena_strdup(store->arena, name);
    if (p == NULL || copy == NULL)
        return LMB_FAIL(LMB_ENOMEM, "out of memory: parameter %s", name);
    *p = (lmb_param){
        .name = copy,
        .shape = *shape,
        .count = count,
        .trainable = trainable,
        .init = init,
        .owner = store,
    };
    int64_t *size = trainable ? &store->data_size : &store->buffers_size;
    p->offset = *size;
    *size += (count + ALIGN - 1) / ALIGN * ALIGN;
    store->items[store->count++] = p;
    *out = p;
    return LMB_OK;
}

int lmb_params_count(const lmb_params *store)
{
    return (int)store->count;
}

lmb_param *lmb_params_at(const lmb_params *store, int i)
{
    return store->items[i];
}

lmb_dtype lmb_params_dtype(const lmb_params *store)
{
    return store->dtype;
}

int64_t lmb_params_trainable(const lmb_params *store)
{
    int64_t total = 0;
    for (size_t i = 0; i < store->count; i++)
        if (store->items[i]->trainable)
            total += store->items[i]->count;
    return total;
}

lmb_status lmb_params_seal(lmb_params *store)
{
    if (store->sealed)
        return LMB_OK;
    const size_t size = lmb_dtype_size(store->dtype);
    const size_t n = (size_t)store->data_size;
    const size_t m = (size_t)store->buffers_size;
    void *data = lmb_alloc(n, size);
    void *grads = lmb_alloc(n, size);
    void *buffers = lmb_alloc(m, size);
    if (data == NULL || grads == NULL || buffers == NULL) {
        lmb_free(data);
        lmb_free(grads);
        lmb_free(buffers);
        return LMB_FAIL(LMB_ENOMEM, "out of memory: %zu parameters", n + m);
    }
    store->data = data;
    store->grads = grads;
    store->buffers = buffers;
    store->sealed = true;
    return LMB_OK;
}

static double draw(const lmb_init *init, lmb_rng *rng)
{
    switch (init->kind) {
    case LMB_INIT_NORMAL:
        return init->a + init->b * lmb_rng_normal(rng);
    case LMB_INIT_UNIFORM:
        return init->a + (init->b - init->a) * lmb_rng_uniform(rng);
    case LMB_INIT_CONSTANT:
        break;
    }
    return init->a;
}

void lmb_params_init(lmb_params *store, uint64_t seed)
{
    for (size_t i = 0; i < store->count; i++) {
        const lmb_param *p = store->items[i];
        lmb_rng rng = lmb_rng_make(seed, LMB_STREAM_INIT, lmb_hash(p->name), 0);
        for (int64_t k = 0; k < p->count; k++)
            lmb_param_set(p, k, draw(&p->init, &rng));
    }
    store->version++;
}

void *lmb_params_data(lmb_params *store)
{
    return store->data;
}

void *lmb_params_grads(lmb_params *store)
{
    return store->grads;
}

void *lmb_params_buffers(lmb_params *store)
{
    return store->buffers;
}

int64_t lmb_params_data_size(const lmb_params *store)
{
    return store->data_size;
}

int64_t lmb_params_buffers_size(const lmb_params *store)
{
    return store->buffers_size;
}

static void *at(const lmb_param *p, void *base)
{
    return (char *)base + (size_t)p->offset * lmb_dtype_size(p->owner->dtype);
}

void *lmb_param_data(const lmb_param *p)
{
    LMB_ASSERT(p->owner->sealed);
    return at(p, p->trainable ? p->owner->data : p->owner->buffers);
}

void *lmb_param_grad(const lmb_param *p)
{
    LMB_ASSERT(p->owner->sealed);
    return p->trainable ? at(p, p->owner->grads) : NULL;
}

double lmb_param_get(const lmb_param *p, int64_t i)
{
    const void *data = lmb_param_data(p);
    return p->owner->dtype == LMB_F64 ? ((const double *)data)[i]
                                      : (double)((const float *)data)[i];
}

void lmb_param_set(const lmb_param *p, int64_t i, double value)
{
    void *data = lmb_param_data(p);
    if (p->owner->dtype == LMB_F64)
        ((double *)data)[i] = value;
    else
        ((float *)data)[i] = (float)value;
}

void lmb_params_touch(lmb_params *store)
{
    store->version++;
}

uint64_t lmb_params_version(const lmb_params *store)
{
    return store->version;
}

lmb_status lmb_param_load(lmb_param *p, const struct lmb_tensor *t)
{
    if (!lmb_shape_equal(&p->shape, &t->shape))
        return LMB_FAIL(LMB_ESHAPE, "%s: %s, not %s", p->name,
            lmb_shape_text(&t->shape), lmb_shape_text(&p->shape));
    for (int64_t i = 0; i < p->count; i++)
        lmb_param_set(p, i, lmb_tensor_get(t, i));
    p->owner->version++;
    return LMB_OK;
}
