/* test_safetensors.c: the weights list, and safetensors good and bad. */
#include "io_test.h"

#include "io/raw.h"
#include "io/weights.h"

/* A file of this header (padded by `pad` spaces) and `data` bytes 0, 1, ... */
static lmb_status parse(const char *header, size_t data, lmb_weights **out)
{
    static uint8_t file[4096];
    const size_t n = strlen(header);
    lmb_put_le64(file, n);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < data; i++)
        file[8 + n + i] = (uint8_t)i;
    return lmb_weights_parse(file, 8 + n + data, "x.st", out);
}

static void check_refused(
    const char *header, size_t data, lmb_status code, const char *part)
{
    lmb_weights *w = NULL;
    CHECK_ERR(parse(header, data, &w), code, part);
    assert_null(w);
    assert_non_null(strstr(lmb_last_error(), "x.st"));
}

static lmb_weights *sample(void)
{
    lmb_weights *w = NULL;
    CHECK_OK(lmb_weights_new(&w));
    for (int dtype = LMB_F32; dtype <= LMB_BOOL; dtype++) {
        lmb_tensor *t = NULL;
        char name[32];
        CHECK_OK(lmb_tensor_new((lmb_dtype)dtype, &LMB_SHAPE(3, 5), &t));
        for (int i = 0; i < 15; i++)
            lmb_tensor_set(t, i, dtype == LMB_BOOL ? i % 2 : i);
        (void)snprintf(name, sizeof name, "layer%d.\"w\"", dtype);
        CHECK_OK(lmb_weights_add(w, name, t));
        lmb_tensor_release(t);
    }
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_tensor_new(LMB_I64, &LMB_SCALAR, &t));
    lmb_tensor_set(t, 0, 7);
    CHECK_OK(lmb_weights_add(w, "bn.num_batches_tracked", t));
    lmb_tensor_release(t);
    CHECK_OK(lmb_tensor_new(LMB_F32, &LMB_SHAPE(0, 4), &t));
    CHECK_OK(lmb_weights_add(w, "empty", t));
    lmb_tensor_release(t);
    CHECK_OK(lmb_weights_meta_set(w, "model", "resnet8"));
    CHECK_OK(lmb_weights_meta_set(w, "classes", "a\nb\t\xc3\xa9"));
    CHECK_OK(lmb_weights_meta_set(w, "model", "resnet20"));
    return w;
}

static void check_same(const lmb_weights *a, const lmb_weights *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const lmb_tensor *x = a->items[i].tensor;
        const lmb_tensor *y = b->items[i].tensor;
        assert_string_equal(a->items[i].name, b->items[i].name);
        assert_int_equal(x->dtype, y->dtype);
        assert_true(lmb_shape_equal(&x->shape, &y->shape));
        assert_memory_equal(x->data, y->data,
            (size_t)lmb_tensor_count(x) * lmb_dtype_size(x->dtype));
    }
    assert_int_equal(a->meta_count, b->meta_count);
    for (size_t i = 0; i < a->meta_count; i++)
        assert_string_equal(
            lmb_weights_meta_get(b, a->meta[i].key), a->meta[i].value);
}

static void list_finds_names_and_refuses_twins(void **state)
{
    (void)state;
    lmb_weights *w = sample();
    lmb_tensor *t = lmb_weights_find(w, "bn.num_batches_tracked");
    assert_non_null(t);
    assert_null(lmb_weights_find(w, "bn"));
    CHECK_ERR(lmb_weights_add(w, "empty", t), LMB_EFORMAT, "twice");
    CHECK_ERR(lmb_weights_add(w, "", t), LMB_EFORMAT, "0 bytes");
    CHECK_ERR(lmb_weights_add(w, "a\xff", t), LMB_EFORMAT, "UTF-8");
    CHECK_ERR(lmb_weights_add(w, "\xed\xa0\x80", t), LMB_EFORMAT, "UTF-8");
    CHECK_ERR(lmb_weights_meta_set(w, "k", "\xc0\x80"), LMB_EFORMAT, "UTF-8");
    for (int i = 0; i < 1000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        CHECK_OK(lmb_weights_add(w, name, t));
    }
    assert_ptr_equal(lmb_weights_find(w, "t999"), t);
    assert_int_equal(w->count, 1012);
    assert_int_equal(lmb_weights_elements(w), 150 + 1001);
    assert_string_equal(lmb_weights_meta_get(w, "model"), "resnet20");
    assert_null(lmb_weights_meta_get(w, "no"));
    lmb_weights_free(w);
}

