/* cpu_reference.c: runs a kernel call on the op's f64 reference.
 *
 * Operands are unpacked from their layout into dense doubles and the results
 * packed back, rounded once. */
#include "backend/cpu/kernel.h"

#include <string.h>

static double element_get(const lmb_buf *b, int64_t i)
{
    if (b->dtype == LMB_BF16)
        return (double)lmb_bf16_to_f32(((const uint16_t *)b->data)[i]);
    if (b->dtype == LMB_I32)
        return (double)((const int32_t *)b->data)[i];
    return (double)((const float *)b->data)[i];
}

static void element_set(const lmb_buf *b, int64_t i, double x)
{
    if (b->dtype == LMB_BF16)
        ((uint16_t *)b->data)[i] = lmb_f32_to_bf16((float)x);
    else if (b->dtype == LMB_I32)
        ((int32_t *)b->data)[i] = (int32_t)x;
    else
        ((float *)b->data)[i] = (float)x;
}

/* Copies between the layout of b and dense row-major doubles. */
static void dense_copy(const lmb_buf *b, double *dense, bool store)
{
    int64_t n = 1, c = 1, hw = lmb_shape_count(&b->shape), block = 1;
    if (b->shape.rank == 4) {
        n = b->shape.dim[0];
        c = b->shape.dim[1];
        hw = b->shape.dim[2] * b->shape.dim[3];
        block = b->block;
    }
    for (int64_t i = 0; i < n * c; i++)
        for (int64_t p = 0; p < hw; p++) {
            const int64_t ch = i % c;
            const int64_t plane = i / c * (c / block) + ch / block;
            const int64_t at = (plane * hw + p) * block + ch % block;
            if (store)
                element_set(b, at, dense[i * hw + p]);
            else
                dense[i * hw + p] = element_get(b, at);
        }
}

static lmb_type type_of(const lmb_buf *b, bool input)
{
    lmb_type type = {b->dtype == LMB_I32 ? LMB_I32 : LMB_F32, b->shape};
    if (input && b->data == NULL)
        type.shape.rank = -1;
    return type;
}

enum { ALIGN = 64 };

static size_t padded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t dense_bytes(const lmb_buf *b)
{
    return padded((size_t)lmb_shape_count(&b->shape) * sizeof(double));
}

static size_t own_bytes(const lmb_op *op, const lmb_call *c)
{
    lmb_type in[LMB_MAX_IN];
    if (op->scratch == NULL)
        return 0;
    for (int i = 0; i < c->n_in; i++)
        in[i] = type_of(&c->in[i], true);
    return padded(op->scratch(c->attr, c->n_in, in));
}

size_t lmb_call_reference_scratch(const lmb_op *op, const lmb_call *c)
{
    size_t bytes = own_bytes(op, c);
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i].data != NULL)
            bytes += dense_bytes(&c->in[i]);
    for (int i = 0; i < c->n_out; i++)
        bytes += dense_bytes(&c->out[i]);
    return bytes;
}

/* The op's own scratch lies first, then the operands one after another. */
static lmb_status run_in(const lmb_op *op, const lmb_call *c, char *memory)
{
    lmb_type in_type[LMB_MAX_IN], out_type[LMB_MAX_OUT];
    const double *in[LMB_MAX_IN];
    double *out[LMB_MAX_OUT];
    char *at = memory + own_bytes(op, c);
    for (int i = 0; i < c->n_in; i++) {
        in_type[i] = type_of(&c->in[i], true);
        in[i] = NULL;
        if (c->in[i].data == NULL)
            continue;
        in[i] = (double *)(void *)at;
        dense_copy(&c->in[i], (double *)(void *)at, false);
        at += dense_bytes(&c->in[i]);
    }
    for (int i = 0; i < c->n_out; i++) {
        out_type[i] = type_of(&c->out[i], false);
        out[i] = (double *)(void *)at;
        at += dense_bytes(&c->out[i]);
    }
    const lmb_ref ref = {
        c->attr, c->n_in, c->n_out, in_type, out_type, in, out, memory};
    LMB_TRY(op->reference(&ref));
    for (int i = 0; i < c->n_out; i++)
        if (c->out[i].data != NULL)
            dense_copy(&c->out[i], out[i], true);
    return LMB_OK;
}

lmb_status lmb_call_reference(const lmb_op *op, const lmb_call *c)
{
    if (op->reference == NULL)
        return LMB_FAIL(LMB_EUNSUPPORTED, "%s: no reference kernel", op->name);
    if (c->scratch != NULL)
        return run_in(op, c, c->scratch);
    char *memory = NULL;
    LMB_TRY(LMB_NEW(memory, lmb_call_reference_scratch(op, c)));
    const lmb_status st = run_in(op, c, memory);
    lmb_free(memory);
    return st;
}
