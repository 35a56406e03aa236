/* test_weights_io.c: parameters from and to weight files; a published network
 * loads and computes what it computed where it was trained. */
#include "lmb_test.h"

#include <math.h>

#include "base/file.h"
#include "plan/plan.h"
#include "train/weights_io.h"

static lmb_value build(const char *name, lmb_graph *g, lmb_params *params,
    int batch, int classes, lmb_value *x)
{
    const lmb_model *m = lmb_model_find(name);
    lmb_nn nn;
    lmb_nn_init(&nn, g, params, LMB_MODE_EVAL);
    *x = lmb_graph_input(g, "images", LMB_F32,
        LMB_SHAPE(batch, 3, m->default_size, m->default_size));
    const lmb_value y = m->build(m, &nn, *x, classes);
    CHECK_OK(lmb_graph_status(g));
    CHECK_OK(lmb_params_seal(params));
    return y;
}

static lmb_params *network(const char *name, int classes, uint64_t seed)
{
    lmb_graph *g = NULL;
    lmb_params *params = NULL;
    lmb_value x;
    CHECK_OK(lmb_graph_new(&g));
    CHECK_OK(lmb_params_new(LMB_F32, &params));
    (void)build(name, g, params, 1, classes, &x);
    lmb_params_init(params, seed);
    lmb_graph_free(g);
    return params;
}

static void parameters_come_back(void **state)
{
    lmb_params *a = network("ShuffleV2", 7, 1), *b = network("ShuffleV2", 7, 2);
    lmb_weights *w = NULL;
    int classes = 0;
    (void)state;
    lmb_param_set(lmb_params_find(a, "bn1.running_var"), 3, 2.5);
    CHECK_OK(lmb_params_to_weights(a, NULL, &w));
    assert_int_equal(w->count, lmb_params_count(a));
    CHECK_OK(
        lmb_weights_classes(w, "x", lmb_model_find("ShuffleV2"), &classes));
    assert_int_equal(classes, 7);
    CHECK_OK(lmb_weights_to_params(w, "x", b));
    for (int i = 0; i < lmb_params_count(a); i++)
        for (int64_t k = 0; k < lmb_params_at(a, i)->count; k++)
            CHECK_NEAR(lmb_param_get(lmb_params_at(a, i), k),
                lmb_param_get(lmb_params_at(b, i), k), 0);
    lmb_weights_free(w);
    lmb_params_free(a);
    lmb_params_free(b);
}

static void add(lmb_weights *w, const char *name, lmb_dtype dtype, int64_t n)
{
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_tensor_new(dtype, &LMB_SHAPE(n), &t));
    CHECK_OK(lmb_weights_add(w, name, t));
    lmb_tensor_release(t);
}

static void what_does_not_fit_is_listed(void **state)
{
    lmb_params *a = network("resnet8", 10, 1), *b = network("resnet8", 12, 2);
    lmb_weights *w = NULL;
    const double before = lmb_param_get(lmb_params_at(b, 0), 0);
    (void)state;
    CHECK_OK(lmb_params_to_weights(a, NULL, &w));
    add(w, "bn1.num_batches_tracked", LMB_I64, 1);
    add(w, "a.attn.relative_position_index", LMB_I64, 4);
    add(w, "bbox_head.integral.project", LMB_F32, 17);
    add(w, "fc.weights", LMB_F32, 1);
    CHECK_ERR(lmb_weights_to_params(w, "a.pth", b), LMB_EFORMAT,
        "a.pth: not of this network");
    assert_non_null(strstr(
        lmb_last_error(), "2 misshapen: fc.weight is [10, 64], not [12, 64]"));
    assert_non_null(strstr(lmb_last_error(), "1 unknown: fc.weights"));
    CHECK_NEAR(lmb_param_get(lmb_params_at(b, 0), 0), before, 0);
    lmb_weights_free(w);

    /* The near name is offered, and the file's own claim is told. */
    CHECK_OK(lmb_weights_new(&w));
    add(w, "layer1.0.conv1.weigth", LMB_F32, 1);
    add(w, "conv1.weight", LMB_I32, 432);
    CHECK_OK(lmb_weights_meta_set(w, "model", "resnet9"));
    CHECK_ERR(lmb_weights_to_params(w, "b", a), LMB_EFORMAT,
        "layer1.0.conv1.weight (layer1.0.conv1.weigth?)");
    assert_non_null(strstr(lmb_last_error(), "(the file says resnet9)"));
    assert_non_null(strstr(lmb_last_error(), ", ..."));
    int classes = 0;
    CHECK_ERR(lmb_weights_classes(w, "b", lmb_model_find("resnet8"), &classes),
        LMB_EFORMAT, "fc.weight");
    lmb_weights_free(w);
    lmb_params_free(a);
    lmb_params_free(b);
}

