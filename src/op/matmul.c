/* matmul.c: products of matrices, c = op(a) op(b), op = identity or transpose.
 *
 *   op(a) [M, K], op(b) [K, N] -> c [M, N]; or with a first axis B on a, b and
 *   c: a batch of B products.
 * Gradients, with dc = dy:
 *   da = dc op(b)^T, or op(b) dc^T when a is transposed;
 *   db = op(a)^T dc, or dc^T op(a) when b is transposed. */
#include "op/op_util.h"

/* Rows and columns of op(x). */
static int64_t rows_of(const lmb_shape *x, bool transposed)
{
    return x->dim[x->rank - (transposed ? 1 : 2)];
}

static int64_t cols_of(const lmb_shape *x, bool transposed)
{
    return x->dim[x->rank - (transposed ? 2 : 1)];
}

static lmb_status shape_rule(
    const void *attr, int n_in, const lmb_type *in, lmb_type *out)
{
    (void)n_in;
    const lmb_matmul_attr *t = attr;
    const lmb_shape *a = &in[0].shape, *b = &in[1].shape;
    LMB_TRY(lmb__want_real(in, 0));
    LMB_TRY(lmb__want_real(in, 1));
    if (a->rank != b->rank || a->rank < 2 || a->rank > 3 ||
        (a->rank == 3 && a->dim[0] != b->dim[0]))
        return LMB_FAIL(LMB_ESHAPE,
            "shapes %s and %s are not two matrices or two equal batches",
            lmb_shape_text(a), lmb_shape_text(b));
    if (cols_of(a, t->ta) != rows_of(b, t->tb))
        return LMB_FAIL(LMB_ESHAPE,
            "shapes %s%s and %s%s: %lld columns against %lld rows",
            lmb_shape_text(a), t->ta ? "^T" : "", lmb_shape_text(b),
            t->tb ? "^T" : "", (long long)cols_of(a, t->ta),
            (long long)rows_of(b, t->tb));
    out[0] = in[0];
    out[0].shape.dim[a->rank - 2] = rows_of(a, t->ta);
    out[0].shape.dim[a->rank - 1] = cols_of(b, t->tb);
    return LMB_OK;
}

typedef struct product {
    int64_t m, n, k;
    bool ta, tb;
} product;

static void multiply(
    const product *p, const double *a, const double *b, double *c)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < p->k; l++)
                sum += (p->ta ? a[l * p->m + i] : a[i * p->k + l]) *
                    (p->tb ? b[j * p->k + l] : b[l * p->n + j]);
            c[i * p->n + j] = sum;
        }
}

static lmb_status reference(const lmb_ref *r)
{
    const lmb_matmul_attr *t = r->attr;
    const lmb_shape *a = &r->in_type[0].shape, *b = &r->in_type[1].shape;
    const product p = {
        .m = rows_of(a, t->ta),
        .n = cols_of(b, t->tb),
        .k = cols_of(a, t->ta),
        .ta = t->ta,
        .tb = t->tb,
    };
    const int64_t batch = a->rank == 3 ? a->dim[0] : 1;
    for (int64_t i = 0; i < batch; i++)
        multiply(&p, r->in[0] + i * p.m * p.k, r->in[1] + i * p.k * p.n,
            r->out[0] + i * p.m * p.n);
    return LMB_OK;
}

static void grad(lmb_graph *g, const lmb_grad *c)
{
    const lmb_matmul_attr *t = c->attr;
    const lmb_value a = c->in[0], b = c->in[1], dy = c->dy[0];
    if (c->need[0])
        c->dx[0] = t->ta ? lmb_matmul(g, b, dy, t->tb, true)
                         : lmb_matmul(g, dy, b, false, !t->tb);
    if (c->need[1])
        c->dx[1] = t->tb ? lmb_matmul(g, dy, a, true, t->ta)
                         : lmb_matmul(g, a, dy, !t->ta, false);
}

const lmb_op lmb_op_matmul = {
    .name = "matmul",
    .min_in = 2,
    .max_in = 2,
    .n_out = 1,
    .attr_size = sizeof(lmb_matmul_attr),
    .shape = shape_rule,
    .grad = grad,
    .reference = reference,
};

lmb_value lmb_matmul(lmb_graph *g, lmb_value a, lmb_value b, bool ta, bool tb)
{
    const lmb_matmul_attr attr = {ta, tb};
    const lmb_value in[] = {a, b};
    return lmb__apply(g, &lmb_op_matmul, &attr, 2, in);
}
