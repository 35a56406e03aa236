/* Where a detector's weights begin: the backbone of a classifier's file, what
 * fits of another detector, and neck and heads of the teacher. */
#include "detect_runs.h"

#include "tensor/shape.h"
#include "train/network.h"

#define WHOLE "retinanet_r18_fpn:fpn_channels=32,head_convs=1"

static void make_seeded_weights(
    const char *model, int classes, int size, uint64_t seed, const char *name)
{
    lmb_model_spec spec;
    lmb_network net = {0};
    CHECK_OK(lmb_model_spec_parse(model, &spec));
    CHECK_OK(lmb_network_make(&spec, classes, size, LMB_F32, &net));
    lmb_params_init(net.params, seed);
    for (int c = 0; c < 3; c++)
        net.std[c] = 1;
    CHECK_OK(lmb_network_save(&net, NULL, size, 0, in_folder("%s", name)));
    lmb_network_fini(&net);
}

static void make_weights(
    const char *model, int classes, int size, const char *name)
{
    make_seeded_weights(model, classes, size, 3, name);
}

static int make_folder(void **state)
{
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", 4, 2, SCENE_CLASSES);
    make_weights("resnet18", SCENE_CLASSES, 64, "classifier.safetensors");
    make_weights(TINY_TEACHER, SCENE_CLASSES, 64, "teacher.safetensors");
    make_weights(TINY_TEACHER, SCENE_CLASSES + 5, 64, "other.safetensors");
    return 0;
}

/* One step that moves nothing. */
static void run_still(const char *verb, const char *flags, const char *name)
{
    program p = {0};
    program_start(&p,
        "%s --data coco:%s " TINY_FLAGS "--max-steps 1 --epochs 1 --lr 1e-30 "
        "%s --out %s",
        verb, in_folder("set"), flags, in_folder("%s", name));
    program_ends(&p, 0);
}

/* One such step of training that starts from a file: both are loaded. */
static void start_from(const char *model, const char *init, const char *run,
    lmb_weights **from, lmb_weights **to)
{
    char flags[4 * PROGRAM_PATH], student[PROGRAM_PATH];
    (void)snprintf(flags, sizeof flags, "--model %s --init %s", model,
        in_folder("%s", init));
    run_still("train", flags, run);
    (void)snprintf(student, sizeof student, "%s/student.safetensors", run);
    CHECK_OK(lmb_weights_load(in_folder("%s", init), from));
    CHECK_OK(lmb_weights_load(in_folder("%s", student), to));
}

/* Zeros have moved by the least of steps. */
static bool same_tensor(const lmb_weights *a, const char *name,
    const lmb_weights *b, const char *other)
{
    const lmb_tensor *x = lmb_weights_find(a, name);
    const lmb_tensor *y = lmb_weights_find(b, other);
    assert_non_null(x);
    assert_non_null(y);
    bool same = lmb_shape_equal(&x->shape, &y->shape);
    const float *u = x->data, *v = y->data;
    for (int64_t i = 0; same && i < lmb_shape_count(&x->shape); i++)
        same = fabsf(u[i] - v[i]) < 1e-20f;
    return same;
}

static void the_backbone_of_a_classifier(void **state)
{
    (void)state;
    lmb_weights *from = NULL, *to = NULL;
    start_from(WHOLE, "classifier.safetensors", "run", &from, &to);
    int n = 0;
    for (size_t i = 0; i < from->count; i++) {
        char name[128];
        if (strncmp(from->items[i].name, "fc.", 3) == 0)
            continue;
        (void)snprintf(name, sizeof name, "backbone.%s", from->items[i].name);
        if (!same_tensor(from, from->items[i].name, to, name))
            fail_msg("%s", name);
        n++;
    }
    assert_int_equal(n, 100); /* 20 convolutions, 4 for each batch norm */
    lmb_weights_free(from);
    lmb_weights_free(to);
}

/* Frozen parts that are drawn are of no use: all learns, unless the name says
 * otherwise, and then it is said what that means. */
static void a_drawn_backbone_learns(void **state)
{
    (void)state;
    static const char warning[] =
        "the student's backbone is drawn, and its frozen stages and its batch "
        "norms' statistics stay as drawn: --init FILE gives it weights";
    static const char note[] =
        "its backbone is drawn (no --init), so all of it learns: "
        "frozen_stages=-1,norm_eval=false";
    static const char *const options[] = {
        "", ",frozen_stages=1", ",frozen_stages=-1,norm_eval=false"};
    for (int i = 0; i < 3; i++) {
        program p = {0};
        program_start(&p,
            "train --model "
            "retinanet_r18_fpn:width=0.25,fpn_channels=32,head_convs=1%s "
            "--data coco:%s " TINY_FLAGS "--max-steps 1 --out %s",
            options[i], in_folder("set"), in_folder("drawn%d", i));
        program_ends(&p, 0);
        assert_int_equal(strstr(p.text, note) != NULL, i == 0);
        assert_int_equal(strstr(p.text, warning) != NULL, i == 1);
        lmb_weights *w = NULL;
        CHECK_OK(
            lmb_weights_load(in_folder("drawn%d/student.safetensors", i), &w));
        assert_int_equal(strstr(lmb_weights_meta_get(w, "model"),
                             "frozen_stages=-1,norm_eval=false") != NULL,
            i != 1);
        lmb_weights_free(w);
    }
}

