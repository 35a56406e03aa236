/* graph.h: graphs of ops on logical tensors.
 *
 * C code builds a graph of nodes; each node applies one op to values and makes
 * new values. Shapes are static and logical (activations are NCHW); layouts,
 * fusion and precision are the planner's business.
 *
 * Building is sticky: the first call that fails stores its error in the
 * graph, later calls do nothing and return the invalid value {0}, and
 * lmb_graph_status gives the error at the end. So formulas read as formulas.
 *
 * Logical dtypes: LMB_F32 means "the real type of the run" (double on the
 * reference, f32 or bf16 elsewhere); LMB_I32 means an index. Nothing else. */
#ifndef LMB_GRAPH_GRAPH_H
#define LMB_GRAPH_GRAPH_H

#include "base/base.h"
#include "tensor/shape.h"

typedef struct lmb_graph lmb_graph;
typedef struct lmb_op lmb_op;
typedef struct lmb_param lmb_param;

/* A value of a graph: id 0 is "no value". Cheap to copy, owned by the graph. */
typedef struct lmb_value {
    int32_t id;
} lmb_value;
#define LMB_NONE ((lmb_value){0})
static inline bool lmb_is(lmb_value v)
{
    return v.id != 0;
}

typedef struct lmb_type {
    lmb_dtype dtype; /* LMB_F32 or LMB_I32 */
    lmb_shape shape;
} lmb_type;

lmb_status lmb_graph_new(lmb_graph **out) LMB_MUST_CHECK;
void lmb_graph_free(lmb_graph *g); /* accepts NULL; frees all its values */

/* The first error of the building calls, or LMB_OK; raises its message anew. */
lmb_status lmb_graph_status(const lmb_graph *g) LMB_MUST_CHECK;
/* Stores an error (the current thread's message) if there is none yet.
 * Usage in a builder: lmb_graph_fail(g, LMB_FAIL(LMB_ESHAPE, "...")). */
void lmb_graph_fail(lmb_graph *g, lmb_status st);

/* --- leaves -----------------------------------------------------------------
 */

/* A value that the caller provides before each run, by name. */
lmb_value lmb_graph_input(
    lmb_graph *g, const char *name, lmb_dtype dtype, lmb_shape shape);
/* Inputs in the order of their making: the next one after the value `after`
 * (LMB_NONE: the first of all), LMB_NONE if there is no more; and its name. */
lmb_value lmb_graph_next_input(const lmb_graph *g, lmb_value after);
const char *lmb_graph_input_name(const lmb_graph *g, lmb_value input);
/* A value that stands for a parameter; the same value for the same one. */
lmb_value lmb_graph_param(lmb_graph *g, lmb_param *param);
/* A constant; `data` (count of the shape) is copied. NULL means all `fill`. */
lmb_value lmb_graph_constant(
    lmb_graph *g, lmb_shape shape, const double *data, double fill);
lmb_value lmb_graph_index_constant(
    lmb_graph *g, lmb_shape shape, const int32_t *data);
/* A real scalar constant, shape []. */
lmb_value lmb_graph_scalar(lmb_graph *g, double value);

/* --- questions
 * ---------------------------------------------------------------- */

/* Of the invalid value: a real scalar. */
lmb_type lmb_graph_type(const lmb_graph *g, lmb_value v);
lmb_shape lmb_graph_shape(const lmb_graph *g, lmb_value v);
int lmb_graph_rank(const lmb_graph *g, lmb_value v);
/* Negative axes count from the end; 1 if out of range. */
int64_t lmb_graph_dim(const lmb_graph *g, lmb_value v, int axis);

/* --- names for messages and for the report of what ran
 * ------------------------- */

/* Nodes made between push and pop are named "outer/inner/...". */
void lmb_graph_push(lmb_graph *g, const char *scope);
void lmb_graph_pop(lmb_graph *g);

/* --- for the ops (src/op)
 * --------------------------------------------------------- */

/* Applies `op`: checks arity, runs the shape rule, adds the node. `attr` (of
 * op->attr_size bytes) is copied. Absent optional inputs are LMB_NONE. Writes
 * op->n_out values. Does nothing once the graph has failed. */
void lmb_graph_apply(lmb_graph *g, const lmb_op *op, const void *attr, int n_in,
    const lmb_value *in, lmb_value *out);
/* The same for ops with one output. */
lmb_value lmb_graph_apply1(lmb_graph *g, const lmb_op *op, const void *attr,
    int n_in, const lmb_value *in);
/* Memory that lives as long as the graph (for attributes); NULL and a sticky
 * ENOMEM when there is none. */
void *lmb_graph_memory(lmb_graph *g, size_t size);

enum { LMB_MAX_IN = 16, LMB_MAX_OUT = 6 };

/* What a reference kernel gets. All arrays are dense row-major doubles
 * (indices too); in[i] is NULL for an absent optional input, out[i] is never
 * NULL. Runs on any shape that the shape rule has accepted. */
typedef struct lmb_ref {
    const void *attr;
    int n_in, n_out;
    const lmb_type *in_type, *out_type;
    const double *const *in;
    double *const *out;
    void *scratch; /* op->scratch bytes, or NULL: the kernel asks the heap */
} lmb_ref;

/* What a gradient rule gets and gives. dy[o] is LMB_NONE where no gradient
 * reaches output o; dx[i] is preset to LMB_NONE and need be set only where
 * need[i]. A rule builds graph; it computes no numbers. */
typedef struct lmb_grad {
    const void *attr;
    int n_in, n_out;
    const lmb_value *in, *out, *dy;
    const bool *need;
    lmb_value *dx;
} lmb_grad;

/* An op: a const table row, one per file in src/op. */
struct lmb_op {
    const char *name;
    int min_in, max_in, n_out;
    size_t attr_size;
    bool side_effect; /* writes a parameter: never removed as unused */
    /* Sets out[0..n_out-1] from the inputs' types; absent inputs have
     * shape.rank == -1. Errors: LMB_FAIL(LMB_ESHAPE, ...) without op name or
     * scope, which the graph adds. */
    lmb_status (*shape)(
        const void *attr, int n_in, const lmb_type *in, lmb_type *out);
    /* NULL: the op has no gradient (an error if one is asked for through it,
     * unless no_gradient). */
    void (*grad)(lmb_graph *g, const lmb_grad *c);
    bool no_gradient; /* gradient is zero by definition (indices, compares) */
    /* Computed by `reference` in fast plans too (assignment, sampling): there
     * is no other kernel, and that is no fallback. */
    bool host;
    lmb_status (*reference)(const lmb_ref *r);
    /* Bytes that `reference` works in, 0 where NULL. */
    size_t (*scratch)(const void *attr, int n_in, const lmb_type *in);
};

#endif
