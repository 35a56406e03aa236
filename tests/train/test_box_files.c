/* test_box_files.c: ids of COCO's files become indexes of the metrics. */
#include "lmb_test.h"

#include "base/file.h"
#include "train/box_files.h"

#include <unistd.h>

static const char truth[] =
    "{\"images\": [{\"id\": 30}, {\"id\": 10}, {\"id\": 20}],"
    "\"categories\": [{\"id\": 9, \"name\": \"b\"}, {\"id\": 4}],"
    "\"annotations\": [{\"id\": 0, \"image_id\": 30, \"category_id\": 4,"
    " \"bbox\": [1, 2, 3, 4], \"area\": 5, \"iscrowd\": 1},"
    "{\"id\": 7, \"image_id\": 10, \"category_id\": 9,"
    " \"bbox\": [0, 0, 1, 1], \"ignore\": 1}]}";

static const char results[] =
    "[{\"image_id\": 20, \"category_id\": 9, \"bbox\": [1, 2, 3, 4],"
    " \"score\": 0.5}, {\"image_id\": 30, \"category_id\": 5,"
    " \"bbox\": [1, 2, 3, 4], \"score\": 0.5}, {\"image_id\": 30,"
    " \"category_id\": 4, \"bbox\": [5, 6, 7, 8], \"score\": 0.25}]";

static char truth_path[128], results_path[128];

static int write_files(void **state)
{
    (void)state;
    (void)snprintf(truth_path, sizeof truth_path,
        "/tmp/limbeck_boxes_%ld_gt.json", (long)getpid());
    (void)snprintf(results_path, sizeof results_path,
        "/tmp/limbeck_boxes_%ld_dt.json", (long)getpid());
    CHECK_OK(lmb_file_write(truth_path, truth, strlen(truth)));
    CHECK_OK(lmb_file_write(results_path, results, strlen(results)));
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    return unlink(truth_path) + unlink(results_path);
}

static void boxes_get_indexes_by_ascending_id(void **state)
{
    (void)state;
    lmb_box_files f;
    CHECK_OK(lmb_box_files_load(truth_path, results_path, &f));
    const lmb_boxes *b = &f.boxes;
    assert_true(b->images == 3 && b->categories == 2);
    assert_true(b->n_gt == 2 && b->n_dt == 2);
    assert_true(b->gt[0].image == 2 && b->gt[0].category == 0);
    assert_true(b->gt[0].area == 5 && b->gt[0].box[3] == 4);
    assert_true(b->gt[0].crowd && b->gt[0].id_zero && !b->gt[0].difficult);
    assert_true(b->gt[1].image == 0 && b->gt[1].category == 1);
    assert_true(b->gt[1].difficult && !b->gt[1].id_zero);
    assert_true(b->dt[0].image == 1 && b->dt[0].category == 1);
    assert_true(b->dt[1].image == 2 && b->dt[1].category == 0);
    assert_true(b->dt[1].score == 0.25 && b->dt[1].box[0] == 5);
    assert_string_equal(f.truth.categories[1].name, "b");
    assert_true(f.left_out == 1 && f.zero_ids == 1);
    lmb_box_files_fini(&f);
}

static void detections_of_unknown_images_are_refused(void **state)
{
    (void)state;
    static const char bad[] = "[{\"image_id\": 11, \"category_id\": 9,"
                              " \"bbox\": [1, 2, 3, 4], \"score\": 1}]";
    lmb_box_files f;
    CHECK_OK(lmb_file_write(results_path, bad, strlen(bad)));
    CHECK_ERR(lmb_box_files_load(truth_path, results_path, &f), LMB_EFORMAT,
        "detection 1: no image of the ground truth has the id 11");
    CHECK_ERR(lmb_box_files_load(truth_path, "/nowhere.json", &f),
        LMB_ENOTFOUND, "/nowhere.json");
    CHECK_OK(lmb_file_write(results_path, results, strlen(results)));
}

static void failing_allocations_leave_nothing(void **state)
{
    (void)state;
    lmb_box_files f;
    for (int64_t n = 0;; n++) {
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_box_files_load(truth_path, results_path, &f);
        lmb_alloc_fail_at(-1);
        if (st == LMB_OK)
            break;
        assert_int_equal(st, LMB_ENOMEM);
        assert_int_equal(lmb_alloc_live(), 0);
    }
    lmb_box_files_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_get_indexes_by_ascending_id),
        cmocka_unit_test(detections_of_unknown_images_are_refused),
        cmocka_unit_test(failing_allocations_leave_nothing)};
    return cmocka_run_group_tests(tests, write_files, remove_files) +
        lmb_test_leaks();
}
