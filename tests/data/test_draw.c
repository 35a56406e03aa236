/* test_draw.c: boxes, names and heat maps lie where they should. */
#include "lmb_test.h"

#include "data/draw.h"
#include "data/font.h"

enum { H = 60, W = 80 };

typedef struct sheet {
    uint8_t rgb[H * W * 3];
    lmb_canvas canvas;
} sheet;

static sheet blank(void)
{
    sheet s;
    memset(s.rgb, 200, sizeof s.rgb);
    s.canvas = (lmb_canvas){.height = H, .width = W};
    return s;
}

static bool is(const sheet *s, int y, int x, lmb_ink ink)
{
    return memcmp(s->rgb + 3 * (y * W + x), ink.rgb, 3) == 0;
}

static const lmb_ink grey = {{200, 200, 200}};
static const lmb_ink red = {{255, 0, 0}};
static const lmb_pen pen = {.line = 2, .text = 1};

static int64_t count(const sheet *s, lmb_ink ink)
{
    int64_t n = 0;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            n += is(s, y, x, ink);
    return n;
}

static void a_box_is_an_outline_of_its_pixels(void **state)
{
    (void)state;
    sheet s = blank();
    s.canvas.rgb = s.rgb;
    lmb_draw_box(&s.canvas, &pen, (const double[4]){10.2, 20, 29.8, 15}, red);
    for (int x = 10; x < 40; x++) {
        assert_true(is(&s, 20, x, red) && is(&s, 21, x, red));
        assert_true(is(&s, 33, x, red) && is(&s, 34, x, red));
        assert_true(is(&s, 19, x, grey) && is(&s, 35, x, grey));
    }
    for (int y = 22; y < 33; y++) {
        assert_true(is(&s, y, 10, red) && is(&s, y, 11, red));
        assert_true(is(&s, y, 38, red) && is(&s, y, 39, red));
        assert_true(is(&s, y, 9, grey) && is(&s, y, 40, grey));
        assert_true(is(&s, y, 12, grey) && is(&s, y, 37, grey));
    }
}

static void what_lies_outside_is_cut_off(void **state)
{
    (void)state;
    static const double far[][4] = {{-50, -50, 500, 500}, {70, 50, 1e300, 1e9},
        {-1e300, 1e300, 1, 1}, {W, H, 0, 0}, {NAN, NAN, NAN, NAN}};
    for (size_t i = 0; i < LMB_COUNT(far); i++) {
        sheet s = blank();
        s.canvas.rgb = s.rgb;
        lmb_draw_box(&s.canvas, &pen, far[i], red);
        lmb_draw_label(&s.canvas, &pen, far[i], red, "a long name 0.99");
        assert_true(count(&s, red) > 0);
    }
}

/* A strip of 11 rows, wholly in the picture. */
static void labels_stay_inside(void **state)
{
    (void)state;
    static const double box[][4] = {
        {20, 30, 20, 20}, {20, 2, 20, 20}, {75, 30, 5, 5}, {0, 59, 5, 5}};
    static const int top[] = {19, 2, 19, 48}, left[] = {20, 20, 55, 0};
    const int width = 4 * LMB_FONT_ADVANCE + 1;
    for (size_t i = 0; i < LMB_COUNT(box); i++) {
        sheet s = blank();
        s.canvas.rgb = s.rgb;
        lmb_draw_label(&s.canvas, &pen, box[i], red, "ab c");
        assert_true(is(&s, top[i], left[i], red));
        assert_true(is(&s, top[i] + 10, left[i] + width - 1, red));
        int64_t changed = H * W - count(&s, grey);
        assert_int_equal(changed, 11 * width);
        assert_true(count(&s, red) < changed); /* there is ink on it */
    }
}

static void names_longer_than_the_picture_are_cut(void **state)
{
    (void)state;
    sheet s = blank();
    s.canvas.rgb = s.rgb;
    lmb_draw_label(&s.canvas, &pen, (const double[4]){5, 30, 9, 9}, red,
        "a name that is much longer than eighty pixels");
    assert_int_equal(H * W - count(&s, grey), 11 * (13 * 6 + 1));
}

