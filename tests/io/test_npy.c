/* test_npy.c: .npy files written by NumPy, by us, and malformed ones. */
#include "io_test.h"

#include "io/npy.h"

#include <fcntl.h>

/* Fixtures hold arange(24).reshape(2, 3, 4) - 5, or its truth values. */
static void check_ramp(const char *name, lmb_dtype dtype)
{
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_npy_load(golden(name), &t));
    assert_int_equal(t->dtype, dtype);
    assert_true(lmb_shape_equal(&t->shape, &LMB_SHAPE(2, 3, 4)));
    for (int i = 0; i < 24; i++) {
        double want = i - 5;
        if (dtype == LMB_U8)
            want = i;
        if (dtype == LMB_BOOL)
            want = i % 3 == 0;
        assert_true(lmb_tensor_get(t, i) == want);
    }
    lmb_tensor_release(t);
}

static void reads_every_type_numpy_writes(void **state)
{
    (void)state;
    check_ramp("f4.npy", LMB_F32);
    check_ramp("f8.npy", LMB_F64);
    check_ramp("f2.npy", LMB_F16);
    check_ramp("i1.npy", LMB_I8);
    check_ramp("u1.npy", LMB_U8);
    check_ramp("i2.npy", LMB_I16);
    check_ramp("i4.npy", LMB_I32);
    check_ramp("i8.npy", LMB_I64);
    check_ramp("b1.npy", LMB_BOOL);
}

static void reads_other_orders_and_versions(void **state)
{
    (void)state;
    check_ramp("f4_fortran.npy", LMB_F32);
    check_ramp("f8_big.npy", LMB_F64);
    check_ramp("i2_big_fortran.npy", LMB_I16);
    check_ramp("f4_v2.npy", LMB_F32);
    check_ramp("f4_v3.npy", LMB_F32);
}

static void reads_scalars_and_empty_arrays(void **state)
{
    (void)state;
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_npy_load(golden("scalar.npy"), &t));
    assert_int_equal(t->shape.rank, 0);
    assert_true(lmb_tensor_get(t, 0) == 2.5);
    lmb_tensor_release(t);
    CHECK_OK(lmb_npy_load(golden("empty.npy"), &t));
    assert_true(lmb_shape_equal(&t->shape, &LMB_SHAPE(0, 3)));
    lmb_tensor_release(t);
}

static void written_files_read_back(void **state)
{
    (void)state;
    const char *path = scratch("w.npy");
    for (int dtype = LMB_F32; dtype <= LMB_BOOL; dtype++) {
        if (dtype == LMB_BF16)
            continue;
        lmb_tensor *t = NULL;
        lmb_tensor *back = NULL;
        CHECK_OK(lmb_tensor_new((lmb_dtype)dtype, &LMB_SHAPE(5, 7), &t));
        for (int i = 0; i < 35; i++)
            lmb_tensor_set(t, i, i % 3);
        CHECK_OK(lmb_npy_save(path, t));
        CHECK_OK(lmb_npy_load(path, &back));
        assert_int_equal(back->dtype, dtype);
        assert_memory_equal(
            back->data, t->data, 35 * lmb_dtype_size((lmb_dtype)dtype));
        lmb_tensor_release(t);
        lmb_tensor_release(back);
    }
    assert_int_equal(unlink(path), 0);
}

/* What we write is what NumPy writes. */
static void written_files_equal_numpys(void **state)
{
    (void)state;
    const char *names[] = {"f4.npy", "b1.npy", "i8.npy", "scalar.npy"};
    const char *path = scratch("same.npy");
    for (size_t i = 0; i < LMB_COUNT(names); i++) {
        lmb_tensor *t = NULL;
        lmb_file a = {0};
        lmb_file b = {0};
        CHECK_OK(lmb_npy_load(golden(names[i]), &t));
        CHECK_OK(lmb_npy_save(path, t));
        CHECK_OK(lmb_file_open(golden(names[i]), &a));
        CHECK_OK(lmb_file_open(path, &b));
        assert_int_equal(a.size, b.size);
        assert_memory_equal(a.bytes, b.bytes, a.size);
        lmb_file_close(&a);
        lmb_file_close(&b);
        lmb_tensor_release(t);
    }
    assert_int_equal(unlink(path), 0);
}

static lmb_status parse_header(const char *header, size_t data)
{
    uint8_t file[512] = "\x93NUMPY\x01";
    const size_t n = strlen(header);
    file[8] = (uint8_t)n;
    memcpy(file + 10, header, n);
    lmb_tensor *t = NULL;
    const lmb_status st = lmb_npy_parse(file, 10 + n + data, "x.npy", &t);
    lmb_tensor_release(t);
    return st;
}

