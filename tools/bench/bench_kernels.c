/* bench_kernels.c: our batch normalisation against oneDNN's (fused with ReLU).
 *
 * bench_kernels [threads]: one line per shape, dtype and direction: the best
 * of many runs, in microseconds, alone and with a read of the output after it:
 * stores that bypass the cache make the one faster and the next op slower. */
#include "backend/cpu/cpu.h"

#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RUNS = 60 };

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static void must(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "bench_kernels: %s failed\n", what);
        exit(1);
    }
}

/* --- operands shared by both ---------------------------------------------- */

enum { X, Y, DY, DX, RES, N_BIG };
typedef struct setup {
    lmb_shape shape;
    int64_t block, count;
    bool half;
    void *big[N_BIG];
    float *channel[8]; /* gamma, beta, mean, var, dgamma, dbeta, gamma+beta */
    unsigned char *mask;
    void *scratch;
} setup;

static void setup_new(setup *s, const int64_t *dim, int layout, bool half)
{
    *s = (setup){.shape = {4, {dim[0], dim[1], dim[2], dim[3]}}, .half = half};
    s->block = layout == 16 ? 16 : dim[1];
    s->count = lmb_shape_count(&s->shape);
    for (int i = 0; i < N_BIG; i++) {
        s->big[i] = lmb_alloc((size_t)s->count, 4);
        must(s->big[i] != NULL, "memory");
        for (int64_t k = 0; k < s->count; k++) {
            const float v = (float)rand() / (float)RAND_MAX - 0.5f;
            if (half)
                ((uint16_t *)s->big[i])[k] = lmb_f32_to_bf16(v);
            else
                ((float *)s->big[i])[k] = v;
        }
    }
    for (int i = 0; i < 8; i++) {
        s->channel[i] = lmb_alloc((size_t)dim[1] * 2, sizeof(float));
        must(s->channel[i] != NULL, "memory");
        for (int64_t k = 0; k < 2 * dim[1]; k++)
            s->channel[i][k] = 0.5f;
    }
    s->mask = lmb_alloc((size_t)s->count, 1);
    s->scratch = lmb_alloc((size_t)s->count, 4);
}
static void setup_free(setup *s)
{
    for (int i = 0; i < N_BIG; i++)
        lmb_free(s->big[i]);
    for (int i = 0; i < 8; i++)
        lmb_free(s->channel[i]);
    lmb_free(s->mask);
    lmb_free(s->scratch);
}

/* --- ours ----------------------------------------------------------------- */

static lmb_buf big(const setup *s, int i)
{
    return (lmb_buf){
        s->big[i], s->shape, s->half ? LMB_BF16 : LMB_F32, s->block};
}
static lmb_buf vec(const setup *s, int i)
{
    return (lmb_buf){s->channel[i], {1, {s->shape.dim[1]}}, LMB_F32, 1};
}
static void ours(const setup *s, bool bwd, bool res)
{
    const lmb_batch_norm_attr f = {1e-5, true};
    const lmb_batch_norm_bwd_attr b = {1e-5, true, res};
    const lmb_buf none = {.shape = {.rank = -1}};
    const lmb_buf f_in[] = {
        big(s, X), vec(s, 0), vec(s, 1), res ? big(s, RES) : none};
    lmb_buf f_out[] = {big(s, Y), vec(s, 2), vec(s, 3)};
    const lmb_buf b_in[] = {big(s, DY), none, big(s, X), vec(s, 0), vec(s, 2),
        vec(s, 3), res ? big(s, Y) : none, vec(s, 1)};
    lmb_buf b_out[] = {big(s, DX), vec(s, 4), vec(s, 5), big(s, RES)};
    const lmb_call fc = {&f, 4, 3, f_in, f_out, s->scratch};
    const lmb_call bc = {&b, 8, 4, b_in, b_out, s->scratch};
    const lmb_kernel *k = lmb_cpu_kernel_find(
        bwd ? &lmb_op_batch_norm_bwd : &lmb_op_batch_norm_train);
    k->run(bwd ? &bc : &fc);
}

/* --- oneDNN 2.x ----------------------------------------------------------- */

#if DNNL_VERSION_MAJOR == 2
typedef struct theirs {
    dnnl_primitive_t norm[2];
    dnnl_exec_arg_t args[2][12];
    int n[2];
    dnnl_stream_t stream;
} theirs;

