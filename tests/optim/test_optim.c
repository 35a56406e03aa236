/* Optimisers by hand-made recurrences, schedules by the epochs that
 * mdistiller's trainer gives. */
#include "lmb_test.h"

#include "base/rng.h"
#include "optim/optim.h"

enum { COUNT = 5, STEPS = 4 };

static lmb_params *store_of(lmb_dtype dtype, lmb_param **p)
{
    lmb_params *store = NULL;
    const lmb_shape shape = LMB_SHAPE(COUNT);
    CHECK_OK(lmb_params_new(dtype, &store));
    CHECK_OK(lmb_params_add(
        store, "w", &shape, (lmb_init){LMB_INIT_NORMAL, 0, 1}, true, p));
    CHECK_OK(lmb_params_seal(store));
    lmb_params_init(store, 3);
    return store;
}

static void set_grad(const lmb_param *p, int step)
{
    lmb_rng rng = lmb_rng_make(1, LMB_STREAM_TEST, (uint64_t)step, 0);
    for (int i = 0; i < COUNT; i++) {
        const double g = lmb_rng_normal(&rng);
        if (lmb_params_dtype(p->owner) == LMB_F64)
            ((double *)lmb_param_grad(p))[i] = g;
        else
            ((float *)lmb_param_grad(p))[i] = (float)g;
    }
}

static double grad_of(const lmb_param *p, int i)
{
    return lmb_params_dtype(p->owner) == LMB_F64
        ? ((const double *)lmb_param_grad(p))[i]
        : (double)((const float *)lmb_param_grad(p))[i];
}

static void check_sgd(lmb_dtype dtype, bool nesterov, double tolerance)
{
    const double lr = 0.1;
    const double mu = 0.9;
    const double wd = 5e-4;
    lmb_param *p = NULL;
    lmb_params *store = store_of(dtype, &p);
    lmb_optim *o = NULL;
    CHECK_OK(lmb_optim_new(
        &(lmb_optim_opts){
            .momentum = mu, .weight_decay = wd, .nesterov = nesterov},
        store, &o));
    double w[COUNT];
    double v[COUNT] = {0};
    for (int i = 0; i < COUNT; i++)
        w[i] = lmb_param_get(p, i);
    for (int s = 0; s < STEPS; s++) {
        set_grad(p, s);
        for (int i = 0; i < COUNT; i++) {
            const double d = 0.5 * grad_of(p, i) + wd * w[i];
            v[i] = s == 0 ? d : mu * v[i] + d;
            w[i] -= lr * (nesterov ? d + mu * v[i] : v[i]);
        }
        lmb_optim_step(o, lr, 0.5);
        for (int i = 0; i < COUNT; i++)
            CHECK_NEAR(lmb_param_get(p, i), w[i], tolerance);
    }
    assert_int_equal(lmb_optim_steps(o), STEPS);
    lmb_optim_free(o);
    lmb_params_free(store);
}

static void sgd_is_pytorchs(void **state)
{
    (void)state;
    check_sgd(LMB_F64, false, 1e-14);
    check_sgd(LMB_F64, true, 1e-14);
    check_sgd(LMB_F32, false, 1e-6);
    check_sgd(LMB_F32, true, 1e-6);
}

static void adamw_is_pytorchs(void **state)
{
    (void)state;
    lmb_param *p = NULL;
    lmb_params *store = store_of(LMB_F64, &p);
    lmb_optim *o = NULL;
    CHECK_OK(lmb_optim_new(&(lmb_optim_opts){.kind = LMB_OPTIM_ADAMW,
                               .weight_decay = 0.01,
                               .beta1 = 0.9,
                               .beta2 = 0.999,
                               .eps = 1e-8},
        store, &o));
    double w = lmb_param_get(p, 2);
    double m = 0;
    double v = 0;
    for (int s = 1; s <= STEPS; s++) {
        set_grad(p, s);
        const double g = grad_of(p, 2);
        w *= 1 - 0.001 * 0.01;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        w -= 0.001 * (m / (1 - pow(0.9, s))) /
            (sqrt(v / (1 - pow(0.999, s))) + 1e-8);
        lmb_optim_step(o, 0.001, 1);
        CHECK_NEAR(lmb_param_get(p, 2), w, 1e-14);
    }
    lmb_optim_free(o);
    lmb_params_free(store);
}

static void multistep_falls_after_its_epochs(void **state)
{
    (void)state;
    const lmb_schedule s = {
        .lr = 0.05,
        .decay_rate = 0.1,
        .decay_epochs = {150, 180, 210},
        .n_decays = 3,
        .epochs = 240,
    };
    CHECK_NEAR(lmb_schedule_lr(&s, 150, 781, 782), 0.05, 1e-15);
    CHECK_NEAR(lmb_schedule_lr(&s, 151, 0, 782), 0.005, 1e-15);
    CHECK_NEAR(lmb_schedule_lr(&s, 181, 0, 782), 0.0005, 1e-15);
    CHECK_NEAR(lmb_schedule_lr(&s, 240, 0, 782), 0.00005, 1e-15);
}

static void cosine_and_warm_up_move_with_every_step(void **state)
{
    (void)state;
    lmb_schedule s = {
        .kind = LMB_SCHEDULE_COSINE,
        .lr = 1,
        .min_lr = 0.1,
        .epochs = 10,
    };
    CHECK_NEAR(lmb_schedule_lr(&s, 1, 0, 100), 1, 1e-15);
    CHECK_NEAR(lmb_schedule_lr(&s, 6, 0, 100), 0.55, 1e-12);
    CHECK_NEAR(lmb_schedule_lr(&s, 11, 0, 100), 0.1, 1e-12);
    s = (lmb_schedule){
        .kind = LMB_SCHEDULE_CONSTANT,
        .lr = 1,
        .epochs = 10,
        .warmup_epochs = 2,
        .warmup_start = 0.001,
    };
    CHECK_NEAR(lmb_schedule_lr(&s, 1, 0, 100), 0.001, 1e-15);
    CHECK_NEAR(lmb_schedule_lr(&s, 2, 0, 100), 0.5005, 1e-12);
    CHECK_NEAR(lmb_schedule_lr(&s, 3, 0, 100), 1, 1e-15);
}

static void the_norm_of_gradients_is_theirs(void **state)
{
    (void)state;
    lmb_param *p = NULL;
    lmb_params *store = store_of(LMB_F32, &p);
    set_grad(p, 9);
    double sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum += grad_of(p, i) * grad_of(p, i);
    CHECK_NEAR(lmb_optim_grad_square(store), sum, 1e-12);
    lmb_params_free(store);
}

LMB_TEST_MAIN(cmocka_unit_test(sgd_is_pytorchs),
    cmocka_unit_test(adamw_is_pytorchs),
    cmocka_unit_test(multistep_falls_after_its_epochs),
    cmocka_unit_test(cosine_and_warm_up_move_with_every_step),
    cmocka_unit_test(the_norm_of_gradients_is_theirs))
