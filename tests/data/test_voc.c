/* VOC: lists, classes, corners from 1, difficult and empty objects, errors. */
#include "folder_test.h"

#define OBJECT(name, difficult, a, b, c, d) \
    "<object><name>" name "</name><difficult>" difficult "</difficult>" \
    "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>" \
    "<bndbox><ymin>" b "</ymin><xmin>" a "</xmin><xmax> " c " </xmax><ymax>" d \
    "</ymax></bndbox></object>"
#define FILE_OF(size, objects) \
    "<annotation><filename>other.png</filename>" size objects "</annotation>"
#define SIZE "<size><width>20</width><height>10</height><depth>3</depth></size>"

static void put_set(const char *sub)
{
    char name[128];
    const struct {
        const char *name, *text;
    } files[] = {
        {"Annotations/a.xml",
            FILE_OF(SIZE,
                OBJECT("dog", "0", "1", "2", "20.5", "9")
                    OBJECT("cat", "1", "3", "3", "4", "4"))},
        {"Annotations/b.xml",
            FILE_OF("",
                OBJECT("dog", "", "5", "5", "5", "9")
                    OBJECT("dog", "0", "0", "1", "4", "12"))},
        {"Annotations/c.xml", FILE_OF(SIZE, "")},
        {"ImageSets/Main/train.txt", "a\r\n\n b \n"},
        {"ImageSets/Main/val.txt", "c"},
    };
    for (size_t i = 0; i < LMB_COUNT(files); i++) {
        (void)snprintf(name, sizeof name, "%s/%s", sub, files[i].name);
        put_text(name, files[i].text);
    }
    const char *const pictures[] = {"a.jpg", "b.PNG", "other.png"};
    for (size_t i = 0; i < LMB_COUNT(pictures); i++) {
        (void)snprintf(name, sizeof name, "%s/JPEGImages/%s", sub, pictures[i]);
        put_picture(name, 10, 20);
    }
}

