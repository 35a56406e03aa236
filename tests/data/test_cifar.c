/* CIFAR readers: values, compressed forms, damaged files, views. */
#include "lmb_test.h"

#include "base/file.h"
#include "data/data.h"
#include "data/hash.h"

#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PIXELS = 3072, RECORDS = 40 };

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/lmb_cifar_XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char *spec_of(const char *name)
{
    static char spec[256];
    (void)snprintf(spec, sizeof spec, "%s:%s", name, folder);
    return spec;
}

/* Record i: coarse i % 20, fine i % 100, byte j = i + j. */
static size_t make_records(int label_bytes, int classes, uint8_t *out)
{
    uint8_t *p = out;
    for (int i = 0; i < RECORDS; i++) {
        if (label_bytes == 2)
            *p++ = (uint8_t)(i % 20);
        *p++ = (uint8_t)(i % classes);
        for (int j = 0; j < PIXELS; j++)
            *p++ = (uint8_t)(i + j);
    }
    return (size_t)(p - out);
}

static uint8_t records[RECORDS * (PIXELS + 2)];
static uint8_t packed[sizeof records + 65536];

static size_t pack_xz_of(const void *bytes, size_t size)
{
    size_t at = 0;
    assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, bytes,
                         size, packed, &at, sizeof packed),
        LZMA_OK);
    return at;
}

static size_t pack_xz(size_t size)
{
    return pack_xz_of(records, size);
}

static size_t pack_gz_of(uint8_t *bytes, size_t size)
{
    z_stream z = {0};
    assert_int_equal(
        deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = bytes;
    z.avail_in = (uInt)size;
    z.next_out = packed;
    z.avail_out = sizeof packed;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t at = z.total_out;
    (void)deflateEnd(&z);
    return at;
}

static size_t pack_gz(size_t size)
{
    return pack_gz_of(records, size);
}

static void check_values(const lmb_dataset *ds, int classes)
{
    int32_t h = 0;
    int32_t w = 0;
    lmb_scratch scratch = {0};
    assert_int_equal(lmb_dataset_classes(ds), classes);
    assert_true(lmb_dataset_size(ds, &h, &w));
    assert_true(h == 32 && w == 32);
    for (int64_t i = 0; i < lmb_dataset_count(ds); i++) {
        lmb_image image = {0};
        const int r = (int)(i % RECORDS);
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
        assert_int_equal(lmb_dataset_label(ds, i), r % classes);
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(image.rgb[(y * 32 + x) * 3 + c],
                        (uint8_t)(r + c * 1024 + y * 32 + x));
    }
    lmb_scratch_fini(&scratch);
}

static void open_and_check(const char *spec, const char *split, int classes,
    int64_t count, uint64_t *hash)
{
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb_dataset_open(spec, split, NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), count);
    check_values(ds, classes);
    *hash = lmb_dataset_hash(ds);
    lmb_dataset_free(ds);
}

static void plain_xz_and_gz_give_the_same(void **state)
{
    (void)state;
    uint64_t plain = 0;
    uint64_t xz = 0;
    uint64_t gz = 0;
    const size_t size = make_records(2, 100, records);
    CHECK_OK(lmb_make_dirs(in_folder("cifar-100-binary")));
    CHECK_OK(
        lmb_file_write(in_folder("cifar-100-binary/train.bin"), records, size));
    open_and_check(spec_of("cifar100"), "train", 100, RECORDS, &plain);
    assert_int_equal(unlink(in_folder("cifar-100-binary/train.bin")), 0);
    CHECK_OK(lmb_file_write(in_folder("test.bin.xz"), packed, pack_xz(size)));
    open_and_check(spec_of("CIFAR100"), "test", 100, RECORDS, &xz);
    assert_int_equal(unlink(in_folder("test.bin.xz")), 0);
    CHECK_OK(lmb_file_write(in_folder("test.bin.gz"), packed, pack_gz(size)));
    open_and_check(spec_of("cifar100"), "test", 100, RECORDS, &gz);
    assert_true(plain == xz && xz == gz && plain != 0);
}

static void cifar10_needs_all_five_files(void **state)
{
    (void)state;
    char name[64];
    lmb_dataset *ds = NULL;
    uint64_t hash = 0;
    const size_t size = make_records(1, 10, records);
    for (int i = 1; i <= 5; i++) {
        (void)snprintf(name, sizeof name, "data_batch_%d.bin", i);
        CHECK_OK(lmb_file_write(in_folder(name), records, size));
    }
    open_and_check(spec_of("cifar10"), "train", 10, 5 * RECORDS, &hash);
    assert_int_equal(unlink(in_folder("data_batch_4.bin")), 0);
    CHECK_ERR(lmb_dataset_open(spec_of("cifar10"), "train", NULL, &ds),
        LMB_ENOTFOUND, "data_batch_4.bin is missing");
    CHECK_ERR(lmb_dataset_open(spec_of("cifar10"), "test", NULL, &ds),
        LMB_ENOTFOUND, "no test_batch.bin");
}

