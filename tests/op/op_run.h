/* op_run.h: runs a graph node by node with the reference kernels in double,
 * and checks gradients with it. Needs no plan: tests of ops link op and below.
 *
 *   op_run r;
 *   op_run_new(&r, g);             inputs are zero
 *   op_run_at(&r, x)[i] = ...;     inputs (indices too are doubles)
 *   op_run_all(&r);                then op_run_at(&r, y) holds y
 *   op_run_free(&r); */
#ifndef LMB_TESTS_OP_RUN_H
#define LMB_TESTS_OP_RUN_H

#include "lmb_test.h"

#include "base/rng.h"
#include "graph/ir.h"
#include "op/ops.h"

typedef struct op_run {
    const lmb_graph *g;
    double **value; /* by id */
} op_run;

static inline int64_t op_run_count(const op_run *r, lmb_value v)
{
    const lmb_shape shape = lmb_graph_shape(r->g, v);
    return lmb_shape_count(&shape);
}

static inline double *op_run_at(const op_run *r, lmb_value v)
{
    assert_true(v.id > 0 && (size_t)v.id < r->g->n_values);
    return r->value[v.id];
}

/* Fails the test if the graph could not be built. Fills the constants. */
static inline void op_run_new(op_run *r, const lmb_graph *g)
{
    CHECK_OK(lmb_graph_status(g));
    r->g = g;
    CHECK_OK(LMB_NEW(r->value, g->n_values));
    for (size_t i = 1; i < g->n_values; i++) {
        const lmb_value_info *info = &g->values[i];
        const int64_t count = lmb_shape_count(&info->type.shape);
        CHECK_OK(LMB_NEW(r->value[i], count));
        for (int64_t k = 0; k < count && info->leaf == LMB_LEAF_CONSTANT; k++)
            r->value[i][k] = info->constant ? info->constant[k] : info->fill;
    }
}

static inline void op_run_free(op_run *r)
{
    for (size_t i = 1; i < r->g->n_values; i++)
        lmb_free(r->value[i]);
    lmb_free(r->value);
}

static inline void op_run_node(const op_run *r, const lmb_node *node)
{
    lmb_type in_type[LMB_MAX_IN], out_type[LMB_MAX_OUT];
    const double *in[LMB_MAX_IN];
    double *out[LMB_MAX_OUT];
    for (int i = 0; i < node->n_in; i++) {
        in_type[i] = lmb_graph_type(r->g, node->in[i]);
        in[i] = lmb_is(node->in[i]) ? r->value[node->in[i].id] : NULL;
    }
    for (int o = 0; o < node->n_out; o++) {
        out_type[o] = lmb_graph_type(r->g, node->out[o]);
        out[o] = r->value[node->out[o].id];
    }
    const lmb_ref ref = {
        node->attr, node->n_in, node->n_out, in_type, out_type, in, out};
    CHECK_OK(node->op->reference(&ref));
}

static inline void op_run_all(const op_run *r)
{
    for (size_t i = 1; i < r->g->n_values; i++) {
        const lmb_param *p = r->g->values[i].param;
        for (int64_t k = 0; p != NULL && k < p->count; k++)
            r->value[i][k] = lmb_param_get(p, k);
    }
    for (size_t i = 0; i < r->g->n_nodes; i++)
        if (!r->g->nodes[i].removed)
            op_run_node(r, &r->g->nodes[i]);
}

/* --- gradient check --------------------------------------------------------
 */

enum { OP_RUN_MOST = 6 };

/* Builds the value under test from n inputs. */
typedef lmb_value op_run_build(
    lmb_graph *g, const lmb_value *in, const void *user);

typedef struct op_run_case {
    op_run_build *build;
    const void *user;
    int n;
    lmb_shape shape[OP_RUN_MOST];
    /* All inputs distinct by at least 0.05 (for maxima) instead of normal. */
    bool spread;
    /* Input i is constant: no gradient is asked for. */
    bool fixed[OP_RUN_MOST];
    /* Input i is drawn from [0.5, 1.5) (variances). */
    bool positive[OP_RUN_MOST];
} op_run_case;

typedef struct op_run_checker {
    op_run r;
    lmb_value x[OP_RUN_MOST], dx[OP_RUN_MOST], loss;
    double *base[OP_RUN_MOST], *dir[OP_RUN_MOST];
} op_run_checker;

/* loss = sum(r y) with a random constant r of the shape of y. */
static inline lmb_value op_run_loss(lmb_graph *g, lmb_value y)
{
    const lmb_shape shape = lmb_graph_shape(g, y);
    const int64_t count = lmb_shape_count(&shape);
    lmb_rng rng = lmb_rng_make(7, LMB_STREAM_TEST, 1, 0);
    double *weight;
    CHECK_OK(LMB_NEW(weight, count));
    for (int64_t i = 0; i < count; i++)
        weight[i] = lmb_rng_normal(&rng);
    const lmb_value w = lmb_graph_constant(g, shape, weight, 0);
    lmb_free(weight);
    return lmb_sum(g, lmb_mul(g, y, w), LMB_ALL_AXES, false);
}

