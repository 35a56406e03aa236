/* op_check.h: checks of ops in f64: values, refusals, gradients.
 *
 * Graphs run on a tiny interpreter over op->reference, independent of the
 * planner. A gradient is checked along random directions with the five-point
 * stencil
 *   f'(0) = (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12 h
 * at three seeded inputs, large values among them. */
#ifndef LMB_OP_CHECK_H
#define LMB_OP_CHECK_H

#include "base/rng.h"
#include "graph/ir.h"
#include "lmb_test.h"
#include "op/ops.h"

#include <float.h>

/* --- interpreter ---------------------------------------------------------- */

typedef struct op_feed {
    lmb_value value; /* an input of the graph */
    const double *data;
} op_feed;

/* Arrays of all values of a graph, by id. */
typedef struct op_run {
    double **data;
    size_t n;
} op_run;

static inline void op_run_free(op_run *run)
{
    for (size_t i = 0; i < run->n; i++)
        lmb_free(run->data[i]);
    lmb_free(run->data);
    *run = (op_run){0};
}

static inline double op_leaf(const lmb_value_info *v, int64_t i)
{
    if (v->leaf == LMB_LEAF_PARAM)
        return lmb_param_get(v->param, i);
    if (v->leaf == LMB_LEAF_CONSTANT)
        return v->constant != NULL ? v->constant[i] : v->fill;
    return NAN; /* not written yet: kernels must write every element */
}

static inline void op_run_prepare(
    const lmb_graph *g, int n, const op_feed *feeds, op_run *run)
{
    *run = (op_run){lmb_alloc(g->n_values, sizeof(double *)), g->n_values};
    for (size_t v = 1; v < g->n_values; v++) {
        const int64_t count = lmb_shape_count(&g->values[v].type.shape);
        run->data[v] = lmb_alloc((size_t)count, sizeof(double));
        for (int64_t i = 0; i < count; i++)
            run->data[v][i] = op_leaf(&g->values[v], i);
        for (int k = 0; k < n; k++)
            if (feeds[k].value.id == (int32_t)v && count > 0)
                memcpy(run->data[v], feeds[k].data,
                    (size_t)count * sizeof(double));
    }
}

static inline lmb_status op_run_node(
    const lmb_graph *g, const lmb_node *node, op_run *run)
{
    lmb_type in_type[LMB_MAX_IN], out_type[LMB_MAX_OUT];
    const double *in[LMB_MAX_IN];
    double *out[LMB_MAX_OUT];
    for (int k = 0; k < node->n_in; k++) {
        const int32_t id = node->in[k].id;
        in[k] = run->data[id]; /* NULL for the absent value 0 */
        in_type[k] =
            id != 0 ? g->values[id].type : (lmb_type){.shape = {.rank = -1}};
    }
    for (int k = 0; k < node->n_out; k++) {
        out[k] = run->data[node->out[k].id];
        out_type[k] = g->values[node->out[k].id].type;
    }
    const lmb_ref r = {
        node->attr, node->n_in, node->n_out, in_type, out_type, in, out, NULL};
    return node->op->reference(&r);
}

/* Runs all nodes. The caller frees *run, also after an error. */
static inline lmb_status op_run_graph(
    const lmb_graph *g, int n, const op_feed *feeds, op_run *run)
{
    op_run_prepare(g, n, feeds, run);
    for (size_t i = 0; i < g->n_nodes; i++)
        if (!g->nodes[i].removed)
            LMB_TRY(op_run_node(g, &g->nodes[i], run));
    return LMB_OK;
}

/* --- functions under test ------------------------------------------------- */

enum { OP_MAX_X = 6 };

/* Builds y from the inputs x; `user` is what the case carries. */
typedef lmb_value (*op_build)(
    lmb_graph *g, const lmb_value *x, const void *user);

typedef enum op_draw {
    OP_ANY, /* normal; one in eight times 8 */
    OP_SMALL, /* normal */
    OP_POSITIVE, /* 0.5 to 4, one in eight times 8 */
    OP_APART, /* distinct, 0.137 apart, none near 0, 1 or 6: for kinks */
} op_draw;

typedef struct op_case {
    op_build build;
    op_draw draw;
    const void *user;
    int n;
    lmb_shape shape[OP_MAX_X];
} op_case;

typedef struct op_built {
    lmb_graph *g;
    lmb_value x[OP_MAX_X], y;
} op_built;

static inline op_built op_build_case(const op_case *c)
{
    op_built b = {0};
    CHECK_OK(lmb_graph_new(&b.g));
    for (int k = 0; k < c->n; k++) {
        char name[] = "x0";
        name[1] = (char)('0' + k);
        b.x[k] = lmb_graph_input(b.g, name, LMB_F32, c->shape[k]);
    }
    b.y = c->build(b.g, b.x, c->user);
    return b;
}

/* The builder must fail, with `part` in the message, and give no value. */
static inline void op_check_refused(
    const op_case *c, lmb_status code, const char *part)
{
    op_built b = op_build_case(c);
    CHECK_ERR(lmb_graph_status(b.g), code, part);
    assert_false(lmb_is(b.y));
    lmb_graph_free(b.g);
}