static void a_backbone_of_another_shape(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p,
        "train --model " TINY_STUDENT " --init %s --data coco:%s " TINY_FLAGS
        "--out %s",
        in_folder("classifier.safetensors"), in_folder("set"),
        in_folder("out"));
    program_ends(&p, 1);
    assert_non_null(strstr(program_last_line(&p),
        "tensors are missing or of another shape, the first is conv1.weight"));
    assert_false(exists(in_folder("out")));
}

static void a_detector_of_other_classes(void **state)
{
    (void)state;
    static const char *const taken[] = {"backbone.layer4.0.conv1.weight",
        "neck.fpn_convs.0.conv.weight", "bbox_head.cls_convs.0.conv.weight",
        "bbox_head.retina_reg.bias"};
    lmb_weights *from = NULL, *to = NULL;
    start_from(TINY_TEACHER, "other.safetensors", "fine", &from, &to);
    for (size_t i = 0; i < LMB_COUNT(taken); i++)
        assert_true(same_tensor(from, taken[i], to, taken[i]));
    assert_false(same_tensor(from, "bbox_head.retina_cls.weight", to,
        "bbox_head.retina_cls.weight"));
    lmb_weights_free(from);
    lmb_weights_free(to);
}

static void neck_and_heads_of_the_teacher(void **state)
{
    (void)state;
    static const char *const taken[] = {"bbox_head.retina_cls.weight",
        "bbox_head.retina_reg.bias", "bbox_head.cls_convs.0.conv.weight",
        "neck.fpn_convs.0.conv.weight"};
    char flags[4 * PROGRAM_PATH];
    lmb_weights *from = NULL, *to = NULL, *alone = NULL;
    (void)snprintf(flags, sizeof flags,
        "--student " TINY_STUDENT " --teacher-weights %s --force "
        "--teacher-check 0 --method pkd",
        in_folder("teacher.safetensors"));
    run_still("distill", flags, "alone");
    (void)strncat(flags, " --inherit", sizeof flags - strlen(flags) - 1);
    run_still("distill", flags, "heir");
    CHECK_OK(lmb_weights_load(in_folder("teacher.safetensors"), &from));
    CHECK_OK(lmb_weights_load(in_folder("heir/student.safetensors"), &to));
    CHECK_OK(lmb_weights_load(in_folder("alone/student.safetensors"), &alone));
    for (size_t i = 0; i < LMB_COUNT(taken); i++)
        assert_true(same_tensor(from, taken[i], to, taken[i]));
    assert_false(same_tensor(from, taken[0], alone, taken[0]));
    /* What differs in shape, and the backbone, are the student's own. */
    static const char *const own[] = {
        "neck.lateral_convs.2.conv.weight", "backbone.layer1.0.conv1.weight"};
    for (size_t i = 0; i < LMB_COUNT(own); i++)
        assert_true(same_tensor(alone, own[i], to, own[i]));
    lmb_weights_free(from);
    lmb_weights_free(to);
    lmb_weights_free(alone);
}

/* Of several teachers that of the first stage. */
static void neck_and_heads_of_the_first_stages_teacher(void **state)
{
    (void)state;
    static const char head[] = "bbox_head.retina_cls.weight";
    char yaml[8 * PROGRAM_PATH], flags[4 * PROGRAM_PATH];
    lmb_weights *first = NULL, *second = NULL, *to = NULL;
    make_seeded_weights(
        TINY_TEACHER, SCENE_CLASSES, 64, 4, "second.safetensors");
    const int n = snprintf(yaml, sizeof yaml,
        "student: \"" TINY_STUDENT "\"\n"
        "teachers: [{weights: %s}, {weights: %s}]\n"
        "methods: [pkd]\n"
        "stages: [{teacher: 1, until: 1}, {teacher: 0}]\n",
        in_folder("teacher.safetensors"), in_folder("second.safetensors"));
    assert_true(n > 0 && n < (int)sizeof yaml);
    write_all(in_folder("run.yaml"), yaml, (size_t)n);
    (void)snprintf(flags, sizeof flags,
        "--config %s --epochs 2 --force --teacher-check 0 --inherit",
        in_folder("run.yaml"));
    run_still("distill", flags, "staged");
    CHECK_OK(lmb_weights_load(in_folder("teacher.safetensors"), &first));
    CHECK_OK(lmb_weights_load(in_folder("second.safetensors"), &second));
    CHECK_OK(lmb_weights_load(in_folder("staged/student.safetensors"), &to));
    assert_false(same_tensor(first, head, second, head));
    assert_true(same_tensor(second, head, to, head));
    lmb_weights_free(first);
    lmb_weights_free(second);
    lmb_weights_free(to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_backbone_of_a_classifier),
        cmocka_unit_test(a_drawn_backbone_learns),
        cmocka_unit_test(a_backbone_of_another_shape),
        cmocka_unit_test(a_detector_of_other_classes),
        cmocka_unit_test(neck_and_heads_of_the_teacher),
        cmocka_unit_test(neck_and_heads_of_the_first_stages_teacher),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