#define HEADER(descr, order, shape) \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

static void malformed_headers_are_named(void **state)
{
    (void)state;
    CHECK_OK(parse_header(HEADER("'<f4'", "False", "(2,)"), 8));
    CHECK_OK(parse_header(HEADER("\"<f4\"", "True", "( 2L , 1 )"), 8));
    CHECK_ERR(parse_header(HEADER("'<f4'", "False", "(2,)"), 7), LMB_EFORMAT,
        "x.npy: .npy of F32 [2] with 7 bytes");
    CHECK_ERR(parse_header(HEADER("'<f4'", "False", "(-2,)"), 8), LMB_EFORMAT,
        "whole numbers");
    CHECK_ERR(parse_header(HEADER("'<f4'", "False",
                               "(9999999999, 9999999999, 9999999999)"),
                  8),
        LMB_EFORMAT, "with 8 bytes");
    /* No elements, but strides that overflow: found by fuzzing. */
    CHECK_ERR(parse_header(
                  HEADER("'<f4'", "False", "(0, 9999999999, 9999999999)"), 0),
        LMB_EFORMAT, "with 0 bytes");
    CHECK_ERR(
        parse_header(HEADER("'<f4'", "False", "(99999999999999999999,)"), 8),
        LMB_EFORMAT, "too large");
    CHECK_ERR(parse_header(HEADER("'|O'", "False", "(2,)"), 8),
        LMB_EUNSUPPORTED, "type '|O'");
    CHECK_ERR(parse_header(HEADER("[('a', '<f4')]", "False", "(2,)"), 8),
        LMB_EUNSUPPORTED, "structured");
    CHECK_ERR(parse_header(HEADER("'<f4'", "Maybe", "(2,)"), 8), LMB_EFORMAT,
        "fortran_order");
    CHECK_ERR(parse_header(HEADER("'<f4'", "False", "(1,1,1,1,1,1,1)"), 4),
        LMB_EUNSUPPORTED, "axes");
    CHECK_ERR(parse_header("{'descr': '<f4'}", 8), LMB_EFORMAT, "lacks");
    CHECK_ERR(parse_header("{'colour': '<f4'}", 8), LMB_EFORMAT,
        "unknown key 'colour'");
    CHECK_ERR(parse_header("{'descr': '<f4", 0), LMB_EFORMAT, "expected");
    lmb_tensor *t = NULL;
    CHECK_ERR(lmb_npy_parse("PK\3\4", 4, "x.npy", &t), LMB_EFORMAT,
        "not a .npy file");
    CHECK_ERR(lmb_npy_parse("\x93NUMPY\x07\0\0\0", 10, "x.npy", &t),
        LMB_EUNSUPPORTED, "version 7");
    CHECK_ERR(lmb_npy_parse("\x93NUMPY\x02\0\xff\xff\xff\xff", 12, "x.npy", &t),
        LMB_EFORMAT, "header of 4294967295 bytes");
    CHECK_ERR(lmb_npy_load(scratch("no.npy"), &t), LMB_ENOTFOUND, "no.npy");
    assert_null(t);
}

static void bf16_has_no_numpy_type(void **state)
{
    (void)state;
    lmb_tensor *t = NULL;
    CHECK_OK(lmb_tensor_new(LMB_BF16, &LMB_SHAPE(2), &t));
    CHECK_ERR(lmb_npy_save(scratch("b.npy"), t), LMB_EUNSUPPORTED, "BF16");
    lmb_tensor_release(t);
}

static void out_of_memory_leaves_nothing(void **state)
{
    (void)state;
    lmb_tensor *t = NULL;
    CHECK_OOM_SWEEP(lmb_npy_load(golden("i2_big_fortran.npy"), &t), (void)0);
    CHECK_OOM_SWEEP(lmb_npy_save(scratch("oom.npy"), t), lmb_tensor_release(t));
    assert_int_equal(unlink(scratch("oom.npy")), 0);
}

LMB_TEST_MAIN(cmocka_unit_test(reads_every_type_numpy_writes),
    cmocka_unit_test(reads_other_orders_and_versions),
    cmocka_unit_test(reads_scalars_and_empty_arrays),
    cmocka_unit_test(written_files_read_back),
    cmocka_unit_test(written_files_equal_numpys),
    cmocka_unit_test(malformed_headers_are_named),
    cmocka_unit_test(bf16_has_no_numpy_type),
    cmocka_unit_test(out_of_memory_leaves_nothing))