/* The graph builds but its run must fail. */
static inline void op_check_run_fails(
    const op_case *c, const double *const *x, lmb_status code, const char *part)
{
    op_built b = op_build_case(c);
    CHECK_OK(lmb_graph_status(b.g));
    op_feed feeds[OP_MAX_X];
    for (int k = 0; k < c->n; k++)
        feeds[k] = (op_feed){b.x[k], x[k]};
    op_run run;
    CHECK_ERR(op_run_graph(b.g, c->n, feeds, &run), code, part);
    op_run_free(&run);
    lmb_graph_free(b.g);
}

static inline void op_check_shape(
    const lmb_graph *g, lmb_value v, const lmb_shape *want)
{
    const lmb_shape have = lmb_graph_shape(g, v);
    if (!lmb_shape_equal(&have, want))
        fail_msg(
            "shape %s, not %s", lmb_shape_text(&have), lmb_shape_text(want));
}

/* Equal, both NaN, or within the limit. */
static inline void op_check_arrays(
    const double *have, const double *want, int64_t n, double limit)
{
    for (int64_t i = 0; i < n; i++) {
        const bool same =
            have[i] == want[i] || (isnan(have[i]) && isnan(want[i]));
        if (!same && !(fabs(have[i] - want[i]) <= limit))
            fail_msg("[%lld]: %.17g is not %.17g (limit %g)", (long long)i,
                have[i], want[i], limit);
    }
}

/* y must have this shape and these numbers. */
static inline void op_check_value(const op_case *c, const double *const *x,
    lmb_shape shape, const double *want, double limit)
{
    op_built b = op_build_case(c);
    CHECK_OK(lmb_graph_status(b.g));
    op_check_shape(b.g, b.y, &shape);
    op_feed feeds[OP_MAX_X];
    for (int k = 0; k < c->n; k++)
        feeds[k] = (op_feed){b.x[k], x[k]};
    op_run run;
    CHECK_OK(op_run_graph(b.g, c->n, feeds, &run));
    op_check_arrays(run.data[b.y.id], want, lmb_shape_count(&shape), limit);
    op_run_free(&run);
    lmb_graph_free(b.g);
}

/* d sum(y) / d x[which] must be these numbers (for kinks and NaN traps). */
static inline void op_check_slope(const op_case *c, const double *const *x,
    int which, const double *want, double limit)
{
    op_built b = op_build_case(c);
    const lmb_value loss = lmb_sum(b.g, b.y, LMB_ALL_AXES, false);
    lmb_value dx;
    lmb_backward(b.g, loss, 1, &b.x[which], &dx);
    CHECK_OK(lmb_graph_status(b.g));
    op_check_shape(b.g, dx, &c->shape[which]);
    op_feed feeds[OP_MAX_X];
    for (int k = 0; k < c->n; k++)
        feeds[k] = (op_feed){b.x[k], x[k]};
    op_run run;
    CHECK_OK(op_run_graph(b.g, c->n, feeds, &run));
    op_check_arrays(
        run.data[dx.id], want, lmb_shape_count(&c->shape[which]), limit);
    op_run_free(&run);
    lmb_graph_free(b.g);
}

/* --- gradients ------------------------------------------------------------ */

static inline double op_number(op_draw draw, lmb_rng *rng)
{
    const double large = lmb_rng_below(rng, 8) == 0 ? 8 : 1;
    switch (draw) {
    case OP_SMALL:
        return lmb_rng_normal(rng);
    case OP_POSITIVE:
        return large * (0.5 + 3.5 * lmb_rng_uniform(rng));
    case OP_ANY:
    case OP_APART:
        break;
    }
    return large * lmb_rng_normal(rng);
}

/* Fills x (n numbers: all inputs, one after another). */
static inline void op_fill(op_draw draw, uint64_t seed, int64_t n, double *x)
{
    lmb_rng rng = lmb_rng_make(seed, LMB_STREAM_TEST, 0, 0);
    if (draw != OP_APART) {
        for (int64_t i = 0; i < n; i++)
            x[i] = op_number(draw, &rng);
        return;
    }
    int64_t *order = lmb_alloc((size_t)n, sizeof *order);
    lmb_rng_permutation(&rng, n, order);
    for (int64_t i = 0; i < n; i++)
        x[i] = ((double)(order[i] - n / 2) + 0.5) * 0.137;
    lmb_free(order);
}

/* A graph of loss = sum(w y) with w random, and its gradients. */
typedef struct op_probe {
    op_built b;
    lmb_value terms, loss, dx[OP_MAX_X];
    int64_t count[OP_MAX_X], total;
} op_probe;

static inline lmb_value op_weighted(lmb_graph *g, lmb_value y, uint64_t seed)
{
    const lmb_shape shape = lmb_graph_shape(g, y);
    const int64_t n = lmb_shape_count(&shape);
    double *w = lmb_alloc((size_t)n, sizeof *w);
    op_fill(OP_SMALL, seed + 1000, n, w);
    const lmb_value weight = lmb_graph_constant(g, shape, w, 0);
    lmb_free(w);
    return lmb_mul(g, y, weight);
}

