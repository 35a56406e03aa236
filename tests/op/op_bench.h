/* op_bench.h: a whole graph on the bench: set any input, run, look at any
 * value. For tests that need more than one output; over op_check.h.
 *
 *   op_bench r;
 *   op_bench_new(&r, g);           constants are set, all else is NaN
 *   op_bench_at(&r, x)[i] = ...;
 *   op_bench_run(&r);              then op_bench_at(&r, y) holds y
 *   op_bench_free(&r); */
#ifndef LMB_OP_BENCH_H
#define LMB_OP_BENCH_H

#include "op_check.h"

typedef struct op_bench {
    const lmb_graph *g;
    op_run run;
} op_bench;

/* Fails the test if the graph could not be built. */
static inline void op_bench_new(op_bench *r, const lmb_graph *g)
{
    CHECK_OK(lmb_graph_status(g));
    r->g = g;
    op_run_prepare(g, 0, NULL, &r->run);
}

static inline void op_bench_free(op_bench *r)
{
    op_run_free(&r->run);
}

static inline double *op_bench_at(const op_bench *r, lmb_value v)
{
    assert_true(v.id > 0 && (size_t)v.id < r->run.n);
    return r->run.data[v.id];
}

static inline int64_t op_bench_count(const op_bench *r, lmb_value v)
{
    const lmb_shape shape = lmb_graph_shape(r->g, v);
    return lmb_shape_count(&shape);
}

static inline void op_bench_run(op_bench *r)
{
    for (size_t i = 0; i < r->g->n_nodes; i++)
        CHECK_OK(op_run_node(r->g, &r->g->nodes[i], &r->run));
}

/* Fills a value with normal numbers. */
static inline void op_bench_draw(const op_bench *r, lmb_value v, uint64_t seed)
{
    op_fill(OP_SMALL, seed, op_bench_count(r, v), op_bench_at(r, v));
}

/* The graph must have failed with `code` and a message that holds `part`. */
#define CHECK_GRAPH_ERR(g, code, part) \
    do { \
        CHECK_ERR(lmb_graph_status(g), code, part); \
        lmb_graph_free(g); \
    } while (0)

#endif
