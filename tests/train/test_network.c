/* test_network.c: networks from weights files of other makers, and what is
 * read of them. */
#include "lmb_test.h"

#include <stdlib.h>
#include <unistd.h>

#include "data/image.h"
#include "io/mapping.h"
#include "train/forward.h"
#include "train/network.h"
#include "train/step.h"

static char folder[] = "/tmp/lmb-network-XXXXXX", path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/net.safetensors", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)remove(path);
    return rmdir(folder);
}

static const double zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};

static void make(const char *text, int classes, int size, lmb_network *net)
{
    lmb_model_spec spec;
    CHECK_OK(lmb_model_spec_parse(text, &spec));
    CHECK_OK(lmb_network_make(&spec, classes, size, LMB_F32, net));
    lmb_params_init(net->params, 7);
}

static void check_same(const lmb_network *a, const lmb_network *b)
{
    assert_int_equal(lmb_params_count(a->params), lmb_params_count(b->params));
    for (int i = 0; i < lmb_params_count(a->params); i++) {
        const lmb_param *p = lmb_params_at(a->params, i);
        for (int64_t k = 0; k < p->count; k++)
            CHECK_NEAR(lmb_param_get(lmb_params_at(b->params, i), k),
                lmb_param_get(p, k), 0);
    }
}

/* The names that torchvision's first detectors were published with. */
static void torchvisions_old_names_load(void **state)
{
    static const lmb_rename_rule old[] = {
        {"backbone.fpn.inner_blocks.*.0.*", "backbone.fpn.inner_blocks.*.*"},
        {"backbone.fpn.layer_blocks.*.0.*", "backbone.fpn.layer_blocks.*.*"},
        {"rpn.head.conv.0.0.*", "rpn.head.conv.*"},
        {"head.*.conv.0.0.*", "head.*.conv.0.*"},
        {"head.*.conv.1.0.*", "head.*.conv.2.*"},
        {"head.*.conv.2.0.*", "head.*.conv.4.*"},
        {"head.*.conv.3.0.*", "head.*.conv.6.*"},
        {NULL, NULL},
    };
    static const char *const texts[] = {
        "retinanet_resnet50_fpn:width=0.125,fpn_channels=32",
        "fasterrcnn_resnet50_fpn:width=0.125,fpn_channels=32,head_width=16",
        "fcos_resnet50_fpn:width=0.125,fpn_channels=32",
    };
    (void)state;
    for (size_t i = 0; i < LMB_COUNT(texts); i++) {
        lmb_network net = {0}, again = {0};
        lmb_weights *w = NULL;
        make(texts[i], 3, 64, &net);
        CHECK_OK(lmb_params_to_weights(net.params, NULL, &w));
        if (i < 2) { /* FCOS is younger than that change */
            CHECK_OK(lmb_weights_rename(w, old));
            assert_null(
                lmb_weights_find(w, "backbone.fpn.inner_blocks.0.0.weight"));
        }
        CHECK_OK(lmb_weights_save(path, w));
        lmb_weights_free(w);
        CHECK_OK(lmb_network_load(
            path, texts[i], NULL, NULL, zero, one, 0, &again, NULL));
        check_same(&net, &again);
        lmb_network_fini(&net);
        lmb_network_fini(&again);
    }
}

static lmb_tensor *noise(int64_t n, int64_t size)
{
    lmb_tensor *x = NULL;
    CHECK_OK(lmb_tensor_new(LMB_F32, &LMB_SHAPE(n, 3, size, size), &x));
    float *at = x->data;
    for (int64_t i = 0; i < lmb_tensor_count(x); i++)
        at[i] = (float)((i * 37 % 101) - 50) / 25;
    return x;
}

static void a_network_for_bgr_learns_to_read_rgb(void **state)
{
    const lmb_forward_opts opts = {0};
    lmb_network net = {0};
    lmb_tensor *x = noise(1, 32), *want = NULL, *got = NULL;
    (void)state;
    make("resnet8", 5, 32, &net);
    lmb_swap_channels(x->data, 32 * 32);
    CHECK_OK(lmb_forward(&net, x, &opts, &want));
    lmb_swap_channels(x->data, 32 * 32);
    lmb_network_expect_rgb(&net, NULL);
    lmb_network_expect_rgb(&net, "RGB");
    lmb_network_expect_rgb(&net, "BGR");
    CHECK_OK(lmb_forward(&net, x, &opts, &got));
    for (int i = 0; i < 5; i++)
        CHECK_NEAR(((float *)got->data)[i], ((float *)want->data)[i], 1e-5);
    lmb_tensor_release(x);
    lmb_tensor_release(want);
    lmb_tensor_release(got);
    lmb_network_fini(&net);
}

/* Rows of RoIs: as many an image as there are proposals. */
static void taps_of_regions_have_all_rows(void **state)
{
    enum { PROPOSALS = 20, IMAGES = 3, SIDE = 64 };
    lmb_network net = {0};
    lmb_tensor *x = noise(IMAGES, SIDE), *all = NULL, *single = NULL;
    (void)state;
    make("faster_rcnn_r18_fpn:width=0.125,fpn_channels=32,head_width=16,"
         "proposals=20",
        3, SIDE, &net);
    const lmb_forward_opts two = {.tap = "roi.logits", .batch = 2};
    const lmb_forward_opts each = {.tap = "roi.logits", .batch = 1};
    CHECK_OK(lmb_forward(&net, x, &two, &all));
    CHECK_OK(lmb_forward(&net, x, &each, &single));
    assert_int_equal(all->shape.dim[0], IMAGES * PROPOSALS);
    assert_int_equal(single->shape.dim[0], IMAGES * PROPOSALS);
    for (int64_t i = 0; i < lmb_tensor_count(all); i++)
        CHECK_NEAR(((float *)all->data)[i], ((float *)single->data)[i], 1e-4);
    lmb_tensor_release(x);
    lmb_tensor_release(all);
    lmb_tensor_release(single);
    lmb_network_fini(&net);
}

