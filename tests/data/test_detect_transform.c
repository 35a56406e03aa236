/* Transforms of pictures with boxes: a painted box is where its numbers say,
 * after resize, mirror, mosaic and padding; sizes; options. */
#include "detect_set.h"

#include "data/detect_transform.h"

enum { HEIGHT = 60, WIDTH = 100, MOST = 16, SIDE = 160 };

typedef struct made {
    float pixels[3 * SIDE * SIDE], boxes[4 * MOST], valid[MOST];
    float size[2], scale[2];
    int32_t labels[MOST];
    int32_t height, width;
} made;

static void run(const lmb_detect_transform *t, const lmb_dataset *ds,
    int64_t index, int64_t draw, made *m)
{
    lmb_scratch scratch = {0};
    lmb_rng rng = lmb_rng_make(7, LMB_STREAM_TEST, (uint64_t)draw, 0);
    const lmb_normalizer n = lmb_normalizer_make(t->mean, t->std);
    memset(m, 0x7f, sizeof *m);
    m->height = m->width = SIDE;
    const lmb_detect_sample s = {ds, index, t->short_side[0], SIDE, SIDE, MOST,
        m->pixels, m->boxes, m->labels, m->valid, m->size, m->scale};
    CHECK_OK(lmb_detect_transform_run(t, &n, &s, &rng, &scratch));
    lmb_scratch_fini(&scratch);
}

static float at(const made *m, int c, int y, int x)
{
    return m->pixels[(c * SIDE + y) * SIDE + x];
}

static int count_valid(const made *m)
{
    int n = 0;
    for (int k = 0; k < MOST; k++) {
        assert_true(m->valid[k] == (k < n ? 1 : m->valid[k]));
        n += m->valid[k] == 1;
        if (m->valid[k] == 1)
            continue;
        assert_true(m->valid[k] == 0 && m->labels[k] == -1);
        for (int i = 0; i < 4; i++)
            assert_true(m->boxes[4 * k + i] == 0);
    }
    return n;
}

/* Where channel c is bright. */
static void find_bright(const made *m, int c, float out[4])
{
    out[0] = out[1] = SIDE;
    out[2] = out[3] = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            if (!(at(m, c, y, x) > 0.5f))
                continue;
            out[0] = fminf(out[0], (float)x);
            out[1] = fminf(out[1], (float)y);
            out[2] = fmaxf(out[2], (float)(x + 1));
            out[3] = fmaxf(out[3], (float)(y + 1));
        }
}

static lmb_dataset *three_boxes(void)
{
    static const int boxes[3][4] = {
        {0, 10, 31, 40}, {40, 5, 60, 20}, {70, 30, 100, 60}};
    lmb_dataset *ds = begin_set(HEIGHT, WIDTH);
    add_picture(ds, boxes, 3, 0);
    CHECK_OK(lmb__truth_finish(ds, "painted"));
    return ds;
}

static void check_picture(const made *m, int32_t height, int32_t width)
{
    assert_true(m->size[0] == (float)height && m->size[1] == (float)width);
    CHECK_NEAR(m->scale[0], (double)height / HEIGHT, 1e-6);
    CHECK_NEAR(m->scale[1], (double)width / WIDTH, 1e-6);
    assert_int_equal(count_valid(m), 3);
    for (int k = 0; k < 3; k++) {
        float bright[4];
        assert_int_equal(m->labels[k], k);
        find_bright(m, k, bright);
        for (int i = 0; i < 4; i++)
            CHECK_NEAR(m->boxes[4 * k + i], bright[i], 0.75);
    }
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            if (y >= height || x >= width)
                assert_true(at(m, 0, y, x) == 0 && at(m, 2, y, x) == 0);
}

