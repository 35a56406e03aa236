/* Decoders, resize and pixel operations against Pillow's output
 * (tools/golden/data_pictures.py); damaged pictures. */
#include "lmb_test.h"

#include "base/file.h"
#include "data/augment.h"

#include <strings.h>
#include <unistd.h>

#define GOLDEN LMB_TEST_DIR "/data/golden/"

typedef struct record {
    char name[64];
    double value[6];
    int32_t height, width;
    const uint8_t *rgb;
} record;

typedef struct golden {
    lmb_file file;
    size_t at;
    record source;
} golden;

static const char *golden_folder(void)
{
    const char *other = getenv("LMB_GOLDEN_PICTURES");
    return other != NULL ? other : GOLDEN;
}

static const char *golden_path(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", golden_folder(), name);
    return path;
}

static bool next_record(golden *g, record *out)
{
    const uint8_t *p = g->file.bytes + g->at;
    if (g->at == g->file.size)
        return false;
    memcpy(out->name, p + 1, p[0]);
    out->name[p[0]] = '\0';
    p += 1 + p[0];
    memcpy(out->value, p, sizeof out->value);
    p += sizeof out->value;
    out->height = p[0] | p[1] << 8;
    out->width = p[2] | p[3] << 8;
    out->rgb = p + 4;
    p += 4 + 3 * out->height * out->width;
    g->at = (size_t)(p - g->file.bytes);
    return true;
}

static void golden_open(golden *g)
{
    *g = (golden){0};
    CHECK_OK(lmb_file_open(golden_path("pictures.golden.bin"), &g->file));
    assert_true(next_record(g, &g->source));
    assert_string_equal(g->source.name, "source");
}

static void check_pixels(const record *r, const uint8_t *rgb, int limit)
{
    int worst = 0;
    int at = 0;
    for (int i = 0; i < 3 * r->height * r->width; i++) {
        if (abs(rgb[i] - r->rgb[i]) > worst) {
            worst = abs(rgb[i] - r->rgb[i]);
            at = i;
        }
    }
    if (worst > limit)
        fail_msg("%s %g: byte %d is %d, not %d", r->name, r->value[0], at,
            rgb[at], r->rgb[at]);
}

static int find_op(const char *name)
{
    static const char *const names[LMB_AUGMENT_COUNT] = {
#define NAME(op, low, high) #op,
        LMB_AUGMENT_LIST(NAME)
#undef NAME
    };
    for (int i = 0; i < LMB_AUGMENT_COUNT; i++)
        if (strcasecmp(names[i], name) == 0)
            return i;
    return -1;
}

static bool apply(const record *r, lmb_scratch *scratch, lmb_canvas *canvas)
{
    const int op = find_op(r->name);
    if (op >= 0)
        CHECK_OK(lmb__augment_apply(
            (lmb_augment_op)op, r->value[0], scratch, canvas));
    else if (strcmp(r->name, "hue") == 0)
        lmb__augment_hue(r->value[0], canvas);
    else if (strcmp(r->name, "cutout") == 0)
        lmb__augment_cutout(r->value[0], r->value[1], r->value[2], canvas);
    else
        return false;
    return true;
}

static void operations_equal_pillow(void **state)
{
    (void)state;
    golden g;
    record r;
    lmb_scratch scratch = {0};
    int tried = 0;
    golden_open(&g);
    const size_t size = 3 * (size_t)(g.source.height * g.source.width);
    uint8_t *rgb = lmb_alloc(size, 1);
    while (next_record(&g, &r)) {
        lmb_canvas canvas = {g.source.height, g.source.width, rgb};
        memcpy(rgb, g.source.rgb, size);
        if (!apply(&r, &scratch, &canvas))
            continue;
        check_pixels(&r, rgb, 0);
        tried++;
    }
    assert_int_equal(tried, 43);
    lmb_free(rgb);
    lmb_scratch_fini(&scratch);
    lmb_file_close(&g.file);
}

static void resize_equals_pillow(void **state)
{
    (void)state;
    golden g;
    record r;
    lmb_scratch scratch = {0};
    int tried = 0;
    golden_open(&g);
    const lmb_image src = {g.source.height, g.source.width, g.source.rgb};
    while (next_record(&g, &r)) {
        if (strcmp(r.name, "resize") != 0)
            continue;
        const lmb_rect crop = {(int32_t)r.value[0], (int32_t)r.value[1],
            (int32_t)r.value[2], (int32_t)r.value[3]};
        uint8_t *rgb = lmb_alloc((size_t)(r.height * r.width), 3);
        CHECK_OK(
            lmb_image_resize(&src, &crop, r.height, r.width, &scratch, rgb));
        check_pixels(&r, rgb, 0);
        lmb_free(rgb);
        tried++;
    }
    assert_int_equal(tried, 9);
    lmb_scratch_fini(&scratch);
    lmb_file_close(&g.file);
}

static void decoders_equal_pillow(void **state)
{
    (void)state;
    golden g;
    record r;
    lmb_scratch scratch = {0};
    int tried = 0;
    golden_open(&g);
    while (next_record(&g, &r)) {
        if (strncmp(r.name, "decode ", 7) != 0)
            continue;
        lmb_image image = {0};
        CHECK_OK(lmb_image_load(golden_path(r.name + 7), &scratch, &image));
        assert_int_equal(image.height, r.height);
        assert_int_equal(image.width, r.width);
        /* JPEG decoders may round differently. */
        check_pixels(&r, image.rgb, strstr(r.name, ".jpg") != NULL ? 2 : 0);
        tried++;
    }
    assert_int_equal(tried, 13);
    lmb_scratch_fini(&scratch);
    lmb_file_close(&g.file);
}

