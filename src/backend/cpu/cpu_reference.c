/* cpu_reference.c: runs a kernel call on the op's f64 reference.
 *
 * Operands are unpacked from their layout into dense doubles and the results
 * packed back, rounded once. */
#include "backend/cpu/kernel.h"

#include <string.h>

typedef struct ref_operands {
    double *in[LMB_MAX_IN], *out[LMB_MAX_OUT];
    lmb_type in_type[LMB_MAX_IN], out_type[LMB_MAX_OUT];
} ref_operands;

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

static lmb_status operand_new(
    const lmb_buf *b, bool input, double **dense, lmb_type *type)
{
    type->dtype = b->dtype == LMB_I32 ? LMB_I32 : LMB_F32;
    type->shape = b->shape;
    if (input && b->data == NULL) {
        type->shape.rank = -1;
        return LMB_OK;
    }
    LMB_TRY(LMB_NEW(*dense, lmb_shape_count(&b->shape)));
    if (input)
        dense_copy(b, *dense, false);
    return LMB_OK;
}

lmb_status lmb_call_reference(const lmb_op *op, const lmb_call *c)
{
    ref_operands r;
    memset(&r, 0, sizeof r);
    lmb_status st = LMB_OK;
    if (op->reference == NULL)
        return LMB_FAIL(LMB_EUNSUPPORTED, "%s: no reference kernel", op->name);
    for (int i = 0; i < c->n_in; i++)
        LMB_GOTO(
            operand_new(&c->in[i], true, &r.in[i], &r.in_type[i]), st, done);
    for (int i = 0; i < c->n_out; i++)
        LMB_GOTO(operand_new(&c->out[i], false, &r.out[i], &r.out_type[i]), st,
            done);
    const double *in[LMB_MAX_IN];
    for (int i = 0; i < LMB_MAX_IN; i++)
        in[i] = r.in[i];
    const lmb_ref ref = {
        c->attr, c->n_in, c->n_out, r.in_type, r.out_type, in, r.out};
    LMB_GOTO(op->reference(&ref), st, done);
    for (int i = 0; i < c->n_out; i++)
        if (c->out[i].data != NULL)
            dense_copy(&c->out[i], r.out[i], true);
done:
    for (int i = 0; i < LMB_MAX_IN; i++)
        lmb_free(r.in[i]);
    for (int i = 0; i < LMB_MAX_OUT; i++)
        lmb_free(r.out[i]);
    return st;
}
