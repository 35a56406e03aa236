/* host_check.h: running host ops on given arrays: the reference by itself and
 * a fast plan must give the same numbers, and the plan allocates nothing. */
#ifndef LMB_HOST_CHECK_H
#define LMB_HOST_CHECK_H

#include "op_check.h"
#include "plan/plan.h"

enum { HOST_MAX = 8 };

typedef struct host_input {
    lmb_dtype dtype;
    lmb_shape shape;
    const double *data;
} host_input;

/* Builds outputs from inputs; the number of outputs comes back. */
typedef int (*host_build)(
    lmb_graph *g, const lmb_value *in, const void *user, lmb_value *out);

typedef struct host_case {
    host_build build;
    const void *user;
    int n;
    host_input in[HOST_MAX];
    int n_out;
    lmb_value value[HOST_MAX], out[HOST_MAX];
    double *result[HOST_MAX]; /* of the reference */
    int64_t count[HOST_MAX];
    lmb_graph *g;
} host_case;

static inline void host_open(host_case *c)
{
    CHECK_OK(lmb_graph_new(&c->g));
    for (int k = 0; k < c->n; k++) {
        char name[] = "in0";
        name[2] = (char)('0' + k);
        c->value[k] =
            lmb_graph_input(c->g, name, c->in[k].dtype, c->in[k].shape);
    }
    c->n_out = c->build(c->g, c->value, c->user, c->out);
}

static inline void host_close(host_case *c)
{
    for (int o = 0; o < HOST_MAX; o++) {
        lmb_free(c->result[o]);
        c->result[o] = NULL;
    }
    lmb_graph_free(c->g);
    c->g = NULL;
}

static inline lmb_status host_reference(host_case *c)
{
    op_feed feeds[HOST_MAX];
    op_run run;
    for (int k = 0; k < c->n; k++)
        feeds[k] = (op_feed){c->value[k], c->in[k].data};
    const lmb_status st = op_run_graph(c->g, c->n, feeds, &run);
    for (int o = 0; st == LMB_OK && o < c->n_out; o++) {
        const lmb_shape shape = lmb_graph_shape(c->g, c->out[o]);
        c->count[o] = lmb_shape_count(&shape);
        c->result[o] = lmb_alloc((size_t)c->count[o], sizeof(double));
        memcpy(c->result[o], run.data[c->out[o].id],
            (size_t)c->count[o] * sizeof(double));
    }
    op_run_free(&run);
    return st;
}

/* The inputs as f32 or i32, in blocks the caller frees. */
static inline void host_feed(const host_case *c, lmb_plan *plan, void **data)
{
    for (int k = 0; k < c->n; k++) {
        const int64_t n = lmb_shape_count(&c->in[k].shape);
        data[k] = lmb_alloc((size_t)n, 4);
        lmb_tensor t = {
            .dtype = c->in[k].dtype, .shape = c->in[k].shape, .data = data[k]};
        for (int64_t i = 0; i < n; i++)
            lmb_tensor_set(&t, i, c->in[k].data[i]);
        CHECK_OK(lmb_plan_set(plan, c->value[k], c->in[k].dtype, data[k]));
    }
}

static inline void host_compare(const host_case *c, const lmb_plan *plan)
{
    for (int o = 0; o < c->n_out; o++) {
        double *have = lmb_alloc((size_t)c->count[o], sizeof *have);
        CHECK_OK(lmb_plan_read(plan, c->out[o], LMB_F64, have));
        for (int64_t i = 0; i < c->count[o]; i++)
            CHECK_NEAR(have[i], (float)c->result[o][i], 0);
        lmb_free(have);
    }
}

/* Runs twice in a fast plan. */
static inline lmb_status host_plan(host_case *c)
{
    lmb_plan *plan = NULL;
    void *data[HOST_MAX];
    CHECK_OK(lmb_plan_compile(
        c->g, c->n_out, c->out, &(lmb_plan_opts){.bf16 = false}, &plan));
    assert_string_equal(lmb_plan_fallbacks(plan), "");
    assert_int_equal(lmb_plan_describe(plan).reference_steps, 0);
    host_feed(c, plan, data);
    lmb_status st = lmb_plan_run(plan);
    const int64_t before = lmb_alloc_total();
    if (st == LMB_OK)
        st = lmb_plan_run(plan);
    assert_int_equal(lmb_alloc_total(), before);
    if (st == LMB_OK)
        host_compare(c, plan);
    for (int k = 0; k < c->n; k++)
        lmb_free(data[k]);
    lmb_plan_free(plan);
    return st;
}

/* Runs everywhere; results stay until host_close. */
static inline void host_run(host_case *c)
{
    host_open(c);
    CHECK_OK(lmb_graph_status(c->g));
    CHECK_OK(host_reference(c));
    CHECK_OK(host_plan(c));
}

static inline void host_fails(host_case *c, lmb_status code, const char *part)
{
    host_open(c);
    CHECK_OK(lmb_graph_status(c->g));
    CHECK_ERR(host_reference(c), code, part);
    CHECK_ERR(host_plan(c), code, part);
    host_close(c);
}

static inline void host_refused(host_case *c, lmb_status code, const char *part)
{
    host_open(c);
    CHECK_ERR(lmb_graph_status(c->g), code, part);
    host_close(c);
}

/* Every allocation of the reference fails once. */
static inline void host_out_of_memory(host_case *c)
{
    host_open(c);
    CHECK_OK(lmb_graph_status(c->g));
    op_run run;
    op_feed feeds[HOST_MAX];
    for (int k = 0; k < c->n; k++)
        feeds[k] = (op_feed){c->value[k], c->in[k].data};
    op_run_prepare(c->g, c->n, feeds, &run);
    lmb_alloc_fail_at(0);
    const lmb_status st = op_run_node(c->g, &c->g->nodes[0], &run);
    lmb_alloc_fail_at(-1);
    assert_int_equal(st, LMB_ENOMEM);
    op_run_free(&run);
    host_close(c);
}

#endif