static void boxes_follow_resize_and_mirror(void **state)
{
    (void)state;
    static const int32_t sides[][4] = {/* long, short -> height, width */
        {100, 60, 60, 100}, {150, 150, 90, 150}, {150, 45, 45, 75},
        {37, 30, 22, 37}, {157, 83, 83, 138}};
    lmb_dataset *ds = three_boxes();
    static made m;
    for (size_t i = 0; i < LMB_COUNT(sides); i++)
        for (int flip = 0; flip < 2; flip++) {
            lmb_detect_transform t = lmb_detect_transform_default(ds, false);
            t.long_side = sides[i][0];
            t.short_side[0] = sides[i][1];
            t.flip = flip;
            CHECK_OK(lmb_detect_transform_check(&t));
            run(&t, ds, 0, 0, &m);
            check_picture(&m, sides[i][2], sides[i][3]);
            assert_true((m.boxes[0] < 1) == (flip == 0));
        }
    lmb_dataset_free(ds);
}

/* A mirrored picture is the mirror image, and not all are mirrored. */
static void mirroring_is_drawn(void **state)
{
    (void)state;
    lmb_dataset *ds = three_boxes();
    lmb_detect_transform t = lmb_detect_transform_default(ds, true);
    int mirrored = 0;
    static made m;
    for (int64_t draw = 0; draw < 40; draw++) {
        run(&t, ds, 0, draw, &m);
        mirrored += m.boxes[0] > 1;
        check_picture(&m, HEIGHT, WIDTH);
    }
    assert_in_range(mirrored, 10, 30);
    lmb_dataset_free(ds);
}

static bool near_box(const made *m, int label, int y, int x, float margin)
{
    const float u = (float)x + 0.5f;
    const float v = (float)y + 0.5f;
    for (int k = 0; k < MOST; k++) {
        const float *b = m->boxes + 4 * k;
        if (m->labels[k] == label && u > b[0] - margin && u < b[2] + margin &&
            v > b[1] - margin && v < b[3] + margin)
            return true;
    }
    return false;
}

/* Pixels inside boxes have their colour; of the colour outside there is what
 * the boxes that were dropped can leave. */
static void mosaics_keep_boxes_on_their_pixels(void **state)
{
    (void)state;
    static const int boxes[3][1][4] = {
        {{10, 10, 70, 50}}, {{20, 5, 90, 55}}, {{5, 5, 50, 30}}};
    lmb_dataset *ds = begin_set(HEIGHT, WIDTH);
    for (int i = 0; i < 3; i++)
        add_picture(ds, boxes[i], 1, i);
    CHECK_OK(lmb__truth_finish(ds, "painted"));
    lmb_detect_transform t = lmb_detect_transform_default(ds, true);
    t.mosaic = 1;
    t.long_side = 150;
    t.short_side[0] = 150;
    int64_t total = 0;
    int64_t stray = 0;
    int64_t all = 0;
    static made m;
    for (int64_t draw = 0; draw < 60; draw++) {
        run(&t, ds, draw % 3, draw, &m);
        assert_true(m.size[0] == 90 && m.size[1] == 150);
        total += count_valid(&m);
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 90; y++)
                for (int x = 0; x < 150; x++) {
                    const bool bright = at(&m, c, y, x) > 0.5f;
                    all += bright;
                    if (near_box(&m, c, y, x, -1.5f))
                        assert_true(bright);
                    else if (bright && !near_box(&m, c, y, x, 1))
                        stray++;
                }
    }
    assert_in_range(total, 60 * 2, 60 * 4);
    (void)printf("%lld of %lld pixels without a box\n", (long long)stray,
        (long long)all);
    assert_true(stray * 30 < all);
    lmb_dataset_free(ds);
}

