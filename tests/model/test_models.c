/* test_models.c: the table of networks: sizes as published, names, taps. */
#include "lmb_test.h"

#include "model/model.h"

/* Parameters and multiply-adds (millions) of the definitions in mdistiller and
 * torchvision, at 100 classes and 32 pixels or 1000 and 224. */
static const struct {
    const char *name;
    int64_t parameters;
    double mega_macs;
    int convs;
    const char *taps; /* C,H of f0, f1, ... */
    int pooled;
} rows[] = {
    {"resnet8", 83892, 12.5, 9, "16,32 16,32 32,16 64,8", 64},
    {"resnet14", 181108, 26.7, 15, "16,32 16,32 32,16 64,8", 64},
    {"resnet20", 278324, 40.8, 21, "16,32 16,32 32,16 64,8", 64},
    {"resnet32", 472756, 69.1, 33, "16,32 16,32 32,16 64,8", 64},
    {"resnet44", 667188, 97.4, 45, "16,32 16,32 32,16 64,8", 64},
    {"resnet56", 861620, 125.8, 57, "16,32 16,32 32,16 64,8", 64},
    {"resnet110", 1736564, 253.2, 111, "16,32 16,32 32,16 64,8", 64},
    {"resnet8x4", 1233540, 177.1, 10, "32,32 64,32 128,16 256,8", 256},
    {"resnet32x4", 7433860, 1083.0, 34, "32,32 64,32 128,16 256,8", 256},
    {"cifar_resnet18", 11220132, 555.5, 20, "64,32 64,32 128,16 256,8 512,4",
        512},
    {"cifar_resnet50", 23705252, 1298.0, 53,
        "64,32 256,32 512,16 1024,8 2048,4", 2048},
    {"wrn_16_1", 180916, 26.7, 15, "16,32 16,32 32,16 64,8", 64},
    {"wrn_40_1", 569780, 83.3, 39, "16,32 16,32 32,16 64,8", 64},
    {"wrn_16_2", 703284, 101.1, 16, "16,32 32,32 64,16 128,8", 128},
    {"wrn_40_2", 2255156, 327.6, 40, "16,32 32,32 64,16 128,8", 128},
    {"wrn_16_4", 2772020, 392.6, 16, "16,32 64,32 128,16 256,8", 256},
    {"wrn_28_2", 1479220, 214.4, 28, "16,32 32,32 64,16 128,8", 128},
    {"wrn_28_4", 5872180, 845.6, 28, "16,32 64,32 128,16 256,8", 256},
    {"wrn_40_4", 8972340, 1298.6, 40, "16,32 64,32 128,16 256,8", 256},
    {"vgg8", 3965028, 96.2, 5, "64,32 128,16 256,8 512,4 512,4", 512},
    {"vgg11", 9277284, 209.4, 8, "64,32 128,16 256,8 512,4 512,4", 512},
    {"vgg13", 9462180, 284.9, 10, "64,32 128,16 256,8 512,4 512,4", 512},
    {"vgg16", 14774436, 398.2, 13, "64,32 128,16 256,8 512,4 512,4", 512},
    {"vgg19", 20086692, 511.4, 16, "64,32 128,16 256,8 512,4 512,4", 512},
    {"MobileNetV2", 812836, 6.5, 53, "16,16 12,16 16,8 48,4 160,2", 1280},
    {"ShuffleV1", 949258, 38.7, 49, "24,32 240,16 480,8 960,4", 960},
    {"ShuffleV2", 1355528, 44.5, 56, "24,32 116,16 232,8 464,4", 1024},
    {"resnet18", 11689512, 1814.1, 20, "64,112 64,56 128,28 256,14 512,7", 512},
    {"resnet34", 21797672, 3663.8, 36, "64,112 64,56 128,28 256,14 512,7", 512},
    {"resnet50", 25557032, 4089.2, 53, "64,112 256,56 512,28 1024,14 2048,7",
        2048},
    {"resnet101", 44549160, 7801.4, 104, "64,112 256,56 512,28 1024,14 2048,7",
        2048},
    {"mobilenet_v1", 4231976, 568.7, 27, "128,56 256,28 512,14 1024,7", 1024},
    {"swin_t", 28288354, 4490.6, 1, "96,56 96,56 192,28 384,14 768,7", 768},
    {"swin_s", 49606258, 8740.9, 1, "96,56 96,56 192,28 384,14 768,7", 768},
};

