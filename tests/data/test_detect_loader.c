/* The loader for detectors: groups and padded sizes, a pure function of seed,
 * epoch and step on any number of threads, what is left out, errors. */
#include "detect_set.h"

#include "data/detect_layout.h"
#include "data/epoch_order.h"
#include "data/hash.h"
#include "data/loader.h"

#include <time.h>
#include <unistd.h>

enum { PICTURES = 50 };

static lmb_dataset *scenes(void)
{
    const lmb_dataset_opts opts = {.train_count = PICTURES, .side = 64};
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb_dataset_open("scenes", "train", &opts, &ds));
    return ds;
}

static uint64_t hash_tensor(const lmb_tensor *t, uint64_t h)
{
    h = lmb_xxh64(&t->shape, sizeof t->shape, h);
    return lmb_xxh64(
        t->data, (size_t)lmb_tensor_count(t) * lmb_dtype_size(t->dtype), h);
}

static uint64_t hash_batch(const lmb_batch *b)
{
    const lmb_tensor *const all[] = {b->views[0], b->labels, b->indices,
        b->boxes, b->box_labels, b->box_valid, b->sizes, b->scales};
    const int64_t head[4] = {b->count, b->epoch, b->step, b->last};
    uint64_t h = lmb_xxh64(head, sizeof head, 0);
    for (size_t i = 0; i < LMB_COUNT(all); i++)
        h = hash_tensor(all[i], h);
    return h;
}

static lmb_detect_transform busy_transform(const lmb_dataset *ds)
{
    lmb_detect_transform t = lmb_detect_transform_default(ds, true);
    t.long_side = 96;
    lmb_detect_transform_range(&t, 32, 96);
    t.mosaic = 0.5;
    t.brightness = t.hue = 0.2;
    return t;
}

static void threads_and_resume_do_not_change_a_bit(void **state)
{
    (void)state;
    enum { BATCHES = 17 };
    uint64_t hash[BATCHES];
    lmb_dataset *ds = scenes();
    const lmb_detect_transform t = busy_transform(ds);
    for (int32_t threads = 0; threads < 4; threads++) {
        const lmb_loader_opts o = {.batch = 7,
            .threads = threads,
            .seed = 3,
            .shuffle = true,
            .detect = &t};
        lmb_loader *l = NULL;
        lmb_batch b;
        CHECK_OK(lmb_loader_new(ds, &o, &l));
        for (int i = 0; i < BATCHES; i++) {
            CHECK_OK(lmb_loader_next(l, &b));
            if (threads == 0)
                hash[i] = hash_batch(&b);
            assert_true(hash_batch(&b) == hash[i]);
        }
        CHECK_OK(lmb_loader_seek(l, 1, 3));
        CHECK_OK(lmb_loader_next(l, &b));
        assert_true(hash_batch(&b) == hash[lmb_loader_steps(l) + 3]);
        lmb_loader_free(l);
    }
    lmb_dataset_free(ds);
}

/* Sample i of a part of the set looks as in the whole. */
static void a_part_sees_the_pictures_of_the_whole(void **state)
{
    (void)state;
    lmb_dataset *ds = scenes();
    lmb_dataset *part = NULL;
    const int64_t pick[3] = {11, 29, 4};
    uint64_t hash[PICTURES] = {0};
    CHECK_OK(lmb_dataset_subset(ds, pick, 3, &part));
    lmb_detect_transform t = busy_transform(ds);
    t.mosaic = 0;
    t.scales = 1;
    for (int k = 0; k < 2; k++) {
        const lmb_loader_opts o = {.batch = 1, .epochs = 1, .detect = &t};
        lmb_loader *l = NULL;
        lmb_batch b;
        CHECK_OK(lmb_loader_new(k == 0 ? ds : part, &o, &l));
        for (int64_t i = 0; i < lmb_loader_steps(l); i++) {
            CHECK_OK(lmb_loader_next(l, &b));
            const uint64_t h = hash_tensor(b.views[0], 0);
            if (k == 0)
                hash[i] = h;
            else
                assert_true(h == hash[pick[i]]);
        }
        lmb_loader_free(l);
    }
    lmb_dataset_free(part);
    lmb_dataset_free(ds);
}

