/* k_elementwise.c: unary, relu, gelu, binary, affine, select, copies.
 *
 * Operands of the same shape are flat arrays whatever their layout. For
 * broadcasting, dimensions that all operands walk through alike are merged;
 * the innermost one runs in vectors in which each operand moves by 1 or stands
 * still (step 0), the others are counted up. */
#include "backend/cpu/kernel_math.h"

enum { CHUNK = 16384 };

/* One run: operand j, element i is in[j] + i * step[j]. */
typedef struct span {
    const void *in[3];
    int64_t step[3];
    void *out;
    float a, b;
    bool dense; /* all steps are 1 */
} span;
typedef void span_fn(const span *s, int64_t lo, int64_t hi);

K_INLINE vf operand(const span *s, int j, int64_t i, int64_t m)
{
    if (s->step[j] == 0)
        return v_set(*(const float *)s->in[j]);
    return v_load_n(s->in[j], i, m, false);
}

/* The functions name_f32 and name_bf16 that apply an expression of the
 * operands x, y, z (n_in of them) to a run. Copies of the span: stores cannot
 * change them. Only f32 operands are broadcast. */
#define K_MAP(name, n_in, expr) \
    K_INLINE vf name##_of(const span *s, vf x, vf y, vf z) \
    { \
        (void)s; \
        (void)y; \
        (void)z; \
        return (expr); \
    } \
    K_INLINE void name##_dense( \
        const span *s, int64_t lo, int64_t hi, bool half) \
    { \
        for (int64_t i = lo; i < hi; i += VL) { \
            const int64_t m = k_min(VL, hi - i); \
            const vf x = v_load_n(s->in[0], i, m, half); \
            const vf y = n_in > 1 ? v_load_n(s->in[1], i, m, half) : x; \
            const vf z = n_in > 2 ? v_load_n(s->in[2], i, m, half) : x; \
            v_store_n(s->out, i, m, half, name##_of(s, x, y, z)); \
        } \
    } \
    static void name##_bf16(const span *shared, int64_t lo, int64_t hi) \
    { \
        const span s = *shared; \
        name##_dense(&s, lo, hi, true); \
    } \
    static void name##_f32(const span *shared, int64_t lo, int64_t hi) \
    { \
        const span s = *shared; \
        if (s.dense) { \
            name##_dense(&s, lo, hi, false); \
            return; \
        } \
        for (int64_t i = lo; i < hi; i += VL) { \
            const int64_t m = k_min(VL, hi - i); \
            const vf x = operand(&s, 0, i, m); \
            const vf y = n_in > 1 ? operand(&s, 1, i, m) : x; \
            const vf z = n_in > 2 ? operand(&s, 2, i, m) : x; \
            v_store_n(s.out, i, m, false, name##_of(&s, x, y, z)); \
        } \
    }

#define V_ONE_IF(mask) v_pick((mask), v_set(1.0f), (vf){0})

K_MAP(neg, 1, -x)
K_MAP(exponential, 1, v_exp(x))
K_MAP(logarithm, 1, v_log(x))
K_MAP(square_root, 1, v_sqrt(x))
K_MAP(square, 1, x *x)
K_MAP(reciprocal, 1, 1.0f / x)
K_MAP(absolute, 1, v_abs(x))
K_MAP(sign, 1,
    v_pick(x > (vf){0}, v_set(1.0f),
        v_pick(x < (vf){0}, v_set(-1.0f), x *(vf){0})))
K_MAP(sigmoid, 1, v_sigmoid(x))
K_MAP(hyperbolic, 1, v_tanh(x))
K_MAP(softplus, 1, v_softplus(x))
K_MAP(relu6, 1, v_pick(x > v_set(6.0f), v_set(6.0f), v_relu(x)))
K_MAP(relu, 1, v_relu(x))
K_MAP(relu_bwd, 2, v_keep(x, v_positive(y)))
K_MAP(gelu, 1, v_gelu(x))
K_MAP(gelu_bwd, 2, x *v_gelu_slope(y))
K_MAP(affine, 1, v_fma(x, v_set(s->a), v_set(s->b)))
K_MAP(select, 3, v_pick(x != (vf){0}, y, z))
K_MAP(add, 2, x + y)
K_MAP(sub, 2, x - y)
K_MAP(mul, 2, x *y)
K_MAP(div, 2, x / y)
K_MAP(maximum, 2, v_max(x, y))
K_MAP(minimum, 2, v_min(x, y))
K_MAP(greater, 2, V_ONE_IF(x > y))
K_MAP(greater_equal, 2, V_ONE_IF(x >= y))
K_MAP(equal, 2, V_ONE_IF(x == y))

typedef struct map {
    span_fn *fn[2]; /* f32, bf16 */
} map;
#define K_ROW(name) \
    { \
        { \
            name##_f32, name##_bf16 \
        } \
    }
static const map unary_maps[] = {
    [LMB_UNARY_NEG] = K_ROW(neg),
    [LMB_UNARY_EXP] = K_ROW(exponential),
    [LMB_UNARY_LOG] = K_ROW(logarithm),
    [LMB_UNARY_SQRT] = K_ROW(square_root),
    [LMB_UNARY_SQUARE] = K_ROW(square),
    [LMB_UNARY_RECIPROCAL] = K_ROW(reciprocal),
    [LMB_UNARY_ABS] = K_ROW(absolute),
    [LMB_UNARY_SIGN] = K_ROW(sign),
    [LMB_UNARY_SIGMOID] = K_ROW(sigmoid),
    [LMB_UNARY_TANH] = K_ROW(hyperbolic),
    [LMB_UNARY_SOFTPLUS] = K_ROW(softplus),
    [LMB_UNARY_RELU6] = K_ROW(relu6),
};
static const map binary_maps[] = {
    [LMB_BINARY_ADD] = K_ROW(add),
    [LMB_BINARY_SUB] = K_ROW(sub),
    [LMB_BINARY_MUL] = K_ROW(mul),
    [LMB_BINARY_DIV] = K_ROW(div),
    [LMB_BINARY_MAXIMUM] = K_ROW(maximum),
    [LMB_BINARY_MINIMUM] = K_ROW(minimum),
    [LMB_BINARY_GREATER] = K_ROW(greater),
    [LMB_BINARY_GREATER_EQUAL] = K_ROW(greater_equal),
    [LMB_BINARY_EQUAL] = K_ROW(equal),
};
static const map relu_map = K_ROW(relu);
static const map relu_bwd_map = K_ROW(relu_bwd);
static const map gelu_map = K_ROW(gelu);
static const map gelu_bwd_map = K_ROW(gelu_bwd);
static const map affine_map = K_ROW(affine);
static const map select_map = K_ROW(select);

static void flat_run(const map *f, bool half, const span *s, int64_t n)
{
    span_fn *const fn = f->fn[half ? 1 : 0];
    const int64_t chunks = k_ceil_div(n, CHUNK);
    K_PARALLEL_FOR(n)
    for (int64_t c = 0; c < chunks; c++)
        fn(s, c * CHUNK, k_min(n, (c + 1) * CHUNK));
}

/* --- broadcasting --------------------------------------------------------- */

typedef struct walk {
    int rank; /* of the merged dimensions; the last one is the run */
    int64_t dim[LMB_MAX_RANK];
    int64_t stride[LMB_MAX_RANK][3]; /* per operand, 0 where broadcast */
} walk;

static void walk_strides(walk *w, int j, const lmb_shape *in, int out_rank)
{
    int64_t stride = 1;
    for (int d = out_rank - 1; d >= 0; d--) {
        const int e = d - (out_rank - in->rank);
        const int64_t size = e >= 0 ? in->dim[e] : 1;
        w->stride[d][j] = size == 1 ? 0 : stride;
        stride *= size;
    }
}

/* Dimension d walks on seamlessly from d + 1 for every operand. */
static bool walk_mergeable(
    const walk *w, int d, int64_t inner, const int64_t *s)
{
    for (int j = 0; j < 3; j++)
        if (w->stride[d][j] != s[j] * inner)
            return false;
    return true;
}

static void walk_merge(walk *w)
{
    walk m = {.rank = 0};
    int at = LMB_MAX_RANK;
    for (int d = w->rank - 1; d >= 0; d--) {
        if (w->dim[d] == 1)
            continue;
        if (at < LMB_MAX_RANK &&
            walk_mergeable(w, d, m.dim[at], m.stride[at])) {
            m.dim[at] *= w->dim[d];
            continue;
        }
        at--;
        m.dim[at] = w->dim[d];
        memcpy(m.stride[at], w->stride[d], sizeof m.stride[at]);
    }
    w->rank = LMB_MAX_RANK - at;
    for (int d = 0; d < w->rank; d++) {
        w->dim[d] = m.dim[at + d];
        memcpy(w->stride[d], m.stride[at + d], sizeof w->stride[d]);
    }
    if (w->rank == 0) {
        w->rank = 1;
        w->dim[0] = 1;
    }
}

static void walk_span(
    const walk *w, const span *s, span_fn *fn, int64_t run, int64_t at)
{
    const int last = w->rank - 1;
    span r = *s;
    int64_t off[3] = {0}, rest = run;
    for (int d = last - 1; d >= 0; d--) {
        for (int j = 0; j < 3; j++)
            off[j] += rest % w->dim[d] * w->stride[d][j];
        rest /= w->dim[d];
    }
    for (int j = 0; j < 3; j++) {
        r.in[j] = s->in[j] != NULL ? (const float *)s->in[j] + off[j] : NULL;
        r.step[j] = w->stride[last][j];
        r.dense = r.dense && (s->in[j] == NULL || r.step[j] == 1);
    }
    r.out = (float *)s->out + run * w->dim[last];
    fn(&r, at, k_min(w->dim[last], at + CHUNK));
}

static void broadcast_run(const map *f, const lmb_call *c, const span *s)
{
    const lmb_shape *out = &c->out[0].shape;
    walk w = {.rank = out->rank};
    memcpy(w.dim, out->dim, sizeof w.dim);
    for (int j = 0; j < c->n_in; j++)
        walk_strides(&w, j, &c->in[j].shape, out->rank);
    walk_merge(&w);
    const int64_t n = k_count(out);
    if (n == 0)
        return;
    const int64_t inner = w.dim[w.rank - 1];
    const int64_t pieces = k_ceil_div(inner, CHUNK);
    const int64_t all = n / inner * pieces;
    K_PARALLEL_FOR(n)
    for (int64_t p = 0; p < all; p++)
        walk_span(&w, s, f->fn[0], p / pieces, p % pieces * CHUNK);
}

static void map_run(const map *f, const lmb_call *c, float a, float b)
{
    span s = {{NULL, NULL, NULL}, {1, 1, 1}, c->out[0].data, a, b, true};
    bool same = true;
    for (int j = 0; j < c->n_in; j++) {
        s.in[j] = c->in[j].data;
        same = same && lmb_shape_equal(&c->in[j].shape, &c->out[0].shape);
    }
    if (same)
        flat_run(f, k_is_half(&c->out[0]), &s, k_count(&c->out[0].shape));
    else
        broadcast_run(f, c, &s);
}

/* --- the rows ------------------------------------------------------------- */

static void run_unary(const lmb_call *c)
{
    const lmb_unary_attr *a = c->attr;
    map_run(&unary_maps[a->kind], c, 0, 0);
}
static void run_binary(const lmb_call *c)
{
    const lmb_binary_attr *a = c->attr;
    map_run(&binary_maps[a->kind], c, 0, 0);
}
static void run_relu(const lmb_call *c)
{
    map_run(&relu_map, c, 0, 0);
}
static void run_relu_bwd(const lmb_call *c)
{
    map_run(&relu_bwd_map, c, 0, 0);
}
static void run_gelu(const lmb_call *c)
{
    map_run(&gelu_map, c, 0, 0);
}
static void run_gelu_bwd(const lmb_call *c)
{
    map_run(&gelu_bwd_map, c, 0, 0);
}
static void run_affine(const lmb_call *c)
{
    const lmb_affine_attr *a = c->attr;
    map_run(&affine_map, c, (float)a->a, (float)a->b);
}
static void run_select(const lmb_call *c)
{
    map_run(&select_map, c, 0, 0);
}
static void run_copy(const lmb_call *c)
{
    const size_t bytes =
        (size_t)(k_count(&c->out[0].shape) * k_elem_size(&c->out[0]));
    if (c->out[0].data != c->in[0].data)
        memcpy(c->out[0].data, c->in[0].data, bytes);
}

extern const lmb_kernel LMB_KERNEL_TABLE(k_elementwise)[];
const lmb_kernel LMB_KERNEL_TABLE(k_elementwise)[] = {
    {&lmb_op_unary, LMB_RULE_FLAT, true, run_unary, NULL, NULL},
    {&lmb_op_relu, LMB_RULE_FLAT, true, run_relu, NULL, NULL},
    {&lmb_op_relu_bwd, LMB_RULE_FLAT, true, run_relu_bwd, NULL, NULL},
    {&lmb_op_gelu, LMB_RULE_FLAT, true, run_gelu, NULL, NULL},
    {&lmb_op_gelu_bwd, LMB_RULE_FLAT, true, run_gelu_bwd, NULL, NULL},
    {&lmb_op_binary, LMB_RULE_FLAT, true, run_binary, NULL, NULL},
    {&lmb_op_affine, LMB_RULE_FLAT, true, run_affine, NULL, NULL},
    {&lmb_op_select, LMB_RULE_FLAT, true, run_select, NULL, NULL},
    {&lmb_op_stop_gradient, LMB_RULE_FLAT, true, run_copy, NULL, NULL},
    {0},
};
