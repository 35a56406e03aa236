/* k_reduce.c: sum, mean and maximum over any axes, and max_bwd.
 *
 * Neighbouring axes of the same kind (kept, reduced) are merged. If the last
 * one is reduced, an output is a sum of runs; if it is kept, rows are added up
 * column by column. Either way the work is cut into pieces whose size depends
 * on the shape alone: f32 in short chains inside, double across, pieces added
 * in order. */
#include "backend/cpu/kernel_util.h"

enum { PIECE_RUN = 4096, PIECE_ROWS = 512, SHORT_ROWS = 64 };

typedef struct group {
    int64_t size, stride;
} group;

typedef struct plan {
    group kept[LMB_MAX_RANK], reduced[LMB_MAX_RANK]; /* without the last */
    int n_kept, n_reduced;
    bool last_reduced;
    int64_t last; /* size of the last group, stride 1 */
    int64_t outer, rows; /* products of kept, reduced */
    int64_t per_piece, pieces; /* rows in a piece, pieces of an output */
    int64_t parts; /* pieces of one run */
    int64_t outputs, count; /* elements of y; elements of x in each */
} plan;

/* The groups from the last to the first; stride of the first one is 1. */
static int groups_of(const lmb_shape *x, uint32_t axes, group *out, bool *red)
{
    int n = 0;
    int64_t stride = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        const bool r = (axes >> d & 1u) != 0;
        if (x->dim[d] != 1) {
            if (n > 0 && red[n - 1] == r) {
                out[n - 1].size *= x->dim[d];
            } else {
                out[n] = (group){x->dim[d], stride};
                red[n++] = r;
            }
        }
        stride *= x->dim[d];
    }
    return n;
}

static plan plan_of(const lmb_shape *x, uint32_t axes)
{
    group all[LMB_MAX_RANK];
    bool red[LMB_MAX_RANK];
    const int n = groups_of(x, axes, all, red);
    plan p = {.outer = 1, .rows = 1, .last = 1, .last_reduced = true};
    if (n > 0) {
        p.last = all[0].size;
        p.last_reduced = red[0];
    }
    for (int i = 1; i < n; i++) {
        if (red[i]) {
            p.reduced[p.n_reduced++] = all[i];
            p.rows *= all[i].size;
        } else {
            p.kept[p.n_kept++] = all[i];
            p.outer *= all[i].size;
        }
    }
    p.parts = p.last_reduced ? k_max(1, k_ceil_div(p.last, PIECE_RUN)) : 1;
    p.per_piece = PIECE_ROWS;
    if (p.last_reduced)
        p.per_piece = k_max(1, PIECE_RUN / k_max(1, p.last));
    p.pieces = k_max(1, k_ceil_div(p.rows, p.per_piece)) * p.parts;
    p.outputs = p.outer * (p.last_reduced ? 1 : p.last);
    p.count = p.rows * (p.last_reduced ? p.last : 1);
    return p;
}

K_INLINE int64_t offset_of(const group *g, int n, int64_t i)
{
    if (n == 1)
        return i * g[0].stride;
    int64_t at = 0;
    for (int k = 0; k < n; k++) {
        at += i % g[k].size * g[k].stride;
        i /= g[k].size;
    }
    return at;
}

/* --- the last group is reduced: runs -------------------------------------- */

K_INLINE vf join(vf a, vf b, bool max)
{
    return max ? v_max(a, b) : a + b;
}
K_INLINE double join_one(double a, double b, bool max)
{
    if (!max)
        return a + b;
    return a >= b || a != a ? a : b;
}
K_INLINE vf neutral(bool max)
{
    return v_set(max ? -INFINITY : 0.0f);
}

K_INLINE double run_join(const float *x, int64_t n, bool max)
{
    const vf none = neutral(max);
    vf s[4] = {none, none, none, none};
    int64_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL)
        for (int k = 0; k < 4; k++)
            s[k] = join(s[k], v_load(x, i + k * VL, false), max);
    for (; i < n; i += VL) {
        const int64_t m = k_min(VL, n - i);
        const vf v = v_first(m, v_load_n(x, i, m, false), none);
        s[0] = join(s[0], v, max);
    }
    const vf all = join(join(s[0], s[1], max), join(s[2], s[3], max), max);
    return (double)(max ? v_reduce_max(all) : v_sum(all));
}

