/* Folders of pictures: which folder is which split, order, errors. */
#include "lmb_test.h"

#include "base/file.h"
#include "data/data.h"
#include "data/loader.h"

#include <unistd.h>

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *spec(const char *sub)
{
    static char text[256];
    (void)snprintf(text, sizeof text, "imagefolder:%s/%s", folder, sub);
    return text;
}

/* A PNG of one colour, 2 x (3 + shade mod 3). */
static void put(const char *name, int shade)
{
    uint8_t rgb[2 * 5 * 3];
    memset(rgb, shade, sizeof rgb);
    const lmb_image image = {2, 3 + shade % 3, rgb};
    char dir[256];
    (void)snprintf(dir, sizeof dir, "%s", in_folder(name));
    *strrchr(dir, '/') = '\0';
    CHECK_OK(lmb_make_dirs(dir));
    CHECK_OK(lmb_image_save_png(in_folder(name), &image));
}

static void check(const char *sub, const char *split, const char *want)
{
    lmb_dataset *ds = NULL;
    lmb_scratch scratch = {0};
    char got[256] = "";
    CHECK_OK(lmb_dataset_open(spec(sub), split, NULL, &ds));
    for (int64_t i = 0; i < lmb_dataset_count(ds); i++) {
        lmb_image image = {0};
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
        const size_t used = strlen(got);
        const int32_t label = lmb_dataset_label(ds, i);
        (void)snprintf(got + used, sizeof got - used, "%s:%d ",
            lmb_dataset_class_names(ds)[label], image.rgb[0]);
        assert_int_equal(image.width, 3 + image.rgb[0] % 3);
    }
    int32_t h = 1;
    int32_t w = 1;
    assert_false(lmb_dataset_size(ds, &h, &w));
    assert_int_equal(h + w, 0);
    assert_string_equal(got, want);
    assert_int_equal(lmb_dataset_is_test(ds), strcmp(split, "test") == 0);
    lmb_scratch_fini(&scratch);
    lmb_dataset_free(ds);
}

static void splits_classes_and_order(void **state)
{
    (void)state;
    put("a/train/dog/2.png", 12);
    put("a/train/dog/1.JPG", 11); /* contents decide, not the name */
    put("a/train/dog/more/0.png", 13);
    put("a/train/cat/x.png", 20);
    put("a/val/dog/v.png", 30);
    put("a/test/cat/t.png", 40);
    put("a/test/dog/t.png", 41);
    CHECK_OK(lmb_file_write(in_folder("a/train/dog/notes.txt"), "x", 1));
    CHECK_OK(lmb_file_write(in_folder("a/train/dog/.hidden.png"), "x", 1));
    check("a", "train", "cat:20 dog:11 dog:12 dog:13 ");
    check("a", "val", "dog:30 ");
    check("a", "test", "cat:40 dog:41 ");
    put("b/train/k/1.png", 1);
    put("b/val/k/2.png", 2);
    check("b", "test", "k:2 ");
    put("c/zebra/1.png", 1);
    put("c/ant/2.png", 2);
    check("c", "train", "ant:2 zebra:1 ");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    CHECK_ERR(lmb_dataset_open(spec("c"), "test", NULL, &ds), LMB_ENOTFOUND,
        "hold out a part");
    put("d/train/k/1.png", 1);
    CHECK_ERR(lmb_dataset_open(spec("d"), "val", NULL, &ds), LMB_ENOTFOUND,
        "no val folder");
    put("d/val/other/1.png", 1);
    CHECK_ERR(lmb_dataset_open(spec("d"), "val", NULL, &ds), LMB_EFORMAT,
        "class 'other' is not in");
    CHECK_OK(lmb_make_dirs(in_folder("d/train/empty")));
    CHECK_ERR(lmb_dataset_open(spec("d"), "train", NULL, &ds), LMB_EFORMAT,
        "d/train/empty: no pictures");
    CHECK_OK(lmb_make_dirs(in_folder("e/train")));
    CHECK_ERR(lmb_dataset_open(spec("e"), "train", NULL, &ds), LMB_EFORMAT,
        "no class folders");
}

/* What cannot be read is not left out in silence; names are UTF-8. */
static void broken_links_and_names_are_errors(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put("l/train/k/1.png", 1);
    assert_int_equal(symlink("nowhere", in_folder("l/train/k/README")), 0);
    CHECK_OK(lmb_dataset_open(spec("l"), "train", NULL, &ds));
    lmb_dataset_free(ds);
    assert_int_equal(symlink("nowhere", in_folder("l/train/k/2.png")), 0);
    CHECK_ERR(lmb_dataset_open(spec("l"), "train", NULL, &ds), LMB_EIO,
        "l/train/k/2.png: No such file");
    put("n/train/caf\xe9/1.png", 1);
    CHECK_ERR(lmb_dataset_open(spec("n"), "train", NULL, &ds), LMB_EFORMAT,
        "the name of class 0, 'caf\xe9', is not UTF-8");
}

static void hash_knows_names_and_sizes(void **state)
{
    (void)state;
    uint64_t hash[3];
    for (int k = 0; k < 3; k++) {
        lmb_dataset *ds = NULL;
        put("h/x/1.png", 1);
        if (k == 2)
            put("h/x/2.png", 1);
        CHECK_OK(lmb_dataset_open(spec("h"), "train", NULL, &ds));
        hash[k] = lmb_dataset_hash(ds);
        lmb_dataset_free(ds);
    }
    assert_true(hash[0] == hash[1] && hash[1] != hash[2]);
}

