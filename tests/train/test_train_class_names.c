/* A teacher whose classes have the data's names in another order teaches wrong
 * classes: `distill` refuses it, `eval` says so. */
#include "classifier_runs.h"

static int make_folder(void **state)
{
    static const char names[] = "cat\ndog\nbird\nfish\n";
    static const char moved[] = "cat\nBird\nDog\nfish\n";
    program p = {0};
    if (classifier_folder(state, 40) != 0)
        return 1;
    write_all(in_folder("data/label_names.txt"), names, sizeof names - 1);
    write_all(in_folder("moved.txt"), moved, sizeof moved - 1);
    program_start(&p, "convert %s %s --names %s", teacher,
        in_folder("named.safetensors"), in_folder("moved.txt"));
    program_ends(&p, 0);
    (void)snprintf(
        teacher, sizeof teacher, "%s", in_folder("named.safetensors"));
    return 0;
}

static void start(program *p, const char *flags, const char *name)
{
    program_start(p,
        "distill --student resnet8 --teacher-weights %s --data %s --method kd "
        "--threads 1 --precision f32 --allow-reference --batch 20 --epochs 2 "
        "--max-steps 2 --teacher-check 0 %s --out %s",
        teacher, data, flags, in_folder("%s", name));
}

/* Forced, it goes on, and also when it is resumed. */
static void distill_refuses_another_order(void **state)
{
    (void)state;
    program p = {0};
    start(&p, "", "run");
    program_ends(&p, 1);
    check_said(&p, "class 1 is 'Bird' there and 'dog' in the data");
    check_said(&p, "(--force goes on)");
    assert_false(exists(in_folder("run")));
    start(&p, "--force", "run");
    program_ends(&p, 0);
    check_said(&p, "warning: ");
    check_said(&p, "class 1 is 'Bird' there and 'dog' in the data");
    program_start(&p, "distill --resume --out %s", in_folder("run"));
    program_ends(&p, 0);
    assert_null(strstr(p.text, "Bird"));
}

static void eval_warns(void **state)
{
    (void)state;
    program p = {0};
    program_start(&p,
        "eval --weights %s --data %s --threads 1 --precision f32 "
        "--allow-reference",
        teacher, data);
    program_ends(&p, 0);
    check_said(&p, "warning: ");
    check_said(&p, "class 1 is 'Bird' there and 'dog' in the data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distill_refuses_another_order),
        cmocka_unit_test(eval_warns),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
