/* A tiny detector learns generated scenes by heart; a run that diverges ends
 * with the layer's name and keeps its checkpoint. */
#include "detect_runs.h"

enum { IMAGES = 16, EPOCHS = 40 };

static int make_folder(void **state)
{
    if (program_folder(state) != 0)
        return 1;
    write_scenes("set", IMAGES, 4, SCENE_CLASSES);
    return 0;
}

/* The n-th row of that split in metrics.jsonl, from 0; free() it. */
static char *row_of(const char *run, const char *split, int n)
{
    char key[32], path[2 * PROGRAM_PATH];
    size_t size = 0;
    (void)snprintf(key, sizeof key, "\"split\": \"%s\"", split);
    (void)snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    char *text = read_all(path, &size), *row = NULL;
    for (char *line = strtok(text, "\n"); line != NULL && row == NULL;
         line = strtok(NULL, "\n"))
        if (strstr(line, key) != NULL && n-- == 0)
            row = strdup(line);
    free(text);
    assert_non_null(row);
    return row;
}

/* Tried on the pictures that it learns, in the same size. */
static void it_learns_scenes_by_heart(void **state)
{
    (void)state;
    program p = {0};
    const char *run = in_folder("run");
    program_start(&p,
        "train --model " TINY_TEACHER
        " --data coco:%s --split train " TINY_FLAGS
        "--epochs %d --optimizer adamw --lr 0.003 --flip 0 "
        "--eval-every %d --out %s",
        in_folder("set"), EPOCHS, EPOCHS, run);
    program_ends(&p, 0);
    char *first = row_of(run, "train", 0);
    char *last = row_of(run, "train", EPOCHS - 1);
    char *found = row_of(run, "test", 0);
    (void)printf("loss %.3f -> %.3f, AP50 %.3f\n", json_number(first, "loss"),
        json_number(last, "loss"), json_number(found, "AP50"));
    assert_true(json_number(last, "loss") < json_number(first, "loss") / 3);
    CHECK_NEAR(json_number(last, "loss_cls") + json_number(last, "loss_box"),
        json_number(last, "loss"), 1e-6);
    assert_true(json_number(found, "AP50") > 0.2);
    free(first);
    free(last);
    free(found);
}

static void a_diverging_detector_names_the_layer(void **state)
{
    (void)state;
    program p = {0};
    const char *run = in_folder("diverging");
    program_start(&p,
        "train --model " TINY_STUDENT " --data coco:%s " TINY_FLAGS
        "--epochs 30 --lr 99 --clip-norm 0 --weight-decay 10 --out %s",
        in_folder("set"), run);
    program_ends(&p, 3);
    const char *line = program_last_line(&p);
    if (strstr(line, ", step ") == NULL || strstr(line, "from ") == NULL ||
        strstr(line, "last good checkpoint is kept") == NULL)
        fail_msg("%s", line);
    assert_true(exists(in_folder("diverging/last.safetensors")));
    assert_int_equal(count_files(run, ".tmp."), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_scenes_by_heart),
        cmocka_unit_test(a_diverging_detector_names_the_layer),
    };
    const int failed =
        cmocka_run_group_tests(tests, make_folder, program_folder_remove);
    return failed + lmb_test_leaks();
}