static void what_a_file_is_about_comes_back(void **state)
{
    char *names[] = {"apple", "two\nlines", ""};
    const lmb_weights_about about = {
        .model = "resnet8",
        .classes = 3,
        .class_names = names,
        .size = 32,
        .has_norm = true,
        .mean = {0.5071, 0.4865, 0.1},
        .std = {0.25, 1.0 / 3, 1},
        .channels = "RGB",
    };
    lmb_params *a = network("resnet8", 3, 1);
    lmb_weights *w = NULL;
    lmb_weights_about got;
    (void)state;
    CHECK_OK(lmb_params_to_weights(a, &about, &w));
    CHECK_OK(lmb_weights_about_read(w, "x", &got));
    assert_string_equal(got.model, "resnet8");
    assert_int_equal(got.classes, 3);
    assert_string_equal(got.class_names[0], "apple");
    assert_string_equal(got.class_names[1], "two lines");
    assert_string_equal(got.class_names[2], "");
    assert_int_equal(got.size, 32);
    assert_true(got.has_norm);
    for (int i = 0; i < 3; i++) {
        CHECK_NEAR(got.mean[i], about.mean[i], 0);
        CHECK_NEAR(got.std[i], about.std[i], 0);
    }
    assert_string_equal(got.channels, "RGB");
    lmb_weights_about_fini(&got);
    lmb_weights_free(w);
    lmb_params_free(a);
}

static void a_file_that_says_nothing_is_fine(void **state)
{
    lmb_weights *w = NULL;
    lmb_weights_about got;
    (void)state;
    CHECK_OK(lmb_weights_new(&w));
    CHECK_OK(lmb_weights_about_read(w, "x", &got));
    assert_int_equal(got.classes, 0);
    assert_false(got.has_norm);
    lmb_weights_about_fini(&got);
    lmb_weights_free(w);
}

static void wrong_metadata_is_refused(void **state)
{
    static const struct {
        const char *key, *value;
    } bad[] = {
        {"classes", "-1"},
        {"classes", "ten"},
        {"classes", "99999999999"},
        {"class_names", "a\nb"},
        {"input_size", "0"},
        {"mean", "1 2"},
        {"mean", "1 2 x"},
        {"mean", "1 2 3 4"},
        {"mean", "1 2 nan"},
        {"std", "1 0 1"},
        {"std", ""},
        {"channel_order", "YUV"},
        {"model",
            "a name so long that no network of the table could ever have it, "
            "not even one that is followed by all the options that networks "
            "may have, each of them with a value of its own"},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(bad); i++) {
        lmb_weights *w = NULL;
        lmb_weights_about got;
        CHECK_OK(lmb_weights_new(&w));
        CHECK_OK(lmb_weights_meta_set(w, "classes", "3"));
        CHECK_OK(lmb_weights_meta_set(w, "mean", "0 0 0"));
        CHECK_OK(lmb_weights_meta_set(w, "std", "1 1 1"));
        CHECK_OK(lmb_weights_meta_set(w, bad[i].key, bad[i].value));
        CHECK_ERR(
            lmb_weights_about_read(w, "x.pth", &got), LMB_EFORMAT, bad[i].key);
        lmb_weights_free(w);
    }
}