static void copy_golden(const char *name, const char *to, size_t cut)
{
    lmb_file file = {0};
    char from[512];
    (void)snprintf(
        from, sizeof from, LMB_TEST_DIR "/data/golden/%s.pickle", name);
    CHECK_OK(lmb_file_open(from, &file));
    CHECK_OK(lmb_file_write(in_folder(to), file.bytes, file.size - cut));
    lmb_file_close(&file);
}

static void check_pickled(const char *name, const char *split)
{
    lmb_dataset *ds = NULL;
    lmb_scratch scratch = {0};
    CHECK_OK(lmb_dataset_open(spec_of(name), split, NULL, &ds));
    for (int64_t i = 0; i < lmb_dataset_count(ds); i++) {
        const int64_t r = i % 3;
        lmb_image image = {0};
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
        assert_int_equal(lmb_dataset_label(ds, i), 2 * r + 1);
        for (int k = 0; k < PIXELS; k++)
            assert_int_equal(
                image.rgb[k], (uint8_t)(5 * r + k % 3 * 1024 + k / 3));
    }
    lmb_dataset_free(ds);
}

static void python_pickles_are_read(void **state)
{
    (void)state;
    char name[64];
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb_make_dirs(in_folder("cifar-100-python")));
    CHECK_OK(lmb_make_dirs(in_folder("cifar-10-batches-py")));
    copy_golden("cifar_bytes", "cifar-100-python/train", 0);
    check_pickled("cifar100", "train");
    for (int i = 1; i <= 5; i++) {
        (void)snprintf(
            name, sizeof name, "cifar-10-batches-py/data_batch_%d", i);
        copy_golden("cifar_str", name, 0);
    }
    check_pickled("cifar10", "train");
    copy_golden("cifar_str", "cifar-100-python/train", 4000);
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "train", NULL, &ds),
        LMB_EFORMAT, "cifar-100-python/train");
    CHECK_OK(lmb_file_write(in_folder("cifar-100-python/train"), "N.", 2));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "train", NULL, &ds),
        LMB_EFORMAT, "no array 'data'");
    CHECK_OK(lmb_file_write(
        in_folder("cifar-100-python/train"), "cos\nsystem\n.", 12));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "train", NULL, &ds),
        LMB_EFORMAT, "system");
    for (int i = 1; i <= 5; i++) {
        (void)snprintf(
            name, sizeof name, "cifar-10-batches-py/data_batch_%d", i);
        assert_int_equal(unlink(in_folder(name)), 0);
    }
    assert_int_equal(unlink(in_folder("cifar-100-python/train")), 0);
}

static void compressed_pickles_are_read(void **state)
{
    (void)state;
    lmb_file file = {0};
    lmb_dataset *ds = NULL;
    CHECK_OK(
        lmb_file_open(LMB_TEST_DIR "/data/golden/cifar_bytes.pickle", &file));
    assert_true(file.size < sizeof records);
    memcpy(records, file.bytes, file.size);
    const size_t size = file.size;
    lmb_file_close(&file);
    CHECK_OK(lmb_make_dirs(in_folder("cifar-100-python")));
    const char *name = "cifar-100-python/train.gz";
    CHECK_OK(
        lmb_file_write(in_folder(name), packed, pack_gz_of(records, size)));
    check_pickled("cifar100", "train");
    assert_int_equal(unlink(in_folder(name)), 0);
    /* The first bytes decide, not the name. */
    const size_t xz = pack_xz_of(records, size);
    CHECK_OK(lmb_file_write(in_folder("cifar-100-python/train"), packed, xz));
    check_pickled("cifar100", "train");
    assert_int_equal(unlink(in_folder("cifar-100-python/train")), 0);
    CHECK_OK(lmb_file_write(in_folder("train.xz"), packed, xz));
    check_pickled("cifar100", "train");
    CHECK_OK(lmb_file_write(in_folder("train.xz"), packed, xz / 2));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "train", NULL, &ds),
        LMB_EFORMAT, "train.xz: xz data is cut short");
    assert_int_equal(unlink(in_folder("train.xz")), 0);
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "train", NULL, &ds),
        LMB_ENOTFOUND, "no pickle train, .xz or .gz here");
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    const char *path = "test.bin";
    const size_t size = make_records(2, 100, records);
    (void)unlink(in_folder("test.bin.gz"));
    CHECK_OK(lmb_file_write(in_folder(path), records, size - 1));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds),
        LMB_EFORMAT, "record 39 has 3073 bytes, not 3074");
    CHECK_OK(lmb_file_write(in_folder(path), records, 0));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds),
        LMB_EFORMAT, "record 0 has 0 bytes");
    records[1] = 100;
    CHECK_OK(lmb_file_write(in_folder(path), records, size));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds),
        LMB_EFORMAT, "label 100");
    records[1] = 0;
    const size_t xz = pack_xz(size);
    CHECK_OK(lmb_file_write(in_folder(path), packed, xz / 2));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds),
        LMB_EFORMAT, "xz data is cut short");
    packed[xz / 2] ^= 0x10;
    CHECK_OK(lmb_file_write(in_folder(path), packed, xz));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds),
        LMB_EFORMAT, "damaged xz data");
    const size_t gz = pack_gz(size);
    CHECK_OK(lmb_file_write(in_folder(path), packed, gz - 9));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds),
        LMB_EFORMAT, "gzip data is cut short");
    CHECK_OK(lmb_file_write(in_folder(path), records, size));
    CHECK_OK(lmb_file_write(in_folder("fine_label_names.txt"), "a\nb\n", 4));
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds),
        LMB_EFORMAT, "2 names for 100 classes");
    assert_int_equal(unlink(in_folder("fine_label_names.txt")), 0);
}

