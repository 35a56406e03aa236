/* test_cpu_kernels.c: every kernel of every CPU level against the ops' f64
 * references: shapes, layouts, dtypes; guards around the memory; the same bits
 * for one and two threads. */
#include "lmb_test.h"

#include "backend/cpu/cpu.h"
#include "base/rng.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

enum { GUARD = 64, MAX_SHAPES = 8 };

/* How an input is filled. */
typedef enum fill {
    NONE, /* no more inputs */
    NORMAL,
    ABSENT,
    TIES, /* multiples of 1/4, few values */
    POSITIVE, /* 0.1 .. 2 */
    LOGITS, /* normal times 30 */
    SHIFTED, /* 100 + normal */
    MASK, /* relu of a normal */
    SPECIAL, /* now and then NaN, infinities, 0, huge, tiny */
    INDEX, /* 0 .. limit - 1 */
    ROIS, /* rows of an image below limit and a box of some 100 pixels */
    LABEL, /* -1 .. limit */
    CORNERS, /* boxes x0 y0 x1 y1 */
    FORWARD, /* output 0 of `forward` on the input before */
    FORWARD_POOL, /* the same, attribute = lmb_pool_bwd_attr.pool */
} fill;

typedef struct input {
    fill fill;
    lmb_shape shape;
    int32_t limit;
} input;

typedef struct kernel_case {
    const lmb_op *op;
    const void *attr;
    input in[MAX_SHAPES];
    const lmb_op *forward; /* for FORWARD */
    const void *forward_attr;
} kernel_case;

