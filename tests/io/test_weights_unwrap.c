/* test_weights_unwrap.c: names without what wrapper modules put before them. */
#include "io_test.h"

#include "base/str.h"
#include "io/weights.h"

enum { NAMES_MAX = 8 };

typedef struct wrapped {
    const char *names[NAMES_MAX]; /* in the file, ended by NULL */
    const char *own[NAMES_MAX]; /* after loading, ended by NULL */
    const char *unwrapped;
    int ignored;
} wrapped;

static lmb_weights *named(const char *const *names)
{
    lmb_weights *w = NULL;
    CHECK_OK(lmb_weights_new(&w));
    for (int i = 0; names[i] != NULL; i++) {
        lmb_tensor *t = NULL;
        const bool scalar = strstr(names[i], "n_averaged") != NULL;
        CHECK_OK(
            lmb_tensor_new(LMB_F32, scalar ? &LMB_SCALAR : &LMB_SHAPE(1), &t));
        lmb_tensor_set(t, 0, i);
        CHECK_OK(lmb_weights_add(w, names[i], t));
        lmb_tensor_release(t);
    }
    CHECK_OK(lmb_weights_meta_set(w, "key", "value"));
    return w;
}

static void check_names(const lmb_weights *w, const wrapped *x)
{
    size_t count = 0;
    for (; x->own[count] != NULL; count++) {
        const lmb_tensor *t = lmb_weights_find(w, x->own[count]);
        if (t == NULL)
            fail_msg("%s is not there", x->own[count]);
        /* Its own elements: the number of a name that ends as it does. */
        const char *from = x->names[(int)lmb_tensor_get(t, 0)];
        assert_true(lmb_str_ends_with(from, x->own[count]));
    }
    assert_int_equal(w->count, count);
    assert_int_equal(w->ignored, x->ignored);
    if (x->unwrapped == NULL)
        assert_null(w->unwrapped);
    else
        assert_string_equal(w->unwrapped, x->unwrapped);
    assert_string_equal(lmb_weights_meta_get(w, "key"), "value");
}

/* Through a file of either format. */
static void check_unwrapped(const wrapped *x)
{
    static const char *const files[] = {"u.safetensors", "u.pth"};
    for (size_t i = 0; i < LMB_COUNT(files); i++) {
        const char *path = scratch(files[i]);
        lmb_weights *w = named(x->names);
        lmb_weights *back = NULL;
        CHECK_OK(lmb_weights_save(path, w));
        CHECK_OK(lmb_weights_load(path, &back));
        check_names(back, x);
        lmb_weights_free(w);
        lmb_weights_free(back);
        assert_int_equal(unlink(path), 0);
    }
}

static void wrappers_of_all_names_are_taken_off(void **state)
{
    (void)state;
    static const wrapped cases[] = {
        {{"module.fc.bias", "module.a"}, {"fc.bias", "a"}, "module.", 0},
        {{"_orig_mod.a", "_orig_mod.b"}, {"a", "b"}, "_orig_mod.", 0},
        {{"model.a", "model.b.c"}, {"a", "b.c"}, "model.", 0},
        {{"_orig_mod.module.a", "_orig_mod.module.b"}, {"a", "b"},
            "_orig_mod., module.", 0},
        {{"module._orig_mod.a", "module._orig_mod.b"}, {"a", "b"},
            "module., _orig_mod.", 0},
        {{"module.module.a"}, {"a"}, "module., module.", 0},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        check_unwrapped(&cases[i]);
}

/* mobilenet_v1's names begin with "model.", but for those of its classifier;
 * a word that is the whole name is no wrapper's. */
static void names_of_the_network_stay(void **state)
{
    (void)state;
    static const wrapped cases[] = {
        {{"model.0.0.weight", "fc.weight"}, {"model.0.0.weight", "fc.weight"},
            NULL, 0},
        {{"model.model.0.0.weight", "model.fc.weight"},
            {"model.0.0.weight", "fc.weight"}, "model.", 0},
        {{"module.a", "b"}, {"module.a", "b"}, NULL, 0},
        {{"module.", "module.a"}, {"module.", "module.a"}, NULL, 0},
        {{"student.", "student.a"}, {"student.", "student.a"}, NULL, 0},
        {{"modules.a", "modules.b"}, {"modules.a", "modules.b"}, NULL, 0},
        {{"n_averaged", "a"}, {"n_averaged", "a"}, NULL, 0},
        {{"n_averaged"}, {"n_averaged"}, NULL, 0},
        {{"student/a", "student/b"}, {"student/a", "student/b"}, NULL, 0},
        {{"teacher.a", "teacher.b"}, {"teacher.a", "teacher.b"}, NULL, 0},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        check_unwrapped(&cases[i]);
}

static void averaged_models_lose_their_count(void **state)
{
    (void)state;
    static const wrapped cases[] = {
        {{"n_averaged", "module.a", "module.b"}, {"a", "b"}, "module.", 1},
        {{"n_averaged", "module.module.a"}, {"a"}, "module., module.", 1},
        {{"_orig_mod.n_averaged", "_orig_mod.module.a"}, {"a"},
            "_orig_mod., module.", 1},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        check_unwrapped(&cases[i]);
    /* Only a scalar is a count. */
    static const char *const names[] = {"n_averaged.x", "module.a", NULL};
    const wrapped stays = {
        {"n_averaged.x", "module.a"}, {"n_averaged.x", "module.a"}, NULL, 0};
    lmb_weights *w = named(names);
    check_names(w, &stays);
    lmb_weights_free(w);
    check_unwrapped(&stays);
}

static void of_a_distiller_the_student_is_taken(void **state)
{
    (void)state;
    static const wrapped cases[] = {
        {{"module.student.fc.bias", "module.student.a", "module.teacher.a",
             "module.teacher.fc.bias"},
            {"fc.bias", "a"}, "module., student.", 2},
        {{"module.student.a", "module.student.b"}, {"a", "b"},
            "module., student.", 0},
        {{"module.student.a", "module.teacher.a", "module.connectors.0.weight"},
            {"a"}, "module., student.", 2},
        {{"teacher.a", "student.model.0.0.weight", "student.fc.weight"},
            {"model.0.0.weight", "fc.weight"}, "student.", 1},
        {{"model.student.module.a", "model.teacher.a"}, {"a"},
            "model., student., module.", 1},
    };
    for (size_t i = 0; i < LMB_COUNT(cases); i++)
        check_unwrapped(&cases[i]);
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {
        "n_averaged", "module._orig_mod.student.a", "module._orig_mod.b", NULL};
    const char *path = scratch("oom.safetensors");
    lmb_weights *w = named(names);
    lmb_weights *back = NULL;
    CHECK_OK(lmb_weights_save(path, w));
    lmb_weights_free(w);
    CHECK_OOM_SWEEP(lmb_weights_load(path, &back), lmb_weights_free(back));
    assert_int_equal(unlink(path), 0);
}

LMB_TEST_MAIN(cmocka_unit_test(wrappers_of_all_names_are_taken_off),
    cmocka_unit_test(names_of_the_network_stay),
    cmocka_unit_test(averaged_models_lose_their_count),
    cmocka_unit_test(of_a_distiller_the_student_is_taken),
    cmocka_unit_test(out_of_memory_leaves_nothing))