static void wrong_specs_are_named(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    CHECK_ERR(lmb_dataset_open("cifra100:/x", "train", NULL, &ds), LMB_EINVAL,
        "did you mean 'cifar100'?");
    CHECK_ERR(lmb_dataset_open("cifar100", "train", NULL, &ds), LMB_EINVAL,
        "cifar100:DIR");
    CHECK_ERR(lmb_dataset_open("cifar100:/nowhere/at/all", "train", NULL, &ds),
        LMB_ENOTFOUND, "no such folder");
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "tets", NULL, &ds),
        LMB_EINVAL, "not train, val or test");
    CHECK_ERR(lmb_dataset_open(spec_of("cifar100"), "val", NULL, &ds),
        LMB_EINVAL, "has no val split");
    CHECK_ERR(lmb_dataset_open("", "train", NULL, &ds), LMB_EINVAL, "NAME");
}

static void open_survives_lack_of_memory(void **state)
{
    (void)state;
    const size_t size = make_records(2, 100, records);
    CHECK_OK(lmb_file_write(in_folder("test.bin"), records, size));
    for (int64_t n = 0;; n++) {
        lmb_dataset *ds = NULL;
        const int64_t live = lmb_alloc_live();
        const char *spec = spec_of("cifar100");
        lmb_alloc_fail_at(n);
        const lmb_status st = lmb_dataset_open(spec, "test", NULL, &ds);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        if (!injected) {
            CHECK_OK(st);
            lmb_dataset_free(ds);
            break;
        }
        assert_int_equal(st, LMB_ENOMEM);
        assert_null(ds);
        assert_int_equal(lmb_alloc_live(), live);
    }
}

static void views_share_and_outlive(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    lmb_dataset *view = NULL;
    lmb_dataset *inner = NULL;
    const int64_t some[] = {7, 3, 3, 39};
    const int64_t last[] = {3};
    const int64_t bad[] = {40};
    CHECK_OK(lmb_dataset_open(spec_of("cifar100"), "test", NULL, &ds));
    assert_true(lmb_dataset_is_test(ds));
    CHECK_ERR(lmb_dataset_subset(ds, bad, 1, &view), LMB_EINVAL, "40");
    CHECK_OK(lmb_dataset_subset(ds, some, 4, &view));
    CHECK_OK(lmb_dataset_subset(view, last, 1, &inner));
    lmb_dataset_free(ds);
    lmb_dataset_free(view);
    assert_int_equal(lmb_dataset_count(inner), 1);
    assert_int_equal(lmb_dataset_label(inner, 0), 39);
    assert_int_equal(lmb_dataset_root_index(inner, 0), 39);
    lmb_scratch scratch = {0};
    lmb_image image = {0};
    CHECK_OK(lmb_dataset_image(inner, 0, &scratch, &image));
    assert_int_equal(image.rgb[0], 39);
    CHECK_ERR(
        lmb_dataset_image(inner, 1, &scratch, &image), LMB_EINVAL, "sample 1");
    lmb_dataset_free(inner);
}

