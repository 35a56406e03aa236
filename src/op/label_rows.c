/* label_rows.c: shape rules of losses over rows with labels. */
#include "op/label_rows.h"

lmb_shape lmb__rows_shape(const lmb_shape *logits)
{
    lmb_shape rows = *logits;
    rows.dim[--rows.rank] = 0;
    return rows;
}

lmb_status lmb__want_labelled(const lmb_type *in, int i)
{
    const lmb_shape *logits = &in[i].shape;
    LMB_TRY(lmb__want_real(in, i));
    LMB_TRY(lmb__want_index(in, i + 1));
    if (logits->rank < 1 || logits->dim[logits->rank - 1] < 1)
        return LMB_FAIL(
            LMB_ESHAPE, "logits %s have no classes", lmb_shape_text(logits));
    const lmb_shape rows = lmb__rows_shape(logits);
    if (!lmb_shape_equal(&in[i + 1].shape, &rows))
        return LMB_FAIL(LMB_ESHAPE, "labels %s do not belong to logits %s",
            lmb_shape_text(&in[i + 1].shape), lmb_shape_text(logits));
    return LMB_OK;
}

double lmb__log_sum_exp(const double *x, int64_t n)
{
    double most = x[0], sum = 0;
    for (int64_t k = 1; k < n; k++)
        most = x[k] > most ? x[k] : most;
    for (int64_t k = 0; k < n; k++)
        sum += exp(x[k] - most);
    return most + log(sum);
}