/* Over the epochs every short side comes, and batches have its size. */
static void short_sides_are_drawn_by_batch(void **state)
{
    (void)state;
    lmb_dataset *ds = scenes();
    lmb_detect_transform t = busy_transform(ds);
    t.mosaic = 0;
    t.max_sizes = 8;
    const lmb_loader_opts o = {
        .batch = 10, .shuffle = true, .drop_last = true, .detect = &t};
    lmb_loader *l = NULL;
    int seen[4] = {0};
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    for (int i = 0; i < 40; i++) {
        lmb_batch b;
        CHECK_OK(lmb_loader_next(l, &b));
        const int64_t side = b.views[0]->shape.dim[2];
        assert_true(side % 32 == 0 && side >= 32 && side <= 96);
        seen[side / 32]++;
        for (int64_t k = 0; k < 2 * b.count; k++)
            assert_true(((const float *)b.sizes->data)[k] == (float)side);
    }
    assert_true(seen[1] > 3 && seen[2] > 3 && seen[3] > 3);
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

static void batches_hold_the_boxes(void **state)
{
    (void)state;
    lmb_dataset *ds = scenes();
    const lmb_detect_transform t = lmb_detect_transform_default(ds, false);
    const lmb_loader_opts o = {.batch = 8, .epochs = 1, .detect = &t};
    lmb_loader *l = NULL;
    lmb_batch b;
    int64_t next = 0;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    assert_int_equal(lmb_loader_max_boxes(l), 8);
    int32_t sizes[LMB_MAX_SIZES][2];
    assert_int_equal(lmb_loader_sizes(l, sizes), 1);
    assert_true(sizes[0][0] == 64 && sizes[0][1] == 64);
    for (;;) {
        CHECK_OK(lmb_loader_next(l, &b));
        if (b.count == 0)
            break;
        assert_int_equal(b.boxes->shape.dim[0], b.count);
        for (int64_t i = 0; i < b.count; i++, next++) {
            lmb_ground_truth truth;
            assert_int_equal(((const int64_t *)b.indices->data)[i], next);
            CHECK_OK(lmb_dataset_truth(ds, next, &truth));
            assert_memory_equal((const float *)b.boxes->data + i * 32,
                truth.boxes, (size_t)truth.count * 16);
            assert_memory_equal((const int32_t *)b.box_labels->data + i * 8,
                truth.labels, (size_t)truth.count * 4);
            const float *valid = (const float *)b.box_valid->data + i * 8;
            for (int64_t k = 0; k < 8; k++)
                assert_true(valid[k] == (k < truth.count ? 1 : 0));
        }
    }
    assert_int_equal(next, PICTURES);
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

/* --- groups --------------------------------------------------------------- */

/* Two thirds wide, one third tall, a few odd ones. */
static void mixed_sizes(int32_t (*sizes)[2], int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const bool tall = i % 3 == 2;
        sizes[i][0] = tall ? 640 : 480 - (int32_t)(i % 5) * 10;
        sizes[i][1] = tall ? 480 - (int32_t)(i % 7) * 10 : 640;
        if (i % 50 == 49)
            sizes[i][1] = sizes[i][0];
    }
}

static void wide_and_tall_pictures_have_sizes_of_their_own(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    char path[64] = "/tmp/lmb_sized_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    int32_t sizes[COUNT][2];
    int64_t samples[COUNT];
    mixed_sizes(sizes, COUNT);
    lmb_dataset *ds = sized_set(path, (const int32_t(*)[2])sizes, COUNT);
    for (int64_t i = 0; i < COUNT; i++)
        samples[i] = i;
    lmb_detect_transform t = lmb_detect_transform_default(ds, true);
    lmb_detect_layout layout;
    assert_int_equal(t.long_side, 640);
    CHECK_OK(lmb__detect_layout_init(&t, ds, samples, COUNT, 16, &layout));
    assert_in_range(layout.sizes, 2, 4);
    int64_t members[LMB_MAX_SIZES] = {0};
    for (int64_t i = 0; i < COUNT; i++) {
        int32_t got[2];
        const int32_t *size = layout.size[layout.size_of[layout.group[i]][0]];
        members[layout.group[i]]++;
        lmb_detect_resized(&t, t.short_side[0], sizes[i][0], sizes[i][1], got);
        assert_true(got[0] <= size[0] && got[1] <= size[1]);
        assert_true(size[0] % 32 == 0 && size[1] % 32 == 0);
    }
    for (int32_t g = 0; g < layout.groups; g++)
        assert_true(members[g] >= 16);
    lmb__detect_layout_fini(&layout);
    t.sizes = 2; /* given ones */
    t.size[0][0] = t.size[1][1] = 640;
    t.size[0][1] = t.size[1][0] = 480;
    CHECK_ERR(lmb__detect_layout_init(&t, ds, samples, COUNT, 16, &layout),
        LMB_EINVAL, "which fits none of the sizes of batches");
    t.size[1][1] = 704;
    t.size[0][1] = 640;
    CHECK_OK(lmb__detect_layout_init(&t, ds, samples, COUNT, 16, &layout));
    assert_int_equal(layout.sizes, 2);
    assert_int_equal(layout.group[2], 0);
    assert_int_equal(layout.group[0], 1);
    lmb__detect_layout_fini(&layout);
    assert_int_equal(unlink(path), 0);
    lmb_dataset_free(ds);
}

static void every_sample_comes_once_in_batches_of_one_group(void **state)
{
    (void)state;
    enum { N = 101 };
    uint8_t group[N];
    for (int i = 0; i < N; i++)
        group[i] = (uint8_t)(i % 7 == 0 ? 2 : i % 2);
    for (int drop = 0; drop < 2; drop++) {
        lmb_epoch_order o = {.n = N,
            .batch = 6,
            .shuffle = true,
            .drop_last = drop != 0,
            .group = group,
            .groups = 3};
        CHECK_OK(lmb__epoch_order_init(&o));
        /* groups of 43, 43 and 15 */
        assert_int_equal(o.steps, drop != 0 ? 7 + 7 + 2 : 8 + 8 + 3);
        int64_t begin[2];
        for (int64_t epoch = 0; epoch < 2; epoch++) {
            int seen[N] = {0};
            lmb__epoch_order_set(&o, epoch);
            begin[epoch] = o.order[0];
            for (int64_t b = 0; b < o.steps; b++)
                for (int64_t i = o.first[b]; i < o.first[b + 1]; i++) {
                    seen[o.order[i]]++;
                    assert_int_equal(
                        group[o.order[i]], group[o.order[o.first[b]]]);
                }
            for (int i = 0; i < N; i++)
                assert_true(seen[i] == 1 || (drop != 0 && seen[i] == 0));
        }
        assert_true(begin[0] != begin[1]);
        lmb__epoch_order_fini(&o);
    }
}

/* --- what is left out, errors --------------------------------------------- */

static void pictures_without_boxes_are_left_out(void **state)
{
    (void)state;
    static const int boxes[1][4] = {{4, 4, 20, 20}};
    lmb_dataset *ds = begin_set(32, 32);
    for (int i = 0; i < 12; i++)
        add_picture(ds, boxes, i % 3 == 0 ? 0 : 1, i);
    CHECK_OK(lmb__truth_finish(ds, "painted"));
    ds->truth->crowd[0] = 1; /* that of picture 1, its only one */
    lmb_detect_transform t = lmb_detect_transform_default(ds, true);
    const lmb_loader_opts o = {.batch = 4, .epochs = 1, .detect = &t};
    lmb_loader *l = NULL;
    lmb_batch b;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    assert_int_equal(lmb_loader_left_out(l), 5);
    assert_int_equal(lmb_loader_steps(l), 2);
    CHECK_OK(lmb_loader_next(l, &b));
    assert_int_equal(((const int64_t *)b.indices->data)[0], 2);
    lmb_loader_free(l);
    t.filter_empty = false;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    assert_int_equal(lmb_loader_left_out(l), 0);
    CHECK_OK(lmb_loader_next(l, &b));
    assert_true(((const float *)b.box_valid->data)[8] == 0); /* the crowd */
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    lmb_dataset *ds = scenes();
    lmb_detect_transform t = lmb_detect_transform_default(ds, true);
    lmb_loader *l = NULL;
    lmb_batch b;
    lmb_loader_opts o = {.batch = 8, .detect = &t, .max_boxes = 1};
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    CHECK_ERR(lmb_loader_next(l, &b), LMB_EINVAL, "more boxes than max_boxes");
    lmb_loader_free(l);
    o.detect = NULL;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "boxes, not a class");
    o.detect = &t;
    o.max_boxes = -1;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "max_boxes -1");
    o.max_boxes = 0;
    o.views = 2;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "a detector has one");
    o.views = 1;
    o.batch = 51;
    o.drop_last = true;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "not one batch");
    t.pad = 0;
    CHECK_ERR(lmb_loader_new(ds, &o, &l), LMB_EINVAL, "pad 0");
    lmb_dataset *shapes = NULL;
    const lmb_dataset_opts few = {.train_count = 10};
    CHECK_OK(lmb_dataset_open("shapes", "train", &few, &shapes));
    CHECK_ERR(lmb_loader_new(shapes, &o, &l), LMB_EINVAL, "has no boxes");
    lmb_dataset_free(shapes);
    lmb_dataset_free(ds);
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    lmb_dataset *ds = scenes();
    const lmb_detect_transform t = busy_transform(ds);
    const int64_t live = lmb_alloc_live();
    const lmb_loader_opts o = {.batch = 4, .threads = 1, .detect = &t};
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

