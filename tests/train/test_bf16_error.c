/* How far bf16 is from single precision, layer by layer: each tap f0..f4,
 * pooled and logits, in evaluation and in training mode.
 *
 * The bound of a tap: 1.5 times what PyTorch's automatic bf16 is off by with
 * the same weights and images (tests/golden/training/bf16.json), and in
 * evaluation 0.01, in 2-norms relative to the tap's. Measured, here and in
 * PyTorch, the largest of f0..f4 and the logits:
 * - resnet20, eval: 0.0071, 0.0032; PyTorch 0.0086, 0.0044
 * - resnet20, train: 0.0291, 0.0050; PyTorch 0.0294, 0.0058
 * - vgg8, eval: 0.0041, 0.0022; PyTorch 0.0052, 0.0039
 * - vgg8, train: 0.0140, 0.0049; PyTorch 0.0143, 0.0057
 * - ShuffleV2, eval: 0.0043, 0.0019; PyTorch 0.0051, 0.0033
 * - ShuffleV2, train: 0.2233, 0.0807; PyTorch 0.2188, 0.0808
 *
 * Batch statistics amplify: a relative change of 0.001 of its images moves f3
 * of ShuffleV2 with these weights by 0.045 in training mode, and by less than
 * 0.0001 in evaluation. */
#include "train_check.h"

#include "backend/onednn/dnn.h"
#include "plan/plan.h"

enum { ERROR_BATCH = 8 };

typedef struct tap_values {
    int n;
    char name[LMB_MAX_TAPS][16];
    int64_t count[LMB_MAX_TAPS];
    double *data[LMB_MAX_TAPS];
} tap_values;

static void free_values(tap_values *v)
{
    for (int i = 0; i < v->n; i++)
        lmb_free(v->data[i]);
}

/* The taps that are compared: all but those before ReLU. */
static int pick_taps(const lmb_nn *nn, lmb_value *out, tap_values *v)
{
    *v = (tap_values){0};
    for (int i = 0; i < nn->n_taps; i++) {
        if (strncmp(nn->taps[i].name, "pre", 3) == 0)
            continue;
        const lmb_shape shape = lmb_graph_shape(nn->g, nn->taps[i].value);
        out[v->n] = nn->taps[i].value;
        (void)snprintf(
            v->name[v->n], sizeof v->name[0], "%s", nn->taps[i].name);
        v->count[v->n] = lmb_shape_count(&shape);
        v->n++;
    }
    return v->n;
}

static void run_taps(
    const char *model, lmb_mode mode, bool bf16, tap_values *out)
{
    lmb_network net;
    lmb_graph *g = NULL;
    lmb_plan *plan = NULL;
    lmb_nn nn;
    lmb_value taps[LMB_MAX_TAPS];
    static float images[ERROR_BATCH * 3 * TRAIN_SIZE * TRAIN_SIZE];
    const uint64_t hash = lmb_hash("images/0");
    for (size_t i = 0; i < LMB_COUNT(images); i++)
        images[i] = (float)golden_uniform(hash, (int64_t)i, -2, 2);
    train_network(model, "", LMB_F32, &net);
    CHECK_OK(lmb_graph_new(&g));
    lmb_nn_init(&nn, g, net.params, mode);
    const lmb_value x = lmb_graph_input(
        g, "x", LMB_F32, LMB_SHAPE(ERROR_BATCH, 3, TRAIN_SIZE, TRAIN_SIZE));
    (void)net.model->build(net.model, &nn, x, net.classes);
    CHECK_OK(lmb_graph_status(g));
    const int n = pick_taps(&nn, taps, out);
    if (mode == LMB_MODE_TRAIN)
        lmb_passes_forward(g, n, taps);
    lmb_passes_backward(g, n, taps);
    const lmb_plan_opts opts = {.bf16 = bf16};
    CHECK_OK(lmb_plan_compile(g, n, taps, &opts, &plan));
    CHECK_OK(lmb_plan_set(plan, x, LMB_F32, images));
    CHECK_OK(lmb_plan_run(plan));
    for (int i = 0; i < n; i++) {
        CHECK_OK(LMB_NEW(out->data[i], out->count[i]));
        CHECK_OK(lmb_plan_read(plan, taps[i], LMB_F64, out->data[i]));
    }
    lmb_plan_free(plan);
    lmb_graph_free(g);
    lmb_network_fini(&net);
}

/* |a - b| / |b|, in 2-norms. */
static double distance(const double *a, const double *b, int64_t n)
{
    double apart = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        apart += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(apart / size);
}

/* PyTorch's error of tap `name`. */
static double error_of_torch(
    const json_t *golden, const char *model, const char *mode, const char *name)
{
    char key[64];
    (void)snprintf(key, sizeof key, "%s %s", model, mode);
    const json_t *tap = json_object_get(json_object_get(golden, key), name);
    if (tap == NULL)
        fail_msg("bf16.json: no tap %s of %s", name, key);
    return json_number_value(tap);
}

static void check_error(const char *model, lmb_mode mode)
{
    const char *mode_name = mode == LMB_MODE_EVAL ? "eval" : "train";
    const double most = mode == LMB_MODE_EVAL ? 0.01 : 1;
    tap_values single, half;
    if (!lmb_dnn_has_bf16()) {
        (void)printf("skipped: this processor has no bf16\n");
        skip();
    }
    json_t *golden = train_golden("bf16");
    run_taps(model, mode, false, &single);
    run_taps(model, mode, true, &half);
    for (int i = 0; i < single.n; i++) {
        const double apart =
            distance(half.data[i], single.data[i], single.count[i]);
        const double torch =
            error_of_torch(golden, model, mode_name, single.name[i]);
        (void)printf("%s, %s: %s is off by %.4f of its norm (PyTorch %.4f)\n",
            model, mode_name, single.name[i], apart, torch);
        if (!(apart <= fmin(1.5 * torch, most)))
            fail_msg("%s: tap %s is off by %.4f of its norm (PyTorch %.4f)",
                model, single.name[i], apart, torch);
    }
    free_values(&single);
    free_values(&half);
    json_decref(golden);
}

#define ERROR_OF(model) \
    static void model##_in_evaluation(void **state) \
    { \
        (void)state; \
        check_error(#model, LMB_MODE_EVAL); \
    } \
    static void model##_in_training(void **state) \
    { \
        (void)state; \
        check_error(#model, LMB_MODE_TRAIN); \
    }
ERROR_OF(resnet20)
ERROR_OF(vgg8)
ERROR_OF(ShuffleV2)

LMB_TEST_MAIN(cmocka_unit_test(resnet20_in_evaluation),
    cmocka_unit_test(resnet20_in_training),
    cmocka_unit_test(vgg8_in_evaluation), cmocka_unit_test(vgg8_in_training),
    cmocka_unit_test(ShuffleV2_in_evaluation),
    cmocka_unit_test(ShuffleV2_in_training))
