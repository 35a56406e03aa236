/* YOLO: data.yaml in its many forms, labels, outlines, errors. */
#include "folder_test.h"

static void put_set(const char *sub, const char *yaml)
{
    char name[128];
    const char *const pictures[] = {
        "images/train/a.png", "images/train/more/b.jpg", "images/val/c.png"};
    const struct {
        const char *name, *text;
    } files[] = {
        {"data.yaml", yaml},
        {"labels/train/a.txt",
            "1 0.5 0.5 0.5 0.4\n\n0.0 0.25,0.25,0.1,0.2\r\n"},
        {"labels/train/more/b.txt",
            "0 0.1 0.1 0.9 0.1 0.9 0.6\n"
            "1 0.5 0.5 0 0.2\n"},
    };
    for (size_t i = 0; i < LMB_COUNT(files); i++) {
        (void)snprintf(name, sizeof name, "%s/%s", sub, files[i].name);
        put_text(name, files[i].text);
    }
    for (size_t i = 0; i < LMB_COUNT(pictures); i++) {
        (void)snprintf(name, sizeof name, "%s/%s", sub, pictures[i]);
        put_picture(name, 10, 20);
    }
}

static const char usual[] = "train: images/train\nval: images/val\n"
                            "nc: 2\nnames: [cat, dog]\n";

