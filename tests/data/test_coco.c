/* COCO: which file and folder, ids, crowds, what is missing, real sets. */
#include "folder_test.h"

static const char json[] =
    "{\"images\": [{\"id\": 7, \"file_name\": \"a.png\", \"width\": 20, "
    "\"height\": 10}, {\"id\": 3, \"file_name\": \"b.png\"}],\n"
    "\"annotations\": ["
    "{\"id\": 1, \"image_id\": 3, \"category_id\": 90, \"bbox\": [1, 2, 3, 4]},"
    "{\"id\": 2, \"image_id\": 7, \"category_id\": 5, "
    "\"bbox\": [10, 5, 30, 2.5], \"area\": 12.5},"
    "{\"id\": 3, \"image_id\": 3, \"category_id\": 5, \"bbox\": [0, 0, 9, 9], "
    "\"iscrowd\": 1},"
    "{\"id\": 4, \"image_id\": 3, \"category_id\": 5, \"bbox\": [4, 4, 0, 1]}],"
    "\"categories\": [{\"id\": 90, \"name\": \"zebra\"}, "
    "{\"id\": 5, \"name\": \"ant\"}]}";

static void put_pictures(const char *sub)
{
    char name[128];
    for (int i = 0; i < 2; i++) {
        (void)snprintf(
            name, sizeof name, "%s/%s", sub, i == 0 ? "a.png" : "b.png");
        put_picture(name, 10, 20);
    }
}

