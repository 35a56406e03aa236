/* test_cpu_math.c: the elementary functions of the vector kernels against the
 * C library's in double, in units in the last place of f32. */
#include "lmb_test.h"

#include "backend/cpu/cpu.h"

enum { N = 40000 };

static double ref_sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}
static double ref_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

typedef struct function {
    const char *name;
    int32_t kind;
    double (*f)(double);
    double low, high;
    bool logarithmic; /* arguments spread by exponent */
    double ulps;
} function;

static const function functions[] = {
    {"exp", LMB_UNARY_EXP, exp, -103, 88.7, false, 2},
    {"exp", LMB_UNARY_EXP, exp, -1, 1, false, 1.5},
    {"log", LMB_UNARY_LOG, log, 1e-44, 3e38, true, 1.5},
    {"log", LMB_UNARY_LOG, log, 0.5, 2, false, 1.5},
    {"sigmoid", LMB_UNARY_SIGMOID, ref_sigmoid, -87, 40, false, 3},
    {"tanh", LMB_UNARY_TANH, tanh, -10, 10, false, 2.5},
    {"tanh", LMB_UNARY_TANH, tanh, 1e-30, 1, true, 2.5},
    {"softplus", LMB_UNARY_SOFTPLUS, ref_softplus, -87, 100, false, 3},
    {"sqrt", LMB_UNARY_SQRT, sqrt, 1e-37, 1e38, true, 0.51},
};

/* Size of the last place of the f32 nearest to y. */
static double ulp(double y)
{
    const double a = fmax(fabs(y), ldexp(1, -126));
    int e = 0;
    (void)frexp(a, &e);
    return ldexp(1, e - 24);
}

static void function_check(const function *f, float *x, float *y)
{
    for (int i = 0; i < N; i++) {
        const double t = (double)i / (N - 1);
        x[i] = (float)(f->logarithmic
                ? exp(log(f->low) * (1 - t) + log(f->high) * t)
                : f->low * (1 - t) + f->high * t);
    }
    const lmb_unary_attr attr = {f->kind};
    const lmb_buf in = {x, LMB_SHAPE(N), LMB_F32, 1};
    lmb_buf out = {y, LMB_SHAPE(N), LMB_F32, 1};
    const lmb_call call = {&attr, 1, 1, &in, &out, NULL};
    lmb_cpu_kernel_find(&lmb_op_unary)->run(&call);
    double worst = 0;
    for (int i = 0; i < N; i++) {
        const double want = f->f((double)x[i]);
        const double error = fabs((double)y[i] - want) / ulp(want);
        if (!(error <= f->ulps))
            fail_msg("%s (%s) of %.9g: %.9g, not %.9g: %.2f ulp", f->name,
                lmb_cpu_level_name(), (double)x[i], (double)y[i], want, error);
        worst = fmax(worst, error);
    }
    (void)printf("%-7s %-9s [%g, %g]: %.2f ulp\n", lmb_cpu_level_name(),
        f->name, f->low, f->high, worst);
}

static void functions_are_accurate_on_every_level(void **state)
{
    (void)state;
    float *x = NULL, *y = NULL;
    CHECK_OK(LMB_NEW(x, N));
    CHECK_OK(LMB_NEW(y, N));
    for (int l = 0; l < lmb_cpu_level_count(); l++) {
        CHECK_OK(lmb_cpu_set_level(lmb_cpu_level_at(l)));
        for (size_t i = 0; i < LMB_COUNT(functions); i++)
            function_check(&functions[i], x, y);
    }
    CHECK_OK(lmb_cpu_set_level(NULL));
    lmb_free(x);
    lmb_free(y);
}

LMB_TEST_MAIN(cmocka_unit_test(functions_are_accurate_on_every_level))
