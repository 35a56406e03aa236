/* k_index.c: argsort, gather, scatter_add, one_hot, drop_path.
 *
 * Argsort makes one 64-bit key of an element: its bits in an order that
 * integers compare like floats, and its index below. Keys differ, so a merge
 * sort of them is stable by itself; falling order turns the value's bits over.
 * Indices out of range give NaN: a kernel cannot report an error, and NaN is
 * found by who checks the loss. */
#include "backend/cpu/kernel_util.h"

enum { SLOTS = 64, RUN = 8 };

/* --- argsort -------------------------------------------------------------- */

/* Rising with x; -0 equals 0, NaN is the greatest. */
static uint32_t ordered(float x)
{
    uint32_t u;
    if (x != x)
        return 0xffffffffu;
    x += 0.0f;
    memcpy(&u, &x, sizeof u);
    return (u & 0x80000000u) != 0 ? ~u : u | 0x80000000u;
}

static void insertion_sort(uint64_t *a, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const uint64_t x = a[i];
        int64_t j = i;
        for (; j > 0 && a[j - 1] > x; j--)
            a[j] = a[j - 1];
        a[j] = x;
    }
}

static void merge(
    const uint64_t *a, int64_t na, const uint64_t *b, int64_t nb, uint64_t *out)
{
    int64_t i = 0, j = 0, k = 0;
    while (i < na && j < nb) {
        const bool first = a[i] < b[j];
        out[k++] = first ? a[i] : b[j];
        i += first;
        j += !first;
    }
    memcpy(out + k, a + i, (size_t)(na - i) * sizeof *out);
    memcpy(out + k + na - i, b + j, (size_t)(nb - j) * sizeof *out);
}

/* Sorts a with b as a second array; gives the one that holds the result. */
static uint64_t *sort_keys(uint64_t *a, uint64_t *b, int64_t n)
{
    for (int64_t i = 0; i < n; i += RUN)
        insertion_sort(a + i, k_min(RUN, n - i));
    for (int64_t width = RUN; width < n; width *= 2) {
        for (int64_t i = 0; i < n; i += 2 * width) {
            const int64_t na = k_min(width, n - i);
            const int64_t nb = k_min(width, n - i - na);
            merge(a + i, na, a + i + na, nb, b + i);
        }
        uint64_t *const t = a;
        a = b;
        b = t;
    }
    return a;
}

static void sort_row(
    const float *x, int32_t *y, int64_t n, bool descending, uint64_t *keys)
{
    const uint32_t turn = descending ? 0xffffffffu : 0;
    for (int64_t i = 0; i < n; i++)
        keys[i] = (uint64_t)(ordered(x[i]) ^ turn) << 32 | (uint64_t)i;
    const uint64_t *sorted = sort_keys(keys, keys + n, n);
    for (int64_t i = 0; i < n; i++)
        y[i] = (int32_t)(sorted[i] & 0xffffffffu);
}

static int64_t row_size(const lmb_shape *s)
{
    return s->rank > 0 ? s->dim[s->rank - 1] : 1;
}
static size_t scratch_argsort(const lmb_call *c)
{
    const int64_t n = row_size(&c->in[0].shape);
    const int64_t rows = n > 0 ? k_count(&c->in[0].shape) / n : 0;
    return (size_t)(k_min(rows, SLOTS) * 2 * n) * sizeof(uint64_t);
}
static void run_argsort(const lmb_call *c)
{
    const bool descending = ((const lmb_argsort_attr *)c->attr)->descending;
    const int64_t n = row_size(&c->in[0].shape);
    const int64_t rows = n > 0 ? k_count(&c->in[0].shape) / n : 0;
    const int64_t slots = k_min(rows, SLOTS);
    const float *x = c->in[0].data;
    int32_t *y = c->out[0].data;
    uint64_t *keys = c->scratch;
    K_PARALLEL_FOR(8 * rows * n)
    for (int64_t s = 0; s < slots; s++)
        for (int64_t r = s; r < rows; r += slots)
            sort_row(x + r * n, y + r * n, n, descending, keys + s * 2 * n);
}

