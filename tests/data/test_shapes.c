/* The generated set: deterministic, balanced, known bytes, a picture of it. */
#include "lmb_test.h"

#include "data/data.h"

static lmb_dataset *open_small(const char *split, uint64_t seed)
{
    const lmb_dataset_opts opts = {
        .seed = seed, .train_count = 200, .test_count = 200};
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb_dataset_open("shapes", split, &opts, &ds));
    return ds;
}

static void counts_and_labels(void **state)
{
    (void)state;
    lmb_dataset *ds = open_small("train", 0);
    assert_int_equal(lmb_dataset_count(ds), 200);
    assert_int_equal(lmb_dataset_classes(ds), 100);
    for (int64_t i = 0; i < 200; i++)
        assert_int_equal(lmb_dataset_label(ds, i), i % 100);
    assert_string_equal(lmb_dataset_class_names(ds)[13], "frame, dark stripes");
    lmb_dataset_free(ds);
}

/* The same on every machine: these values change only on purpose. */
static void pictures_never_change(void **state)
{
    (void)state;
    lmb_dataset *train = open_small("train", 0);
    lmb_dataset *test = open_small("test", 0);
    lmb_dataset *val = open_small("val", 0);
    lmb_dataset *other = open_small("train", 1);
    (void)printf("shapes train %016llx test %016llx\n",
        (unsigned long long)lmb_dataset_hash(train),
        (unsigned long long)lmb_dataset_hash(test));
    assert_true(lmb_dataset_hash(train) == 0x931d1b1f1fd7b747u);
    assert_true(lmb_dataset_hash(test) == 0x169ce07ee4bbf8a3u);
    assert_true(lmb_dataset_hash(val) != lmb_dataset_hash(test));
    assert_true(lmb_dataset_hash(other) != lmb_dataset_hash(train));
    assert_true(lmb_dataset_is_test(test) && !lmb_dataset_is_test(val));
    lmb_dataset_free(train);
    lmb_dataset_free(test);
    lmb_dataset_free(val);
    lmb_dataset_free(other);
}

/* The sheet is 20 x 10 pictures; kept only where LMB_SHEET names a file. */
static void contact_sheet(void **state)
{
    (void)state;
    enum { COLUMNS = 20, ROWS = 10, TILE = 32 };
    const char *path = getenv("LMB_SHEET");
    if (path == NULL) {
        (void)printf("skipped: LMB_SHEET names no file for the sheet\n");
        skip();
    }
    lmb_dataset *ds = open_small("train", 0);
    uint8_t *rgb = lmb_alloc(COLUMNS * ROWS * TILE * TILE, 3);
    lmb_scratch scratch = {0};
    for (int64_t i = 0; i < 200; i++) {
        lmb_image image = {0};
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
        for (int64_t y = 0; y < TILE; y++)
            memcpy(rgb +
                    3 * TILE *
                        ((i / COLUMNS * TILE + y) * COLUMNS + i % COLUMNS),
                image.rgb + 3 * TILE * y, 3 * TILE);
    }
    const lmb_image sheet = {ROWS * TILE, COLUMNS * TILE, rgb};
    CHECK_OK(lmb_image_save_png(path, &sheet));
    lmb_free(rgb);
    lmb_scratch_fini(&scratch);
    lmb_dataset_free(ds);
}

static void open_survives_lack_of_memory(void **state)
{
    (void)state;
    const lmb_dataset_opts opts = {.test_count = 40, .classes = 5};
    for (int64_t n = 0;; n++) {
        lmb_dataset *ds = NULL;
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_dataset_open("shapes", "val", &opts, &ds);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        lmb_dataset_free(ds);
        if (!injected) {
            CHECK_OK(st);
            break;
        }
        assert_int_equal(st, LMB_ENOMEM);
        assert_int_equal(lmb_alloc_live(), 0);
    }
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    lmb_dataset_opts opts = {.classes = 101};
    lmb_dataset *ds = NULL;
    CHECK_ERR(lmb_dataset_open("shapes", "train", &opts, &ds), LMB_EINVAL,
        "101 classes");
    opts = (lmb_dataset_opts){.test_count = -1};
    CHECK_ERR(lmb_dataset_open("shapes", "test", &opts, &ds), LMB_EINVAL,
        "-1 pictures");
    CHECK_ERR(lmb_dataset_open("shapes:/tmp", "test", NULL, &ds), LMB_EINVAL,
        "takes no folder");
}

LMB_TEST_MAIN(cmocka_unit_test(counts_and_labels),
    cmocka_unit_test(pictures_never_change), cmocka_unit_test(contact_sheet),
    cmocka_unit_test(open_survives_lack_of_memory),
    cmocka_unit_test(wrong_options_are_refused))