static void splits_are_balanced_seeded_and_whole(void **state)
{
    (void)state;
    lmb_dataset *ds = NULL;
    lmb_dataset *rest[2] = {0};
    lmb_dataset *held[3] = {0};
    const size_t size = make_records(1, 4, records);
    CHECK_OK(lmb_file_write(in_folder("test_batch.bin"), records, size));
    CHECK_OK(lmb_dataset_open(spec_of("cifar10"), "test", NULL, &ds));
    for (int k = 0; k < 2; k++)
        CHECK_OK(lmb_dataset_split(ds, 0.3, 5, &rest[k], &held[k]));
    lmb_dataset *other = NULL;
    CHECK_OK(lmb_dataset_split(ds, 0.3, 6, &other, &held[2]));
    assert_int_equal(lmb_dataset_count(held[0]), 12);
    assert_int_equal(lmb_dataset_count(rest[0]), 28);
    assert_true(lmb_dataset_hash(held[0]) == lmb_dataset_hash(held[1]));
    assert_true(lmb_dataset_hash(held[0]) != lmb_dataset_hash(held[2]));
    int seen[RECORDS] = {0};
    int of_class[10] = {0};
    for (int64_t i = 0; i < 12; i++) {
        seen[lmb_dataset_root_index(held[0], i)]++;
        of_class[lmb_dataset_label(held[0], i)]++;
    }
    for (int64_t i = 0; i < 28; i++)
        seen[lmb_dataset_root_index(rest[0], i)]++;
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(seen[i], 1);
    for (int c = 0; c < 10; c++)
        assert_int_equal(of_class[c], c < 4 ? 3 : 0);
    lmb_dataset *part = NULL;
    CHECK_OK(lmb_dataset_fraction(ds, 0.01, 5, &part));
    assert_int_equal(lmb_dataset_count(part), 4);
    lmb_dataset *none = NULL;
    CHECK_ERR(
        lmb_dataset_split(ds, 0.001, 1, &none, &none), LMB_EINVAL, "empty");
    CHECK_ERR(lmb_dataset_split(ds, 1, 1, &none, &none), LMB_EINVAL, "1");
    CHECK_ERR(lmb_dataset_fraction(ds, 0, 1, &none), LMB_EINVAL, "0");
    lmb_dataset_free(part);
    lmb_dataset_free(other);
    for (int k = 0; k < 3; k++)
        lmb_dataset_free(held[k]);
    lmb_dataset_free(rest[0]);
    lmb_dataset_free(rest[1]);
    lmb_dataset_free(ds);
}

static void xxh64_known_answers(void **state)
{
    (void)state;
    assert_true(lmb_xxh64("", 0, 0) == 0xEF46DB3751D8E999u);
    assert_true(lmb_xxh64("a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
    assert_true(lmb_xxh64("abc", 3, 0) == 0x44BC2CF5AD770999u);
    const char *text = "Nobody inspects the spammish repetition";
    assert_true(lmb_xxh64(text, strlen(text), 0) == 0xFBCEA83C8A378BF1u);
}

/* The published facts: 100 test pictures a class, the known mean. */
static void the_real_cifar100_is_read(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    char spec[512];
    (void)snprintf(spec, sizeof spec, "cifar100:%s/cifar100", dir);
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb_dataset_open(spec, "test", NULL, &ds));
    assert_int_equal(lmb_dataset_count(ds), 10000);
    assert_string_equal(lmb_dataset_class_names(ds)[99], "worm");
    int of_class[100] = {0};
    double sum[3] = {0};
    lmb_scratch scratch = {0};
    for (int64_t i = 0; i < 10000; i++) {
        lmb_image image = {0};
        of_class[lmb_dataset_label(ds, i)]++;
        CHECK_OK(lmb_dataset_image(ds, i, &scratch, &image));
        for (int k = 0; k < PIXELS; k++)
            sum[k % 3] += image.rgb[k];
    }
    for (int c = 0; c < 100; c++)
        assert_int_equal(of_class[c], 100);
    CHECK_NEAR(sum[0] / 10000 / 1024 / 255, 0.5088, 2e-4);
    CHECK_NEAR(sum[1] / 10000 / 1024 / 255, 0.4874, 2e-4);
    CHECK_NEAR(sum[2] / 10000 / 1024 / 255, 0.4419, 2e-4);
    (void)printf("cifar100 test hash %016llx\n",
        (unsigned long long)lmb_dataset_hash(ds));
    lmb_dataset_free(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xxh64_known_answers),
        cmocka_unit_test(plain_xz_and_gz_give_the_same),
        cmocka_unit_test(python_pickles_are_read),
        cmocka_unit_test(compressed_pickles_are_read),
        cmocka_unit_test(cifar10_needs_all_five_files),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(wrong_specs_are_named),
        cmocka_unit_test(open_survives_lack_of_memory),
        cmocka_unit_test(views_share_and_outlive),
        cmocka_unit_test(splits_are_balanced_seeded_and_whole),
        cmocka_unit_test(the_real_cifar100_is_read),
    };
    if (make_folder(NULL) != 0)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return (remove_folder(NULL) != 0) + failed + lmb_test_leaks();
}