static void check_input(const lmb_dataset *ds, int32_t size, int32_t resize)
{
    const lmb_transform train = lmb_transform_default(ds, true);
    const lmb_transform test = lmb_transform_default(ds, false);
    assert_int_equal(lmb_dataset_input(ds), size);
    assert_int_equal(train.height, size);
    assert_int_equal(train.width, size);
    assert_int_equal(train.crop, LMB_CROP_RESIZED);
    assert_int_equal(test.height, size);
    assert_int_equal(test.resize, resize);
    assert_int_equal(test.crop, LMB_CROP_CENTER);
}

static void the_input_size_is_the_users(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL, *part = NULL;
    CHECK_OK(lmb_dataset_open(spec("a"), "train", NULL, &ds));
    check_input(ds, 224, 256);
    CHECK_ERR(lmb_dataset_set_input(ds, 7), LMB_EINVAL, "7 is not in 8 .. 409");
    CHECK_ERR(lmb_dataset_set_input(ds, 5000), LMB_EINVAL, "input size 5000");
    CHECK_OK(lmb_dataset_set_input(ds, 64));
    CHECK_OK(lmb_dataset_subset(ds, &(int64_t){0}, 1, &part));
    check_input(ds, 64, 73);
    check_input(part, 64, 73);
    lmb_dataset_free(part);
    lmb_dataset_free(ds);
    const lmb_dataset_opts few = {.train_count = 2, .classes = 2};
    CHECK_OK(lmb_dataset_open("shapes", "train", &few, &ds));
    CHECK_ERR(lmb_dataset_set_input(ds, 64), LMB_EINVAL,
        "shapes: input size 64, but all its pictures are 32 x 32");
    CHECK_OK(lmb_dataset_set_input(ds, 32));
    lmb_dataset_free(ds);
}

static void a_folder_without_its_kind_is_understood(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    char want[256];
    (void)snprintf(want, sizeof want,
        "data '%s' is a folder; of which kind? imagefolder:%s", folder, folder);
    CHECK_ERR(lmb_dataset_open(folder, "train", NULL, &ds), LMB_EINVAL, want);
    CHECK_ERR(lmb_dataset_open("zzz", "train", NULL, &ds), LMB_EINVAL,
        "unknown data set 'zzz' (limbeck list datasets)");
    CHECK_ERR(lmb_dataset_open("imagefoldr:x", "train", NULL, &ds), LMB_EINVAL,
        "unknown data set 'imagefoldr'; did you mean 'imagefolder'?");
}

static void a_broken_file_is_named_by_the_loader(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    put("f/x/1.png", 1);
    CHECK_OK(lmb_file_write(in_folder("f/x/2.jpg"), "\xff\xd8\xff\xe0", 4));
    CHECK_OK(lmb_dataset_open(spec("f"), "train", NULL, &ds));
    lmb_loader_opts o = {.batch = 2, .threads = 2};
    o.transform[0] = lmb_transform_default(ds, true);
    lmb_loader *l = NULL;
    lmb_batch b;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    CHECK_ERR(lmb_loader_next(l, &b), LMB_EFORMAT, "/f/x/2.jpg: JPEG:");
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

static void open_survives_lack_of_memory(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        lmb_dataset *ds = NULL;
        const char *text = spec("a");
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_dataset_open(text, "train", NULL, &ds);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        lmb_dataset_free(ds);
        assert_int_equal(st, injected ? LMB_ENOMEM : LMB_OK);
        assert_int_equal(lmb_alloc_live(), 0);
        if (!injected)
            break;
    }
}

static void real_photos_load_in_parallel(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    lmb_dataset *ds = NULL;
    char text[512];
    (void)snprintf(text, sizeof text, "imagefolder:%s/imagenet-sample", dir);
    CHECK_OK(lmb_dataset_open(text, "train", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 200);
    lmb_loader_opts o = {.batch = 50, .threads = 2, .epochs = 1, .views = 2};
    o.transform[0] = lmb_transform_default(ds, false);
    o.transform[1] = lmb_transform_default(ds, true);
    lmb_loader *l = NULL;
    lmb_batch b;
    double sum = 0;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    for (int i = 0; i < 4; i++) {
        CHECK_OK(lmb_loader_next(l, &b));
        assert_int_equal(b.count, 50);
        for (int64_t k = 0; k < 50 * 3 * 224 * 224; k++)
            sum += (double)((const float *)b.views[0]->data)[k];
    }
    CHECK_NEAR(sum / (200.0 * 3 * 224 * 224), 0, 0.2);
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_classes_and_order),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(broken_links_and_names_are_errors),
        cmocka_unit_test(hash_knows_names_and_sizes),
        cmocka_unit_test(the_input_size_is_the_users),
        cmocka_unit_test(a_folder_without_its_kind_is_understood),
        cmocka_unit_test(a_broken_file_is_named_by_the_loader),
        cmocka_unit_test(open_survives_lack_of_memory),
        cmocka_unit_test(real_photos_load_in_parallel),
    };
    char command[128];
    (void)snprintf(folder, sizeof folder, "/tmp/lmb_images_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return (system(command) != 0) + failed + lmb_test_leaks();
}
