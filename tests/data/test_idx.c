/* IDX reader: values, classes, lying headers. */
#include "lmb_test.h"

#include "base/file.h"
#include "data/idx.h"

#include <unistd.h>

enum { COUNT = 12, HEIGHT = 3, WIDTH = 4, PLANE = HEIGHT * WIDTH };

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *spec(void)
{
    static char text[128];
    (void)snprintf(text, sizeof text, "idx:%s", folder);
    return text;
}

static uint8_t images[16 + COUNT * PLANE];
static uint8_t labels[8 + COUNT];

/* Picture i, pixel k is 10 i + k; label i mod `classes`. */
static void fill(int classes)
{
    static const uint8_t image_head[16] = {
        0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH};
    static const uint8_t label_head[8] = {0, 0, 8, 1, 0, 0, 0, COUNT};
    memcpy(images, image_head, 16);
    memcpy(labels, label_head, 8);
    for (int i = 0; i < COUNT; i++) {
        labels[8 + i] = (uint8_t)(i % classes);
        for (int k = 0; k < PLANE; k++)
            images[16 + i * PLANE + k] = (uint8_t)(10 * i + k);
    }
}

static void write_pair(
    const char *prefix, size_t image_bytes, size_t label_bytes)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
    CHECK_OK(lmb_file_write(in_folder(name), images, image_bytes));
    (void)snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
    CHECK_OK(lmb_file_write(in_folder(name), labels, label_bytes));
}

static void grey_is_repeated(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    lmb_scratch scratch = {0};
    fill(5);
    write_pair("train", sizeof images, sizeof labels);
    fill(3);
    write_pair("t10k", sizeof images, sizeof labels);
    CHECK_OK(lmb_dataset_open(spec(), "test", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), COUNT);
    assert_int_equal(lmb_dataset_classes(ds), 5); /* those of train */
    assert_true(lmb_dataset_is_test(ds));
    for (int64_t i = 0; i < COUNT; i++) {
        lmb_image image = {0};
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
        assert_true(image.height == HEIGHT && image.width == WIDTH);
        assert_int_equal(lmb_dataset_label(ds, i), i % 3);
        for (int k = 0; k < 3 * PLANE; k++)
            assert_int_equal(image.rgb[k], 10 * i + k / 3);
    }
    lmb_dataset_free(ds);
}

static void expect(lmb_status code, const char *part)
{
    lmb_dataset *ds = NULL;
    CHECK_ERR(lmb_dataset_open(spec(), "train", NULL, &ds), code, part);
    assert_null(ds);
}

static void lying_headers_are_refused(void **state)
{
    (void)state;
    fill(5);
    images[4] = labels[4] = 0x70; /* two billion entries */
    write_pair("train", sizeof images, sizeof labels);
    expect(LMB_EFORMAT, "cut short");
    fill(5);
    write_pair("train", sizeof images - 1, sizeof labels);
    expect(LMB_EFORMAT, "cut short: 1 more bytes");
    fill(5);
    images[7] = COUNT - 1;
    write_pair("train", sizeof images, sizeof labels);
    expect(LMB_EFORMAT, "11 pictures but 12 labels");
    labels[7] = COUNT - 1;
    write_pair("train", sizeof images, sizeof labels);
    expect(LMB_EFORMAT, "more bytes than the 11 entries");
    fill(5);
    images[8] = 0xff;
    write_pair("train", sizeof images, sizeof labels);
    expect(LMB_EFORMAT, "pictures of 4 x 42");
    images[2] = 13;
    write_pair("train", sizeof images, sizeof labels);
    expect(LMB_EFORMAT, "IDX type 13 rank 3");
    write_pair("train", 5, sizeof labels);
    expect(LMB_EFORMAT, "");
    images[0] = 'P';
    write_pair("train", sizeof images, sizeof labels);
    expect(LMB_EFORMAT, "not an IDX file");
}

static void missing_and_doubled_files_are_named(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    fill(5);
    write_pair("train", sizeof images, sizeof labels);
    CHECK_OK(lmb_file_write(in_folder("train-images-idx3-ubyte.gz"), "x", 1));
    expect(LMB_EINVAL, "keep one");
    assert_int_equal(unlink(in_folder("train-images-idx3-ubyte.gz")), 0);
    CHECK_OK(lmb_file_write(in_folder("label_names.txt"), "a\nb\n", 4));
    expect(LMB_EFORMAT, "2 names for 5 classes");
    CHECK_OK(lmb_file_write(
        in_folder("label_names.txt"), "a\r\nb\nc\n\nd\nthe last", 18));
    CHECK_OK(lmb_dataset_open(spec(), "train", NULL, &ds));
    assert_string_equal(lmb_dataset_class_names(ds)[0], "a");
    assert_string_equal(lmb_dataset_class_names(ds)[4], "the last");
    lmb_dataset_free(ds);
    ds = NULL;
    fill(7); /* test knows labels that train does not */
    write_pair("t10k", sizeof images, sizeof labels);
    CHECK_ERR(lmb_dataset_open(spec(), "test", NULL, &ds), LMB_EFORMAT,
        "label 5 of entry 5");
    CHECK_ERR(
        lmb_dataset_open(spec(), "val", NULL, &ds), LMB_EINVAL, "no val split");
    assert_int_equal(unlink(in_folder("train-images-idx3-ubyte")), 0);
    expect(LMB_ENOTFOUND, "no train-images-idx3-ubyte");
    fill(5);
    write_pair("train", sizeof images, sizeof labels);
}

static void open_survives_lack_of_memory(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        lmb_dataset *ds = NULL;
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_dataset_open(spec(), "train", NULL, &ds);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        lmb_dataset_free(ds);
        assert_int_equal(st, injected ? LMB_ENOMEM : LMB_OK);
        assert_int_equal(lmb_alloc_live(), 0);
        if (!injected)
            break;
    }
}

static void the_real_fashion_mnist_is_read(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    char text[512];
    lmb_dataset *ds = NULL;
    (void)snprintf(text, sizeof text, "idx:%s/fashion-mnist-small", dir);
    CHECK_OK(lmb_dataset_open(text, "train", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 6000);
    assert_int_equal(lmb_dataset_classes(ds), 10);
    assert_string_equal(lmb_dataset_class_names(ds)[9], "Ankle boot");
    lmb_dataset_free(ds);
    CHECK_OK(lmb_dataset_open(text, "test", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 1000);
    assert_int_equal(lmb_dataset_label(ds, 0), 9);
    lmb_dataset_free(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grey_is_repeated),
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(missing_and_doubled_files_are_named),
        cmocka_unit_test(open_survives_lack_of_memory),
        cmocka_unit_test(the_real_fashion_mnist_is_read),
    };
    char command[128];
    (void)snprintf(folder, sizeof folder, "/tmp/lmb_idx_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return (system(command) != 0) + failed + lmb_test_leaks();
}