/* only >= 0: the gradient of that input alone. */
static inline op_probe op_probe_make(const op_case *c, uint64_t seed, int only)
{
    op_probe p = {.b = op_build_case(c)};
    CHECK_OK(lmb_graph_status(p.b.g));
    p.terms = op_weighted(p.b.g, p.b.y, seed);
    p.loss = lmb_sum(p.b.g, p.terms, LMB_ALL_AXES, false);
    if (only < 0)
        lmb_backward(p.b.g, p.loss, c->n, p.b.x, p.dx);
    else
        lmb_backward(p.b.g, p.loss, 1, &p.b.x[only], &p.dx[only]);
    CHECK_OK(lmb_graph_status(p.b.g));
    for (int k = 0; k < c->n; k++) {
        p.count[k] = lmb_shape_count(&c->shape[k]);
        p.total += p.count[k];
        if (lmb_is(p.dx[k]))
            op_check_shape(p.b.g, p.dx[k], &c->shape[k]);
        else if (only < 0 || only == k)
            fail_msg("no gradient reaches input %d", k);
    }
    return p;
}

static inline void op_probe_run(
    const op_case *c, const op_probe *p, const double *x, op_run *run)
{
    op_feed feeds[OP_MAX_X];
    for (int k = 0; k < c->n; k++) {
        feeds[k] = (op_feed){p->b.x[k], x};
        x += p->count[k];
    }
    CHECK_OK(op_run_graph(p->b.g, c->n, feeds, run));
}

/* The loss at x + t v; adds to *size what its terms amount to. */
static inline double op_loss_at(const op_case *c, const op_probe *p,
    const double *x, const double *v, double t, double *size)
{
    double *moved = lmb_alloc((size_t)p->total, sizeof *moved);
    for (int64_t i = 0; i < p->total; i++)
        moved[i] = x[i] + t * v[i];
    op_run run;
    op_probe_run(c, p, moved, &run);
    const double loss = run.data[p->loss.id][0];
    const lmb_shape shape = lmb_graph_shape(p->b.g, p->terms);
    for (int64_t i = 0; i < lmb_shape_count(&shape); i++)
        *size += fabs(run.data[p->terms.id][i]);
    op_run_free(&run);
    lmb_free(moved);
    return loss;
}

/* grad . v */
static inline double op_slope_along(
    const op_case *c, const op_probe *p, const double *x, const double *v)
{
    op_run run;
    op_probe_run(c, p, x, &run);
    double slope = 0;
    for (int k = 0; k < c->n; k++)
        for (int64_t i = 0; i < p->count[k]; i++)
            slope += run.data[p->dx[k].id][i] * *v++;
    op_run_free(&run);
    return slope;
}

static inline void op_check_direction(
    const op_case *c, const op_probe *p, const double *x, const double *v)
{
    const double h = 0x1p-12;
    double size = 0;
    const double numeric = (op_loss_at(c, p, x, v, -2 * h, &size) -
                               8 * op_loss_at(c, p, x, v, -h, &size) +
                               8 * op_loss_at(c, p, x, v, h, &size) -
                               op_loss_at(c, p, x, v, 2 * h, &size)) /
        (12 * h);
    const double slope = op_slope_along(c, p, x, v);
    /* 1e-7 relative, plus what rounding of the loss does to the stencil. */
    const double limit =
        1e-7 * fmax(fabs(numeric), fabs(slope)) + DBL_EPSILON * size / h;
    if (!(fabs(numeric - slope) <= limit))
        fail_msg("gradient along a direction: %.15g, stencil: %.15g "
                 "(apart by %g, limit %g)",
            slope, numeric, fabs(numeric - slope), limit);
}

/* Asked for alone, the gradient of each input is the same as with all. */
static inline void op_check_alone(
    const op_case *c, const op_probe *all, uint64_t seed, const double *x)
{
    op_run run;
    op_probe_run(c, all, x, &run);
    for (int k = 0; k < c->n && c->n > 1; k++) {
        op_probe one = op_probe_make(c, seed, k);
        op_run run1;
        op_probe_run(c, &one, x, &run1);
        op_check_arrays(
            run1.data[one.dx[k].id], run.data[all->dx[k].id], all->count[k], 0);
        op_run_free(&run1);
        lmb_graph_free(one.b.g);
    }
    op_run_free(&run);
}

static inline void op_check_gradient(const op_case *c)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        op_probe p = op_probe_make(c, seed, -1);
        double *x = lmb_alloc((size_t)p.total, sizeof *x);
        double *v = lmb_alloc((size_t)p.total, sizeof *v);
        op_fill(c->draw, seed, p.total, x);
        op_fill(OP_SMALL, seed + 100, p.total, v);
        op_check_direction(c, &p, x, v);
        op_check_alone(c, &p, seed, x);
        lmb_free(v);
        lmb_free(x);
        lmb_graph_free(p.b.g);
    }
}

#define OP_X(...) ((const double *const[]){__VA_ARGS__})
#define OP_D(...) ((const double[]){__VA_ARGS__})

#endif
