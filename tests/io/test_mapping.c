/* test_mapping.c: rename rules, known sources, the published ResNet-56. */
#include "io_test.h"

#include "io/mapping.h"

static lmb_weights *named(const char *const *names, size_t count)
{
    lmb_weights *w = NULL;
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_weights_new(&w));
    CHECK_OK(lmb_tensor_new(LMB_F32, &LMB_SCALAR, &t));
    for (size_t i = 0; i < count; i++)
        CHECK_OK(lmb_weights_add(w, names[i], t));
    lmb_tensor_release(t);
    return w;
}

static void check_names(
    const lmb_weights *w, const char *const *names, size_t count)
{
    assert_int_equal(w->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(w->items[i].name, names[i]);
}

static void wildcards_match_and_substitute(void **state)
{
    (void)state;
    const char *from[] = {"a1.b2.c", "a1.b2", "a.b.c.d", "keep.me", "drop.me"};
    const char *to[] = {"2-1.c", "a1.b2", "tail:c.d", "keep.me"};
    const lmb_rename_rule rules[] = {{"a*.b*.c", "*-*.c"},
        {"a.*.**", "tail:**"}, {"drop**", NULL}, {NULL, NULL}};
    lmb_weights *w = named(from, 5);
    CHECK_OK(lmb_weights_meta_set(w, "k", "v"));
    to[0] = "1-2.c";
    to[2] = "tail:b";
    CHECK_OK(lmb_weights_rename(w, rules));
    check_names(w, to, 4);
    assert_string_equal(lmb_weights_meta_get(w, "k"), "v");
    const lmb_rename_rule clash[] = {{"**", "one"}, {NULL, NULL}};
    CHECK_ERR(lmb_weights_rename(w, clash), LMB_EFORMAT, "'one' is there tw");
    check_names(w, to, 4);
    lmb_weights_free(w);
}

static void known_sources_get_our_names(void **state)
{
    (void)state;
    const char *k[] = {
        "conv1.weight", "layer2.0.shortcut.1.running_mean", "linear.bias"};
    const char *ours[] = {
        "conv1.weight", "layer2.0.downsample.1.running_mean", "fc.bias"};
    const lmb_rename_set *set = NULL;
    lmb_weights *w = named(k, 3);
    CHECK_OK(lmb_rename_guess(w, k, 3, &set));
    assert_null(set);
    CHECK_OK(lmb_rename_guess(w, ours, 3, &set));
    assert_string_equal(set->name, "kuangliu");
    CHECK_OK(lmb_weights_rename(w, set->rules));
    check_names(w, ours, 3);
    const char *other[] = {"layer9.weight"};
    CHECK_ERR(lmb_rename_guess(w, other, 1, &set), LMB_ENOTFOUND,
        "no tensor 'layer9.weight'");
    lmb_weights_free(w);
    const char *p[] = {"conv1.0.weight", "conv1.1.bias",
        "conv4_x.1.residual_function.3.weight", "conv3_x.0.shortcut.0.weight",
        "fc.weight"};
    const char *v2[] = {"conv1.weight", "bn1.bias", "layer3.1.conv2.weight",
        "layer2.0.shortcut.0.weight", "linear.weight"};
    w = named(p, 5);
    CHECK_OK(lmb_rename_guess(w, v2, 5, &set));
    assert_string_equal(set->name, "weiaicunzai");
    lmb_weights_free(w);
    assert_null(lmb_rename_find("nobody"));
    w = named((const char *[]){"conv1.weight", "fc.weight"}, 2);
    CHECK_OK(lmb_weights_rename(w, lmb_rename_find("resnet_to_mmdet")->rules));
    check_names(w, (const char *[]){"backbone.conv1.weight"}, 1);
    lmb_weights_free(w);
}

/* mdistiller's resnet56: what its constructor names, in its order. */
static void published_resnet56_has_mdistillers_names(void **state)
{
    (void)state;
    const char *data = lmb_test_data();
    SKIP_WITHOUT_DATA(data);
    static const char *const bn[] = {
        "weight", "bias", "running_mean", "running_var"};
    char path[512];
    char name[64];
    size_t found = 2;
    lmb_weights *w = NULL;
    (void)snprintf(path, sizeof path,
        "%s/weights/cifar100/cifar100_resnet56.safetensors", data);
    CHECK_OK(lmb_weights_load(path, &w));
    assert_non_null(lmb_weights_find(w, "fc.weight"));
    assert_non_null(lmb_weights_find(w, "fc.bias"));
    for (int layer = 0; layer <= 3; layer++)
        for (int block = 0; block < (layer > 0 ? 9 : 1); block++)
            for (int conv = 1; conv <= (layer > 0 ? 3 : 1); conv++) {
                const bool down = conv == 3;
                char head[32] = "";
                if (down && (layer == 1 || block > 0))
                    continue;
                if (layer > 0)
                    (void)snprintf(
                        head, sizeof head, "layer%d.%d.", layer, block);
                (void)snprintf(name, sizeof name,
                    down ? "%sdownsample.0.weight" : "%sconv%d.weight", head,
                    conv);
                assert_non_null(lmb_weights_find(w, name));
                found++;
                for (int i = 0; i < 4; i++, found++) {
                    if (down)
                        (void)snprintf(name, sizeof name, "%sdownsample.1.%s",
                            head, bn[i]);
                    else
                        (void)snprintf(
                            name, sizeof name, "%sbn%d.%s", head, conv, bn[i]);
                    assert_non_null(lmb_weights_find(w, name));
                }
            }
    assert_int_equal(found, w->count);
    lmb_weights_free(w);
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    const char *k[] = {"conv1.weight", "linear.bias"};
    const char *ours[] = {"conv1.weight", "fc.bias"};
    const lmb_rename_set *set = NULL;
    lmb_weights *w = named(k, 2);
    CHECK_OK(lmb_weights_meta_set(w, "k", "v"));
    CHECK_OOM_SWEEP(lmb_rename_guess(w, ours, 2, &set), (void)0);
    CHECK_OOM_SWEEP(lmb_weights_rename(w, set->rules), (void)0);
    check_names(w, ours, 2);
    lmb_weights_free(w);
}

LMB_TEST_MAIN(cmocka_unit_test(wildcards_match_and_substitute),
    cmocka_unit_test(known_sources_get_our_names),
    cmocka_unit_test(published_resnet56_has_mdistillers_names),
    cmocka_unit_test(out_of_memory_leaves_nothing))