static void written_files_read_back(void **state)
{
    (void)state;
    const char *path = scratch("w.safetensors");
    lmb_weights *w = sample();
    lmb_weights *back = NULL;
    CHECK_OK(lmb_weights_save(path, w));
    CHECK_OK(lmb_weights_load(path, &back));
    assert_string_equal(back->format, "safetensors");
    check_same(w, back);
    lmb_file file = {0};
    CHECK_OK(lmb_file_open(path, &file));
    assert_int_equal(lmb_le64(file.bytes) % 8, 0);
    lmb_file_close(&file);
    lmb_weights_free(w);
    lmb_weights_free(back);
    CHECK_OK(lmb_weights_new(&w));
    CHECK_OK(lmb_weights_save(path, w));
    CHECK_OK(lmb_weights_load(path, &back));
    check_same(w, back);
    lmb_weights_free(w);
    lmb_weights_free(back);
    assert_int_equal(unlink(path), 0);
}

#define ENTRY(dtype, shape, from, to) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from \
    "," to "]}"

static void reads_by_the_letter(void **state)
{
    (void)state;
    lmb_weights *w = NULL;
    /* Unaligned data, offsets out of order, scalar, padding. */
    CHECK_OK(parse("{\"b\":" ENTRY("F32", "[1]", "1", "5") ",\"a\":" ENTRY(
                       "U8", "[]", "0", "1") "}   ",
        5, &w));
    assert_string_equal(w->items[0].name, "b");
    assert_int_equal(lmb_tensor_get(lmb_weights_find(w, "a"), 0), 0);
    assert_memory_equal(lmb_weights_find(w, "b")->data, "\1\2\3\4", 4);
    lmb_weights_free(w);
    w = NULL;
    CHECK_OK(parse("{\"m\":" ENTRY("BOOL", "[3]", "0", "3") "}", 3, &w));
    assert_memory_equal(lmb_weights_find(w, "m")->data, "\0\1\1", 3);
    lmb_weights_free(w);
    w = NULL;
    CHECK_OK(parse("{}", 0, &w));
    assert_int_equal(w->count, 0);
    lmb_weights_free(w);
}

