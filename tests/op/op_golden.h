/* op_golden.h: ops against PyTorch in float64: a file of records made by a
 * script of tools/golden/.
 *
 * A record is "case array count" and its numbers: y, and d0, d1, .., the
 * gradients of sum(ramp(9) * y) to inputs filled with ramp(0), ramp(1), .. */
#ifndef LMB_OP_GOLDEN_H
#define LMB_OP_GOLDEN_H

#include "op_bench.h"

static inline void ramp(int k, int64_t n, double *x)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (double)((37 * i + 101 * k + 11) * 7919 % 1009) / 504.5 - 1;
}

enum { MOST = 512 };

/* The numbers of record "name array", which must be `n`. */
static inline void golden(const char *path, const char *name, const char *array,
    int64_t n, double *out)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char have_name[64], have_array[64];
    int count;
    bool found = false;
    while (!found &&
        fscanf(file, "%63s %63s %d", have_name, have_array, &count) == 3) {
        found = strcmp(have_name, name) == 0 && strcmp(have_array, array) == 0;
        if (found)
            assert_int_equal(count, n);
        double skipped;
        for (int i = 0; i < count; i++)
            assert_int_equal(
                fscanf(file, "%lf", found ? &out[i] : &skipped), 1);
    }
    (void)fclose(file);
    if (!found)
        fail_msg("no record %s %s", name, array);
}

static inline void golden_array(const char *path, const op_bench *r,
    const char *name, const char *array, lmb_value v, double limit)
{
    double want[MOST];
    const int64_t n = op_bench_count(r, v);
    assert_in_range(n, 1, MOST);
    golden(path, name, array, n, want);
    lmb_test_arrays(op_bench_at(r, v), want, n, limit, name, array, (int)n);
}

typedef struct golden_case {
    const char *name;
    op_build build;
    const void *user;
    int n;
    lmb_shape shape[3];
} golden_case;

static inline void golden_check(
    const char *path, const golden_case *c, double limit)
{
    lmb_graph *g;
    CHECK_OK(lmb_graph_new(&g));
    lmb_value x[3] = {LMB_NONE, LMB_NONE, LMB_NONE}, dx[3];
    const char *const names[3] = {"d0", "d1", "d2"};
    for (int k = 0; k < c->n; k++)
        x[k] = lmb_graph_input(g, names[k], LMB_F32, c->shape[k]);
    const lmb_value y = c->build(g, x, c->user);
    const lmb_value w = lmb_graph_input(g, "w", LMB_F32, lmb_graph_shape(g, y));
    const lmb_value loss = lmb_sum(g, lmb_mul(g, y, w), LMB_ALL_AXES, false);
    lmb_backward(g, loss, c->n, x, dx);
    op_bench r;
    op_bench_new(&r, g);
    for (int k = 0; k < c->n; k++)
        ramp(k, op_bench_count(&r, x[k]), op_bench_at(&r, x[k]));
    ramp(9, op_bench_count(&r, w), op_bench_at(&r, w));
    op_bench_run(&r);
    golden_array(path, &r, c->name, "y", y, limit);
    for (int k = 0; k < c->n; k++)
        golden_array(path, &r, c->name, names[k], dx[k], limit);
    op_bench_free(&r);
    lmb_graph_free(g);
}

#endif
