/* Loader: batches are a pure function of (seed, epoch, step) on any number of
 * threads; resume, views, the last batch, errors. */
#include "lmb_test.h"

#include "base/file.h"
#include "data/dataset.h"
#include "data/hash.h"
#include "data/loader.h"

#include <time.h>
#include <unistd.h>

enum { SAMPLES = 100, CLASSES = 7 };

/* A set in memory whose pictures hold their own number. */
static lmb_dataset *make_set(int64_t count, int32_t side)
{
    lmb_dataset *ds = lmb_alloc(1, sizeof *ds);
    assert_non_null(ds);
    ds->name = "made";
    atomic_init(&ds->refs, 1);
    ds->height = ds->width = side;
    ds->classes = CLASSES;
    for (int c = 0; c < 3; c++)
        ds->std[c] = 1;
    for (int64_t i = 0; i < count; i++) {
        uint8_t *rgb = NULL;
        CHECK_OK(lmb__dataset_push(ds, (int32_t)(i % CLASSES), &rgb));
        for (int32_t k = 0; k < side * side * 3; k++)
            rgb[k] = (uint8_t)(i + k * 7);
    }
    lmb__dataset_hash_memory(ds);
    return ds;
}

static lmb_loader_opts opts_for(const lmb_dataset *ds, int32_t threads)
{
    lmb_loader_opts o = {.batch = 16, .threads = threads, .seed = 3};
    o.shuffle = true;
    o.views = 2;
    o.transform[0] = lmb_transform_default(ds, true);
    o.transform[1] = o.transform[0];
    lmb_transform_strong(&o.transform[1]);
    o.transform[1].hue = 0.2;
    return o;
}

static uint64_t hash_tensor(const lmb_tensor *t, uint64_t h)
{
    if (t == NULL)
        return h;
    return lmb_xxh64(
        t->data, (size_t)lmb_tensor_count(t) * lmb_dtype_size(t->dtype), h);
}

static uint64_t hash_batch(const lmb_batch *b, uint64_t h)
{
    const int64_t head[4] = {b->count, b->epoch, b->step, b->last};
    h = lmb_xxh64(head, sizeof head, h);
    h = hash_tensor(b->views[0], h);
    h = hash_tensor(b->views[1], h);
    return hash_tensor(b->indices, hash_tensor(b->labels, h));
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    enum { BATCHES = 20 };
    uint64_t hash[4][BATCHES];
    const int32_t threads[4] = {0, 1, 2, 4};
    lmb_dataset *ds = make_set(SAMPLES, 12);
    for (int k = 0; k < 4; k++) {
        lmb_loader *l = NULL;
        const lmb_loader_opts o = opts_for(ds, threads[k]);
        CHECK_OK(lmb_loader_new(ds, &o, &l));
        for (int i = 0; i < BATCHES; i++) {
            lmb_batch b;
            CHECK_OK(lmb_loader_next(l, &b));
            hash[k][i] = hash_batch(&b, 0);
            assert_true(hash[k][i] == hash[0][i]);
        }
        lmb_loader_free(l);
    }
    lmb_dataset_free(ds);
}