/* A head of another number of classes than the metadata was written for. */
static void names_of_another_head_are_left_out(void **state)
{
    static const struct {
        const char *classes, *names;
        int kept; /* names */
    } cases[] = {
        {"2", "a\nb", 0},
        {"5", "a\nb\nc\nd\ne", 0},
        {"2", "a\nb\nc", 3}, /* only the number was forgotten */
        {"3", "a\nb\nc", 3},
        {NULL, "a\nb\nc", 3},
        {NULL, "a\nb", 0},
        {"3", "a\nb", 0},
        {NULL, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(cases); i++) {
        lmb_weights *w = NULL;
        lmb_weights_about got;
        CHECK_OK(lmb_weights_new(&w));
        CHECK_OK(lmb_weights_meta_set(w, "mean", "0 0 0"));
        if (cases[i].classes != NULL)
            CHECK_OK(lmb_weights_meta_set(w, "classes", cases[i].classes));
        if (cases[i].names != NULL)
            CHECK_OK(lmb_weights_meta_set(w, "class_names", cases[i].names));
        CHECK_OK(lmb_weights_meta_set(w, "std", "1 1 1"));
        CHECK_OK(lmb_weights_set_classes(w, "x.pth", 3));
        CHECK_OK(lmb_weights_about_read(w, "x.pth", &got));
        CHECK_OK(lmb_weights_check_about(&got, "x.pth", 3));
        CHECK_ERR(lmb_weights_check_about(&got, "x.pth", 4), LMB_EFORMAT,
            "x.pth: metadata classes is 3, and the head has 4");
        assert_int_equal(got.classes, 3);
        assert_int_equal(got.class_names != NULL ? 3 : 0, cases[i].kept);
        assert_true(got.has_norm);
        CHECK_OK(lmb_weights_about_write(&got, w));
        assert_int_equal(lmb_weights_meta_get(w, "class_names") != NULL ? 3 : 0,
            cases[i].kept);
        lmb_weights_about_fini(&got);
        lmb_weights_free(w);
    }
}

static void metadata_is_taken_out(void **state)
{
    lmb_weights *w = NULL;
    (void)state;
    CHECK_OK(lmb_weights_new(&w));
    CHECK_OK(lmb_weights_meta_set(w, "a", "1"));
    CHECK_OK(lmb_weights_meta_set(w, "b", "2"));
    CHECK_OK(lmb_weights_meta_set(w, "c", "3"));
    lmb_weights_meta_remove(w, "a");
    lmb_weights_meta_remove(w, "a");
    assert_null(lmb_weights_meta_get(w, "a"));
    assert_string_equal(lmb_weights_meta_get(w, "b"), "2");
    lmb_weights_meta_remove(w, "c");
    assert_int_equal(w->meta_count, 1);
    CHECK_OK(lmb_weights_meta_set(w, "a", "4"));
    assert_string_equal(lmb_weights_meta_get(w, "a"), "4");
    lmb_weights_free(w);
}

/* --- a published network -------------------------------------------------- */

enum { BATCH = 50, IMAGES = 200, CLASSES = 100, PIXELS = 3 * 32 * 32 };

/* Records of 2 labels and 3072 bytes, from the packed file. */
static uint8_t *test_images(const char *dir)
{
    char command[512];
    uint8_t *records = NULL;
    (void)snprintf(command, sizeof command,
        "xz -dc '%s/cifar100/test.bin.xz' 2>/dev/null", dir);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL)
        return NULL;
    CHECK_OK(LMB_NEW(records, IMAGES * (2 + PIXELS)));
    const size_t n = fread(records, 2 + PIXELS, IMAGES, pipe);
    (void)pclose(pipe);
    if (n == IMAGES)
        return records;
    lmb_free(records);
    return NULL;
}

/* pixel / 255, minus the mean, over the deviation: as it was trained. */
static void normalise(const uint8_t *records, float *out)
{
    static const double mean[] = {0.5070, 0.4865, 0.4409};
    static const double std[] = {0.2673, 0.2564, 0.2761};
    for (int n = 0; n < BATCH; n++)
        for (int i = 0; i < PIXELS; i++)
            out[n * PIXELS + i] =
                (float)((records[n * (2 + PIXELS) + 2 + i] / 255.0 -
                            mean[i / 1024]) /
                    std[i / 1024]);
}