/* Shapes and attributes as one-line literals. */
#define S(...) \
    { \
        (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
        { \
            __VA_ARGS__ \
        } \
    }
#define A(type, ...) (&(const type){__VA_ARGS__})

#include "cpu_cases.h"

typedef struct guarded {
    unsigned char *memory;
    size_t bytes;
} guarded;

typedef struct run {
    const kernel_case *c;
    lmb_buf in[MAX_SHAPES], out[LMB_MAX_OUT];
    int n_in, n_out;
    guarded memory[MAX_SHAPES + LMB_MAX_OUT + 1];
    int n_memory;
    double worst; /* normalised error */
} run;

static void *guarded_new(run *r, size_t bytes)
{
    guarded *g = &r->memory[r->n_memory++];
    g->memory = lmb_alloc(bytes + 2 * GUARD, 1);
    g->bytes = bytes;
    assert_non_null(g->memory);
    memset(g->memory, 0xa5, bytes + 2 * GUARD);
    return g->memory + GUARD;
}

static void guards_check(const run *r)
{
    for (int i = 0; i < r->n_memory; i++)
        for (size_t k = 0; k < GUARD; k++) {
            const guarded *g = &r->memory[i];
            if (g->memory[k] != 0xa5 || g->memory[GUARD + g->bytes + k] != 0xa5)
                fail_msg("%s: operand %d: bytes around it were written",
                    r->c->op->name, i);
        }
}

static void run_free(run *r)
{
    for (int i = 0; i < r->n_memory; i++)
        lmb_free(r->memory[i].memory);
    r->n_memory = 0;
}

static double value(fill f, lmb_rng *rng, int32_t limit)
{
    static const double special[] = {
        NAN, INFINITY, -INFINITY, 0, -0.0, 1e30, -1e30, 90, -90, 1e-30, -105};
    const double x = lmb_rng_normal(rng);
    const uint32_t u = lmb_rng_below(rng, 1000);
    switch (f) {
    case TIES:
        return floor(x * 3) / 4;
    case POSITIVE:
        return 0.1 + 0.0019 * (double)u;
    case LOGITS:
        return 30 * x;
    case SHIFTED:
        return 100 + x;
    case MASK:
        return x > 0 ? x : 0;
    case SPECIAL:
        return u < 300 ? special[u % LMB_COUNT(special)] : x;
    case INDEX:
        return (double)(u % (uint32_t)limit);
    case LABEL:
        return (double)(u % (uint32_t)(limit + 2)) - 1;
    default:
        return x;
    }
}

static void element_set(lmb_buf *b, int64_t i, double x)
{
    if (b->dtype == LMB_BF16)
        ((uint16_t *)b->data)[i] = lmb_f32_to_bf16((float)x);
    else if (b->dtype == LMB_I32)
        ((int32_t *)b->data)[i] = (int32_t)x;
    else
        ((float *)b->data)[i] = (float)x;
}
static double element_get(const lmb_buf *b, int64_t i)
{
    if (b->dtype == LMB_BF16)
        return (double)lmb_bf16_to_f32(((const uint16_t *)b->data)[i]);
    if (b->dtype == LMB_I32)
        return (double)((const int32_t *)b->data)[i];
    return (double)((const float *)b->data)[i];
}

/* Element e of RoIs; `last` is the element two before it. */
static double roi_value(lmb_rng *rng, int64_t e, double last, int32_t limit)
{
    if (e % 5 == 0)
        return (double)lmb_rng_below(rng, (uint32_t)limit);
    const double u = lmb_rng_uniform(rng);
    return e % 5 < 3 ? 150 * u - 25 : last + 130 * u * u;
}

/* layout: 0 plain, 1 channels last, 16 blocked; half: bf16 for what the rule
 * lets be bf16. */
static void buf_new(run *r, lmb_buf *b, const lmb_kernel *k, lmb_type type,
    int layout, bool half)
{
    const bool free = type.shape.rank == 4 && k->rule != LMB_RULE_PLAIN;
    b->shape = type.shape;
    b->block = 1;
    b->dtype = type.dtype;
    if (free && type.dtype == LMB_F32) {
        b->dtype = half ? LMB_BF16 : LMB_F32;
        b->block = layout == 1 ? type.shape.dim[1] : layout == 16 ? 16 : 1;
    }
    const int64_t n = lmb_shape_count(&type.shape);
    b->data = guarded_new(r, (size_t)n * lmb_dtype_size(b->dtype));
}

static void input_forward(run *r, int i, bool pool)
{
    const lmb_pool_bwd_attr *a = r->c->forward_attr;
    const lmb_call call = {pool ? (const void *)&a->pool : r->c->forward_attr,
        1, 1, &r->in[i - 1], &r->in[i], NULL};
    CHECK_OK(lmb_call_reference(r->c->forward, &call));
}

/* Element e; those before it are there. */
static double element_draw(
    const input *in, const lmb_buf *b, int64_t e, lmb_rng *rng)
{
    if (in->fill == ROIS)
        return roi_value(
            rng, e, e % 5 < 3 ? 0 : element_get(b, e - 2), in->limit);
    if (in->fill == CORNERS && e % 4 >= 2)
        return element_get(b, e - 2) + value(POSITIVE, rng, 0);
    return value(in->fill, rng, in->limit);
}

static void inputs_make(run *r, const lmb_kernel *k, int layout, bool half)
{
    lmb_rng rng = lmb_rng_make(7, LMB_STREAM_TEST, 0, 0);
    for (int i = 0; i < r->n_in; i++) {
        const input *in = &r->c->in[i];
        lmb_buf *b = &r->in[i];
        const lmb_type type = {
            in->fill == INDEX || in->fill == LABEL ? LMB_I32 : LMB_F32,
            in->shape};
        if (in->fill == ABSENT) {
            memset(b, 0, sizeof *b);
            b->shape.rank = -1;
            continue;
        }
        buf_new(r, b, k, type, layout, half);
        if (in->fill == FORWARD || in->fill == FORWARD_POOL) {
            input_forward(r, i, in->fill == FORWARD_POOL);
            continue;
        }
        for (int64_t e = 0; e < lmb_shape_count(&in->shape); e++)
            element_set(b, e, element_draw(in, b, e, &rng));
    }
}

static void outputs_make(run *r, const lmb_kernel *k, int layout, bool half)
{
    lmb_type in[MAX_SHAPES], out[LMB_MAX_OUT];
    for (int i = 0; i < r->n_in; i++)
        in[i] = (lmb_type){
            r->in[i].dtype == LMB_I32 ? LMB_I32 : LMB_F32, r->in[i].shape};
    CHECK_OK(r->c->op->shape(r->c->attr, r->n_in, in, out));
    r->n_out = r->c->op->n_out;
    const bool plain = k->rule == LMB_RULE_SPATIAL_TO_PLAIN;
    for (int i = 0; i < r->n_out; i++)
        buf_new(r, &r->out[i], k, out[i], plain ? 0 : layout, half && !plain);
}

/* True where a and b are the same number, or differ by `limit` times scale. */
static void outputs_compare(run *r, const run *ref, double limit)
{
    for (int o = 0; o < r->n_out; o++) {
        const int64_t n = lmb_shape_count(&r->out[o].shape);
        double scale = 1e-30;
        for (int64_t i = 0; i < n; i++) {
            const double x = fabs(element_get(&ref->out[o], i));
            if (x < 1e29 && x > scale)
                scale = x;
        }
        for (int64_t i = 0; i < n; i++) {
            const double x = element_get(&r->out[o], i);
            const double y = element_get(&ref->out[o], i);
            const double d = fabs(x - y) / fmax(scale, fabs(y));
            if ((isnan(x) && isnan(y)) || x == y)
                continue;
            if (!(d <= limit))
                fail_msg("%s (%s, %s) output %d [%lld]: %.9g, reference %.9g, "
                         "scale %.3g; block %lld, %s, shape %s",
                    r->c->op->name, lmb_cpu_level_name(),
                    lmb_dtype_name(r->in[0].dtype), o, (long long)i, x, y,
                    scale, (long long)r->out[o].block,
                    lmb_dtype_name(r->out[o].dtype),
                    lmb_shape_text(&r->out[o].shape));
            r->worst = fmax(r->worst, d);
        }
    }
}

static void threads_set(int n)
{
#if defined(_OPENMP)
    omp_set_num_threads(n);
#else
    (void)n;
#endif
}

/* False: the kernel does not take this layout. */
static bool kernel_call(run *r, const lmb_kernel *k, int threads)
{
    lmb_call call = {r->c->attr, r->n_in, r->n_out, r->in, r->out, NULL};
    if (k->supports != NULL && k->supports(&call) != NULL)
        return false;
    threads_set(threads);
    if (k->scratch != NULL)
        call.scratch = guarded_new(r, k->scratch(&call));
    k->run(&call);
    guards_check(r);
    return true;
}

/* One case in one layout and dtype, at the current level. */
static bool case_run(
    const kernel_case *c, const lmb_kernel *k, int layout, bool half)
{
    run runs[3];
    memset(runs, 0, sizeof runs);
    bool done = true;
    for (int i = 0; i < 3; i++) {
        run *r = &runs[i];
        r->c = c;
        while (r->n_in < MAX_SHAPES && c->in[r->n_in].fill != NONE)
            r->n_in++;
        inputs_make(r, k, layout, half);
        outputs_make(r, k, layout, half);
        const lmb_call call = {c->attr, r->n_in, r->n_out, r->in, r->out, NULL};
        if (i == 0)
            CHECK_OK(lmb_call_reference(c->op, &call));
        else
            done = done && kernel_call(r, k, i);
    }
    if (done) {
        outputs_compare(&runs[1], &runs[0], half ? 1e-2 : 1e-5);
        for (int o = 0; o < runs[1].n_out; o++) {
            const lmb_buf *a = &runs[1].out[o], *b = &runs[2].out[o];
            assert_memory_equal(a->data, b->data,
                (size_t)lmb_shape_count(&a->shape) * lmb_dtype_size(a->dtype));
        }
    }
    for (int i = 0; i < 3; i++)
        run_free(&runs[i]);
    return done;
}

static bool whole_blocks(const lmb_shape *s)
{
    return s->rank != 4 || s->dim[1] % 16 == 0;
}
static bool blockable(const kernel_case *c)
{
    lmb_type in[MAX_SHAPES], out[LMB_MAX_OUT];
    bool whole = true;
    int n = 0;
    for (; n < MAX_SHAPES && c->in[n].fill != NONE; n++) {
        in[n] = (lmb_type){LMB_F32, c->in[n].shape};
        if (c->in[n].fill == ABSENT)
            in[n].shape.rank = -1;
        whole = whole && whole_blocks(&in[n].shape);
    }
    CHECK_OK(c->op->shape(c->attr, n, in, out));
    for (int o = 0; o < c->op->n_out; o++)
        whole = whole && whole_blocks(&out[o].shape);
    return whole;
}

static bool spatial(const kernel_case *c, const lmb_kernel *k)
{
    bool rank4 = false;
    for (int i = 0; i < MAX_SHAPES; i++)
        rank4 = rank4 || c->in[i].shape.rank == 4;
    if (k->rule == LMB_RULE_FLAT) /* rank 4 only without broadcasting */
        for (int i = 1; i < MAX_SHAPES && c->in[i].shape.rank > 0; i++)
            rank4 = rank4 && lmb_shape_equal(&c->in[0].shape, &c->in[i].shape);
    return rank4 && k->rule != LMB_RULE_PLAIN;
}

static int case_everywhere(const kernel_case *c)
{
    const lmb_kernel *k = lmb_cpu_kernel_find(c->op);
    int n = 0;
    if (k == NULL)
        fail_msg("%s: no kernel", c->op->name);
    if (!spatial(c, k))
        return case_run(c, k, 0, false) ? 1 : 0;
    static const int layouts[] = {0, 1, 16};
    for (int l = 0; l < 3; l++)
        for (int half = 0; half <= (k->bf16 ? 1 : 0); half++)
            if (layouts[l] != 16 || blockable(c))
                n += case_run(c, k, layouts[l], half == 1) ? 1 : 0;
    return n;
}

static void every_level_agrees_with_the_reference(void **state)
{
    (void)state;
    for (int l = 0; l < lmb_cpu_level_count(); l++) {
        int n = 0;
        CHECK_OK(lmb_cpu_set_level(lmb_cpu_level_at(l)));
        for (size_t i = 0; i < LMB_COUNT(cases); i++)
            n += case_everywhere(&cases[i]);
        (void)printf("%s: %d checks\n", lmb_cpu_level_name(), n);
    }
    CHECK_OK(lmb_cpu_set_level(NULL));
}

/* Ops with side effects on parameters have their own test. */
static bool has_case(const lmb_op *op)
{
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        if (cases[i].op == op)
            return true;
    return op == &lmb_op_batch_norm_update || op == &lmb_op_store_grad;
}

static void every_kernel_has_a_case(void **state)
{
    (void)state;
    for (int i = 0; i < lmb_cpu_kernel_count(); i++)
        if (!has_case(lmb_cpu_kernel_at(i)->op))
            fail_msg("%s has no case here", lmb_cpu_kernel_at(i)->op->name);
}

static void unknown_levels_are_refused(void **state)
{
    (void)state;
    CHECK_ERR(lmb_cpu_set_level("v9"), LMB_EINVAL, "v9");
}

LMB_TEST_MAIN(cmocka_unit_test(every_level_agrees_with_the_reference),
    cmocka_unit_test(every_kernel_has_a_case),
    cmocka_unit_test(unknown_levels_are_refused))