static void an_epoch_shows_every_sample_once(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set(SAMPLES, 8);
    const lmb_loader_opts o = opts_for(ds, 2);
    lmb_loader *l = NULL;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    assert_int_equal(lmb_loader_steps(l), 7);
    int64_t first[2] = {0};
    for (int64_t epoch = 0; epoch < 2; epoch++) {
        int seen[SAMPLES] = {0};
        for (int64_t step = 0; step < 7; step++) {
            lmb_batch b;
            CHECK_OK(lmb_loader_next(l, &b));
            assert_int_equal(b.epoch, epoch);
            assert_int_equal(b.step, step);
            assert_int_equal(b.count, step < 6 ? 16 : 4);
            assert_int_equal(b.views[0]->shape.dim[0], b.count);
            assert_int_equal(b.last, step == 6);
            const int64_t *index = b.indices->data;
            for (int64_t i = 0; i < b.count; i++) {
                seen[index[i]]++;
                assert_int_equal(
                    ((const int32_t *)b.labels->data)[i], index[i] % CLASSES);
            }
            first[epoch] = step == 0 ? index[0] : first[epoch];
        }
        for (int i = 0; i < SAMPLES; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_true(first[0] != first[1]);
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

/* Of a sample's pictures in one epoch, at its place in the whole set. */
static void hash_pictures(const lmb_dataset *ds, uint64_t hash[static SAMPLES])
{
    const lmb_loader_opts o = opts_for(ds, 0);
    lmb_loader *l = NULL;
    lmb_batch b = {0};
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    CHECK_OK(lmb_loader_seek(l, 3, 0));
    while (!b.last) {
        CHECK_OK(lmb_loader_next(l, &b));
        const int64_t size = lmb_tensor_count(b.views[0]) / b.count;
        for (int64_t i = 0; i < b.count; i++) {
            const int64_t at = ((const int64_t *)b.indices->data)[i];
            hash[lmb_dataset_root_index(ds, at)] =
                lmb_xxh64((const float *)b.views[0]->data + i * size,
                    (size_t)size * sizeof(float), 0);
        }
    }
    lmb_loader_free(l);
}

static void a_part_shows_the_pictures_of_the_whole(void **state)
{
    (void)state;
    uint64_t all[SAMPLES] = {0}, part[SAMPLES] = {0};
    lmb_dataset *ds = make_set(SAMPLES, 12);
    lmb_dataset *rest = NULL, *held = NULL, *few = NULL;
    CHECK_OK(lmb_dataset_split(ds, 0.3, 1, &rest, &held));
    CHECK_OK(lmb_dataset_fraction(rest, 0.5, 1, &few));
    hash_pictures(ds, all);
    hash_pictures(few, part);
    for (int64_t i = 0; i < lmb_dataset_count(few); i++) {
        const int64_t at = lmb_dataset_root_index(few, i);
        assert_true(part[at] == all[at]);
    }
    lmb_dataset_free(few);
    lmb_dataset_free(held);
    lmb_dataset_free(rest);
    lmb_dataset_free(ds);
}

static void seek_resumes_exactly(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set(SAMPLES, 8);
    for (int32_t threads = 0; threads <= 3; threads += 3) {
        const lmb_loader_opts o = opts_for(ds, threads);
        lmb_loader *l = NULL;
        uint64_t hash[21];
        lmb_batch b;
        CHECK_OK(lmb_loader_new(ds, &o, &l));
        for (int i = 0; i < 21; i++) {
            CHECK_OK(lmb_loader_next(l, &b));
            hash[i] = hash_batch(&b, 0);
        }
        CHECK_OK(lmb_loader_seek(l, 1, 5));
        for (int i = 12; i < 21; i++) {
            CHECK_OK(lmb_loader_next(l, &b));
            assert_true(hash_batch(&b, 0) == hash[i]);
        }
        CHECK_ERR(lmb_loader_seek(l, 0, 7), LMB_EINVAL, "0 .. 6");
        for (int i = 0; i < 50; i++) /* in the middle of the work */
            CHECK_OK(lmb_loader_seek(l, i, 0));
        CHECK_OK(lmb_loader_seek(l, 0, 0));
        CHECK_OK(lmb_loader_next(l, &b));
        assert_true(hash_batch(&b, 0) == hash[0]);
        lmb_loader_free(l);
    }
    lmb_dataset_free(ds);
}

static void drop_last_and_the_end(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set(SAMPLES, 8);
    for (int32_t threads = 0; threads <= 2; threads++) {
        lmb_loader_opts o = opts_for(ds, threads);
        o.drop_last = true;
        o.epochs = 1;
        o.shuffle = false;
        o.views = 1;
        lmb_loader *l = NULL;
        lmb_batch b;
        CHECK_OK(lmb_loader_new(ds, &o, &l));
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t i = 0; i < 6; i++) {
                CHECK_OK(lmb_loader_next(l, &b));
                assert_int_equal(b.count, 16);
                assert_int_equal(((const int64_t *)b.indices->data)[0], 16 * i);
                assert_null(b.views[1]);
            }
            CHECK_OK(lmb_loader_next(l, &b));
            assert_int_equal(b.count, 0);
            CHECK_OK(lmb_loader_next(l, &b));
            assert_int_equal(b.count, 0);
            CHECK_OK(lmb_loader_seek(l, 0, 0));
        }
        lmb_loader_free(l);
    }
    lmb_dataset_free(ds);
}

/* Without transforms a batch holds v / 255 at the right place. */
static void values_are_normalised_planes(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set(3, 4);
    lmb_loader_opts o = {.batch = 2};
    o.transform[0] = lmb_transform_default(ds, false);
    o.transform[0].mean[1] = 0.25;
    o.transform[0].std[1] = 0.5;
    lmb_loader *l = NULL;
    lmb_batch b;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    CHECK_OK(lmb_loader_next(l, &b));
    const float *x = b.views[0]->data;
    for (int n = 0; n < 2; n++)
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < 16; p++) {
                const float v = (float)(uint8_t)(n + (p * 3 + c) * 7) / 255.0f;
                const float want = c == 1 ? (v - 0.25f) / 0.5f : v;
                assert_true(x[(n * 3 + c) * 16 + p] == want);
            }
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

static void a_bad_picture_is_named_and_passed(void **state)
{
    (void)state;
    char path[64] = "/tmp/lmb_bad_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    lmb_dataset *ds = make_set(40, 8);
    const char *paths[40];
    for (int i = 0; i < 40; i++)
        paths[i] = path;
    lmb_free(ds->pixels);
    ds->pixels = NULL;
    ds->paths = paths;
    for (int32_t threads = 0; threads <= 2; threads += 2) {
        lmb_loader_opts o = {.batch = 20, .threads = threads};
        o.transform[0] = lmb_transform_default(ds, false);
        lmb_loader *l = NULL;
        lmb_batch b;
        CHECK_OK(lmb_loader_new(ds, &o, &l));
        CHECK_ERR(lmb_loader_next(l, &b), LMB_EFORMAT,
            "epoch 0 step 0 sample 0: /tmp/lmb_bad_");
        CHECK_ERR(lmb_loader_next(l, &b), LMB_EFORMAT,
            "epoch 0 step 1 sample 20: /tmp/lmb_bad_");
        lmb_loader_free(l);
    }
    assert_int_equal(unlink(path), 0);
    lmb_dataset_free(ds);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set(10, 8);
    lmb_loader *l = NULL;
    lmb_loader_opts o = opts_for(ds, 0);
    o.batch = -1;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "batch -1");
    o = opts_for(ds, -1);
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "threads");
    o = opts_for(ds, 0);
    o.drop_last = true;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "not one batch");
    o = opts_for(ds, 0);
    o.transform[1].std[2] = 0;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "std");
    o = opts_for(ds, 0);
    o.transform[0].height = 40;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    lmb_batch b;
    CHECK_ERR(lmb_loader_next(l, &b), LMB_ESHAPE, "padded by 4");
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set(40, 8);
    const int64_t live = lmb_alloc_live();
    const lmb_loader_opts o = opts_for(ds, 2);
    for (int64_t n = 0;; n++) {
        lmb_loader *l = NULL;
        lmb_batch b;
        lmb_alloc_fail_at(n);
        lmb_status st = lmb_loader_new(ds, &o, &l);
        if (st == LMB_OK)
            st = lmb_loader_next(l, &b);
        lmb_loader_free(l);
        const bool injected = lmb_alloc_failed();
        lmb_alloc_fail_at(-1);
        assert_int_equal(lmb_alloc_live(), live);
        if (!injected)
            break;
        assert_true(st == LMB_ENOMEM || st == LMB_OK);
    }
    lmb_dataset_free(ds);
}