/* Piece k of output o. */
K_INLINE double run_piece(
    const plan *p, const float *x, int64_t o, int64_t k, bool max)
{
    const float *base = x + offset_of(p->kept, p->n_kept, o);
    const int64_t lo = k % p->parts * PIECE_RUN;
    const int64_t n = k_min(PIECE_RUN, p->last - lo);
    const int64_t r0 = k / p->parts * p->per_piece;
    const int64_t r1 = k_min(p->rows, r0 + p->per_piece);
    double total = max ? -INFINITY : 0;
    for (int64_t r = r0; r < r1; r++) {
        const int64_t at = offset_of(p->reduced, p->n_reduced, r) + lo;
        total = join_one(total, run_join(base + at, n, max), max);
    }
    return total;
}

K_INLINE void runs_reduce(const plan *p, const float *x, float *y,
    double *partial, double scale, bool max)
{
    const int64_t all = p->outputs * p->pieces;
    K_PARALLEL_FOR(p->outputs * p->count)
    for (int64_t k = 0; k < all; k++) {
        const double v = run_piece(p, x, k / p->pieces, k % p->pieces, max);
        if (p->pieces == 1)
            y[k] = (float)(v * scale);
        else
            partial[k] = v;
    }
    if (p->pieces == 1)
        return;
    for (int64_t o = 0; o < p->outputs; o++) {
        double v = partial[o * p->pieces];
        for (int64_t k = 1; k < p->pieces; k++)
            v = join_one(v, partial[o * p->pieces + k], max);
        y[o] = (float)(v * scale);
    }
}

/* --- the last group is kept: columns -------------------------------------- */

/* A run of rows, columns j .. j + lanes - 1, into s. */
K_INLINE void short_rows(const plan *p, const float *x, int64_t r0, int64_t r1,
    int64_t m, vf *s, const int W, bool max)
{
    for (int64_t r = r0; r < r1; r++) {
        const float *row = x + offset_of(p->reduced, p->n_reduced, r);
        for (int k = 0; k < W; k++)
            s[k] = join(s[k], v_load_n(row, k * VL, m, false), max);
    }
}

/* W vectors of columns from j on (m lanes each), rows r0 .. r1 - 1. */
K_INLINE void column_piece(const plan *p, const float *x, int64_t r0,
    int64_t r1, int64_t m, vd *total, const int W, bool max)
{
    for (int k = 0; k < W; k++)
        total[k] = v_double(neutral(max));
    for (int64_t r = r0; r < r1; r += SHORT_ROWS) {
        vf s[4];
        for (int k = 0; k < W; k++)
            s[k] = neutral(max);
        short_rows(p, x, r, k_min(r1, r + SHORT_ROWS), m, s, W, max);
        for (int k = 0; k < W; k++)
            for (int i = 0; i < VL; i++)
                total[k][i] = join_one(total[k][i], (double)s[k][i], max);
    }
}

K_INLINE void column_tile(const plan *p, const float *x, int64_t task,
    int64_t j, int64_t m, float *y, double *partial, double scale, const int W,
    bool max)
{
    const int64_t o = task / p->pieces, piece = task % p->pieces;
    const int64_t r0 = piece * p->per_piece;
    const int64_t r1 = k_min(p->rows, r0 + p->per_piece);
    const float *base = x + offset_of(p->kept, p->n_kept, o) + j;
    vd total[4];
    column_piece(p, base, r0, r1, m, total, W, max);
    for (int k = 0; k < W; k++)
        for (int64_t i = 0; i < m; i++) {
            const int64_t col = j + k * VL + i;
            if (p->pieces == 1)
                y[o * p->last + col] = (float)(total[k][i] * scale);
            else
                partial[task * p->last + col] = total[k][i];
        }
}