static void more_boxes_than_room_is_an_error(void **state)
{
    (void)state;
    lmb_dataset *ds = three_boxes();
    const lmb_detect_transform t = lmb_detect_transform_default(ds, false);
    static made m;
    lmb_scratch scratch = {0};
    lmb_rng rng = lmb_rng_make(7, LMB_STREAM_TEST, 0, 0);
    const lmb_normalizer n = lmb_normalizer_make(t.mean, t.std);
    lmb_detect_sample s = {ds, 0, t.short_side[0], SIDE, SIDE, 2, m.pixels,
        m.boxes, m.labels, m.valid, m.size, m.scale};
    CHECK_ERR(lmb_detect_transform_run(&t, &n, &s, &rng, &scratch), LMB_EINVAL,
        "more boxes than max_boxes, 2");
    s.max_boxes = 3;
    s.height = HEIGHT - 1;
    CHECK_ERR(lmb_detect_transform_run(&t, &n, &s, &rng, &scratch), LMB_ESHAPE,
        "is 100 x 60 after the resize, the batch 160 x 59");
    assert_int_equal(lmb_detect_most_boxes(&t, ds), 8);
    lmb_scratch_fini(&scratch);
    lmb_dataset_free(ds);
}

/* Values of mmcv's rescale_size, int(side * scale + 0.5). */
static void sizes_are_mmdetections(void **state)
{
    (void)state;
    static const int32_t want[][6] = {/* long, short, h, w -> h, w */
        {1333, 800, 480, 640, 800, 1067}, {1333, 800, 640, 480, 1067, 800},
        {1333, 800, 427, 640, 800, 1199}, {1333, 800, 375, 1242, 402, 1333},
        {1333, 800, 333, 500, 800, 1201}, {1333, 640, 612, 612, 640, 640},
        {512, 512, 1, 5000, 1, 512}};
    for (size_t i = 0; i < LMB_COUNT(want); i++) {
        const lmb_detect_transform t = {.long_side = want[i][0]};
        int32_t got[2];
        lmb_detect_resized(&t, want[i][1], want[i][2], want[i][3], got);
        assert_int_equal(got[0], want[i][4]);
        assert_int_equal(got[1], want[i][5]);
    }
}

static void options_are_checked(void **state)
{
    (void)state;
    lmb_dataset *ds = three_boxes();
    const lmb_detect_transform good = lmb_detect_transform_default(ds, true);
    CHECK_OK(lmb_detect_transform_check(&good));
    lmb_detect_transform t = good;
    t.short_side[0] = 101;
    CHECK_ERR(lmb_detect_transform_check(&t), LMB_EINVAL, "short side 101");
    t = good;
    t.mosaic = 2;
    CHECK_ERR(lmb_detect_transform_check(&t), LMB_EINVAL, "mosaic 2");
    t = good;
    t.sizes = 1;
    t.size[0][0] = 64;
    t.size[0][1] = 70;
    CHECK_ERR(lmb_detect_transform_check(&t), LMB_EINVAL,
        "size 70 is not a multiple of pad 32");
    t = good;
    t.hue = 0.7;
    CHECK_ERR(lmb_detect_transform_check(&t), LMB_EINVAL, "hue");
    t = good;
    t.long_side = 1333;
    lmb_detect_transform_range(&t, 480, 800);
    assert_int_equal(t.scales, 11);
    assert_int_equal(t.short_side[10], 800);
    lmb_detect_transform_range(&t, 100, 1200);
    assert_int_equal(t.scales, 13);
    assert_int_equal(t.short_side[1], 196);
    assert_int_equal(t.short_side[12], 1200);
    lmb_detect_transform_range(&t, 320, 427);
    assert_int_equal(t.scales, 5);
    assert_int_equal(t.short_side[3], 416);
    assert_int_equal(t.short_side[4], 427);
    lmb_detect_transform_range(&t, 320, 320);
    assert_int_equal(t.scales, 1);
    CHECK_OK(lmb_detect_transform_check(&t));
    lmb_dataset_free(ds);
}

LMB_TEST_MAIN(cmocka_unit_test(boxes_follow_resize_and_mirror),
    cmocka_unit_test(mirroring_is_drawn),
    cmocka_unit_test(mosaics_keep_boxes_on_their_pixels),
    cmocka_unit_test(more_boxes_than_room_is_an_error),
    cmocka_unit_test(sizes_are_mmdetections),
    cmocka_unit_test(options_are_checked))
