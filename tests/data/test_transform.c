/* Transforms: crops, mirror, normalisation, draws that depend on the stream
 * alone. */
#include "lmb_test.h"

#include "data/transform.h"

enum { SIDE = 16, PIXELS = SIDE * SIDE };

static uint8_t pixels[PIXELS * 3];
static const lmb_image picture = {SIDE, SIDE, pixels};

/* Red is the column, green the row, blue the sum. Never 0. */
static void fill(void)
{
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            uint8_t *p = pixels + 3 * (y * SIDE + x);
            p[0] = (uint8_t)(x + 1);
            p[1] = (uint8_t)(y + 1);
            p[2] = (uint8_t)(x + y + 1);
        }
}

static lmb_transform plain(int32_t side)
{
    return (lmb_transform){.height = side, .width = side, .std = {1, 1, 1}};
}

/* Back to bytes: mean 0 and deviation 1. */
static int byte_at(const float *out, int side, int c, int y, int x)
{
    return (int)(out[(c * side + y) * side + x] * 255.0f + 0.5f);
}

static void run(const lmb_transform *t, uint64_t sample, float *out)
{
    lmb_scratch scratch = {0};
    const lmb_normalizer n = lmb_normalizer_make(t->mean, t->std);
    lmb_rng rng = lmb_rng_make(1, LMB_STREAM_AUGMENT, 0, sample);
    CHECK_OK(lmb_transform_check(t));
    CHECK_OK(lmb_transform_run(t, &n, &picture, &rng, &scratch, out));
    lmb_scratch_fini(&scratch);
}

/* Every window of the padded picture appears, mirrored or not, and each one
 * is exact. */
static void padded_crops_are_exact(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    static float out[3 * PIXELS];
    int seen[9][9][2] = {{{0}}};
    lmb_transform t = plain(SIDE);
    t.crop = LMB_CROP_PAD;
    t.pad = 4;
    t.flip = 0.5;
    fill();
    for (uint64_t i = 0; i < DRAWS; i++) {
        run(&t, i, out);
        /* The middle is inside for every window. */
        const int mid = SIDE / 2;
        const int dy = byte_at(out, SIDE, 1, mid, mid) - 1 - mid;
        const int red = byte_at(out, SIDE, 0, mid, mid);
        const int flip = byte_at(out, SIDE, 0, mid, mid + 1) < red;
        const int at = flip ? SIDE - 1 - mid : mid;
        const int dx = red - 1 - at;
        assert_true(abs(dy) <= 4 && abs(dx) <= 4);
        seen[dy + 4][dx + 4][flip]++;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                const int sy = y + dy;
                const int sx = (flip ? SIDE - 1 - x : x) + dx;
                const bool inside =
                    sy >= 0 && sy < SIDE && sx >= 0 && sx < SIDE;
                for (int c = 0; c < 3; c++)
                    assert_int_equal(byte_at(out, SIDE, c, y, x),
                        inside ? pixels[3 * (sy * SIDE + sx) + c] : 0);
            }
    }
    for (int k = 0; k < 9 * 9 * 2; k++) {
        const int n = (&seen[0][0][0])[k];
        assert_true(n > 3 && n < 60); /* 24.7 expected */
    }
}

/* The fast path and the one over 8-bit pixels are the same function. */
static void both_paths_agree(void **state)
{
    (void)state;
    static float fast[3 * PIXELS];
    static float slow[3 * PIXELS];
    lmb_transform t = plain(SIDE);
    t.crop = LMB_CROP_PAD;
    t.pad = 5;
    t.flip = 0.5;
    t.mean[1] = 0.3;
    t.std[2] = 0.2;
    fill();
    for (uint64_t i = 0; i < 200; i++) {
        run(&t, i, fast);
        t.saturation = 1e-300; /* changes nothing, but the path */
        run(&t, i, slow);
        t.saturation = 0;
        assert_memory_equal(fast, slow, sizeof fast);
    }
}

static void normalise_rounds_as_f32(void **state)
{
    (void)state;
    const double mean[3] = {0.5071, 0.4867, 0.4408};
    const double std[3] = {0.2675, 0.2565, 0.2761};
    const lmb_normalizer n = lmb_normalizer_make(mean, std);
    /* torch 1.13: (torch.tensor(v / 255 as f32) - mean) / std */
    CHECK_NEAR(n.value[0][0], -1.8957008123397827, 0);
    CHECK_NEAR(n.value[1][128], 0.059496354311704636, 0);
    CHECK_NEAR(n.value[2][255], 2.025352954864502, 0);
}

