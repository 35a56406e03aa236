/* test_cpu_optim.c: optimiser kernels of every level against plain loops in
 * double; the kernels with side effects on parameters. */
#include "lmb_test.h"

#include "backend/cpu/cpu.h"
#include "backend/cpu/cpu_optim.h"
#include "base/rng.h"

enum { N = 40003, GUARD = 16 };

typedef struct arrays {
    float *a[4];
    double *d[4];
} arrays;

/* Normal numbers, squared in the last array; the same each time. */
static void arrays_new(arrays *x)
{
    lmb_rng rng = lmb_rng_make(3, LMB_STREAM_TEST, 0, 0);
    for (int k = 0; k < 4; k++) {
        CHECK_OK(LMB_NEW(x->a[k], N + GUARD));
        CHECK_OK(LMB_NEW(x->d[k], N));
        for (int i = 0; i < N; i++) {
            const double v = lmb_rng_normal(&rng);
            x->a[k][i] = (float)(k == 3 ? v * v : v);
            x->d[k][i] = (double)x->a[k][i];
        }
        for (int i = N; i < N + GUARD; i++)
            x->a[k][i] = 77;
    }
}

static void arrays_check(const arrays *x)
{
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < N; i++)
            CHECK_NEAR(x->a[k][i], x->d[k][i], 1e-5);
        for (int i = N; i < N + GUARD; i++)
            assert_true(x->a[k][i] == 77);
    }
}

static void arrays_free(arrays *x)
{
    for (int k = 0; k < 4; k++) {
        lmb_free(x->a[k]);
        lmb_free(x->d[k]);
    }
}

static void sgd_plain(
    const lmb_sgd_step *s, double *w, const double *g, double *v)
{
    for (int i = 0; i < N; i++) {
        const double d = s->scale * g[i] + s->decay * w[i];
        v[i] = (s->first ? 0 : s->momentum * v[i]) + d;
        w[i] -= s->lr * (s->nesterov ? d + s->momentum * v[i] : v[i]);
    }
}

static void adamw_plain(
    const lmb_adamw_step *s, double *w, const double *g, double *m, double *v)
{
    const double c1 = 1 - pow(s->beta1, (double)s->t);
    const double c2 = 1 - pow(s->beta2, (double)s->t);
    for (int i = 0; i < N; i++) {
        const double x = s->scale * g[i];
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * x;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * x * x;
        w[i] -= s->lr * s->decay * w[i];
        w[i] -= s->lr * (m[i] / c1) / (sqrt(v[i] / c2) + s->eps);
    }
}

static void optim_level(void)
{
    const lmb_optim_kernels *k = lmb_cpu_optim();
    arrays x;
    arrays_new(&x);
    for (int i = 0; i < 4; i++) {
        const lmb_sgd_step s = {0.1, 0.5, 5e-4, 0.9, i % 2 == 1, i == 0};
        k->sgd(&s, N, x.a[0], x.a[1], x.a[2]);
        sgd_plain(&s, x.d[0], x.d[1], x.d[2]);
    }
    for (int t = 5; t < 8; t++) {
        const lmb_adamw_step s = {1e-2, 0.5, 0.05, 0.9, 0.999, 1e-8, t};
        k->adamw(&s, N, x.a[0], x.a[1], x.a[2], x.a[3]);
        adamw_plain(&s, x.d[0], x.d[1], x.d[2], x.d[3]);
    }
    k->average(0.9, N, x.a[0], x.a[2]);
    k->scale(0.25, N, x.a[1]);
    double sum = 0;
    for (int i = 0; i < N; i++) {
        x.d[2][i] = 0.9 * x.d[2][i] + 0.1 * x.d[0][i];
        x.d[1][i] *= 0.25;
        sum += (double)x.a[0][i] * (double)x.a[0][i];
    }
    arrays_check(&x);
    CHECK_NEAR(k->sum_squares(N, x.a[0]) / sum, 1, 1e-12);
    arrays_free(&x);
}

static void updates_follow_their_formulas(void **state)
{
    (void)state;
    for (int l = 0; l < lmb_cpu_level_count(); l++) {
        CHECK_OK(lmb_cpu_set_level(lmb_cpu_level_at(l)));
        optim_level();
    }
    CHECK_OK(lmb_cpu_set_level(NULL));
}

/* r = (1 - m) r + m batch with the variance times count / (count - 1). */
static void running_statistics_move(void **state)
{
    (void)state;
    lmb_params *store = NULL;
    lmb_batch_norm_update_attr attr = {.momentum = 0.1, .count = 5};
    const lmb_init one = {LMB_INIT_CONSTANT, 1, 0};
    const lmb_shape shape = LMB_SHAPE(3);
    CHECK_OK(lmb_params_new(LMB_F32, &store));
    CHECK_OK(
        lmb_params_add(store, "mean", &shape, one, false, &attr.running_mean));
    CHECK_OK(
        lmb_params_add(store, "var", &shape, one, false, &attr.running_var));
    CHECK_OK(lmb_params_seal(store));
    lmb_params_init(store, 1);
    float mean[] = {1, 2, -3}, var[] = {4, 0, 2}, dummy = 5;
    const lmb_buf in[] = {
        {mean, LMB_SHAPE(3), LMB_F32, 1}, {var, LMB_SHAPE(3), LMB_F32, 1}};
    lmb_buf out = {&dummy, LMB_SCALAR, LMB_F32, 1};
    const lmb_call call = {&attr, 2, 1, in, &out, NULL};
    lmb_cpu_kernel_find(&lmb_op_batch_norm_update)->run(&call);
    for (int i = 0; i < 3; i++) {
        CHECK_NEAR(lmb_param_get(attr.running_mean, i),
            0.9 + 0.1 * (double)mean[i], 1e-7);
        CHECK_NEAR(lmb_param_get(attr.running_var, i),
            0.9 + 0.1 * (double)var[i] * 5 / 4, 1e-7);
    }
    assert_true(dummy == 0);
    lmb_params_free(store);
}

static void gradients_reach_their_slot(void **state)
{
    (void)state;
    static const lmb_dtype dtypes[] = {LMB_F32, LMB_F64};
    for (int d = 0; d < 2; d++) {
        lmb_params *store = NULL;
        lmb_store_grad_attr attr = {NULL};
        const lmb_init zero = {LMB_INIT_CONSTANT, 0, 0};
        const lmb_shape shape = LMB_SHAPE(2);
        CHECK_OK(lmb_params_new(dtypes[d], &store));
        CHECK_OK(lmb_params_add(store, "w", &shape, zero, true, &attr.param));
        CHECK_OK(lmb_params_seal(store));
        float g[] = {1.5f, -2}, dummy = 5;
        const lmb_buf in = {g, LMB_SHAPE(2), LMB_F32, 1};
        lmb_buf out = {&dummy, LMB_SCALAR, LMB_F32, 1};
        const lmb_call call = {&attr, 1, 1, &in, &out, NULL};
        lmb_cpu_kernel_find(&lmb_op_store_grad)->run(&call);
        const void *slot = lmb_param_grad(attr.param);
        for (int i = 0; i < 2; i++)
            CHECK_NEAR(d == 1 ? ((const double *)slot)[i]
                              : (double)((const float *)slot)[i],
                g[i], 0);
        lmb_params_free(store);
    }
}

LMB_TEST_MAIN(cmocka_unit_test(updates_follow_their_formulas),
    cmocka_unit_test(running_statistics_move),
    cmocka_unit_test(gradients_reach_their_slot))
