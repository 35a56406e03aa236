/* Training agrees with PyTorch: losses step by step, gradients of the first
 * step, weights and running statistics after the last.
 *
 * In double precision on the reference to rounding; in single precision on the
 * fast backend to what single precision can hold. */
#include "train_check.h"

#include "backend/onednn/dnn.h"

/* --- double precision ----------------------------------------------------- */

static void check_exact(const char *golden, const char *preset)
{
    static const train_limits limits = {1e-9, 1e-12};
    train_run r;
    lmb_step_result got;
    train_open(&r, golden, "resnet20", "resnet56", "batch", preset, true);
    const json_t *losses = json_object_get(r.golden, "losses");
    for (size_t k = 0; k < json_array_size(losses); k++) {
        const json_t *want = json_array_get(losses, k);
        const double limit = 1e-9 * train_number(want, 0);
        train_gradients(&r, (int64_t)k, &got);
        CHECK_NEAR(got.loss, train_number(want, 0), limit);
        CHECK_NEAR(got.part[0], train_number(want, 1), limit);
        CHECK_NEAR(got.term[0], train_number(want, 2), limit);
        if (k == 0)
            (void)train_table(&r, "grads", &limits);
        train_update(&r);
    }
    (void)train_table(&r, "weights", &limits);
    train_close(&r);
}

static void kd_is_exact(void **state)
{
    (void)state;
    check_exact("exact_kd", NULL);
}

static void pcd_of_the_paper_is_exact(void **state)
{
    (void)state;
    check_exact("exact_pcd_paper", "paper");
}

static void pcd_of_the_release_is_exact(void **state)
{
    (void)state;
    check_exact("exact_pcd_release", "release");
}

/* --- single precision: the first step ------------------------------------- */

static void skip_without_onednn(void)
{
    if (!lmb_dnn_available()) {
        (void)printf("skipped: this build is without oneDNN\n");
        skip();
    }
}

/* The batch is one in which rounding flips no ReLU of PyTorch's. */
static void check_first_step(const char *model)
{
    static const train_limits of_grads = {1e-3, 1e-6};
    static const train_limits of_running = {1e-5, 0};
    char golden[64];
    train_run r;
    lmb_step_result got;
    skip_without_onednn();
    (void)snprintf(golden, sizeof golden, "steps_%s", model);
    train_open(&r, golden, model, model, "count", NULL, false);
    train_gradients(&r, train_integer(&r, "first"), &got);
    const double want = json_number_value(json_object_get(r.golden, "loss"));
    CHECK_NEAR(got.loss, want, 1e-5 * want);
    const double grads = train_table(&r, "grads", &of_grads);
    const double running = train_table(&r, "running", &of_running);
    (void)printf("%s: loss to %.1e, gradients to %.1e, statistics to %.1e\n",
        model, fabs(got.loss - want) / want, grads, running);
    train_close(&r);
}

/* --- single precision: ten steps ------------------------------------------ */

/* 1e-4 of the loss. The light networks multiply rounding by ten at a step: for
 * them (`chaotic`) three times PyTorch's own spread, but not less than the
 * first step's 1e-5. */
static double loss_limit(const train_run *r, size_t k, bool chaotic)
{
    const double loss = train_number(json_object_get(r->golden, "losses"), k);
    const double spread = train_number(json_object_get(r->golden, "spread"), k);
    if (k == 0)
        return 1e-5 * loss;
    return chaotic ? fmax(1e-5 * loss, 3 * spread) : 1e-4 * loss;
}

static void check_ten_steps(const char *model, bool chaotic)
{
    char golden[64];
    train_run r;
    lmb_step_result got;
    skip_without_onednn();
    (void)snprintf(golden, sizeof golden, "steps_%s", model);
    train_open(&r, golden, model, model, "batch", NULL, false);
    const json_t *losses = json_object_get(r.golden, "losses");
    const int64_t first = train_integer(&r, "first");
    assert_int_equal(json_array_size(losses), 10);
    (void)printf("%s: losses (their limits) to", model);
    for (size_t k = 0; k < 10; k++) {
        const double want = train_number(losses, k);
        const double limit = loss_limit(&r, k, chaotic);
        train_gradients(&r, first + (int64_t)k, &got);
        (void)printf(
            " %.1e (%.1e)", fabs(got.loss - want) / want, limit / want);
        CHECK_NEAR(got.loss, want, limit);
        train_update(&r);
    }
    (void)printf("\n");
    train_close(&r);
}

#define AGREES(model, chaotic) \
    static void model##_first_step_agrees(void **state) \
    { \
        (void)state; \
        check_first_step(#model); \
    } \
    static void model##_ten_steps_agree(void **state) \
    { \
        (void)state; \
        check_ten_steps(#model, chaotic); \
    }
AGREES(resnet20, false)
AGREES(resnet8x4, false)
AGREES(wrn_16_2, false)
AGREES(vgg8, false)
AGREES(MobileNetV2, true)
AGREES(ShuffleV1, true)
AGREES(ShuffleV2, true)

#define TESTS_OF(model) \
    cmocka_unit_test(model##_first_step_agrees), \
        cmocka_unit_test(model##_ten_steps_agree)

LMB_TEST_MAIN(cmocka_unit_test(kd_is_exact),
    cmocka_unit_test(pcd_of_the_paper_is_exact),
    cmocka_unit_test(pcd_of_the_release_is_exact), TESTS_OF(resnet20),
    TESTS_OF(resnet8x4), TESTS_OF(wrn_16_2), TESTS_OF(vgg8),
    TESTS_OF(MobileNetV2), TESTS_OF(ShuffleV1), TESTS_OF(ShuffleV2))