/* --- gather, scatter_add -------------------------------------------------- */

typedef struct view {
    int64_t outer, size, inner;
} view;

static view view_of(const lmb_shape *s, int axis)
{
    view v = {1, s->dim[axis], 1};
    for (int d = 0; d < axis; d++)
        v.outer *= s->dim[d];
    for (int d = axis + 1; d < s->rank; d++)
        v.inner *= s->dim[d];
    return v;
}

static void run_gather(const lmb_call *c)
{
    const int axis = ((const lmb_axis_attr *)c->attr)->axis;
    const view vx = view_of(&c->in[0].shape, axis);
    const view vy = view_of(&c->out[0].shape, axis);
    const float *x = c->in[0].data;
    const int32_t *index = c->in[1].data;
    float *y = c->out[0].data;
    K_PARALLEL_FOR(vy.outer * vy.size * vy.inner)
    for (int64_t o = 0; o < vy.outer; o++)
        for (int64_t k = 0; k < vy.size; k++)
            for (int64_t i = 0; i < vy.inner; i++) {
                const int64_t at = (o * vy.size + k) * vy.inner + i;
                const int64_t from = index[at];
                y[at] = from >= 0 && from < vx.size
                    ? x[(o * vx.size + from) * vx.inner + i]
                    : NAN;
            }
}

static void run_scatter_add(const lmb_call *c)
{
    const lmb_scatter_attr *a = c->attr;
    const view vx = view_of(&c->in[0].shape, a->axis);
    const int64_t line = a->size * vx.inner;
    const float *x = c->in[0].data;
    const int32_t *index = c->in[1].data;
    float *y = c->out[0].data;
    K_PARALLEL_FOR(vx.outer * line)
    for (int64_t o = 0; o < vx.outer; o++) {
        memset(y + o * line, 0, (size_t)line * sizeof *y);
        for (int64_t k = 0; k < vx.size; k++)
            for (int64_t i = 0; i < vx.inner; i++) {
                const int64_t at = (o * vx.size + k) * vx.inner + i;
                const int64_t to = index[at];
                if (to >= 0 && to < a->size)
                    y[o * line + to * vx.inner + i] += x[at];
                else if (line > 0)
                    y[o * line] = NAN;
            }
    }
}

/* --- one_hot -------------------------------------------------------------- */

static void run_one_hot(const lmb_call *c)
{
    const lmb_one_hot_attr *a = c->attr;
    const int64_t classes = a->classes;
    const int32_t *label = c->in[0].data;
    float *y = c->out[0].data;
    for (int64_t n = 0; n < c->in[0].shape.dim[0]; n++) {
        const bool good = a->loose || (label[n] >= 0 && label[n] < classes);
        for (int64_t k = 0; k < classes; k++)
            y[n * classes + k] = good ? (k == label[n] ? 1.0f : 0.0f) : NAN;
    }
}

/* --- drop path ------------------------------------------------------------ */

static size_t scratch_drop_path(const lmb_call *c)
{
    return (size_t)c->out[0].shape.dim[0] * sizeof(double);
}
static void run_drop_path(const lmb_call *c)
{
    double *factors = c->scratch;
    float *y = c->out[0].data;
    lmb__drop_path_factors(c->attr, c->in[0].data, factors);
    for (int64_t i = 0; i < c->out[0].shape.dim[0]; i++)
        y[i] = (float)factors[i];
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_index)[];
const lmb_kernel LMB_KERNEL_TABLE(k_index)[] = {
    {&lmb_op_argsort, LMB_RULE_PLAIN, false, run_argsort, scratch_argsort,
        NULL},
    {&lmb_op_gather, LMB_RULE_PLAIN, false, run_gather, NULL, NULL},
    {&lmb_op_scatter_add, LMB_RULE_PLAIN, false, run_scatter_add, NULL, NULL},
    {&lmb_op_one_hot, LMB_RULE_PLAIN, false, run_one_hot, NULL, NULL},
    {&lmb_op_drop_path, LMB_RULE_PLAIN, false, run_drop_path, scratch_drop_path,
        NULL},
    {0},
};