static void splits_boxes_and_classes(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_set("a");
    CHECK_OK(open_sub("voc", "a", "train", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 2);
    /* cat and dog are among VOC's twenty */
    assert_int_equal(lmb_dataset_classes(ds), 20);
    assert_string_equal(lmb_dataset_class_names(ds)[11], "dog");
    assert_string_equal(boxes_of(ds, 0), "11:0,1,20,9 7!:2,2,4,4 ");
    assert_string_equal(boxes_of(ds, 1), "11:0,0,4,10 ");
    assert_string_equal(lmb_dataset_notes(ds),
        "1 boxes without area left out; 1 boxes cut at their picture's border");
    assert_int_equal(lmb_dataset_image_id(ds, 1), 2);
    assert_int_equal(lmb_dataset_category_id(ds, 7), 8);
    assert_false(lmb_dataset_is_test(ds));
    decode_all(ds);
    lmb_dataset_free(ds);
    CHECK_OK(open_sub("voc", "a", "test", NULL, &ds)); /* falls back to val */
    assert_int_equal(lmb_dataset_count(ds), 1);
    assert_string_equal(boxes_of(ds, 0), "");
    assert_true(lmb_dataset_is_test(ds));
    assert_non_null(strstr(lmb_dataset_picture_path(ds, 0), "/other.png"));
    lmb_dataset_free(ds);
}

static void classes_of_ones_own(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_set("b");
    put_text("b/Annotations/d.xml",
        FILE_OF(SIZE, OBJECT("axolotl &amp; co", "0", "1", "1", "9", "9")));
    CHECK_OK(open_sub("voc", "b", "train", NULL, &ds));
    assert_int_equal(lmb_dataset_classes(ds), 3);
    assert_string_equal(lmb_dataset_class_names(ds)[0], "axolotl & co");
    assert_string_equal(lmb_dataset_class_names(ds)[2], "dog");
    lmb_dataset_free(ds);
    put_text("b/classes.txt", "dog\ncat\n");
    CHECK_OK(open_sub("voc", "b", "train", NULL, &ds));
    assert_string_equal(boxes_of(ds, 0), "0:0,1,20,9 1!:2,2,4,4 ");
    lmb_dataset_free(ds);
    put_text("b/classes.txt", "dog\n");
    CHECK_ERR(open_sub("voc", "b", "train", NULL, &ds), LMB_EFORMAT,
        "a.xml:1: class 'cat' is not in the list");
}

static void without_lists_all_is_train(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_text("c/Annotations/a.xml",
        FILE_OF(SIZE, OBJECT("dog", "0", "1", "2", "20", "9")));
    put_text("c/Annotations/notes.txt", "x");
    put_picture("c/JPEGImages/a.jpg", 10, 20);
    CHECK_OK(open_sub("voc", "c", "train", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 1);
    lmb_dataset_free(ds);
    CHECK_ERR(open_sub("voc", "c", "val", NULL, &ds), LMB_ENOTFOUND,
        "hold out a part");
}

static void check_bad(const char *text, const char *part)
{
    lmb_dataset *ds = NULL;
    put_text("d/Annotations/a.xml", text);
    CHECK_ERR(open_sub("voc", "d", "train", NULL, &ds), LMB_EFORMAT, part);
}

static void damaged_files_are_named(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put_picture("d/JPEGImages/a.jpg", 10, 20);
    check_bad("", "d/Annotations/a.xml:1: XML: no element found");
    check_bad("<annotation>\n<object>", "a.xml:2: XML: no element found");
    check_bad("<a/>", "<a> in place of <annotation>");
    check_bad("<annotation><object><name>x</name></object></annotation>",
        "object 'x' has no xmin");
    check_bad("<annotation><object/></annotation>", "without a name");
    check_bad(FILE_OF(SIZE, OBJECT("dog", "0", "one", "2", "3", "4")),
        "a.xml:1: xmin 'one' is not a number");
    check_bad(FILE_OF(SIZE, OBJECT("dog", "0", "nan", "2", "3", "4")),
        "xmin 'nan' is not a number");
    check_bad(FILE_OF("<size><width>-3</width></size>",
                  OBJECT("dog", "0", "1", "2", "3", "4")),
        "width '-3' is not a size");
    check_bad("<!DOCTYPE a [<!ENTITY b \"c\">]><annotation/>",
        "a document type is refused");
    check_bad("<annotation></annotation>", "no objects in Annotations");
    check_bad(FILE_OF("<size><width>99999</width><height>1</height></size>",
                  OBJECT("dog", "0", "1", "2", "3", "4")),
        "a picture of 99999 x 1 pixels");
    put_text("d/Annotations/a.xml",
        FILE_OF(SIZE, OBJECT("dog", "0", "1", "2", "3", "4")));
    put_text("d/ImageSets/Main/train.txt", "a\nzebra\n");
    CHECK_ERR(open_sub("voc", "d", "train", NULL, &ds), LMB_ENOTFOUND,
        "d/Annotations/zebra.xml");
    put_text("d/ImageSets/Main/train.txt", "\n");
    CHECK_ERR(open_sub("voc", "d", "train", NULL, &ds), LMB_EFORMAT,
        "train.txt: no pictures");
}

static void a_picture_of_another_size_is_refused(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    lmb_scratch scratch = {0};
    lmb_image image;
    put_text("e/Annotations/a.xml",
        FILE_OF(SIZE, OBJECT("dog", "0", "1", "2", "20", "9")));
    put_picture("e/JPEGImages/a.jpg", 20, 10);
    CHECK_OK(open_sub("voc", "e", "train", NULL, &ds));
    CHECK_ERR(lmb_dataset_image(ds, 0, &scratch, &image), LMB_EFORMAT,
        "a.jpg: the picture is 10 x 20, its annotations are for 20 x 10 (an "
        "orientation tag?");
    lmb_scratch_fini(&scratch);
    lmb_dataset_free(ds);
    put_text("e/Annotations/b.xml", FILE_OF(SIZE, ""));
    CHECK_ERR(open_sub("voc", "e", "train", NULL, &ds), LMB_ENOTFOUND,
        "JPEGImages/b: no .jpg, .jpeg or .png");
}

static void opening_survives_lack_of_memory(void **state)
{
    (void)state;
    put_set("f");
    sweep_memory("voc", "f", "train");
}

static void the_blood_cells(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    const struct {
        const char *split;
        int64_t pictures, boxes;
    } want[] = {{"train", 205, 2804}, {"val", 87, 1137}, {"test", 72, 945}};
    for (size_t i = 0; i < LMB_COUNT(want); i++) {
        lmb_dataset *ds = NULL;
        char spec[512];
        (void)snprintf(spec, sizeof spec, "voc:%s/detection/bccd", dir);
        CHECK_OK(lmb_dataset_open(spec, want[i].split, NULL, &ds));
        assert_int_equal(lmb_dataset_count(ds), want[i].pictures);
        assert_int_equal(count_boxes(ds), want[i].boxes);
        assert_int_equal(lmb_dataset_classes(ds), 3);
        (void)printf("%s: %s\n", want[i].split, lmb_dataset_notes(ds));
        decode_all(ds);
        lmb_dataset_free(ds);
    }
}

FOLDER_TEST_MAIN(cmocka_unit_test(splits_boxes_and_classes),
    cmocka_unit_test(classes_of_ones_own),
    cmocka_unit_test(without_lists_all_is_train),
    cmocka_unit_test(damaged_files_are_named),
    cmocka_unit_test(a_picture_of_another_size_is_refused),
    cmocka_unit_test(opening_survives_lack_of_memory),
    cmocka_unit_test(the_blood_cells))