static void malformed_files_are_refused(void **state)
{
    (void)state;
    const lmb_status bad = LMB_EFORMAT;
    check_refused(
        "{\"a\":" ENTRY("U8", "[4]", "0", "4") "}", 3, bad, "cut off");
    check_refused(
        "{\"a\":" ENTRY("U8", "[4]", "0", "4") "}", 5, bad, "4 bytes of 5");
    check_refused("{\"a\":" ENTRY("U8", "[3]", "1", "4") "}", 4, bad,
        "starts at 1 where 0");
    check_refused("{\"a\":" ENTRY("U8", "[3]", "0", "3") ",\"b\":" ENTRY(
                      "U8", "[2]", "2", "4") "}",
        4, bad, "starts at 2 where 3");
    check_refused("{\"a\":" ENTRY("F32", "[2]", "0", "4") "}", 4, bad,
        "'a' of F32 [2] in 4 bytes");
    check_refused("{\"a\":" ENTRY("U8", "[4]", "4", "0") "}", 4, bad, "4 .. 0");
    check_refused("{\"a\":" ENTRY("U8", "[4]", "-4", "0") "}", 4, bad, "-4");
    check_refused("{\"a\":" ENTRY("U8", "[-1]", "0", "4") "}", 4, bad, ">= 0");
    check_refused("{\"a\":" ENTRY("U8", "[1.0]", "0", "4") "}", 4, bad, ">= 0");
    check_refused(
        "{\"a\":" ENTRY("U8", "[4294967296,4294967296]", "0", "0") "}", 0, bad,
        "in 0 bytes");
    check_refused("{\"a\":" ENTRY("F8_E5M2", "[4]", "0", "4") "}", 4,
        LMB_EUNSUPPORTED, "dtype 'F8_E5M2'");
    check_refused("{\"a\":" ENTRY("U8", "[1,1,1,1,1,1,1]", "0", "1") "}", 1,
        LMB_EUNSUPPORTED, "7 axes");
    check_refused("{\"a\":3}", 0, bad, "not an object");
    check_refused("{\"a\":{}}", 0, bad, "no dtype");
    check_refused("{\"a\":{\"dtype\":\"U8\"}}", 0, bad, "not a list");
    check_refused(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}", 0, bad, "data_offsets");
    check_refused("{\"__metadata__\":{\"a\":1}}", 0, bad, "not a text");
    check_refused("{\"__metadata__\":[]}", 0, bad, "not an object");
    check_refused("{\"a\":" ENTRY("U8", "[0]", "0", "0") ",\"a\":" ENTRY(
                      "U8", "[0]", "0", "0") "}",
        0, bad, "duplicate");
    check_refused("{\"a", 0, bad, "header, byte");
    check_refused("{\"a\\u0000b\":3}", 0, bad, "header, byte");
    lmb_weights *w = NULL;
    CHECK_ERR(lmb_weights_parse("\x01\xe1\xf5\x05\0\0\0\0{}", 10, "x", &w), bad,
        "header of 100000001 bytes");
    CHECK_ERR(lmb_weights_parse("\x03\0\0\0\0\0\0\0{}", 10, "x", &w), bad,
        "header of 3 bytes");
    CHECK_ERR(
        lmb_weights_parse("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "x", &w),
        bad, "18446744073709551615");
}

static void other_files_are_named(void **state)
{
    (void)state;
    lmb_weights *w = NULL;
    CHECK_ERR(lmb_weights_load(golden("f4.npy"), &w), LMB_EUNSUPPORTED,
        "f4.npy: one NumPy array, not named weights");
    CHECK_ERR(lmb_weights_parse("version https://git-lfs...", 26, "w.pth", &w),
        LMB_EUNSUPPORTED, "w.pth: a Git LFS pointer");
    CHECK_ERR(lmb_weights_parse("<!DOCTYPE html>", 15, "w.pth", &w),
        LMB_EUNSUPPORTED, "web page");
    CHECK_ERR(lmb_weights_parse("\x80\x04N.", 4, "w.pth", &w), LMB_EUNSUPPORTED,
        "pickle");
    CHECK_ERR(
        lmb_weights_parse("", 0, "w.pth", &w), LMB_EFORMAT, "w.pth: neither");
    CHECK_ERR(
        lmb_weights_load(scratch("none.pth"), &w), LMB_ENOTFOUND, "none.pth");
    lmb_weights *s = sample();
    CHECK_ERR(lmb_weights_save("w.onnx", s), LMB_EINVAL, "w.onnx");
    CHECK_OK(lmb_weights_add(s, "__metadata__", s->items[0].tensor));
    CHECK_ERR(lmb_weights_save("w.safetensors", s), LMB_EINVAL, "__metadata__");
    lmb_weights_free(s);
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    const char *path = scratch("oom.safetensors");
    lmb_weights *w = sample();
    lmb_weights *back = NULL;
    CHECK_OOM_SWEEP(lmb_weights_save(path, w), (void)0);
    CHECK_OOM_SWEEP(lmb_weights_load(path, &back), (void)0);
    check_same(w, back);
    lmb_weights_free(w);
    lmb_weights_free(back);
    assert_int_equal(unlink(path), 0);
}

LMB_TEST_MAIN(cmocka_unit_test(list_finds_names_and_refuses_twins),
    cmocka_unit_test(written_files_read_back),
    cmocka_unit_test(reads_by_the_letter),
    cmocka_unit_test(malformed_files_are_refused),
    cmocka_unit_test(other_files_are_named),
    cmocka_unit_test(out_of_memory_leaves_nothing))