/* A file that notes a detector's long side alone: 800 or less is the other. */
static void a_detectors_short_side_has_a_default(void **state)
{
    static const char text[] = "retinanet_r18_fpn:width=0.125,fpn_channels=32";
    const lmb_weights_about about = {.model = "", .classes = 3, .size = 1333};
    lmb_network net = {0}, again = {0};
    lmb_weights *w = NULL;
    (void)state;
    make(text, 3, 64, &net);
    CHECK_OK(lmb_params_to_weights(net.params, &about, &w));
    CHECK_OK(lmb_weights_save(path, w));
    lmb_weights_free(w);
    CHECK_OK(
        lmb_network_load(path, text, NULL, NULL, zero, one, 0, &again, NULL));
    assert_int_equal(again.side[0], 1333);
    assert_int_equal(again.side[1], 800);
    lmb_network_fini(&net);
    lmb_network_fini(&again);
}

/* Its names would be those of other classes. */
static void metadata_of_another_head_is_refused(void **state)
{
    char *names[] = {"cat", "dog"};
    const lmb_weights_about about = {
        .model = "resnet8", .classes = 2, .class_names = names};
    lmb_network net = {0}, again = {0};
    lmb_weights_about said = {0};
    lmb_weights *w = NULL;
    (void)state;
    make("resnet8", 5, 32, &net);
    CHECK_OK(lmb_params_to_weights(net.params, &about, &w));
    CHECK_OK(lmb_weights_save(path, w));
    CHECK_ERR(
        lmb_network_load(path, NULL, NULL, NULL, zero, one, 0, &again, &said),
        LMB_EFORMAT,
        "net.safetensors: metadata classes is 2, and the head has 5");
    CHECK_OK(lmb_weights_set_classes(w, path, 5));
    CHECK_OK(lmb_weights_save(path, w));
    CHECK_OK(
        lmb_network_load(path, NULL, NULL, NULL, zero, one, 0, &again, &said));
    assert_int_equal(again.classes, 5);
    assert_null(said.class_names);
    lmb_weights_about_fini(&said);
    lmb_weights_free(w);
    lmb_network_fini(&net);
    lmb_network_fini(&again);
}

/* Padding is 0 for a teacher of another mean, too, as it is when the teacher
 * runs by itself. */
static void a_teachers_padding_is_zero(void **state)
{
    (void)state;
    enum { N = 2, H = 3, W = 4 };
    const lmb_network student = {.mean = {0.5, 0.5, 0.5}, .std = {1, 1, 1}};
    const lmb_network teacher = {.mean = {0, 0.25, 0.5}, .std = {1, 0.5, 2}};
    const float sizes[N * 2] = {3, 2, 1, 4};
    const int64_t same[2] = {0, 0};
    float x[N * 3 * H * W], out[N * 3 * H * W];
    lmb_graph *g = NULL;
    lmb_plan *plan = NULL;
    for (int i = 0; i < N * 3 * H * W; i++) {
        const int n = i / (3 * H * W), row = i / W % H, column = i % W;
        x[i] = (float)row < sizes[2 * n] && (float)column < sizes[2 * n + 1];
    }
    CHECK_OK(lmb_graph_new(&g));
    lmb_value in = lmb_graph_input(g, "x", LMB_F32, LMB_SHAPE(N, 3, H, W));
    lmb_value limits = lmb_graph_input(g, "sizes", LMB_F32, LMB_SHAPE(N, 2));
    lmb_value y = lmb_teacher_input(g, in, limits, &student, &teacher, same);
    const lmb_plan_opts opts = {.allow_reference = true};
    CHECK_OK(lmb_plan_compile(g, 1, &y, &opts, &plan));
    CHECK_OK(lmb_plan_set(plan, in, LMB_F32, x));
    CHECK_OK(lmb_plan_set(plan, limits, LMB_F32, sizes));
    CHECK_OK(lmb_plan_run(plan));
    CHECK_OK(lmb_plan_read(plan, y, LMB_F32, out));
    for (int i = 0; i < N * 3 * H * W; i++) {
        const int c = i / (H * W) % 3;
        const double want = x[i] == 0
            ? 0
            : (1 + student.mean[c] - teacher.mean[c]) / teacher.std[c];
        CHECK_NEAR(out[i], want, 1e-6);
    }
    lmb_plan_free(plan);
    lmb_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torchvisions_old_names_load),
        cmocka_unit_test(a_network_for_bgr_learns_to_read_rgb),
        cmocka_unit_test(taps_of_regions_have_all_rows),
        cmocka_unit_test(a_detectors_short_side_has_a_default),
        cmocka_unit_test(metadata_of_another_head_is_refused),
        cmocka_unit_test(a_teachers_padding_is_zero),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, remove_folder);
    return failed + lmb_test_leaks();
}