static void marks_have_the_colour_of_their_class(void **state)
{
    (void)state;
    sheet s = blank();
    s.canvas.rgb = s.rgb;
    const lmb_mark marks[2] = {
        {.box = {10, 20, 30, 30}, .label = 3, .score = 0.5, .name = "x"},
        {.box = {50, 20, 20, 30}, .label = 4, .score = -1}};
    lmb_draw_marks(&s.canvas, 2, marks);
    assert_true(is(&s, 49, 10, lmb_ink_of_class(3)));
    assert_true(is(&s, 49, 69, lmb_ink_of_class(4)));
    assert_true(is(&s, 9, 10, lmb_ink_of_class(3)));
}

static void classes_differ_in_colour(void **state)
{
    (void)state;
    for (int a = 0; a < 20; a++)
        for (int b = 0; b < a; b++) {
            int apart = 0;
            for (int c = 0; c < 3; c++)
                apart += abs(
                    lmb_ink_of_class(a).rgb[c] - lmb_ink_of_class(b).rgb[c]);
            assert_true(apart >= 24);
        }
}

static void heat_is_bright_where_the_map_is_high(void **state)
{
    (void)state;
    sheet s = blank();
    s.canvas.rgb = s.rgb;
    const float map[4] = {0, 0, 0, 1};
    lmb_draw_heat(&s.canvas, map, 2, 2, 0, 1);
    assert_true(s.rgb[3 * (H * W - 1)] > 200);
    assert_true(s.rgb[0] < 80);
}

static void masks_darken_their_cells(void **state)
{
    (void)state;
    sheet s = blank();
    s.canvas.rgb = s.rgb;
    const float map[6] = {1, 0, 1, 1, 1, 0.5F};
    lmb_draw_mask(&s.canvas, map, 2, 3);
    assert_true(is(&s, 0, 0, grey) && is(&s, H - 1, 0, grey));
    assert_int_equal(s.rgb[3 * (W / 2)], 24); /* 0.12 of it */
    assert_int_equal(s.rgb[3 * (H * W - 1)], 112); /* and 0.56 */
}

static void the_font_has_letters_and_a_frame_for_others(void **state)
{
    (void)state;
    const char *text = "A\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x90\x9F\xFF\xC3";
    static const uint32_t want[] = {'A', 0xE9, 0x4E2D, 0x1F41F, 0xFFFD, 0xFFFD};
    for (size_t i = 0; i < LMB_COUNT(want); i++)
        assert_int_equal(lmb_font_next(&text), want[i]);
    assert_int_equal(lmb_font_next(&text), 0);
    assert_true(lmb_font_ink('L', 6, 4) && !lmb_font_ink('L', 0, 4));
    for (int y = 0; y < LMB_FONT_HEIGHT; y++)
        for (int x = 0; x < LMB_FONT_WIDTH; x++)
            assert_int_equal(
                lmb_font_ink(0x4E2D, y, x), lmb_font_ink('\n', y, x));
    assert_true(lmb_font_ink(0x4E2D, 0, 0));
}

static void a_jpeg_reads_back(void **state)
{
    (void)state;
    sheet s = blank();
    s.canvas.rgb = s.rgb;
    lmb_draw_box(&s.canvas, &pen, (const double[4]){8, 8, 40, 40}, red);
    const lmb_image image = {H, W, s.rgb};
    uint8_t *bytes = NULL;
    size_t size = 0;
    lmb_scratch scratch = {0};
    lmb_image again;
    CHECK_OK(lmb_image_encode_jpeg(&image, 95, &bytes, &size));
    CHECK_OK(lmb_image_decode(bytes, size, "x.jpg", &scratch, &again));
    assert_int_equal(again.height, H);
    assert_int_equal(again.width, W);
    assert_true(abs(again.rgb[3 * (30 * W + 20)] - 200) < 12);
    lmb_scratch_fini(&scratch);
    lmb_free(bytes);
}

LMB_TEST_MAIN(cmocka_unit_test(a_box_is_an_outline_of_its_pixels),
    cmocka_unit_test(what_lies_outside_is_cut_off),
    cmocka_unit_test(labels_stay_inside),
    cmocka_unit_test(names_longer_than_the_picture_are_cut),
    cmocka_unit_test(marks_have_the_colour_of_their_class),
    cmocka_unit_test(classes_differ_in_colour),
    cmocka_unit_test(heat_is_bright_where_the_map_is_high),
    cmocka_unit_test(masks_darken_their_cells),
    cmocka_unit_test(the_font_has_letters_and_a_frame_for_others),
    cmocka_unit_test(a_jpeg_reads_back))