static const char *const files[] = {"rgb.jpg", "progressive.jpg", "grey.jpg",
    "cmyk.jpg", "rgb.png", "rgba.png", "palette.png", "rgb16.png"};

/* Every flipped bit and every shorter file gives a picture or an error, and
 * never touches memory that is not its own (run under sanitizers). */
static void damaged_pictures_are_survived(void **state)
{
    (void)state;
    lmb_scratch scratch = {0};
    int refused = 0;
    for (size_t f = 0; f < LMB_COUNT(files); f++) {
        lmb_file file = {0};
        lmb_image image = {0};
        CHECK_OK(lmb_file_open(golden_path(files[f]), &file));
        uint8_t *bytes = lmb_alloc(file.size, 1);
        for (size_t bit = 0; bit < 8 * file.size; bit += 3) {
            memcpy(bytes, file.bytes, file.size);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            refused += lmb_image_decode(bytes, file.size, files[f], &scratch,
                           &image) != LMB_OK;
        }
        for (size_t cut = 0; cut < file.size - 20; cut += 7) {
            const lmb_status st =
                lmb_image_decode(file.bytes, cut, files[f], &scratch, &image);
            assert_int_not_equal(st, LMB_OK);
            assert_non_null(strstr(lmb_last_error(), files[f]));
        }
        lmb_free(bytes);
        lmb_file_close(&file);
    }
    assert_true(refused > 1000);
    lmb_scratch_fini(&scratch);
}

static void lying_sizes_get_no_memory(void **state)
{
    (void)state;
    lmb_scratch scratch = {0};
    lmb_image image = {0};
    lmb_file file = {0};
    CHECK_OK(lmb_file_open(golden_path("rgb.jpg"), &file));
    uint8_t *bytes = lmb_alloc(file.size, 1);
    memcpy(bytes, file.bytes, file.size);
    size_t at = 0; /* the frame header: FF C0, length, precision, size */
    while (bytes[at] != 0xff || bytes[at + 1] != 0xc0)
        at++;
    memcpy(bytes + at + 5, "\x40\x00\x10\x00", 4);
    CHECK_ERR(lmb_image_decode(bytes, file.size, "big.jpg", &scratch, &image),
        LMB_EFORMAT, "big.jpg: 818 bytes cannot hold 4096 x 16384 pixels");
    memcpy(bytes + at + 5, "\xff\x00\xff\x00", 4);
    CHECK_ERR(lmb_image_decode(bytes, file.size, "big.jpg", &scratch, &image),
        LMB_EUNSUPPORTED, "beyond the limits");
    CHECK_ERR(lmb_image_decode("GIF89a..", 8, "a.jpg", &scratch, &image),
        LMB_EFORMAT, "a.jpg: neither JPEG nor PNG");
    CHECK_ERR(lmb_image_load("/nowhere.png", &scratch, &image), LMB_ENOTFOUND,
        "/nowhere.png");
    lmb_free(bytes);
    lmb_file_close(&file);
    lmb_scratch_fini(&scratch);
}

static void png_comes_back_as_written(void **state)
{
    (void)state;
    char path[64] = "/tmp/lmb_png_XXXXXX";
    uint8_t rgb[5 * 7 * 3];
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * 37);
    const lmb_image image = {5, 7, rgb};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    CHECK_OK(lmb_image_save_png(path, &image));
    lmb_scratch scratch = {0};
    lmb_image back = {0};
    CHECK_OK(lmb_image_load(path, &scratch, &back));
    assert_true(back.height == 5 && back.width == 7);
    assert_memory_equal(back.rgb, rgb, sizeof rgb);
    CHECK_ERR(lmb_image_save_png("/nowhere/x.png", &image), LMB_EIO,
        "/nowhere/x.png");
    lmb_scratch_fini(&scratch);
    assert_int_equal(unlink(path), 0);
}

static void decode_survives_lack_of_memory(void **state)
{
    (void)state;
    for (size_t f = 0; f < LMB_COUNT(files); f++) {
        for (int64_t n = 0;; n++) {
            lmb_scratch scratch = {0};
            lmb_image image = {0};
            const char *path = golden_path(files[f]);
            lmb_alloc_fail_at(n);
            const lmb_status st = lmb_image_load(path, &scratch, &image);
            const bool injected = lmb_alloc_failed();
            lmb_alloc_fail_at(-1);
            lmb_scratch_fini(&scratch);
            assert_int_equal(st, injected ? LMB_ENOMEM : LMB_OK);
            assert_int_equal(lmb_alloc_live(), 0);
            if (!injected)
                break;
        }
    }
}

LMB_TEST_MAIN(cmocka_unit_test(operations_equal_pillow),
    cmocka_unit_test(resize_equals_pillow),
    cmocka_unit_test(decoders_equal_pillow),
    cmocka_unit_test(damaged_pictures_are_survived),
    cmocka_unit_test(lying_sizes_get_no_memory),
    cmocka_unit_test(png_comes_back_as_written),
    cmocka_unit_test(decode_survives_lack_of_memory))