static dnnl_memory_t memory(
    const dnnl_memory_desc_t *md, dnnl_engine_t e, void *data)
{
    dnnl_memory_t m;
    must(dnnl_memory_create(&m, md, e, data) == dnnl_success, "memory");
    return m;
}
static void theirs_new(theirs *t, const setup *s)
{
    dnnl_engine_t e;
    dnnl_memory_desc_t md, vd, pd;
    dnnl_batch_normalization_desc_t d[2];
    dnnl_primitive_desc_t p[2];
    const dnnl_format_tag_t tag = s->block == 16 ? dnnl_nChw16c : dnnl_nhwc;
    const int64_t *x = s->shape.dim;
    const dnnl_dims_t four = {x[0], x[1], x[2], x[3]};
    const dnnl_dims_t one = {x[1]}, two = {2, x[1]};
    must(dnnl_engine_create(&e, dnnl_cpu, 0) == dnnl_success, "engine");
    must(dnnl_stream_create(&t->stream, e, dnnl_stream_default_flags) ==
            dnnl_success,
        "stream");
    (void)dnnl_memory_desc_init_by_tag(
        &md, 4, four, s->half ? dnnl_bf16 : dnnl_f32, tag);
    (void)dnnl_memory_desc_init_by_tag(&vd, 1, one, dnnl_f32, dnnl_a);
    (void)dnnl_memory_desc_init_by_tag(&pd, 2, two, dnnl_f32, dnnl_ab);
    const unsigned flags = dnnl_use_scaleshift | dnnl_fuse_norm_relu;
    must(dnnl_batch_normalization_forward_desc_init(
             &d[0], dnnl_forward_training, &md, 1e-5f, flags) == dnnl_success,
        "forward");
    must(dnnl_batch_normalization_backward_desc_init(
             &d[1], dnnl_backward, &md, &md, 1e-5f, flags) == dnnl_success,
        "backward");
    must(
        dnnl_primitive_desc_create(&p[0], &d[0], NULL, e, NULL) == dnnl_success,
        "forward primitive");
    must(
        dnnl_primitive_desc_create(&p[1], &d[1], NULL, e, p[0]) == dnnl_success,
        "backward primitive");
    const dnnl_memory_desc_t *ws =
        dnnl_primitive_desc_query_md(p[0], dnnl_query_workspace_md, 0);
    const dnnl_exec_arg_t all[] = {{DNNL_ARG_SRC, memory(&md, e, s->big[X])},
        {DNNL_ARG_SCALE_SHIFT, memory(&pd, e, s->channel[6])},
        {DNNL_ARG_MEAN, memory(&vd, e, s->channel[2])},
        {DNNL_ARG_VARIANCE, memory(&vd, e, s->channel[3])},
        {DNNL_ARG_WORKSPACE, memory(ws, e, s->mask)},
        {DNNL_ARG_DST, memory(&md, e, s->big[Y])},
        {DNNL_ARG_DIFF_DST, memory(&md, e, s->big[DY])},
        {DNNL_ARG_DIFF_SRC, memory(&md, e, s->big[DX])},
        {DNNL_ARG_DIFF_SCALE_SHIFT, memory(&pd, e, s->channel[7])}};
    for (int i = 0; i < 9; i++) {
        if (i < 6)
            t->args[0][t->n[0]++] = all[i];
        if (i != 5)
            t->args[1][t->n[1]++] = all[i];
    }
    for (int i = 0; i < 2; i++)
        must(dnnl_primitive_create(&t->norm[i], p[i]) == dnnl_success,
            "primitive");
}
static void theirs_run(const theirs *t, bool bwd)
{
    (void)dnnl_primitive_execute(
        t->norm[bwd], t->stream, t->n[bwd], t->args[bwd]);
    (void)dnnl_stream_wait(t->stream);
}
#else
typedef struct theirs {
    int unused;
} theirs;
static void theirs_new(theirs *t, const setup *s)
{
    (void)t;
    (void)s;
}
static void theirs_run(const theirs *t, bool bwd)
{
    (void)t;
    (void)bwd;
}
#endif

/* --- table ---------------------------------------------------------------- */

static void output_read(const setup *s, int which)
{
    const int64_t words = s->count * (s->half ? 2 : 4) / 8;
    const uint64_t *p = s->big[which];
    uint64_t sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int64_t i = 0; i < words; i++)
        sum += p[i];
    if (sum == 1) /* or nothing would be read */
        (void)printf(" ");
}

static void compare(const int64_t *dim, int layout, bool half)
{
    setup s;
    theirs t = {0};
    setup_new(&s, dim, layout, half);
    theirs_new(&t, &s);
    for (int bwd = 0; bwd < 2; bwd++) {
        double best[3] = {1e30, 1e30, 1e30}, both[3] = {1e30, 1e30, 1e30};
        for (int i = 0; i < 3 * RUNS; i++) {
            const int who = i / RUNS;
            const double start = now();
            if (who == 0)
                theirs_run(&t, bwd == 1);
            else
                ours(&s, bwd == 1, who == 2);
            const double took = now() - start;
            output_read(&s, bwd ? DX : Y);
            const double all = now() - start;
            best[who] = took < best[who] ? took : best[who];
            both[who] = all < both[who] ? all : both[who];
        }
        (void)printf("[%3d,%3d,%2d,%2d] %-5s %-4s %-8s oneDNN %6.0f (%6.0f)  "
                     "ours %6.0f (%6.0f)  %.2fx (%.2fx)  residual %6.0f\n",
            (int)dim[0], (int)dim[1], (int)dim[2], (int)dim[3],
            layout == 16 ? "16c" : "NHWC", half ? "bf16" : "f32",
            bwd ? "backward" : "forward", best[0], both[0], best[1], both[1],
            best[0] / best[1], both[0] / both[1], best[2]);
    }
    setup_free(&s);
}

int main(int argc, char **argv)
{
    static const int64_t dims[][4] = {{64, 16, 32, 32}, {64, 32, 16, 16},
        {64, 64, 8, 8}, {64, 64, 32, 32}, {64, 128, 16, 16}, {64, 256, 8, 8}};
    omp_set_num_threads(argc > 1 ? atoi(argv[1]) : 2);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("level %s\n", lmb_cpu_level_name());
    for (size_t i = argc > 2 ? (size_t)atoi(argv[2]) : 0; i < LMB_COUNT(dims);
         i++)
        for (int layout = 0; layout <= 16; layout += 16)
            for (int half = 0; half < 2; half++)
                compare(dims[i], layout, half == 1);
    return 0;
}