static void check(const char *sub, const char *split)
{
    lmb_dataset *ds = NULL;
    lmb_ground_truth t;
    CHECK_OK(open_sub("coco", sub, split, NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 2);
    assert_int_equal(lmb_dataset_classes(ds), 2);
    assert_string_equal(lmb_dataset_class_names(ds)[0], "ant");
    assert_int_equal(lmb_dataset_category_id(ds, 1), 90);
    assert_int_equal(lmb_dataset_image_id(ds, 0), 7);
    assert_string_equal(boxes_of(ds, 0), "0:10,5,20,7.5 ");
    assert_string_equal(boxes_of(ds, 1), "1:1,2,4,6 0!:0,0,9,9 ");
    CHECK_OK(lmb_dataset_truth(ds, 0, &t));
    assert_true(t.area[0] == 12.5f);
    CHECK_OK(lmb_dataset_truth(ds, 1, &t));
    assert_true(t.area[0] == 12 && t.area[1] == 81);
    assert_string_equal(lmb_dataset_notes(ds),
        "1 boxes without area left out; 1 boxes cut at their picture's border");
    decode_all(ds);
    lmb_dataset_free(ds);
}

static void files_are_found_in_many_places(void **state)
{
    (void)state;
    put_text("a/annotations/instances_train2017.json", json);
    put_pictures("a/train2017");
    check("a", "train");
    put_text("b/instances_valid.json", json);
    put_pictures("b/valid");
    check("b", "val");
    check("b", "test"); /* falls back to val */
    put_text("c/train/_annotations.coco.json", json);
    put_pictures("c/train");
    check("c", "train");
    put_text("d/instances_test.json", json);
    put_pictures("d/JPEGImages");
    check("d", "test");
    put_text("e/annotations/instances_val.json", json);
    put_pictures("e/images/val");
    check("e", "val");
    put_text("f/instances_train.json", json);
    put_pictures("f");
    check("f", "train");
}

static void two_that_fit_are_an_error(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_text("g/annotations/instances_train2014.json", json);
    put_text("g/annotations/instances_train2017.json", json);
    put_text("g/annotations/instances_training.json", json);
    put_pictures("g/pictures");
    CHECK_ERR(open_sub("coco", "g", "train", NULL, &ds), LMB_EINVAL,
        "instances_train2017.json: which?");
    const lmb_dataset_opts opts = {
        .json = in_folder("g/annotations/instances_train2014.json"),
        .images = in_folder("g/pictures")};
    CHECK_OK(open_sub("coco", "g", "train", &opts, &ds));
    assert_int_equal(lmb_dataset_count(ds), 2);
    lmb_dataset_free(ds);
    CHECK_ERR(open_sub("voc", "g", "train", &opts, &ds), LMB_EINVAL,
        "the files of voc cannot be named");
    const lmb_dataset_opts half = {.json = opts.json};
    CHECK_ERR(open_sub("coco", "g", "train", &half, &ds), LMB_ENOTFOUND,
        "picture 'a.png' of");
    CHECK_ERR(open_sub("coco", "g", "val", NULL, &ds), LMB_ENOTFOUND,
        "instances_val*.json");
}

/* Every place counts, and all that fit are listed. */
static void several_that_fit_are_listed(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_text("o/annotations/instances_val.json", json);
    put_text("o/instances_val.json", json);
    CHECK_ERR(open_sub("coco", "o", "val", NULL, &ds), LMB_EINVAL,
        "/o/annotations/instances_val.json, ");
    put_text("o/valid/_annotations.coco.json", json);
    put_pictures("o/val");
    for (int i = 0; i < 2; i++) {
        const char *split = i == 0 ? "val" : "test"; /* val stands in */
        CHECK_ERR(open_sub("coco", "o", split, NULL, &ds), LMB_EINVAL,
            "/o/annotations/instances_val.json, ");
        CHECK_ERR(open_sub("coco", "o", split, NULL, &ds), LMB_EINVAL,
            "/o/instances_val.json, ");
        CHECK_ERR(open_sub("coco", "o", split, NULL, &ds), LMB_EINVAL,
            "/o/valid/_annotations.coco.json: which?");
        CHECK_ERR(open_sub("coco", "o", split, NULL, &ds), LMB_EINVAL,
            "data.test.json=FILE (of the one to evaluate on)");
    }
    const lmb_dataset_opts opts = {.json = in_folder("o/instances_val.json")};
    CHECK_OK(open_sub("coco", "o", "test", &opts, &ds));
    lmb_dataset_free(ds);
}

/* Pictures of a file that is named are where they are of one that is found. */
static void a_named_file_has_its_pictures(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_text("p/annotations/instances_val2014.json", json);
    put_text("p/annotations/instances_val2017.json", json);
    put_pictures("p/val2017");
    const lmb_dataset_opts opts = {
        .json = in_folder("p/annotations/instances_val2017.json")};
    CHECK_OK(open_sub("coco", "p", "test", &opts, &ds));
    assert_int_equal(lmb_dataset_count(ds), 2);
    lmb_dataset_free(ds);
}

/* Labels of torchvision: the ids, or the ids less 1; what lies between them is
 * a class without boxes. */
static void labels_by_category_id(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    lmb_dataset_opts opts = {.label_by = LMB_LABEL_BY_ID};
    put_text("m/instances_train.json", json);
    put_pictures("m");
    CHECK_OK(open_sub("coco", "m", "train", NULL, &ds));
    assert_string_equal(lmb_dataset_label_hint(ds, 3), "");
    assert_non_null(strstr(lmb_dataset_label_hint(ds, 91), "--label-by id)"));
    assert_non_null(strstr(lmb_dataset_label_hint(ds, 90), "--label-by id-1)"));
    lmb_dataset_free(ds);
    for (int less = 0; less < 2; less++) {
        opts.label_by = less == 0 ? LMB_LABEL_BY_ID : LMB_LABEL_BY_ID_1;
        CHECK_OK(open_sub("coco", "m", "train", &opts, &ds));
        assert_int_equal(lmb_dataset_classes(ds), 91 - less);
        assert_string_equal(boxes_of(ds, 1),
            less == 0 ? "90:1,2,4,6 5!:0,0,9,9 " : "89:1,2,4,6 4!:0,0,9,9 ");
        for (int32_t k = 0; k < 91 - less; k++) {
            const char *name = lmb_dataset_class_names(ds)[k];
            const int64_t id = lmb_dataset_category_id(ds, k);
            assert_int_equal(id, k + less);
            assert_int_equal(lmb_dataset_category_label(ds, id), k);
            assert_string_equal(name,
                id == 5        ? "ant"
                    : id == 90 ? "zebra"
                               : "N/A");
        }
        assert_int_equal(lmb_dataset_category_label(ds, 91), -1);
        lmb_dataset_free(ds);
    }
}

static void ids_that_are_no_labels(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    lmb_dataset_opts opts = {.label_by = LMB_LABEL_BY_ID_1};
    static const char *const ids[] = {"0", "-3", "10001"};
    for (size_t i = 0; i < LMB_COUNT(ids); i++) {
        char text[256];
        (void)snprintf(text, sizeof text,
            "{\"images\": [{\"id\": 1, \"file_name\": \"a.png\"}], "
            "\"categories\": [{\"id\": %s}, {\"id\": 7}]}",
            ids[i]);
        put_text("n/instances_train.json", text);
        put_pictures("n");
        CHECK_ERR(open_sub("coco", "n", "train", &opts, &ds), LMB_EINVAL,
            "is no label: data.label_by wants ids of 1 .. 10000");
    }
    CHECK_ERR(open_sub("voc", "n", "train", &opts, &ds), LMB_EINVAL,
        "voc has no category ids");
}

static void bad(const char *text, lmb_status code, const char *part)
{
    lmb_dataset *ds = NULL;
    put_text("h/instances_train.json", text);
    CHECK_ERR(open_sub("coco", "h", "train", NULL, &ds), code, part);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    put_pictures("h/train");
    bad("", LMB_EFORMAT, "instances_train.json");
    bad("{\"images\": []}", LMB_EFORMAT, "no pictures in it");
    bad("{\"images\": [{\"id\": 1, \"file_name\": \"a.png\"}]}", LMB_EFORMAT,
        "0 categories");
    bad("{\"images\": [{\"id\": 1}], \"categories\": [{\"id\": 1}]}",
        LMB_EFORMAT, "image 1 has no file_name");
    bad("{\"images\": [{\"id\": 1, \"file_name\": \"a.png\"}, {\"id\": 2, "
        "\"file_name\": \"no.png\", \"width\": 2, \"height\": 2}], "
        "\"categories\": [{\"id\": 1}]}",
        LMB_ENOTFOUND, "no.png: no such picture (");
    bad("{\"images\": [{\"id\": 1, \"file_name\": \"a.png\"}], \"categories\": "
        "[{\"id\": 1}], \"annotations\": [{\"id\": 1, \"image_id\": 1, "
        "\"category_id\": 4, \"bbox\": [1, 1, 1, 1]}]}",
        LMB_EFORMAT, "4");
}

static void opening_survives_lack_of_memory(void **state)
{
    (void)state;
    put_text("i/annotations/instances_train2017.json", json);
    put_pictures("i/train2017");
    sweep_memory("coco", "i", "train");
}

static void the_hash_knows_boxes_and_not_folders(void **state)
{
    (void)state;
    uint64_t hash[3];
    const char *const subs[] = {"j", "k", "l"};
    for (int i = 0; i < 3; i++) {
        char name[64];
        char text[sizeof json];
        lmb_dataset *ds = NULL;
        memcpy(text, json, sizeof json);
        if (i == 2)
            *strstr(text, "1, 2, 3, 4") = '0';
        (void)snprintf(name, sizeof name, "%s/instances_val.json", subs[i]);
        put_text(name, text);
        put_pictures(subs[i]);
        CHECK_OK(open_sub("coco", subs[i], "val", NULL, &ds));
        hash[i] = lmb_dataset_hash(ds);
        lmb_dataset_free(ds);
    }
    assert_true(hash[0] == hash[1] && hash[1] != hash[2]);
}

static void real_sets_open(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    const struct {
        const char *sub, *split;
        int64_t pictures, boxes;
        int classes;
    } want[] = {{"aquarium416", "train", 448, 3324, 7},
        {"aquarium416", "val", 127, 909, 7},
        {"aquarium416", "test", 63, 582, 7}, {"coco256", "train", 128, 939, 80},
        {"coco256", "test", 128, 898, 80}, {"bccd", "train", 205, 2804, 3},
        {"bccd", "val", 87, 1137, 3}, {"bccd", "test", 72, 945, 3}};
    for (size_t i = 0; i < LMB_COUNT(want); i++) {
        lmb_dataset *ds = NULL;
        char spec[512];
        (void)snprintf(
            spec, sizeof spec, "coco:%s/detection/%s", dir, want[i].sub);
        CHECK_OK(lmb_dataset_open(spec, want[i].split, NULL, &ds));
        (void)printf(
            "%s %s: %s\n", want[i].sub, want[i].split, lmb_dataset_notes(ds));
        assert_int_equal(lmb_dataset_count(ds), want[i].pictures);
        assert_int_equal(count_boxes(ds), want[i].boxes);
        assert_int_equal(lmb_dataset_classes(ds), want[i].classes);
        decode_all(ds);
        lmb_dataset_free(ds);
    }
}

FOLDER_TEST_MAIN(cmocka_unit_test(files_are_found_in_many_places),
    cmocka_unit_test(two_that_fit_are_an_error),
    cmocka_unit_test(several_that_fit_are_listed),
    cmocka_unit_test(a_named_file_has_its_pictures),
    cmocka_unit_test(labels_by_category_id),
    cmocka_unit_test(ids_that_are_no_labels),
    cmocka_unit_test(wrong_files_are_named),
    cmocka_unit_test(opening_survives_lack_of_memory),
    cmocka_unit_test(the_hash_knows_boxes_and_not_folders),
    cmocka_unit_test(real_sets_open))