static int tap_index(const lmb_model_info *info, const char *name)
{
    for (int i = 0; i < info->n_taps; i++)
        if (strcmp(info->taps[i].name, name) == 0)
            return i;
    return -1;
}

/* The taps f0, f1, ... in words, and the number of them. */
static void feature_text(
    const lmb_model_info *info, char *text, size_t size, int *count)
{
    char name[16];
    text[0] = '\0';
    for (*count = 0; *count < 16; (*count)++) {
        (void)snprintf(name, sizeof name, "f%d", *count);
        const int at = tap_index(info, name);
        if (at < 0)
            return;
        const lmb_shape s = info->taps[at].shape;
        const size_t used = strlen(text);
        assert_int_equal(s.rank, 4);
        assert_int_equal(s.dim[2], s.dim[3]);
        (void)snprintf(text + used, size - used, "%s%d,%d", used > 0 ? " " : "",
            (int)s.dim[1], (int)s.dim[2]);
    }
}

static int classifiers(void)
{
    int count = 0, found = 0;
    const lmb_model *const *all = lmb_models(&count);
    for (int i = 0; i < count; i++)
        found += strcmp(all[i]->task, "classification") == 0;
    return found;
}

static void sizes_and_taps_are_the_published_ones(void **state)
{
    (void)state;
    assert_int_equal(classifiers(), LMB_COUNT(rows));
    for (size_t i = 0; i < LMB_COUNT(rows); i++) {
        const lmb_model *m = lmb_model_find(rows[i].name);
        lmb_model_info info;
        char text[128];
        int features = 0;
        assert_non_null(m);
        CHECK_OK(lmb_model_describe(m, 0, 0, &info));
        assert_int_equal(info.parameters, rows[i].parameters);
        CHECK_NEAR((double)info.macs / 1e6, rows[i].mega_macs, 0.0501);
        assert_int_equal(info.convs, rows[i].convs);
        feature_text(&info, text, sizeof text, &features);
        assert_string_equal(text, rows[i].taps);
        const int pooled = tap_index(&info, "pooled");
        assert_true(pooled >= 0);
        assert_int_equal(info.taps[pooled].shape.rank, 2);
        assert_int_equal(info.taps[pooled].shape.dim[1], rows[i].pooled);
        const int logits = tap_index(&info, "logits");
        assert_true(logits >= 0);
        assert_int_equal(info.taps[logits].shape.dim[1], m->default_classes);
    }
}

/* Every pre tap stands beside an f tap of the same shape. */
static void taps_before_relu_come_in_pairs(void **state)
{
    int count = 0;
    const lmb_model *const *all = lmb_models(&count);
    (void)state;
    for (int i = 0; i < count; i++) {
        lmb_model_info info;
        CHECK_OK(lmb_model_describe(all[i], 0, 0, &info));
        for (int t = 0; t < info.n_taps; t++) {
            if (info.taps[t].name[0] != 'p' || info.taps[t].name[1] != 'r')
                continue;
            char name[20];
            (void)snprintf(name, sizeof name, "f%s", info.taps[t].name + 3);
            const int f = tap_index(&info, name);
            assert_true(f >= 0);
            assert_true(
                lmb_shape_equal(&info.taps[f].shape, &info.taps[t].shape));
        }
    }
}

