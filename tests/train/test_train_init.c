/* test_train_init.c: `train --init` for classifiers: the same network, one of
 * other classes, another network; and what a student's file says of its
 * pictures. */
#include "program.h"

#include "io/weights.h"

static char data_flags[2 * PROGRAM_PATH];

static int make_folder(void **state)
{
    program p = {0};
    if (program_folder(state) != 0)
        return 1;
    write_data(32);
    (void)snprintf(data_flags, sizeof data_flags,
        "--data idx:%s --batch 16 --epochs 1 --lr 1e-9 --precision f32 "
        "--max-steps 1 --threads 1 --allow-reference",
        in_folder("data"));
    assert_int_equal(mkdir(in_folder("six"), 0777), 0);
    write_idx(in_folder("six"), "train", 12, 6);
    write_idx(in_folder("six"), "t10k", 12, 6);
    program_start(&p,
        "train --model resnet8 %s --data idx:%s --seed 5 --out %s", data_flags,
        in_folder("six"), in_folder("other"));
    program_ends(&p, 0);
    return 0;
}

static lmb_weights *weights_of(const char *name)
{
    lmb_weights *w = NULL;
    CHECK_OK(lmb_weights_load(in_folder("%s/student.safetensors", name), &w));
    return w;
}

static float first_of(const lmb_weights *w, const char *name)
{
    const lmb_tensor *t = lmb_weights_find(w, name);
    assert_non_null(t);
    return *(const float *)t->data;
}

/* All but the last layer is the file's, whatever the seed. */
static void other_classes_give_all_but_the_last_layer(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p, "train --model resnet8 %s --init %s --out %s", data_flags,
        in_folder("other/student.safetensors"), in_folder("four"));
    program_ends(&p, 0);
    check_said(&p, "2 are drawn, the first is fc.weight");
    lmb_weights *six = weights_of("other"), *four = weights_of("four");
    assert_true(fabsf(first_of(six, "conv1.weight") -
                    first_of(four, "conv1.weight")) < 1e-6f);
    assert_int_equal(lmb_weights_find(four, "fc.weight")->shape.dim[0], 4);
    assert_string_equal(lmb_weights_meta_get(four, "crop"), "whole");
    lmb_weights_free(six);
    lmb_weights_free(four);
}

static void another_network_is_an_error(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p, "train --model resnet14 %s --init %s --out %s",
        data_flags, in_folder("other/student.safetensors"), in_folder("deep"));
    program_ends(&p, 1);
    check_said(&p, "missing");
    assert_false(exists(in_folder("deep")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_classes_give_all_but_the_last_layer),
        cmocka_unit_test(another_network_is_an_error),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