K_INLINE void columns_reduce(const plan *p, const float *x, float *y,
    double *partial, double scale, bool max)
{
    const int64_t wide = p->last / (4 * VL);
    const int64_t tiles = wide + k_ceil_div(p->last - wide * 4 * VL, VL);
    const int64_t tasks = p->outer * p->pieces;
    K_PARALLEL_FOR(p->outputs * p->count)
    for (int64_t t = 0; t < tasks * tiles; t++) {
        const int64_t task = t / tiles, tile = t % tiles;
        if (tile < wide) {
            column_tile(
                p, x, task, tile * 4 * VL, VL, y, partial, scale, 4, max);
            continue;
        }
        const int64_t j = wide * 4 * VL + (tile - wide) * VL;
        const int64_t m = k_min(VL, p->last - j);
        column_tile(p, x, task, j, m, y, partial, scale, 1, max);
    }
    if (p->pieces == 1)
        return;
    for (int64_t i = 0; i < p->outputs; i++) {
        const double *part =
            partial + i / p->last * p->pieces * p->last + i % p->last;
        double v = part[0];
        for (int64_t k = 1; k < p->pieces; k++)
            v = join_one(v, part[k * p->last], max);
        y[i] = (float)(v * scale);
    }
}

/* --- rows of the table ---------------------------------------------------- */

static plan plan_call(const lmb_call *c)
{
    const lmb_reduce_attr *a = c->attr;
    return plan_of(&c->in[0].shape, a->axes);
}

static size_t scratch_reduce(const lmb_call *c)
{
    const plan p = plan_call(c);
    if (p.pieces == 1)
        return 0;
    return (size_t)(p.outputs * p.pieces) * sizeof(double);
}

static void run_reduce(const lmb_call *c)
{
    const lmb_reduce_attr *a = c->attr;
    const plan p = plan_call(c);
    const float *x = c->in[0].data;
    float *y = c->out[0].data;
    double *partial = c->scratch;
    const double scale =
        a->kind == LMB_REDUCE_MEAN ? 1.0 / (double)p.count : 1.0;
    if (p.outputs == 0)
        return;
    if (p.last_reduced && a->kind == LMB_REDUCE_MAX)
        runs_reduce(&p, x, y, partial, scale, true);
    else if (p.last_reduced)
        runs_reduce(&p, x, y, partial, scale, false);
    else if (a->kind == LMB_REDUCE_MAX)
        columns_reduce(&p, x, y, partial, scale, true);
    else
        columns_reduce(&p, x, y, partial, scale, false);
}

/* dx = dy at the first x that equals y. The reduced axes are those where y
 * has size 1; `given` marks the outputs whose gradient has been handed out. */
static size_t scratch_max_bwd(const lmb_call *c)
{
    return (size_t)k_count(&c->in[2].shape);
}
static void run_max_bwd(const lmb_call *c)
{
    const lmb_shape *xs = &c->in[1].shape, *ys = &c->in[2].shape;
    const float *dy = c->in[0].data, *x = c->in[1].data, *y = c->in[2].data;
    float *dx = c->out[0].data;
    char *given = c->scratch;
    uint32_t axes = 0;
    for (int d = 0; d < xs->rank; d++)
        if (ys->dim[d] == 1)
            axes |= (uint32_t)1 << d;
    const plan p = plan_of(xs, axes);
    memset(given, 0, (size_t)p.outputs);
    const int64_t width = p.last_reduced ? 1 : p.last;
    /* Rows of an output in rising order of their place in x: the groups are
     * listed from the innermost on. */
    K_PARALLEL_FOR(p.outputs * p.count)
    for (int64_t o = 0; o < p.outer; o++) {
        const int64_t base = offset_of(p.kept, p.n_kept, o);
        for (int64_t r = 0; r < p.rows; r++) {
            const int64_t at = base + offset_of(p.reduced, p.n_reduced, r);
            for (int64_t i = 0; i < p.last; i++) {
                const int64_t out = o * width + (p.last_reduced ? 0 : i);
                const bool hit = given[out] == 0 && x[at + i] == y[out];
                dx[at + i] = hit ? dy[out] : 0;
                given[out] = (char)(given[out] | (hit ? 1 : 0));
            }
        }
    }
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_reduce)[];
const lmb_kernel LMB_KERNEL_TABLE(k_reduce)[] = {
    {&lmb_op_reduce, LMB_RULE_PLAIN, false, run_reduce, scratch_reduce, NULL},
    {&lmb_op_max_bwd, LMB_RULE_PLAIN, false, run_max_bwd, scratch_max_bwd,
        NULL},
    {0},
};
