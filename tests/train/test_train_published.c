/* test_train_published.c: the published CIFAR-100 ResNet-56 has the top-1 that
 * its authors give, by `limbeck eval`; needs the real data. */
#include "program.h"

static void resnet56_has_its_published_accuracy(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    program p = {.output = in_folder("eval.txt")};
    size_t size = 0;
    program_start(&p,
        "eval --model resnet56 "
        "--weights %s/weights/cifar100/cifar100_resnet56.safetensors "
        "--data cifar100:%s/cifar100 --precision f32 "
        "--mean 0.5070,0.4865,0.4409 --std 0.2673,0.2564,0.2761",
        dir, dir);
    program_ends(&p, 0);
    char *text = read_all(in_folder("eval.txt"), &size);
    if (strstr(text, "top1 72.63") == NULL)
        fail_msg("not 72.63: %s", text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet56_has_its_published_accuracy),
    };
    const int failed =
        cmocka_run_group_tests(tests, program_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