static void run_batches(const lmb_weights *w, const char *path,
    const uint8_t *records, double *logits)
{
    lmb_graph *g = NULL;
    lmb_params *params = NULL;
    lmb_plan *plan = NULL;
    lmb_value x;
    float *images = NULL;
    const lmb_plan_opts opts = {.allow_reference = true};
    CHECK_OK(lmb_graph_new(&g));
    CHECK_OK(lmb_params_new(LMB_F32, &params));
    CHECK_OK(LMB_NEW(images, BATCH * PIXELS));
    const lmb_value y = build("resnet56", g, params, BATCH, CLASSES, &x);
    CHECK_OK(lmb_weights_to_params(w, path, params));
    lmb_passes_forward(g, 1, &y);
    lmb_passes_backward(g, 1, &y);
    CHECK_OK(lmb_plan_compile(g, 1, &y, &opts, &plan));
    CHECK_OK(lmb_plan_set(plan, x, LMB_F32, images));
    for (int n = 0; n < IMAGES; n += BATCH) {
        normalise(records + n * (2 + PIXELS), images);
        CHECK_OK(lmb_plan_run(plan));
        CHECK_OK(lmb_plan_read(plan, y, LMB_F64, logits + n * CLASSES));
    }
    lmb_free(images);
    lmb_plan_free(plan);
    lmb_graph_free(g);
    lmb_params_free(params);
}

static int right_answers(const double *logits, const uint8_t *records)
{
    int right = 0;
    for (int n = 0; n < IMAGES; n++) {
        int best = 0;
        for (int c = 1; c < CLASSES; c++)
            if (logits[n * CLASSES + c] > logits[n * CLASSES + best])
                best = c;
        right += best == records[n * (2 + PIXELS) + 1] ? 1 : 0;
    }
    return right;
}

static void a_published_network_computes_what_it_did(void **state)
{
    const char *dir = lmb_test_data();
    char path[512];
    lmb_file want;
    lmb_weights *w = NULL;
    double *got = NULL, *expect = NULL, largest = 0;
    int classes = 0;
    (void)state;
    SKIP_WITHOUT_DATA(dir);
    uint8_t *records = test_images(dir);
    if (records == NULL) {
        (void)printf("skipped: no CIFAR-100 there, or no xz\n");
        skip();
    }
    (void)snprintf(path, sizeof path,
        "%s/weights/cifar100/resnet56_logits_test200.f32", dir);
    CHECK_OK(lmb_file_open(path, &want));
    assert_int_equal(want.size, IMAGES * CLASSES * sizeof(float));
    (void)snprintf(path, sizeof path,
        "%s/weights/cifar100/cifar100_resnet56.safetensors", dir);
    CHECK_OK(lmb_weights_load(path, &w));
    CHECK_OK(
        lmb_weights_classes(w, path, lmb_model_find("resnet56"), &classes));
    assert_int_equal(classes, CLASSES);
    CHECK_OK(LMB_NEW(got, IMAGES * CLASSES));
    CHECK_OK(LMB_NEW(expect, IMAGES * CLASSES));
    run_batches(w, path, records, got);
    for (int i = 0; i < IMAGES * CLASSES; i++) {
        float f;
        memcpy(&f, want.bytes + (size_t)i * sizeof f, sizeof f);
        expect[i] = f;
        largest = fmax(largest, fabs(expect[i]));
    }
    CHECK_ARRAYS(got, expect, IMAGES * CLASSES, 1e-4 * largest);
    assert_int_equal(right_answers(got, records), 140);
    lmb_free(records);
    lmb_free(got);
    lmb_free(expect);
    lmb_file_close(&want);
    lmb_weights_free(w);
}

LMB_TEST_MAIN(cmocka_unit_test(parameters_come_back),
    cmocka_unit_test(what_does_not_fit_is_listed),
    cmocka_unit_test(what_a_file_is_about_comes_back),
    cmocka_unit_test(a_file_that_says_nothing_is_fine),
    cmocka_unit_test(wrong_metadata_is_refused),
    cmocka_unit_test(names_of_another_head_are_left_out),
    cmocka_unit_test(metadata_is_taken_out),
    cmocka_unit_test(a_published_network_computes_what_it_did))