static void centre_crop_and_resize(void **state)
{
    (void)state;
    static float out[3 * 400];
    lmb_transform t = plain(6);
    t.crop = LMB_CROP_CENTER;
    fill();
    run(&t, 0, out);
    assert_int_equal(byte_at(out, 6, 0, 0, 0), 6);
    assert_int_equal(byte_at(out, 6, 1, 5, 5), 11);
    t = plain(20); /* larger than the picture: a border of 2 */
    t.crop = LMB_CROP_CENTER;
    run(&t, 0, out);
    assert_int_equal(byte_at(out, 20, 0, 1, 5), 0);
    assert_int_equal(byte_at(out, 20, 0, 2, 2), 1);
    assert_int_equal(byte_at(out, 20, 1, 17, 17), 16);
    assert_int_equal(byte_at(out, 20, 0, 18, 17), 0);
    t = plain(4);
    t.crop = LMB_CROP_CENTER;
    t.resize = 8; /* pairs of columns 1, 2 -> 2 (rounded filter) */
    run(&t, 0, out);
    assert_true(abs(byte_at(out, 4, 0, 0, 0) - 6) <= 1);
    t = plain(SIDE / 2);
    run(&t, 0, out); /* LMB_CROP_NONE resizes the whole */
    assert_true(abs(byte_at(out, SIDE / 2, 0, 0, 7) - 16) <= 1);
}

static void resized_crops_stay_in_range(void **state)
{
    (void)state;
    static float out[3 * 64];
    lmb_transform t = plain(8);
    double smallest = 1;
    double largest = 0;
    t.crop = LMB_CROP_RESIZED;
    t.scale[0] = 0.08;
    t.scale[1] = 1;
    t.ratio[0] = 0.75;
    t.ratio[1] = 4.0 / 3;
    fill();
    for (uint64_t i = 0; i < 2000; i++) {
        run(&t, i, out);
        const double w = byte_at(out, 8, 0, 0, 7) - byte_at(out, 8, 0, 0, 0);
        const double h = byte_at(out, 8, 1, 7, 0) - byte_at(out, 8, 1, 0, 0);
        const double part = (w + 1) * (h + 1) / PIXELS;
        smallest = part < smallest ? part : smallest;
        largest = part > largest ? part : largest;
    }
    assert_true(smallest > 0.03 && smallest < 0.12);
    assert_true(largest > 0.75 && largest <= 1);
}

/* A strong view is a function of (seed, view, sample), it keeps the size, and
 * changes something nearly always. */
static void strong_views_repeat(void **state)
{
    (void)state;
    static float weak[3 * PIXELS];
    static float a[3 * PIXELS];
    static float b[3 * PIXELS];
    lmb_transform t = plain(SIDE);
    lmb_transform s = t;
    int changed = 0;
    lmb_transform_strong(&s);
    s.brightness = s.contrast = s.saturation = 0.4;
    s.hue = 0.1;
    for (int i = 0; i < PIXELS * 3; i++)
        pixels[i] = (uint8_t)(i * 89 + i / 7);
    for (uint64_t i = 0; i < 500; i++) {
        run(&t, i, weak);
        run(&s, i, a);
        run(&s, i, b);
        assert_memory_equal(a, b, sizeof a);
        changed += memcmp(a, weak, sizeof a) != 0;
    }
    assert_true(changed > 490);
}

static void wrong_fields_are_named(void **state)
{
    (void)state;
    lmb_transform t = plain(0);
    CHECK_ERR(lmb_transform_check(&t), LMB_EINVAL, "height 0");
    t = plain(8);
    t.hue = 0.6;
    CHECK_ERR(lmb_transform_check(&t), LMB_EINVAL, "hue 0.6");
    t = plain(8);
    t.flip = NAN;
    CHECK_ERR(lmb_transform_check(&t), LMB_EINVAL, "flip nan");
    t = plain(8);
    t.crop = LMB_CROP_RESIZED;
    CHECK_ERR(lmb_transform_check(&t), LMB_EINVAL, "scale 0");
}

LMB_TEST_MAIN(cmocka_unit_test(padded_crops_are_exact),
    cmocka_unit_test(both_paths_agree),
    cmocka_unit_test(normalise_rounds_as_f32),
    cmocka_unit_test(centre_crop_and_resize),
    cmocka_unit_test(resized_crops_stay_in_range),
    cmocka_unit_test(strong_views_repeat),
    cmocka_unit_test(wrong_fields_are_named))