/* Not a check: prints the speed of the usual CIFAR path on one thread. */
static void speed_of_the_cifar_path(void **state)
{
    (void)state;
    lmb_dataset *ds = make_set(10000, 32);
    lmb_loader_opts o = {.batch = 64, .shuffle = true};
    o.transform[0] = lmb_transform_default(ds, true);
    lmb_loader *l = NULL;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    struct timespec a;
    struct timespec b;
    int64_t done = 0;
    const int64_t live = lmb_alloc_live();
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    while (done < 20000) {
        lmb_batch batch;
        CHECK_OK(lmb_loader_next(l, &batch));
        done += batch.count;
    }
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    assert_int_equal(lmb_alloc_live(), live);
    const double s =
        (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
    (void)printf(
        "crop + flip + normalise: %.0f pictures/s a core\n", (double)done / s);
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

LMB_TEST_MAIN(cmocka_unit_test(threads_do_not_change_a_bit),
    cmocka_unit_test(an_epoch_shows_every_sample_once),
    cmocka_unit_test(a_part_shows_the_pictures_of_the_whole),
    cmocka_unit_test(seek_resumes_exactly),
    cmocka_unit_test(drop_last_and_the_end),
    cmocka_unit_test(values_are_normalised_planes),
    cmocka_unit_test(a_bad_picture_is_named_and_passed),
    cmocka_unit_test(wrong_options_are_refused),
    cmocka_unit_test(lack_of_memory_is_reported),
    cmocka_unit_test(speed_of_the_cifar_path))