static inline void op_run_draw(
    op_run_checker *k, const op_run_case *c, int i, uint64_t seed)
{
    const int64_t n = op_run_count(&k->r, k->x[i]);
    lmb_rng rng = lmb_rng_make(seed, LMB_STREAM_TEST, (uint64_t)i, 0);
    int64_t *order;
    CHECK_OK(LMB_NEW(order, n));
    lmb_rng_permutation(&rng, n, order);
    for (int64_t j = 0; j < n; j++) {
        k->base[i][j] = c->spread ? 0.05 * (double)(order[j] - n / 2)
            : c->positive[i]      ? 0.5 + lmb_rng_uniform(&rng)
                                  : lmb_rng_normal(&rng);
        k->dir[i][j] = 2 * lmb_rng_uniform(&rng) - 1;
    }
    lmb_free(order);
}

/* The loss at base + step * dir. */
static inline double op_run_along(
    op_run_checker *k, const op_run_case *c, double step)
{
    for (int i = 0; i < c->n; i++)
        for (int64_t j = 0; j < op_run_count(&k->r, k->x[i]); j++)
            op_run_at(&k->r, k->x[i])[j] =
                k->base[i][j] + (c->fixed[i] ? 0 : step * k->dir[i][j]);
    op_run_all(&k->r);
    return op_run_at(&k->r, k->loss)[0];
}

static inline void op_run_check_seed(
    op_run_checker *k, const op_run_case *c, uint64_t seed)
{
    const double h = 1e-3;
    for (int i = 0; i < c->n; i++)
        op_run_draw(k, c, i, seed);
    (void)op_run_along(k, c, 0);
    double analytic = 0, scale = 0;
    for (int i = 0; i < c->n; i++)
        for (int64_t j = 0; !c->fixed[i] && j < op_run_count(&k->r, k->x[i]);
             j++) {
            const double term = op_run_at(&k->r, k->dx[i])[j] * k->dir[i][j];
            analytic += term;
            scale += term * term;
        }
    const double numeric =
        (8 * (op_run_along(k, c, h) - op_run_along(k, c, -h)) -
            (op_run_along(k, c, 2 * h) - op_run_along(k, c, -2 * h))) /
        (12 * h);
    assert_true(scale > 0);
    const double size = fmax(fabs(analytic), sqrt(scale));
    if (!(fabs(analytic - numeric) <= 1e-7 * size))
        fail_msg("seed %d: gradient %.15g, numerically %.15g", (int)seed,
            analytic, numeric);
}

/* Directional derivatives against a five-point stencil, three seeds. */
static inline void op_run_check_gradient(const op_run_case *c)
{
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    op_run_checker k = {0};
    lmb_value wrt[OP_RUN_MOST], grad[OP_RUN_MOST];
    int wanted = 0;
    for (int i = 0; i < c->n; i++) {
        const char name[2] = {(char)('a' + i), '\0'};
        k.x[i] = lmb_graph_input(g, name, LMB_F32, c->shape[i]);
        if (!c->fixed[i])
            wrt[wanted++] = k.x[i];
    }
    k.loss = op_run_loss(g, c->build(g, k.x, c->user));
    lmb_backward(g, k.loss, wanted, wrt, grad);
    CHECK_OK(lmb_graph_status(g));
    for (int i = 0, next = 0; i < c->n; i++)
        if (!c->fixed[i])
            k.dx[i] = grad[next++];
    op_run_new(&k.r, g);
    for (int i = 0; i < c->n; i++) {
        CHECK_OK(LMB_NEW(k.base[i], op_run_count(&k.r, k.x[i])));
        CHECK_OK(LMB_NEW(k.dir[i], op_run_count(&k.r, k.x[i])));
    }
    for (uint64_t seed = 1; seed <= 3; seed++)
        op_run_check_seed(&k, c, seed);
    for (int i = 0; i < c->n; i++) {
        lmb_free(k.base[i]);
        lmb_free(k.dir[i]);
    }
    op_run_free(&k.r);
    lmb_graph_free(g);
}

/* --- small helpers ----------------------------------------------------------
 */

static inline void op_run_normal(double *x, int64_t n, uint64_t seed)
{
    lmb_rng rng = lmb_rng_make(seed, LMB_STREAM_TEST, 2, 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = lmb_rng_normal(&rng);
}

/* The graph must have failed with `code` and a message that holds `part`. */
#define CHECK_GRAPH_ERR(g, code, part) \
    do { \
        CHECK_ERR(lmb_graph_status(g), code, part); \
        lmb_graph_free(g); \
    } while (0)

#endif