static void check_train(const char *sub)
{
    lmb_dataset *ds = NULL;
    CHECK_OK(open_sub("yolo", sub, "train", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 2);
    assert_int_equal(lmb_dataset_classes(ds), 2);
    assert_string_equal(lmb_dataset_class_names(ds)[1], "dog");
    assert_string_equal(boxes_of(ds, 0), "1:5,3,15,7 0:4,1.5,6,3.5 ");
    assert_string_equal(boxes_of(ds, 1), "0:2,1,18,6 ");
    assert_string_equal(lmb_dataset_notes(ds), "1 boxes without area left out");
    assert_int_equal(lmb_dataset_category_id(ds, 1), 1);
    decode_all(ds);
    lmb_dataset_free(ds);
}

static void folders_lists_and_names(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_set("a", usual);
    check_train("a");
    CHECK_OK(open_sub("yolo", "a", "test", NULL, &ds)); /* falls back to val */
    assert_int_equal(lmb_dataset_count(ds), 1);
    assert_string_equal(boxes_of(ds, 0), ""); /* no label file */
    lmb_dataset_free(ds);
    put_set("b",
        "path: ../elsewhere\ntrain: ../images/train\ntest:\n"
        "names:\n  1: dog\n  0: cat\n");
    check_train("b");
    CHECK_ERR(open_sub("yolo", "b", "test", NULL, &ds), LMB_ENOTFOUND,
        "no `test or val`");
    put_set("c",
        "path: .\ntrain: [lists/one.txt, lists/two.txt]\n"
        "names:\n- cat\n- dog\n");
    put_text("c/lists/one.txt", "../images/train/a.png\n");
    put_text("c/lists/two.txt", "./images/train/more/b.jpg\n");
    check_train("c");
    /* With the mark that editors of Windows put first. */
    put_text("c/lists/one.txt", "\xEF\xBB\xBF../images/train/a.png\r\n");
    put_text("c/labels/train/a.txt",
        "\xEF\xBB\xBF"
        "1 0.5 0.5 0.5 0.4\n0 0.25 0.25 0.1 0.2\n");
    check_train("c");
    put_set("v",
        "train: images/train\nvalidation: images/val\nnc: 2\n"
        "names: [cat, dog]\n");
    CHECK_OK(open_sub("yolo", "v", "val", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 1);
    lmb_dataset_free(ds);
}

static void another_name_for_the_yaml(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_set("d", usual);
    assert_int_equal(unlink(in_folder("d/data.yaml")), 0);
    CHECK_ERR(open_sub("yolo", "d", "train", NULL, &ds), LMB_ENOTFOUND,
        "no data.yaml");
    put_text("d/mine.yml", usual);
    check_train("d");
    put_text("d/yours.yaml", usual);
    CHECK_ERR(open_sub("yolo", "d", "train", NULL, &ds), LMB_EINVAL, "which?");
}

static void bad_yaml(const char *yaml, lmb_status code, const char *part)
{
    lmb_dataset *ds = NULL;
    put_text("e/data.yaml", yaml);
    CHECK_ERR(open_sub("yolo", "e", "train", NULL, &ds), code, part);
}

static void wrong_yaml_is_named(void **state)
{
    (void)state;
    put_set("e", usual);
    bad_yaml("train: images/train\n", LMB_EFORMAT, "`names` is not a list");
    bad_yaml("names: [a]\n", LMB_ENOTFOUND, "no `train` in it");
    bad_yaml("names: [a]\nnc: 2\ntrain: images/train", LMB_EFORMAT,
        "data.yaml:2: nc is '2', but there are 1 names");
    bad_yaml("names: {0: a, 2: b}\n", LMB_EFORMAT, "key '2' is not a number");
    bad_yaml("names: {0: a, 00: b}\n", LMB_EFORMAT, "0 comes twice");
    bad_yaml("names: [a, [b]]\n", LMB_EFORMAT, "names: not a text");
    bad_yaml("names: [a]\nkpt_shape: [17, 3]\n", LMB_EUNSUPPORTED, "kpt_shape");
    bad_yaml("names: [a]\ntrain: nowhere\n", LMB_ENOTFOUND,
        "e/nowhere: no such folder or list");
    bad_yaml("names: [a]\ntrain: {a: b}\n", LMB_EFORMAT, "not a folder");
    bad_yaml("- a\n", LMB_EFORMAT, "not a map");
    bad_yaml("names: [a\n", LMB_EFORMAT, "data.yaml");
    bad_yaml("names: [a]\ntrain: labels\n", LMB_EFORMAT, "no pictures in it");
}

static void bad_label(const char *text, const char *part)
{
    lmb_dataset *ds = NULL;
    put_text("g/labels/train/a.txt", text);
    CHECK_ERR(open_sub("yolo", "g", "train", NULL, &ds), LMB_EFORMAT, part);
}

static void wrong_labels_are_named(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_set("g", usual);
    bad_label("0 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1 0.1\n",
        "g/labels/train/a.txt:2: class 2 is not 0 .. 1");
    bad_label("-1 0.5 0.5 0.1 0.1", "class -1 is not");
    bad_label("0.5 0.5 0.5 0.1 0.1", "class 0.5 is not");
    bad_label("0 0.5 0.5 0.1", "3 numbers behind the class");
    bad_label("0 0.5 0.5 0.1 0.1 0.9", "5 numbers behind the class");
    bad_label("0 0.5 0.5 12 0.1", "a.txt:1: 12 is not a part of the picture");
    bad_label("0 0.5 -0.5 0.1 0.1", "-0.5 is not a part of the picture");
    bad_label("0 0.5 0.5 inf 0.1", "'inf' is not a number");
    bad_label("0 0.5 0.5 x 0.1", "'x' is not a number");
    put_text("g/labels/train/a.txt", "");
    put_text("g/images/train/z.png", "not a picture");
    CHECK_ERR(open_sub("yolo", "g", "train", NULL, &ds), LMB_EFORMAT,
        "z.png: no size of a JPEG or PNG picture");
}

static void opening_survives_lack_of_memory(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_set("h", usual);
    sweep_memory("yolo", "h", "train");
    CHECK_OK(open_sub("yolo", "h", "train", NULL, &ds));
    lmb_dataset_free(ds);
}

FOLDER_TEST_MAIN(cmocka_unit_test(folders_lists_and_names),
    cmocka_unit_test(another_name_for_the_yaml),
    cmocka_unit_test(wrong_yaml_is_named),
    cmocka_unit_test(wrong_labels_are_named),
    cmocka_unit_test(opening_survives_lack_of_memory))
