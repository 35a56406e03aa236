/* argsort.c: the indices that sort the last axis.
 *
 *   x [.., C] -> idx I32 [.., C] with x[idx[0]], x[idx[1]], .. rising, or
 *   falling when descending.
 * Stable: equal values keep the order of their indices in both directions.
 * NaN counts as greater than all numbers. No gradient. */
#include "op/op_util.h"

#include <math.h>
#include <stdlib.h>

typedef struct item {
    double value;
    int64_t index;
} item;

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)attr;
    (void)n_in;
    LMB_TRY(lmb__want_real(in, 0));
    if (in[0].shape.rank < 1)
        return LMB_FAIL(LMB_ESHAPE, "a scalar has no last axis to sort");
    out[0] = (lmb_type){LMB_I32, in[0].shape};
    return LMB_OK;
}

/* -1, 0, 1; NaN is the greatest. */
static int compare(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

/* The index breaks ties, so qsort's instability does not matter. */
static int by_index(const item *a, const item *b)
{
    return (a->index > b->index) - (a->index < b->index);
}

static int rising(const void *a, const void *b)
{
    const item *p = a, *q = b;
    const int order = compare(p->value, q->value);
    return order != 0 ? order : by_index(p, q);
}

static int falling(const void *a, const void *b)
{
    const item *p = a, *q = b;
    const int order = compare(q->value, p->value);
    return order != 0 ? order : by_index(p, q);
}

static lmb_status reference(const lmb_ref *r)
{
    const bool descending = ((const lmb_argsort_attr *)r->attr)->descending;
    const lmb_shape *shape = &r->in_type[0].shape;
    const int64_t size = shape->dim[shape->rank - 1];
    const int64_t n = lmb_shape_count(shape);
    item *items = NULL;
    LMB_TRY(LMB_NEW(items, size));
    for (int64_t row = 0; row < n; row += size) {
        for (int64_t k = 0; k < size; k++)
            items[k] = (item){r->in[0][row + k], k};
        qsort(
            items, (size_t)size, sizeof *items, descending ? falling : rising);
        for (int64_t k = 0; k < size; k++)
            r->out[0][row + k] = (double)items[k].index;
    }
    lmb_free(items);
    return LMB_OK;
}

const lmb_op lmb_op_argsort = {
    .name = "argsort",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .attr_size = sizeof(lmb_argsort_attr),
    .shape = shape_rule,
    .no_gradient = true,
    .reference = reference,
};

lmb_value lmb_argsort(lmb_graph *g, lmb_value x, bool descending)
{
    const lmb_argsort_attr attr = {descending};
    return lmb__apply(g, &lmb_op_argsort, &attr, 1, &x);
}