static void names_match_in_any_case_and_by_alias(void **state)
{
    const lmb_model *m = NULL;
    (void)state;
    CHECK_OK(lmb_model_get("RESNET56", &m));
    assert_string_equal(m->name, "resnet56");
    CHECK_OK(lmb_model_get("mobilenetv2", &m));
    assert_string_equal(m->name, "MobileNetV2");
    CHECK_OK(lmb_model_get("WRN-40-2", &m));
    assert_string_equal(m->name, "wrn_40_2");
    CHECK_OK(lmb_model_get("vgg13_bn", &m));
    assert_string_equal(m->name, "vgg13");
    assert_null(lmb_model_find("vgg"));
    assert_null(lmb_model_find(""));
    CHECK_ERR(lmb_model_get("resnet65", &m), LMB_EINVAL, "did you mean");
    CHECK_ERR(
        lmb_model_get("transformer", &m), LMB_EINVAL, "limbeck list models");
}

static void classes_and_size_can_be_chosen(void **state)
{
    lmb_model_info a, b;
    (void)state;
    CHECK_OK(lmb_model_describe(lmb_model_find("resnet8"), 10, 64, &a));
    CHECK_OK(lmb_model_describe(lmb_model_find("resnet8"), 100, 32, &b));
    assert_int_equal(b.parameters - a.parameters, 90 * 65);
    assert_int_equal(a.taps[tap_index(&a, "f3")].shape.dim[2], 16);
    assert_int_equal(a.taps[tap_index(&a, "pooled")].shape.dim[1], 64);
    assert_string_equal(a.head, "fc");
    CHECK_OK(lmb_model_describe(lmb_model_find("MobileNetV2"), 0, 0, &a));
    assert_string_equal(a.head, "classifier.0");
    /* From 64 pixels on VGG pools a fourth time. */
    CHECK_OK(lmb_model_describe(lmb_model_find("vgg8"), 0, 64, &a));
    assert_int_equal(a.taps[tap_index(&a, "f4")].shape.dim[2], 4);
}

/* A network is built twice over one store: the same parameters. */
static void building_again_adds_no_parameters(void **state)
{
    int count = 0;
    const lmb_model *const *all = lmb_models(&count);
    (void)state;
    for (int i = 0; i < count; i++) {
        lmb_params *params = NULL;
        int before = 0;
        CHECK_OK(lmb_params_new(LMB_F32, &params));
        for (int mode = 0; mode < 2; mode++) {
            lmb_graph *g = NULL;
            lmb_nn nn;
            CHECK_OK(lmb_graph_new(&g));
            lmb_nn_init(
                &nn, g, params, mode == 0 ? LMB_MODE_TRAIN : LMB_MODE_EVAL);
            (void)all[i]->build(all[i], &nn,
                lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(2, 3, 32, 32)), 7);
            CHECK_OK(lmb_graph_status(g));
            lmb_graph_free(g);
            if (mode == 0)
                before = lmb_params_count(params);
        }
        assert_int_equal(lmb_params_count(params), before);
        lmb_params_free(params);
    }
}

static void running_out_of_memory_is_an_error(void **state)
{
    lmb_model_info info;
    (void)state;
    for (int64_t n = 0; n < 400; n++) {
        lmb_alloc_fail_at(n);
        const lmb_status st =
            lmb_model_describe(lmb_model_find("ShuffleV2"), 0, 0, &info);
        const bool failed = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        if (!failed) {
            CHECK_OK(st);
            return;
        }
        assert_int_equal(st, LMB_ENOMEM);
        assert_int_equal(lmb_alloc_live(), 0);
    }
    fail_msg("it never ran without a failure");
}

LMB_TEST_MAIN(cmocka_unit_test(sizes_and_taps_are_the_published_ones),
    cmocka_unit_test(taps_before_relu_come_in_pairs),
    cmocka_unit_test(names_match_in_any_case_and_by_alias),
    cmocka_unit_test(classes_and_size_can_be_chosen),
    cmocka_unit_test(building_again_adds_no_parameters),
    cmocka_unit_test(running_out_of_memory_is_an_error))
