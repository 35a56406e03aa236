/* The generated set of scenes: deterministic, boxes tight, options, a sheet.
 */
#include "lmb_test.h"

#include "data/data.h"

static lmb_dataset *open_small(const char *split, uint64_t seed)
{
    const lmb_dataset_opts opts = {
        .seed = seed, .train_count = 60, .test_count = 60};
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb_dataset_open("scenes", split, &opts, &ds));
    return ds;
}

static void counts_sizes_and_classes(void **state)
{
    (void)state;
    lmb_dataset *ds = open_small("train", 0);
    int64_t boxes = 0;
    int seen[10] = {0};
    assert_int_equal(lmb_dataset_count(ds), 60);
    assert_int_equal(lmb_dataset_classes(ds), 10);
    assert_string_equal(lmb_dataset_class_names(ds)[6], "star");
    for (int64_t i = 0; i < 60; i++) {
        lmb_ground_truth t;
        CHECK_OK(lmb_dataset_truth(ds, i, &t));
        assert_in_range(t.count, 0, 7);
        boxes += t.count;
        for (int64_t k = 0; k < t.count; k++) {
            const float *b = t.boxes + 4 * k;
            const float w = b[2] - b[0];
            const float h = b[3] - b[1];
            assert_true(b[0] >= 0 && b[3] <= 128);
            assert_true(w >= 2.5f && h >= 2.5f && w < 90 && h < 90);
            assert_true(t.area[k] > 0 && t.area[k] <= w * h);
            seen[t.labels[k]]++;
        }
    }
    (void)printf("%.2f boxes a picture\n", (double)boxes / 60);
    assert_in_range(boxes, 150, 300);
    for (int k = 0; k < 10; k++)
        assert_true(seen[k] > 0);
    lmb_dataset_free(ds);
}

/* The same on every machine: these values change only on purpose. */
static void pictures_never_change(void **state)
{
    (void)state;
    const struct {
        const char *split;
        uint64_t seed, hash;
    } want[] = {{"train", 0, 0xb94d886969212950u},
        {"test", 0, 0x3010a14e12436b35u}, {"val", 0, 0xca048ad3d73ccb97u},
        {"train", 1, 0x128eb5203667667au}};
    for (size_t i = 0; i < LMB_COUNT(want); i++) {
        lmb_dataset *ds = open_small(want[i].split, want[i].seed);
        (void)printf("%s %d: 0x%016llxu\n", want[i].split, (int)want[i].seed,
            (unsigned long long)lmb_dataset_hash(ds));
        assert_true(lmb_dataset_hash(ds) == want[i].hash);
        assert_int_equal(lmb_dataset_is_test(ds), i == 1);
        lmb_dataset_free(ds);
    }
}

static void options_are_checked(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    const lmb_dataset_opts wide = {.train_count = 2, .classes = 6, .side = 200};
    CHECK_OK(lmb_dataset_open("scenes", "train", &wide, &ds));
    int32_t h = 0;
    int32_t w = 0;
    assert_true(lmb_dataset_picture_size(ds, 1, &h, &w));
    assert_true(h == 200 && w == 200);
    assert_int_equal(lmb_dataset_classes(ds), 6);
    lmb_dataset_free(ds);
    const lmb_dataset_opts small = {.side = 31};
    CHECK_ERR(lmb_dataset_open("scenes", "train", &small, &ds), LMB_EINVAL,
        "side 31");
    const lmb_dataset_opts many = {.classes = 11};
    CHECK_ERR(lmb_dataset_open("scenes", "train", &many, &ds), LMB_EINVAL,
        "11 classes");
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    const lmb_dataset_opts opts = {.train_count = 20, .side = 32};
    for (int64_t n = 0;; n++) {
        lmb_dataset *ds = NULL;
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_dataset_open("scenes", "train", &opts, &ds);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        lmb_dataset_free(ds);
        assert_int_equal(st, injected ? LMB_ENOMEM : LMB_OK);
        if (!injected)
            break;
    }
}

static void outline_box(uint8_t *rgb, int stride, const float *box)
{
    for (int y = 0; y < 128; y++)
        for (int x = 0; x < 128; x++) {
            const bool inside = (float)x + 1 > box[0] && (float)x < box[2] &&
                (float)y + 1 > box[1] && (float)y < box[3];
            const bool deep = (float)x > box[0] && (float)x + 1 < box[2] &&
                (float)y > box[1] && (float)y + 1 < box[3];
            if (inside && !deep)
                memset(rgb + 3 * (y * stride + x), 255, 2);
        }
}

/* 10 x 6 pictures with their boxes; kept only where LMB_SHEET names a file. */
static void contact_sheet(void **state)
{
    (void)state;
    enum { COLUMNS = 10, ROWS = 6, TILE = 128, STRIDE = COLUMNS * TILE };
    const char *path = getenv("LMB_SHEET");
    if (path == NULL) {
        (void)printf("skipped: LMB_SHEET names no file for the sheet\n");
        skip();
    }
    lmb_dataset *ds = open_small("train", 0);
    uint8_t *rgb = lmb_alloc(ROWS * TILE * STRIDE, 3);
    assert_non_null(rgb);
    for (int i = 0; i < COLUMNS * ROWS; i++) {
        lmb_scratch scratch = {0};
        lmb_image image;
        lmb_ground_truth t;
        uint8_t *tile =
            rgb + 3 * (i / COLUMNS * TILE * STRIDE + i % COLUMNS * TILE);
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
        CHECK_OK(lmb_dataset_truth(ds, i, &t));
        for (size_t y = 0; y < TILE; y++)
            memcpy(tile + 3 * y * STRIDE, image.rgb + 3 * y * TILE, 3 * TILE);
        for (int64_t k = 0; k < t.count; k++)
            outline_box(tile, STRIDE, t.boxes + 4 * k);
        lmb_scratch_fini(&scratch);
    }
    const lmb_image sheet = {ROWS * TILE, STRIDE, rgb};
    CHECK_OK(lmb_image_save_png(path, &sheet));
    lmb_free(rgb);
    lmb_dataset_free(ds);
}

LMB_TEST_MAIN(cmocka_unit_test(counts_sizes_and_classes),
    cmocka_unit_test(pictures_never_change),
    cmocka_unit_test(options_are_checked),
    cmocka_unit_test(lack_of_memory_is_reported),
    cmocka_unit_test(contact_sheet))