/* Not a check: prints the speed on one thread. */
static void measure(const char *spec, int32_t long_side, int32_t short_side)
{
    lmb_dataset *ds = NULL;
    CHECK_OK(lmb_dataset_open(spec, "train", NULL, &ds));
    lmb_detect_transform t = lmb_detect_transform_default(ds, true);
    if (long_side > 0) {
        t.long_side = long_side;
        t.short_side[0] = short_side;
    }
    const lmb_loader_opts o = {.batch = 8, .shuffle = true, .detect = &t};
    lmb_loader *l = NULL;
    lmb_batch b;
    struct timespec from;
    struct timespec to;
    int64_t done = 0;
    CHECK_OK(lmb_loader_new(ds, &o, &l));
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (; done < 100; done += b.count)
        CHECK_OK(lmb_loader_next(l, &b));
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    const double s = (double)(to.tv_sec - from.tv_sec) +
        1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    int32_t sizes[LMB_MAX_SIZES][2];
    const int32_t n = lmb_loader_sizes(l, sizes);
    (void)printf("%s to %d x %d: %.1f pictures/s a core;", spec,
        (int)t.long_side, (int)t.short_side[0], (double)done / s);
    for (int32_t k = 0; k < n; k++)
        (void)printf(" %dx%d", (int)sizes[k][0], (int)sizes[k][1]);
    (void)printf(" (height x width), %lld left out\n",
        (long long)lmb_loader_left_out(l));
    lmb_loader_free(l);
    lmb_dataset_free(ds);
}

static void speed_on_real_pictures(void **state)
{
    (void)state;
    const char *dir = lmb_test_data();
    SKIP_WITHOUT_DATA(dir);
    char spec[512];
    (void)snprintf(spec, sizeof spec, "coco:%s/detection/aquarium416", dir);
    measure(spec, 0, 0);
    (void)snprintf(spec, sizeof spec, "coco:%s/detection/coco256", dir);
    measure(spec, 0, 0);
    measure(spec, 1333, 800);
    measure("scenes", 0, 0);
}

LMB_TEST_MAIN(cmocka_unit_test(threads_and_resume_do_not_change_a_bit),
    cmocka_unit_test(a_part_sees_the_pictures_of_the_whole),
    cmocka_unit_test(short_sides_are_drawn_by_batch),
    cmocka_unit_test(batches_hold_the_boxes),
    cmocka_unit_test(wide_and_tall_pictures_have_sizes_of_their_own),
    cmocka_unit_test(every_sample_comes_once_in_batches_of_one_group),
    cmocka_unit_test(pictures_without_boxes_are_left_out),
    cmocka_unit_test(wrong_options_are_refused),
    cmocka_unit_test(lack_of_memory_is_reported),
    cmocka_unit_test(speed_on_real_pictures))
